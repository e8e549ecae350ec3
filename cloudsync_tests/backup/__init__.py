"""Backups on real servers; those in files are tested with the commands."""
