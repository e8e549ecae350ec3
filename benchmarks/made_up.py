"""A server that answers ListObjectsV2 for a bucket of any size with keys that it makes up.

`python -m benchmarks.made_up OBJECTS FILE` writes its address to FILE. For what a listing costs the client whatever the
size of the bucket; how fast a real server lists is measured with a real one.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp import web

PAGE = 1000
FOLDERS = 20
_ENTRY = (
    "<Contents><ETag>&#34;{number:032x}&#34;</ETag><Key>folder-{folder:02}/file-{number:09}.dat</Key>"
    "<LastModified>2026-01-01T00:00:00Z</LastModified><Size>{number}</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
)


def page(objects: int, prefix: str, token: str | None) -> str:
    """One page of a listing: of everything, or of one folder."""
    each = -(-objects // FOLDERS)
    folder = int(prefix[len("folder-") : -1]) if prefix else None
    end = objects if folder is None else min((folder + 1) * each, objects)
    start = int(token) if token else (folder or 0) * each
    numbers = range(start, min(start + PAGE, end))
    more = f"<NextContinuationToken>{numbers.stop}</NextContinuationToken>" if numbers.stop < end else ""
    return _document(more, "".join(_ENTRY.format(number=number, folder=number // each) for number in numbers))


def layout() -> str:
    """The folders alone, as a delimiter asks for them."""
    folders = (f"<CommonPrefixes><Prefix>folder-{folder:02}/</Prefix></CommonPrefixes>" for folder in range(FOLDERS))
    return _document("", "".join(folders))


def _document(more: str, contents: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>'
        f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{contents}</ListBucketResult>"
    )


async def serve(objects: int, place: Path) -> None:
    """Until it is ended."""

    async def answer(request: web.Request) -> web.Response:
        query = request.query
        prefix = query.get("prefix", "")
        text = (
            layout() if "delimiter" in query and not prefix else page(objects, prefix, query.get("continuation-token"))
        )
        return web.Response(text=text, content_type="application/xml")

    app = web.Application()
    app.router.add_get("/{bucket}/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    temporary = place.with_suffix(".tmp")
    temporary.write_text(f"http://{host}:{port}")
    temporary.rename(place)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
