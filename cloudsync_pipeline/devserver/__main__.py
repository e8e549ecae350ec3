"""`python -m cloudsync_pipeline.devserver`: prints one line of JSON with its URL once it accepts connections."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cloudsync_pipeline.devserver.files import RootInUse
from cloudsync_pipeline.devserver.serving import serve
from cloudsync_pipeline.devserver.settings import Settings

_PROGRAM = "python -m cloudsync_pipeline.devserver"


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of content and index")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 lets the operating system choose (default)")
    # Secrets come by the environment: an argument is visible to every user of the machine.
    parser.add_argument("--bearer-env", metavar="NAME", help="variable that holds the bearer token to accept")
    parser.add_argument("--basic-env", metavar="NAME", help="variable that holds user:password to accept")
    parser.add_argument("--header", metavar="HEADER", help="name of a header to accept as proof")
    parser.add_argument("--header-env", metavar="NAME", help="variable that holds the value of --header")
    parser.add_argument("--tls-cert", type=Path, metavar="PEM")
    parser.add_argument("--tls-key", type=Path, metavar="PEM")
    parser.add_argument("--client-ca", type=Path, metavar="PEM", help="ask clients for a certificate signed by it")
    parser.add_argument("--permissions", default="rw-r--r--", help="of new files")
    parser.add_argument("--owner", default="files", help="of new files")
    parser.add_argument("--group", default="files", help="of new files")
    parser.add_argument(
        "--no-fsync", action="store_true", help="acknowledge before content is safe from a power failure"
    )
    parser.add_argument(
        "--shutdown-seconds", type=int, default=10, help="how long requests may go on after SIGTERM (10)"
    )
    parser.add_argument("--access-log", action="store_true", help="log every request to standard error")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when standard input ends")
    return parser


def understood(arguments: Sequence[str] | None = None, *, program: str = _PROGRAM) -> tuple[Settings, bool]:
    """What a command line says: the settings, and whether to stop when standard input ends.

    Args:
        arguments: those of this process unless given.
        program: what usage errors call it.

    Raises:
        SystemExit: with 2, and the reason on standard error, where it cannot be understood.
    """
    parser = _parser(program)
    given = parser.parse_args(arguments)

    def secret(name: str | None) -> str | None:
        if name is None:
            return None
        if not os.environ.get(name):
            parser.error(f"the environment variable {name} is missing or empty")
        return os.environ[name]

    if (given.header is None) != (given.header_env is None):
        parser.error("--header and --header-env go together")
    if (given.tls_cert is None) != (given.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    if given.client_ca is not None and given.tls_cert is None:
        parser.error("--client-ca needs --tls-cert and --tls-key")
    basic, header = secret(given.basic_env), secret(given.header_env)
    if basic is not None and ":" not in basic:
        parser.error(f"the environment variable {given.basic_env} does not read user:password")
    settings = Settings(
        root=given.root,
        host=given.host,
        port=given.port,
        bearer=secret(given.bearer_env),
        basic=(basic.partition(":")[0], basic.partition(":")[2]) if basic is not None else None,
        header=(given.header, header) if header is not None else None,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        client_ca=given.client_ca,
        permissions=given.permissions,
        owner=given.owner,
        group=given.group,
        fsync=not given.no_fsync,
        shutdown_seconds=given.shutdown_seconds,
        access_log=given.access_log,
    )
    return settings, given.until_stdin_closes


def run(settings: Settings, *, until_stdin_closes: bool = False) -> int:
    """Serve until told to stop; 1, and the reason on standard error, where that cannot begin."""
    try:
        serve(settings, until_stdin_closes=until_stdin_closes)
    except (OSError, RootInUse) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve as the command line says; see `run` for what is returned."""
    settings, until_stdin_closes = understood(arguments)
    return run(settings, until_stdin_closes=until_stdin_closes)


if __name__ == "__main__":
    sys.exit(main())
