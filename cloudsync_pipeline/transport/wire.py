"""One connection of HTTP/1.1 for requests without a body: the protocol below `fetching`.

What arrives goes from the socket into the buffer in which it is wanted: no piece of it is made into an object, queued
and copied first. Through TLS it is copied once more (`Secured`): asyncio drops the end of what it has decrypted for a
protocol of buffers that is paused while the other side closes.
"""

from __future__ import annotations

import asyncio
import copy
import select
from collections.abc import Callable
from typing import cast

from cloudsync_pipeline.transport.incoming import Headers, Incoming, NoHttp


class Ended(Exception):
    """The connection was closed, by the other side or by us, amid an answer or before one."""


class Wire(asyncio.BufferedProtocol):
    """See the module's docstring. One request at a time: `ask`, then `read_into` as often as one likes, then `release`.

    Whoever is cancelled while waiting here has closed the connection.

    Args:
        silence: seconds without a byte, while one is waited for, after which it is given up.

    Attributes:
        idle_since: when it was last at rest, by the loop's clock.
    """

    def __init__(self, *, silence: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence = silence
        self._incoming = Incoming()
        self._transport: asyncio.Transport | None = None
        self._secured = False
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        # Copies, here and where it is raised: an error that was raised holds the frames that it passed, and they this.
        self._lost: Exception | None = None
        self._paused = False
        self.idle_since = 0.0

    @property
    def status(self) -> int:
        """Of the answer."""
        return self._incoming.status

    @property
    def headers(self) -> Headers:
        """Of the answer."""
        return self._incoming.headers

    @property
    def length(self) -> int | None:
        """Announced bytes of the body; 0 where it has none, None where nothing is announced."""
        return self._incoming.length

    @property
    def begun(self) -> bool:
        """Whether something of the answer came."""
        return self._incoming.begun

    @property
    def usable(self) -> bool:
        """Whether it can be asked something: it stands, and nothing came that nobody asked for."""
        if self._lost is not None or self._transport is None or self._transport.is_closing():
            return False
        if self._secured:
            return True  # TLS has messages of its own at any time
        waiting = select.poll()
        waiting.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not waiting.poll(0)

    @property
    def transport(self) -> asyncio.Transport:
        """Raises what it was lost by where the connection is gone."""
        if self._lost is not None or self._transport is None:
            raise self._error()
        return self._transport

    # --- asking ---------------------------------------------------------------------------------

    async def ask(self, request: bytes, *, bodiless: bool) -> None:
        """Send a request and wait for its answer: the head, and of a small body all that comes.

        Args:
            bodiless: the answer has no body, whatever it announces (HEAD, CONNECT).

        Raises:
            NoHttp, Ended, TimeoutError, OSError: it is closed.
        """
        self._incoming.expect(bodiless=bodiless)
        self.transport.write(request)
        await self._wait()

    async def read_into(self, target: memoryview) -> int:
        """Fill a buffer with what comes next of the body; how many bytes: fewer than fit only at its end.

        Raises:
            NoHttp, Ended, TimeoutError, OSError: it broke off before its end; it is closed.
        """
        incoming = self._incoming
        came = incoming.take_ready(target)
        while came < len(target) and incoming.left != 0:
            if self._lost is not None:
                raise self._error()
            aim = None if incoming.parsed else target[came : came + incoming.left]
            incoming.target = aim
            self._resume()
            await self._wait()
            came += incoming.take_ready(target[came:]) if aim is None else len(aim)
        return came

    def arrived(self) -> bytes | None:
        """The rest of the body, if all of it has come already and is small."""
        return self._incoming.arrived()

    def release(self) -> bool:
        """Be done with the answer. Whether the connection can be asked again; else it is closed."""
        if self._incoming.left != 0 or not self._incoming.keep or self._lost is not None:
            self.close()
            return False
        self._incoming.rest()
        self._resume()  # so that a close by the other side is noticed
        self.idle_since = self._loop.time()
        return True

    def close(self) -> None:
        """End it at once; a second call does nothing."""
        self._fail(Ended())
        self._incoming.forget_parser()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- waiting --------------------------------------------------------------------------------

    async def _wait(self) -> None:
        self._heard_at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_at(self._heard_at + self._silence, self._listen)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None
            self._incoming.target = None

    def _listen(self) -> None:
        """Give up if nothing was heard for too long. One timer for many waits: most end long before it."""
        self._timer = None
        if self._waiter is None:
            return
        until = self._heard_at + self._silence
        if self._loop.time() < until:
            self._timer = self._loop.call_at(until, self._listen)
        else:
            self._fail(TimeoutError())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._lost = self._lost or copy.copy(error)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._error())
        if self._transport is not None:
            self._transport.abort()

    def _error(self) -> Exception:
        return Ended() if self._lost is None else copy.copy(self._lost)

    def _pause(self) -> None:
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and self._paused:
            self._paused = False
            self._transport.resume_reading()

    # --- what the event loop calls --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def secured(self, transport: asyncio.BaseTransport) -> None:
        """From now on it goes through TLS, and everything comes by `received`."""
        self._incoming.rest()
        self._secured = True
        self._paused = False
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        incoming = self._incoming
        self._transport = None
        if self._lost is None and error is None:
            incoming.ended()
        self._lost = self._lost or copy.copy(error) or Ended()
        if incoming.status and incoming.target is None and (incoming.left == 0 or not incoming.parsed):
            # The answer is given out; whoever reads its body on will hear of it.
            self._wake()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._error())
        incoming.forget_parser()

    def get_buffer(self, _hint: int) -> memoryview:
        return self._incoming.buffer()

    def buffer_updated(self, count: int) -> None:
        self._hear(self._incoming.came, count)

    def received(self, data: bytes) -> None:
        """The same through TLS."""
        self._hear(self._incoming.take, memoryview(data))

    def _hear(self, take: Callable[..., None], what: int | memoryview) -> None:
        self._heard_at = self._loop.time()
        try:
            take(what)
        except NoHttp as error:
            self._fail(error)
            return
        if self._incoming.full:
            self._pause()
        if self._incoming.ready:
            self._wake()


class Secured(asyncio.Protocol):
    """What TLS hands a wire; see the module's docstring."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire.secured(transport)

    def data_received(self, data: bytes) -> None:
        self.wire.received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.wire.connection_lost(error)
