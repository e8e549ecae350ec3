"""The next page is asked for early, once, and thrown away where nobody wants it."""

from __future__ import annotations

import asyncio

import pytest

from cloudsync_pipeline.core.errors import Throttled
from cloudsync_pipeline.storage.s3.ahead import Ahead, glimpsed_token


class Server:
    """Answers when told to; notes what it was asked, and what was given up."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.given_up: list[str] = []
        self.open = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self, prefix: str, token: str) -> str:
        self.asked.append(token)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.given_up.append(token)
            raise
        if self.error is not None:
            raise self.error
        return f"{prefix}:{token}"


def test_what_was_asked_for_early_is_not_asked_for_again() -> None:
    async def main() -> None:
        server = Server()
        ahead = Ahead(server.ask)
        await ahead.start("p/", "2")
        await ahead.start("p/", "2")
        assert server.asked == ["2"]
        server.open.set()
        assert await ahead.take("p/", "2") == "p/:2"
        assert server.asked == ["2"]

    asyncio.run(main())


def test_what_was_not_asked_for_early_is_asked_for_now() -> None:
    async def main() -> None:
        server = Server()
        server.open.set()
        ahead = Ahead(server.ask)
        await ahead.start("p/", "guessed wrong")
        assert await ahead.take("p/", "3") == "p/:3"

    asyncio.run(main())


def test_an_error_comes_out_where_the_page_is_taken_and_the_next_try_asks_anew() -> None:
    async def main() -> None:
        server = Server()
        server.error = Throttled("slow down")
        server.open.set()
        ahead = Ahead(server.ask)
        await ahead.start("p/", "2")
        with pytest.raises(Throttled):
            await ahead.take("p/", "2")
        server.error = None
        assert await ahead.take("p/", "2") == "p/:2"

    asyncio.run(main())


def test_what_nobody_took_is_given_up_at_the_end() -> None:
    async def main() -> None:
        server = Server()
        ahead = Ahead(server.ask)
        await ahead.start("p/", "2")
        await ahead.close()
        assert server.given_up == ["2"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "token"),
    [
        (b"<a><NextContinuationToken>a+b/=</NextContinuationToken></a>", "a+b/="),
        (b"<a><IsTruncated>false</IsTruncated></a>", None),
        (b"<a><NextContinuationToken>a&amp;b</NextContinuationToken></a>", None),
        (b"<a><NextContinuationToken><![CDATA[x]]></NextContinuationToken></a>", None),
        (b"<a><NextContinuationToken>cut", None),
    ],
)
def test_a_token_is_guessed_only_where_it_stands_plainly(body: bytes, token: str | None) -> None:
    assert glimpsed_token(body) == token
