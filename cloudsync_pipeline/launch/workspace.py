"""Where the code is that runs are started from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloudsync_pipeline.core.errors import ConfigError

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from dagster._core.workspace.context import WorkspaceRequestContext
    from dagster._core.workspace.load_target import WorkspaceLoadTarget

LOCATION = "cloudsync"
"""The code location's name in `workspace.yaml` and `pyproject.toml`; every queued run carries it."""

WORKSPACE = "CLOUDSYNC_WORKSPACE"
"""Names the workspace file where it is neither in the working directory nor in `DAGSTER_HOME`."""


@contextmanager
def open_workspace(instance: DagsterInstance) -> Iterator[WorkspaceRequestContext]:
    """The workspace with our code location loaded.

    Raises:
        ConfigError: there is none, it has no such location, or that does not load.
    """
    from dagster._core.workspace.context import WorkspaceProcessContext

    with WorkspaceProcessContext(instance, _target(), code_server_log_level="ERROR") as process:
        workspace = process.create_request_context()
        if not workspace.has_code_location_name(LOCATION):
            found = ", ".join(workspace.code_location_names) or "none"
            raise ConfigError(
                f"The workspace has no code location {LOCATION!r} (it has: {found}).",
                remedy=f"Name the location {LOCATION!r} in the workspace file.",
            )
        error = workspace.get_code_location_error(LOCATION)
        if error is not None:
            raise ConfigError(
                f"The code location {LOCATION!r} does not load: {error.message.strip().splitlines()[-1]}",
                remedy="`dagster definitions validate` shows why.",
            )
        yield workspace


def _target() -> WorkspaceLoadTarget:
    from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget

    named = os.environ.get(WORKSPACE)
    places = [Path(named)] if named else [Path("workspace.yaml"), Path(os.environ["DAGSTER_HOME"]) / "workspace.yaml"]
    found = next((p for p in places if p.is_file()), None)
    if found is not None:
        return WorkspaceFileTarget([str(found)])
    if named:
        raise ConfigError(f"There is no workspace file {named}.", remedy=f"Correct {WORKSPACE}, or unset it.")
    return ModuleTarget(
        module_name="cloudsync_pipeline.definitions", attribute=None, working_directory=None, location_name=LOCATION
    )
