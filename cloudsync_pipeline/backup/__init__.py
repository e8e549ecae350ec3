"""Backups of what is remembered: each lake, the control database, Dagster's own storage.

Every part has a folder of its own, with one folder a backup: its files and a manifest with their checksums. A
backup is written under a temporary name and renamed when it is whole; what was copied before and cannot have changed
is linked, not copied again.
"""
