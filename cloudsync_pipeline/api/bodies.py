"""How large a request's body may be and how long it may take, whatever its header says or whether it has one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloudsync_pipeline.api.problems import Problem

ARRIVES_WITHIN = 30.0
"""Seconds in which a body must have come."""


class BodyLimit:
    """ASGI middleware: 413 for a body that is too large, 408 for one that does not come.

    Args:
        most: asked for each request, bytes.
    """

    def __init__(self, app: ASGIApp, most: Callable[[], int], within: float = ARRIVES_WITHIN) -> None:
        self._app = app
        self._most = most
        self._within = within

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most()
        if _declared(scope) > most:
            await too_large(most).answer()(scope, receive, send)
            return
        came, complete = 0, False
        until = asyncio.get_running_loop().time() + self._within

        async def counted() -> Message:
            nonlocal came, complete
            if complete:
                # From here on it only tells whether the caller is still there, and that takes as long as it takes.
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"The body did not arrive within {self._within:g} seconds.") from None
            came += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if came > most:
                # Of a kind that the framework lets through while it reads the body.
                raise HTTPException(413, too_large(most).detail)
            return message

        await self._app(scope, counted, send)


def too_large(most: int) -> Problem:
    """What is said of a body that is too large."""
    return Problem(413, "too-large", f"The body is larger than {most:,} bytes.", remedy="Send less at once.")


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
