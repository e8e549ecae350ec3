"""Small fleets in temporary folders, and the command line run against them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from typer.testing import CliRunner

from cloudsync_pipeline.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "cloudsync_pipeline.cli"]


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Place:
    """A configuration in a folder; local integrations have their objects in `NAME-source`, files in `files/NAME`."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "cloudsync.yaml"

    def integration(self, name: str, text: str) -> None:
        (self.folder / "integrations" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def local(self, name: str, objects: Mapping[str, str] | None = None, extra: str = "") -> Path:
        """An integration between two folders; returns the source folder."""
        source = self.folder / f"{name}-source"
        source.mkdir()
        for key, content in (objects or {}).items():
            put(source, key, content)
        (self.folder / "files").mkdir(exist_ok=True)
        self.integration(
            name,
            f"storage: {{type: local, path: {source}}}\n"
            f"file_manager: {{type: local, path: {self.folder / 'files'}}}\n{extra}",
        )
        return source

    def files(self, name: str) -> dict[str, str]:
        """What the integration's folder holds now."""
        root = self.folder / "files" / name
        return {str(one.relative_to(root)): one.read_text() for one in root.rglob("*") if one.is_file()}

    def run(self, *arguments: str, whole: tuple[str, ...] = (), stdin: str | None = None) -> Ran:
        """A command in this process; `whole` are options before its name."""
        result = CliRunner().invoke(app, ["--config", str(self.config), *whole, *arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None, errors: IO[str] | int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """A command in a process of its own, with pipes; standard error may go to a file instead."""
        return subprocess.Popen(
            [*COMMAND, "--config", str(self.config), *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=self.folder,
            env={**plain_environment(), **(environment or {})},
        )


def a_place(folder: Path, settings: str = "") -> Place:
    """An empty fleet."""
    (folder / "integrations").mkdir()
    place = Place(folder)
    place.config.write_text(f"database: {{path: state}}\n{settings}", encoding="utf-8")
    return place


def put(folder: Path, key: str, content: str) -> None:
    """An object of a local storage."""
    file = folder / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def plain_environment() -> dict[str, str]:
    """The environment without anything that tells the project where to work."""
    ours = ("CLOUDSYNC_", "CUSTOMER_", "DAGSTER_", "FILE_MANAGER_", "MOCK_API_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def forget_logging() -> None:
    """Remove what a command's logging set up."""
    for handler in list(logging.getLogger().handlers):
        if type(handler).__module__ == "cloudsync_pipeline.logs":
            logging.getLogger().removeHandler(handler)
            handler.close()
