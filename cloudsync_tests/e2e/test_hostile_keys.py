"""Names that break careless programs come through every layer, byte for byte."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_tests.e2e.builders import Deployment, a_bucket, held, into_server
from cloudsync_tests.hostile_keys import keys_for
from cloudsync_tests.servers import S3Server

NAME = "acme"


@pytest.mark.parametrize("storage", ["seaweedfs", "moto"])
def test_hostile_names_and_their_contents_arrive_change_and_go(
    deployment: Deployment, server: DevServer, storage: str, request: pytest.FixtureRequest
) -> None:
    s3: S3Server = request.getfixturevalue(storage)
    keys = keys_for(storage)
    bucket = a_bucket(s3, {key.raw: key.content for key in keys})
    deployment.add(NAME, bucket.as_yaml(), into_server(server))

    first = deployment.sync(NAME, Mode.INITIAL)
    assert first.verdict is Verdict.IN_SYNC, first.execution
    assert held(server, NAME) == {key.raw: key.content for key in keys}
    assert set(deployment.believed(NAME)) == {key.raw for key in keys}

    # Names that were not understood as they are would be seen as new, or as gone.
    again = deployment.sync(NAME, Mode.RECONCILE)
    assert again.execution is not None
    assert again.execution.done == {}

    changed = {key.raw: b"changed, " + key.content for key in keys if key.content}
    # moto names a missing key in XML as it is, and XML cannot hold control characters: nobody can read that answer.
    gone = [key.raw for key in keys if storage != "moto" or key.raw.isprintable()][::4]
    for raw, content in changed.items():
        bucket.put(raw, content)
    bucket.delete(*gone)
    last = deployment.sync(NAME, Mode.RECONCILE)
    assert last.verdict is Verdict.IN_SYNC, last.execution
    assert held(server, NAME) == {key.raw: changed.get(key.raw, key.content) for key in keys if key.raw not in gone}
