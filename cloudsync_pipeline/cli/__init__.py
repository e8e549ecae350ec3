"""The `cloudsync` command.

`app` puts the commands together, `commands/` has one file a group of them, `render` shows results,
`exit_codes` says what the code means. Whatever a command needs is imported when it runs: `--help` is quick.
"""

import gc

COLLECT_EVERY = (50_000, 20, 20)
"""Objects made until garbage is looked for, and rounds until older objects are looked at. With Python's own figures a
tenth of the CPU time of starting goes to looking through modules, which all stay."""


def main() -> None:
    """Run the command line of this process, and exit."""
    gc.set_threshold(*COLLECT_EVERY)
    from cloudsync_pipeline.cli.app import run

    run()


__all__ = ["main", "COLLECT_EVERY"]
