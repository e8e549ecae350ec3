"""What a message may say."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.engine.results import Mode
from cloudsync_pipeline.queue import Refused, SyncRequest, parse
from cloudsync_pipeline.queue.requests import LONGEST


@pytest.mark.parametrize("mode", list(Mode))
def test_a_request_names_the_kind_of_sync_and_the_integration(mode: Mode) -> None:
    body = f'{{"type": "{mode}", "integration": "acme", "asked_by": "a sender of its own ways"}}'
    assert parse(body.encode()) == SyncRequest(mode, "acme")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 50_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"integration": "acme"}', "`type` is missing; it can be one of `initial`"),
        (b'{"type": ["initial"], "integration": "acme"}', "`type` is"),
        (b'{"type": "full", "integration": "acme"}', "`type` is 'full'"),
        (b'{"type": "initial"}', "`integration` is missing"),
        (b'{"type": "initial", "integration": 7}', "`integration` is 7"),
        (b'{"type": "initial", "integration": "../etc"}', "'../etc' cannot name an integration"),
        (b" " * (LONGEST + 1), "at most"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(body)
    assert reason in str(refused.value)
