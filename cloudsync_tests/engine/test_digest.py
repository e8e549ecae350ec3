"""A digest fed in pieces, of whatever size, is that of the whole."""

from __future__ import annotations

import asyncio
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from cloudsync_pipeline.engine.digest import Digest


@given(sizes=st.lists(st.sampled_from([0, 1, 1000, 64 * 1024, 300_000]), max_size=8))
def test_it_is_the_digest_of_all_pieces_in_order(sizes: list[int]) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]

    async def fed() -> str:
        digest = Digest("md5")
        for piece in pieces:
            await digest.add(piece)
        return await digest.hexdigest()

    assert asyncio.run(fed()) == hashlib.md5(b"".join(pieces)).hexdigest()
