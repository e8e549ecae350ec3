"""The event list of the HTTP file-manager API: `GET /pubSubFullList?count=N`.

It has no cursor and nothing to acknowledge: it gives its newest entries again and again, and the engine goes by
their identities. One list may serve several integrations; each sees what lies below its destination prefix.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from yarl import URL

from cloudsync_pipeline.core.errors import BadAnswer, NotFound, Rejected, Unreachable
from cloudsync_pipeline.core.events import FeedPage
from cloudsync_pipeline.feeds.base import FeedCapabilities, Peek
from cloudsync_pipeline.feeds.entries import parse
from cloudsync_pipeline.feeds.marks import Mark
from cloudsync_pipeline.transport.auth import Auth
from cloudsync_pipeline.transport.failures import shown, status_error
from cloudsync_pipeline.transport.http import HttpClient, read_limited
from cloudsync_pipeline.transport.settings import HttpSettings

MAX_PAGE = 100
MAX_ANSWER_BYTES = 16 * 1024 * 1024
_WHO = "the event feed"


class HttpFeed:
    """An `EventFeed` over HTTP; made anywhere, used within one event loop, closed once.

    Args:
        url: base address of the API, without `/pubSubFullList`.
        destination_prefix: the integration's; may be empty.
        prefixed: whether paths in events begin with the destination prefix; entries that do not are then another
            integration's. None means: yes, where there is a prefix.
        settings, auth: how to connect, and the login.
        timeout: seconds for one whole answer.
    """

    capabilities = FeedCapabilities(acknowledges=False, cursor=False, repeats=True, max_page=MAX_PAGE)

    def __init__(
        self,
        url: str,
        *,
        destination_prefix: str = "",
        prefixed: bool | None = None,
        settings: HttpSettings | None = None,
        auth: Auth | None = None,
        timeout: float = 30.0,
    ) -> None:
        base = URL(url)
        self._url = base / "pubSubFullList"
        self._prefix = destination_prefix if destination_prefix and prefixed is not False else None
        self._identity = {"type": "http", "url": url.rstrip("/"), "prefix": self._prefix or ""}
        self._timeout = timeout
        self._client = HttpClient(settings or HttpSettings(), who=_WHO, auth=auth)

    def __repr__(self) -> str:
        return f"HttpFeed({shown(self._url)}, prefix={self._prefix!r})"

    @property
    def identity(self) -> Mapping[str, str]:
        return dict(self._identity)

    async def receive(self, *, limit: int, cursor: str | None = None) -> FeedPage:  # noqa: ARG002 - the contract's
        """See `EventFeed.receive`. A list that gives more than was asked for is taken whole: nothing may be lost."""
        count = max(1, min(limit, MAX_PAGE))
        entries = await self._list(count)
        parsed = parse(entries, self._prefix)
        return FeedPage(
            events=parsed.events,
            malformed=parsed.malformed,
            full=len(entries) >= count,
            received=len(entries),
            others=parsed.others,
            mark=Mark.of(parsed).text(),
        )

    async def peek(self, mark: str) -> Peek:
        """Reads the list, and compares it with the one that the mark is of."""
        entries = await self._list(MAX_PAGE)
        now = Mark.of(parse(entries, self._prefix))
        return Peek(now.is_news_since(mark, full=len(entries) >= MAX_PAGE), now.text())

    async def acknowledge(self, page: FeedPage) -> None:
        """Does nothing: the list forgets and repeats at will."""

    async def health(self) -> None:
        """Reads one entry, which takes nothing from the list."""
        await self._list(1)

    async def _list(self, count: int) -> list[Any]:
        try:
            async with self._client.request(
                "GET", self._url.with_query(count=str(count)), total_timeout=self._timeout
            ) as response:
                body = await read_limited(response, MAX_ANSWER_BYTES)
                status, headers = response.status, response.headers
        except TimeoutError as error:
            raise Unreachable(f"{_WHO} at {shown(self._url)} did not answer within {self._timeout:g} s") from error
        if status != 200:
            failure = status_error(status, what=f"{_WHO} at {shown(self._url)}", headers=headers)
            if isinstance(failure, NotFound):
                raise Rejected(
                    f"there is no event list at {shown(self._url)} (HTTP {status})", remedy="Check the feed's address."
                )
            raise failure
        return _entries(body, shown(self._url))

    async def close(self) -> None:
        """Release connections; a second call does nothing."""
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _entries(body: bytes, where: str) -> list[Any]:
    try:
        # NaN and Infinity are no JSON; as text, one careless entry does not make the whole list unreadable.
        answer = json.loads(body, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"{_WHO} at {where} answered something that is not JSON") from error
    entries = answer.get("events") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise BadAnswer(f"the answer of {_WHO} at {where} holds no list of events")
    return entries
