"""Measurements, not tests: each prints a table of medians and writes JSON. `python -m benchmarks --help`."""

import gc

from cloudsync_pipeline.cli import COLLECT_EVERY

# The engine alone, the bare loop and the state are measured with what the command starts with.
gc.set_threshold(*COLLECT_EVERY)
