"""The next page of a listing, asked for while the one before is still being read.

A page tells in a few bytes how to ask for the next one; reading all of it takes a quarter of the time that the server
needs for the next. So the next one is asked for as soon as a page has come, and whoever asks for it takes what is on
its way. What nobody asked for in the end is thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_BEGIN, _END = b"<NextContinuationToken>", b"</NextContinuationToken>"


class Ahead(Generic[T]):
    """Answers on their way, by what they answer.

    Args:
        ask: (whole escaped prefix, continuation token) to an answer.
    """

    def __init__(self, ask: Callable[[str, str], Awaitable[T]]) -> None:
        self._ask = ask
        self._coming: dict[tuple[str, str], asyncio.Future[T]] = {}

    async def start(self, prefix: str, token: str) -> None:
        """Ask, unless that is on its way already; returns once the request has been handed over."""
        if (prefix, token) not in self._coming:
            self._coming[prefix, token] = asyncio.ensure_future(self._ask(prefix, token))
            await asyncio.sleep(0)

    async def take(self, prefix: str, token: str) -> T:
        """What was asked for before, else asked for now; raises what asking raises."""
        coming = self._coming.pop((prefix, token), None)
        if coming is None:
            return await self._ask(prefix, token)
        try:
            return await coming
        except BaseException:
            coming.cancel()
            raise

    async def close(self) -> None:
        """Give up what is on its way."""
        coming, self._coming = list(self._coming.values()), {}
        for one in coming:
            one.cancel()
        await asyncio.gather(*coming, return_exceptions=True)


def glimpsed_token(body: bytes) -> str | None:
    """The continuation token of a page that was not read yet: a guess, which the reading confirms or refutes.

    None where it cannot be seen so easily.
    """
    _, found, rest = body.partition(_BEGIN)
    token, ended, _ = rest.partition(_END)
    if not found or not ended or b"&" in token or b"<" in token:
        return None
    return token.decode("utf-8", "replace")
