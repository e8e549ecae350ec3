"""`api` and `api-key`: REST, health and metrics, and who may call them."""

from __future__ import annotations

from typing import Annotated

import typer

from cloudsync_pipeline.cli import invocation, render
from cloudsync_pipeline.cli.options import Json


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command(epilog='Prints one line of JSON once it can be called: {"url"}.')(api)
    app.command("api-key", epilog='JSON: {"name", "key", "hash", "scopes"}.')(api_key)


def api(
    context: typer.Context,
    host: Annotated[str, typer.Option("--host", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any that is free.")] = 8080,
) -> None:
    """Serve the REST API, health and metrics.

    Until SIGTERM or Ctrl-C. /docs describes every call. Syncs are launched in the Dagster instance of DAGSTER_HOME.

    Where other hosts can reach it, keys must be configured under `api.keys` (see `cloudsync api-key`); without any, it
    listens on this host alone.
    """
    from cloudsync_pipeline.api import server

    called = invocation.of(context)
    # It has no other output than its log.
    called.verbose = True
    server.require_keys(called.fleet().settings, host)
    server.serve(called.config, host, port, lambda url: render.emit_json({"url": url}))


def api_key(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose it is: stands in logs and approvals.", metavar="NAME")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="read, sync or admin; again for several. Default: read.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a key for the API.

    It is shown once and stored nowhere: the configuration takes its hash. Nothing else is changed.
    """
    from pydantic import ValidationError

    from cloudsync_pipeline.api.keys import SCOPES, hash_of, new_key
    from cloudsync_pipeline.config.keys import ApiKey

    invocation.of(context, json=json)
    scopes = list(dict.fromkeys(scope or ["read"]))
    if unknown := [one for one in scopes if one not in SCOPES]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(SCOPES)}", param_hint="--scope")
    key = new_key()
    try:
        ApiKey.model_validate({"name": name, "hash": hash_of(key), "scopes": scopes})
    except ValidationError:
        raise typer.BadParameter(
            f"{name!r} is no name: use up to 63 letters, digits, `_`, `-` and `.`", param_hint="NAME"
        ) from None
    if json:
        render.emit_json({"name": name, "key": key, "hash": hash_of(key), "scopes": scopes})
        return
    render.say(key)
    render.note("the key above is shown only now; put this under `api.keys`:")
    render.note(f"  - {{name: {name}, hash: '{hash_of(key)}', scopes: [{', '.join(scopes)}]}}")
    render.note(f"or, where variables describe the integration: API_KEYS={name}={'+'.join(scopes)}={hash_of(key)}")
