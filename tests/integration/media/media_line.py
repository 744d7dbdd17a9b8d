"""A carrier's end of one media stream, with one of the sandbox's people on the telephone.

Twilio's protocol as its documentation tells it: 20 ms of mu-law each way, a playback buffer, marks
echoed when what was before them has played, `clear`.
"""

import asyncio
import audioop
import base64
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from outdial_sandbox.people.behaviour import Behaviour, HangUp

FRAME_BYTES = 160  # of mu-law: 20 ms
SILENCE = bytes([0xFF])
LOUD = 300


class MediaLine:
    """What goes over the line, and what the person heard of it."""

    def __init__(self, socket: ClientConnection, person: Behaviour) -> None:
        self.stream_sid = "MZ" + uuid.uuid4().hex
        self.call_sid = "CA" + uuid.uuid4().hex
        self.person = person
        self.clears = 0
        self.agent_was_heard = asyncio.Event()
        self.closed = asyncio.Event()
        self.ended_by: str | None = None
        self._socket = socket
        self._buffer = bytearray()
        self._marks: list[tuple[int, str]] = []
        self._played = 0
        self._received = 0
        self._frames = 0

    async def run(self) -> None:
        """From `start` until one side ends it."""
        await self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await self._send({"event": "start", "sequenceNumber": "1", "start": self._start()})
        reading = asyncio.create_task(self._read())
        try:
            await self._talk()
        except ConnectionClosed:
            pass
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await reading
            self.ended_by = self.ended_by or "agent"
            self.closed.set()

    def _start(self) -> dict[str, Any]:
        return {
            "accountSid": "AC" + "0" * 32,
            "streamSid": self.stream_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {},
        }

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            heard = audioop.ulaw2lin(await self._play(), 2)
            if audioop.max(heard, 2) > LOUD:
                self.agent_was_heard.set()
            said = self.person.frame(np.frombuffer(heard, np.int16))
            if isinstance(said, HangUp):
                self.ended_by = "person"
                await self._send({"event": "stop", "sequenceNumber": "0", "stop": {}})
                return
            await self._say(said.astype(np.int16).tobytes())
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _play(self) -> bytes:
        out = bytes(self._buffer[:FRAME_BYTES])
        del self._buffer[:FRAME_BYTES]
        self._played += len(out)
        while self._marks and self._marks[0][0] <= self._played:
            await self._echo(self._marks.pop(0)[1])
        return out + SILENCE * (FRAME_BYTES - len(out))

    async def _say(self, pcm: bytes) -> None:
        self._frames += 1
        media = {
            "track": "inbound",
            "chunk": str(self._frames),
            "timestamp": str(20 * self._frames),
            "payload": base64.b64encode(audioop.lin2ulaw(pcm, 2)).decode(),
        }
        await self._send({"event": "media", "sequenceNumber": "0", "media": media})

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            assert message["streamSid"] == self.stream_sid
            match message["event"]:
                case "media":
                    sound = base64.b64decode(message["media"]["payload"])
                    self._buffer += sound
                    self._received += len(sound)
                case "mark":
                    self._marks.append((self._received, message["mark"]["name"]))
                case "clear":
                    self.clears += 1
                    self._buffer.clear()
                    self._played = self._received
                    while self._marks:
                        await self._echo(self._marks.pop(0)[1])

    async def _echo(self, name: str) -> None:
        await self._send({"event": "mark", "mark": {"name": name}})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send(json.dumps({"streamSid": self.stream_sid, **message}))


@asynccontextmanager
async def open_line(
    url: str, person: Behaviour, headers: dict[str, str] | None = None
) -> AsyncIterator[MediaLine]:
    """Connect and talk; the socket is closed on the way out."""
    async with connect(url, additional_headers=headers, compression=None, max_queue=None) as socket:
        line = MediaLine(socket, person)
        talking = asyncio.create_task(line.run())
        try:
            yield line
        finally:
            talking.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await talking
