"""Measurements, not tests: each prints a table of medians and writes JSON. `python -m benchmarks --help`."""
