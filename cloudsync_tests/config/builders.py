"""Configuration folders, as a person would lay them out."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from cloudsync_pipeline.config import Fleet, load_fleet
from cloudsync_pipeline.core.errors import ConfigError

ACME = """
    storage:
      type: s3
      endpoint: https://s3.example.com
      bucket: acme-data
    file_manager:
      type: http_api
      url: https://files.example.com
"""
LOCAL = """
    storage: {type: local, path: /srv/source}
    file_manager: {type: local, path: /srv/files}
"""


def write(folder: Path, main: str = "", **integrations: str) -> Path:
    """A main file, and one file an integration beside it. Gives the main file."""
    file = folder / "cloudsync.yaml"
    file.write_text(dedent(main), encoding="utf-8")
    (folder / "integrations").mkdir(exist_ok=True)
    for name, text in integrations.items():
        (folder / "integrations" / f"{name}.yaml").write_text(dedent(text), encoding="utf-8")
    return file


def load(folder: Path, main: str = "", environ: dict[str, str] | None = None, **integrations: str) -> Fleet:
    """What such a folder configures."""
    return load_fleet(write(folder, main, **integrations), environ or {})


def refusal(folder: Path, text: str, main: str = "", environ: dict[str, str] | None = None) -> str:
    """Why an integration `acme` that is described by `text` cannot be used."""
    return error_of(load(folder, main, environ, acme=text))


def error_of(fleet: Fleet, name: str = "acme") -> str:
    error = fleet.errors[name]
    assert isinstance(error, ConfigError)
    assert name not in fleet.integrations
    return str(error)
