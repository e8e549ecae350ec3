"""Renames of every shape between a real bucket and real file managers: no byte travels, and no internal id is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_tests.e2e.builders import Deployment, a_bucket, held, into_folder, into_server
from cloudsync_tests.engine.test_renames import SHAPES
from cloudsync_tests.servers import S3Server

NAME = "acme"


@pytest.fixture(params=["folder", "folder where case does not count", "http"])
def file_manager(
    request: pytest.FixtureRequest, tmp_path: Path, server: DevServer
) -> tuple[str, Callable[[], dict[str, bytes]]]:
    """The section that configures it, and how to look at its files without asking the project."""
    if request.param == "http":
        return into_server(server), lambda: held(server, NAME)
    section, root = into_folder(tmp_path / "files"), tmp_path / "files" / NAME
    if request.param != "folder":
        section = section.replace("}", ", case_sensitive: false}")
    return section, lambda: {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_renames_of_every_shape_keep_the_ids_and_send_no_byte(
    deployment: Deployment, moto: S3Server, file_manager: tuple[str, Callable[[], dict[str, bytes]]]
) -> None:
    section, files = file_manager
    # Each shape in a folder of its own, all in one sync.
    keys = [f"{shape}/{key}" for shape in SHAPES for key in SHAPES[shape].keys]
    deleted = {f"{shape}/{key}" for shape in SHAPES for key in SHAPES[shape].deleted}
    renamed = {
        f"{shape}/{key}": f"{shape}/{new_key}" for shape in SHAPES for key, new_key in SHAPES[shape].renamed.items()
    }
    contents = {key: f"content of {key}".encode() for key in keys}
    # Its listing tells apart what is a folder elsewhere: `a` beside `a/b`.
    bucket = a_bucket(moto, contents)
    deployment.add(NAME, bucket.as_yaml(), section)
    assert deployment.sync(NAME, Mode.INITIAL).verdict is Verdict.IN_SYNC
    assert files() == contents
    before = deployment.believed(NAME)

    bucket.delete(*keys)
    kept = {renamed.get(key, key): key for key in keys if key not in deleted}
    for new_key, key in kept.items():
        bucket.put(new_key, contents[key])
    result = deployment.sync(NAME, Mode.RECONCILE)

    assert result.verdict is Verdict.IN_SYNC
    assert files() == bucket.contents() == {new_key: contents[key] for new_key, key in kept.items()}
    assert result.execution is not None
    assert result.execution.bytes == 0
    assert result.execution.done.keys() <= {"move", "delete"}
    after = deployment.believed(NAME)
    assert {path: one["internal_id"] for path, one in after.items()} == {
        new_key: before[key]["internal_id"] for new_key, key in kept.items()
    }
