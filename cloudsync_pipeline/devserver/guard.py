"""Who is let in, checked before anything of a request is read."""

from __future__ import annotations

import base64
import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from cloudsync_pipeline.devserver.answers import Refusal
from cloudsync_pipeline.devserver.settings import Settings


class Guard:
    """ASGI middleware that answers 401 to requests without one of the accepted proofs."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._proofs: list[tuple[bytes, bytes]] = []
        challenges: list[str] = []
        if settings.bearer is not None:
            self._proofs.append((b"authorization", b"Bearer " + settings.bearer.encode()))
            challenges.append("Bearer")
        if settings.basic is not None:
            pair = base64.b64encode(":".join(settings.basic).encode())
            self._proofs.append((b"authorization", b"Basic " + pair))
            challenges.append('Basic realm="files", charset="UTF-8"')
        if settings.header is not None:
            name, value = settings.header
            self._proofs.append((name.lower().encode(), value.encode()))
        self._challenge = ", ".join(challenges)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._proofs and not self._proven(scope["headers"]):
            answer = Refusal(401, "unauthorized", "the credentials are missing or wrong").answer()
            if self._challenge:
                answer.headers["www-authenticate"] = self._challenge
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _proven(self, headers: list[tuple[bytes, bytes]]) -> bool:
        proven = False
        for name, value in headers:
            for wanted_name, wanted in self._proofs:
                # No early way out, and a constant-time comparison: how long it takes tells nothing.
                proven |= name == wanted_name and hmac.compare_digest(value, wanted)
        return proven
