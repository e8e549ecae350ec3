"""The `cloudsync` command.

`app` puts the commands together, `commands/` has one file a group of them, `render` shows results,
`exit_codes` says what the code means. Whatever a command needs is imported when it runs: `--help` is quick.
"""

import gc
import os

COLLECT_EVERY = (50_000, 20, 20)
"""Objects made until garbage is looked for, and rounds until older objects are looked at. With Python's own figures a
tenth of the CPU time of starting goes to looking through modules, which all stay."""


def main() -> None:
    """Run the command line of this process, and exit."""
    gc.set_threshold(*COLLECT_EVERY)
    # NumPy, which Arrow brings along, would start threads that look for work at a tenth of a second of CPU time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from cloudsync_pipeline.cli.app import run

    run()


__all__ = ["main", "COLLECT_EVERY"]
