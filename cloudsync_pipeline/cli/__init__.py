"""The `cloudsync` command.

`app` puts the commands together, `commands/` has one file a group of them, `render` shows results,
`exit_codes` says what the code means. Whatever a command needs is imported when it runs: `--help` is quick.
"""

from cloudsync_pipeline.cli.lean import lean


def main() -> None:
    """Run the command line of this process, and exit."""
    lean()
    from cloudsync_pipeline.cli.app import run

    run()


__all__ = ["main"]
