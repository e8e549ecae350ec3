"""`demo`, `dev` and `devserver`: something real to try the project on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloudsync_pipeline.api.addresses import is_loopback
from cloudsync_pipeline.cli import interrupts, invocation, render
from cloudsync_pipeline.cli.exit_codes import ExitCode
from cloudsync_pipeline.cli.options import Json

if TYPE_CHECKING:
    from cloudsync_pipeline.devserver import Settings


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command(
        epilog='JSON: {"ok", "seconds", "folder", "integrations": [{"integration", "runs", "operations", "bytes", '
        '"compared", "quarantined", "checks"}]}.'
    )(demo)
    app.command()(dev)
    app.command(
        epilog="Further options are those of `python -m cloudsync_pipeline.devserver`: --bearer-env NAME, --basic-env "
        "NAME, --header HEADER with --header-env NAME, --tls-cert PEM with --tls-key PEM, --client-ca PEM, and more.",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(devserver)


def demo(
    context: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder with all data, state and logs.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Work here instead of in a temporary folder; implies --keep.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the whole on this machine.

    A real S3 storage, a file manager and a folder, Dagster runs, changes, and a comparison of both ends.

    Takes about a minute, needs no network, and ends everything it started. Exits with 0 only if both ends hold
    the same bytes and every check passed.
    """
    from cloudsync_pipeline.cli import demonstration
    from cloudsync_pipeline.demo import story

    invocation.of(context, json=json)
    with interrupts.raising():
        outcome = story.run(folder=folder, keep=keep, say=render.note if json else render.say)
    if json:
        render.emit_json(story.as_document(outcome))
    else:
        demonstration.show(outcome)
    raise typer.Exit(ExitCode.OK if outcome.ok else ExitCode.PARTIAL)


def dev(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--folder", help="Where data, state and logs are kept.")] = Path(".dev"),
    port: Annotated[
        int | None, typer.Option("--port", help="Of the Dagster web UI; by default 3000, or a free one.")
    ] = None,
) -> None:
    """Run everything until Ctrl-C.

    A storage, a file manager, Dagster's web UI and daemon with schedules and sensors. Changed code is loaded anew.
    """
    from cloudsync_pipeline.demo import dev as running

    invocation.of(context)
    with interrupts.raising():
        running.run(folder=folder, port=port, say=render.say)


def devserver(
    context: typer.Context,
    root: Annotated[Path, typer.Option("--root", help="The folder of its content and index.")] = Path("devserver"),
    host: Annotated[str, typer.Option("--host", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any that is free.")] = 8080,
    is_open: Annotated[
        bool, typer.Option("--open", help="Let everybody in, also from other hosts, where no proof is asked for.")
    ] = False,
) -> None:
    """Run the small file manager alone.

    Until Ctrl-C. Where other hosts can reach it, it asks for a proof, like a token; or say --open.
    """
    from cloudsync_pipeline.devserver import __main__ as server

    invocation.of(context)
    given = [f"--root={root}", f"--host={host}", f"--port={port}", *context.args]
    settings, until_stdin_closes = server.understood(given, program="cloudsync devserver")
    if not (is_open or _asks_for_proof(settings) or is_loopback(settings.host)):
        raise typer.BadParameter(
            f"{settings.host or 'every address'} can be reached from other hosts, and everybody would be let in; "
            "ask for a token (--bearer-env NAME), a password (--basic-env NAME) or certificates (--client-ca PEM), "
            "or say --open",
            param_hint="--host",
        )
    raise typer.Exit(server.run(settings, until_stdin_closes=until_stdin_closes))


def _asks_for_proof(settings: Settings) -> bool:
    return any(proof is not None for proof in (settings.bearer, settings.basic, settings.header, settings.client_ca))
