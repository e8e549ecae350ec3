"""Notifications of storages, kept for the next sync."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from fastapi import APIRouter, Request

from cloudsync_pipeline.api.access import Served, Syncer
from cloudsync_pipeline.api.models import Name, Stored
from cloudsync_pipeline.api.problems import Problem, documented
from cloudsync_pipeline.control import Control, Notice

router = APIRouter(tags=["events"])

_NESTED = 100
"""Levels of a body that are taken: what cannot be written again cannot be stored."""
_BODY = {
    "requestBody": {
        "required": True,
        "description": "One notification of S3, MinIO, EventBridge or SeaweedFS, as it comes, or an event of the HTTP "
        "file-manager API's shape. What is not understood is kept with the reason, and harms nothing.",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "http": {
                        "summary": "an event of the HTTP API's shape",
                        "value": {"event_type": "create", "file_path": "a.txt", "timestamp": "2026-01-31T12:00:00Z"},
                    }
                },
            }
        },
    }
}


@router.post("/integrations/{id}/events", responses=documented(400, 404, 408, 409, 413), openapi_extra=_BODY)
async def receive(name: Name, request: Request, world: Served, _: Syncer) -> Stored:
    """Keep a storage's notification for the integration's next sync. Once this answers 200, it is stored."""
    # Read as it comes: webhooks declare all kinds of content types.
    body = _object(await request.body())
    config = await world.configured(name)
    if config.feed is None or config.feed.type != "inbox":
        raise Problem(
            409,
            "no-inbox",
            "No sync of this integration would read its inbox.",
            integration=name,
            remedy="Give it `feed: {type: inbox}`.",
        )

    def keep(control: Control) -> int:
        control.ensure(name)
        return control.inbox.put(name, [Notice(body)])

    return Stored(integration=name, stored=await world.ask_control(keep))


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        # The parser's message tells the place, never the content.
        why = str(error) if isinstance(error, json.JSONDecodeError) else "it cannot be decoded"
        raise Problem(400, "no-json", f"The body is not JSON: {why}.") from None
    if not isinstance(value, dict):
        raise Problem(422, "no-object", "The body is JSON, but no object, as every notification is.")
    if _deeper(value, _NESTED):
        raise Problem(422, "too-deep", f"The body is nested deeper than {_NESTED} levels.")
    return value


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(each, levels - 1) for each in inner)
