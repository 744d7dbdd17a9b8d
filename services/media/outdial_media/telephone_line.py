"""One media stream of one call, from before its socket exists until after it is gone."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from outdial_media import twilio_frames
from outdial_media.twilio_frames import MarkEcho, Sound, StreamStart, StreamStop

EARLY_FRAMES = 500
"""Sound kept (20 ms each) while a pipeline is still being built: ten seconds."""

_CLOSE_SECONDS = 2.0


class TelephoneLine:
    """What a pipeline is built around. Nothing is sent before `start`, nothing raises at the end.

    `started` is set by Twilio's `start`, `ended` when nothing more will come, whoever ended it.
    """

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.start: StreamStart | None = None
        self.started_at = 0.0  # monotonic
        self.stopped_by_carrier = False
        self.closed_by_us = False
        self._websocket: WebSocket | None = None
        self._listener: Callable[[bytes], Awaitable[None]] | None = None
        self._early: deque[bytes] = deque(maxlen=EARLY_FRAMES)
        self._marks: dict[str, asyncio.Future[bool]] = {}
        self._marks_sent = 0

    @property
    def is_open(self) -> bool:
        """Whether sound can be sent."""
        return self.started.is_set() and not self.ended.is_set() and not self.closed_by_us

    async def serve(self, websocket: WebSocket) -> None:
        """Read an accepted socket until it ends."""
        self._websocket = websocket
        try:
            while not self.stopped_by_carrier:
                received = await websocket.receive()
                if received["type"] != "websocket.receive":
                    break
                if text := received.get("text"):
                    await self._take(text)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the socket broke: what follows is the same as after a close
        finally:
            self._end()

    async def listen(self, listener: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand every sound to `listener` from now on, beginning with those that came early."""
        while self._early:
            await listener(self._early.popleft())
        self._listener = listener

    async def send_sound(self, pcm: bytes) -> bool:
        """Send 16-bit PCM; False if the line is not open."""
        if self.start is None or not self.is_open:
            return False
        return await self._send(twilio_frames.media(self.start.stream_sid, pcm))

    async def mark(self, played: asyncio.Future[bool]) -> None:
        """Resolve `played` when all that was sent so far was heard: False if it never will be."""
        if self.start is None or not self.is_open:
            _resolve(played, False)
            return
        self._marks_sent += 1
        name = f"m{self._marks_sent}"
        self._marks[name] = played
        await self._send(twilio_frames.mark(self.start.stream_sid, name))

    async def clear(self) -> None:
        """Drop what was sent and not played. Marks behind it say that it was not heard."""
        for played in await self.take_back():
            _resolve(played, False)

    async def take_back(self) -> list[asyncio.Future[bool]]:
        """Drop what was sent and not played; the marks behind it, which may be sent once more.

        Twilio echoes them as if all had been played.
        """
        if self.start is None or not self.is_open:
            return []
        marks = list(self._marks.values())
        self._marks.clear()
        await self._send(twilio_frames.clear(self.start.stream_sid))
        return marks

    async def close(self) -> None:
        """Close the socket on purpose; the plan must have been committed before."""
        self.closed_by_us = True
        self._give_up_marks()
        if self._websocket is None or self._websocket.client_state is not WebSocketState.CONNECTED:
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._websocket.close()
                await self.ended.wait()
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            pass  # it is gone, or will be when its server gives up on it

    async def _take(self, text: str) -> None:
        match twilio_frames.read(text):
            case Sound(pcm):
                if self._listener is None:
                    self._early.append(pcm)
                else:
                    await self._listener(pcm)
            case MarkEcho(name):
                if name in self._marks:
                    _resolve(self._marks.pop(name), True)
            case StreamStart() as start:
                self.start = start
                self.started_at = time.monotonic()
                self.started.set()
            case StreamStop():
                self.stopped_by_carrier = True

    async def _send(self, text: str) -> bool:
        if self._websocket is None:
            return False
        try:
            await self._websocket.send_text(text)
        except (RuntimeError, WebSocketDisconnect, OSError):
            return False  # the reader notices the end
        return True

    def _end(self) -> None:
        self._give_up_marks()
        self._listener = None
        self._early.clear()
        self.ended.set()

    def _give_up_marks(self) -> None:
        while self._marks:
            _resolve(self._marks.popitem()[1], False)


def _resolve(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)
