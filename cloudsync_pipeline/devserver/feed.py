"""The event list, the results that syncs report, and the calls that fill and show both."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from cloudsync_pipeline.devserver import index
from cloudsync_pipeline.devserver.answers import Answer, Refusal, strict_json
from cloudsync_pipeline.devserver.files import Files, now
from cloudsync_pipeline.devserver.reading import bounded

MAX_COUNT = 100
MAX_BODY_BYTES = 4 * 1024 * 1024
EVENT_TYPES = ("create", "update", "change_permission", "delete", "rename", "move")


def add_routes(app: FastAPI) -> None:
    """The calls of this module."""
    app.add_api_route("/pubSubFullList", _newest_events, methods=["GET"])
    app.add_api_route("/reportResults", _report, methods=["POST"])
    app.add_api_route("/admin/events", _publish, methods=["POST"])
    app.add_api_route("/admin/events", _clear_events, methods=["DELETE"])
    app.add_api_route("/admin/results", _clear_results, methods=["DELETE"])
    app.add_api_route("/admin/results", _results, methods=["GET"])
    app.add_api_route("/admin/stats", _stats, methods=["GET"])


async def _newest_events(request: Request) -> Response:
    """The newest events, oldest of them first; asking again gives them again."""
    files: Files = request.app.state.files
    count = bounded(request, "count", MAX_COUNT, MAX_COUNT)
    events = files.index.newest_events(count)
    return Answer(
        {
            "events": events,
            "total_count": len(events),
            "stored_count": files.index.count("events"),
            "generated_at": now(),
        }
    )


async def _report(request: Request) -> Response:
    files: Files = request.app.state.files
    results = await _json_body(request)
    if not isinstance(results, dict):
        raise Refusal(400, "invalid_json", "the results are no JSON object")
    at = now()
    await files.change(lambda connection: index.add_result(connection, results, at))
    return Answer({"status": "received", "message": "the results are stored", "timestamp": at})


async def _publish(request: Request) -> Response:
    """Add one event or a list of them. With `?raw=true` anything that is JSON goes, to try out how clients take it."""
    files: Files = request.app.state.files
    body = await _json_body(request)
    events = body if isinstance(body, list) else [body]
    if request.query_params.get("raw") != "true":
        events = [_checked_event(event) for event in events]
    await files.change(lambda connection: index.add_events(connection, events))
    return Answer({"status": "stored", "stored": len(events)}, 201)


async def _clear_events(request: Request) -> Response:
    files: Files = request.app.state.files
    return Answer({"status": "cleared", "cleared": await files.change(index.clear_events)})


async def _clear_results(request: Request) -> Response:
    files: Files = request.app.state.files
    return Answer({"status": "cleared", "cleared": await files.change(index.clear_results)})


async def _results(request: Request) -> Response:
    files: Files = request.app.state.files
    return Answer({"results": list(files.index.results())})


async def _stats(request: Request) -> Response:
    """What is stored, and how many operations of each kind were done since the start."""
    state = request.app.state
    files: Files = state.files
    return Answer({**files.index.totals(), "operations": dict(state.operations), "started_at": state.started_at})


async def _json_body(request: Request) -> Any:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refusal(413, "body_too_large", f"the body is larger than {MAX_BODY_BYTES} bytes")
    return strict_json(bytes(body), "the body")


def _checked_event(event: Any) -> dict[str, Any]:
    if not isinstance(event, dict):
        raise Refusal(400, "invalid_event", "an event is a JSON object")
    kind = event.get("event_type")
    if kind not in EVENT_TYPES:
        raise Refusal(400, "invalid_event", f"event_type is none of {', '.join(EVENT_TYPES)}")
    if not isinstance(event.get("file_path"), str) or not event["file_path"]:
        raise Refusal(400, "invalid_event", "file_path is missing")
    if kind in {"rename", "move"} and not (isinstance(event.get("new_path"), str) and event["new_path"]):
        raise Refusal(400, "invalid_event", f"{kind} needs new_path")
    if not isinstance(event.get("metadata", {}), dict):
        raise Refusal(400, "invalid_event", "metadata is no JSON object")
    return {
        "event_type": kind,
        "file_path": event["file_path"],
        "new_path": event.get("new_path"),
        "metadata": event.get("metadata", {}),
        "timestamp": event.get("timestamp") or now(),
    }
