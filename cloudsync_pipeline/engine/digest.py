"""A digest computed beside a transfer: of large pieces in a thread, which leaves the event loop to the network."""

from __future__ import annotations

import asyncio
import hashlib

from cloudsync_pipeline.core.records import Piece

_LARGE = 64 * 1024
"""Bytes from which handing a piece to a thread costs less than digesting it here (0.1 ms beside 0.1 ms)."""


class Digest:
    """One digest, fed piece by piece in order by one task.

    Args:
        kind: a name that hashlib knows.
    """

    def __init__(self, kind: str) -> None:
        self._hash = hashlib.new(kind, usedforsecurity=False)
        self._running: asyncio.Future[None] | None = None

    async def add(self, piece: Piece) -> None:
        """Feed a piece; returns while the last large one may still be worked on, so that one at most waits."""
        await self._settled()
        if len(piece) < _LARGE:
            self._hash.update(piece)
        else:
            self._running = asyncio.get_running_loop().run_in_executor(None, self._hash.update, piece)

    async def hexdigest(self) -> str:
        """Of everything that was fed."""
        await self._settled()
        return self._hash.hexdigest()

    async def _settled(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running
