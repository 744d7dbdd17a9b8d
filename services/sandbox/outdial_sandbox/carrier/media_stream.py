"""A bidirectional media stream: a WebSocket from the carrier to the customer's bot."""

import asyncio
import base64
import binascii
import contextlib
import ipaddress
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from outdial_sandbox.carrier import mulaw
from outdial_sandbox.carrier.faults import StreamFate
from outdial_sandbox.carrier.identifiers import new_sid
from outdial_sandbox.carrier.line import Line
from outdial_sandbox.carrier.playback import StreamBuffer
from outdial_sandbox.carrier.webhooks import signature
from outdial_sandbox.people.behaviour import Frame

OPEN_SECONDS = 5.0
_LOCAL_TLS_SECONDS = 1.0
CLOSE_SECONDS = 2.0
_HALF_OPEN_SECONDS = 60.0  # how long a half-open socket stays after its call
_MOST_WAITING = 3000  # messages to a bot that does not read: one minute

_SILENT_PAYLOAD = base64.b64encode(bytes([mulaw.SILENCE]) * 160).decode()

_REFUSALS = (OSError, InvalidHandshake, InvalidURI, EOFError)

Problem = Callable[[int, str], None]


class StreamRefusedError(Exception):
    """The bot's WebSocket could not be opened (Twilio's error 31920)."""


def _refused(error: Exception) -> StreamRefusedError:
    return StreamRefusedError(f"{type(error).__name__}: {error}")


@dataclass
class StreamRecord:
    """What the ledger keeps. `fault` is what was made to go wrong.

    `ended_by` is app (it closed its socket), person, caller, carrier, cut (its network) or refused.
    """

    url: str
    name: str | None = None
    sid: str = field(default_factory=lambda: new_sid("MZ"))
    started_at: float | None = None
    ended_at: float | None = None
    ended_by: str | None = None
    media_in: int = 0  # bytes of mu-law the bot sent
    marks: list[str] = field(default_factory=list)
    fault: str | None = None

    def entry(self) -> dict[str, Any]:
        """For the ledger."""
        return dict(vars(self))


def stream_address(url: str) -> str | None:
    """Where the stream goes: without query and fragment, which Twilio drops; None if not allowed.

    `wss` anywhere; `ws` to this machine only, where there is no certificate to show.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("ws", "wss"):
        return None
    if parts.scheme == "ws" and not is_loopback(parts.hostname):
        return None
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


class MediaStream:
    """One stream of one call. `run` lasts until the bot closes its socket."""

    def __init__(
        self,
        record: StreamRecord,
        call_sid: str,
        account_sid: str,
        auth_token: str,
        parameters: Mapping[str, str],
        on_problem: Problem,
        fate: StreamFate | None = None,
    ) -> None:
        self.record = record
        self.closing: asyncio.Task[None] | None = None  # sends what waits, then closes
        self._call_sid, self._account_sid = call_sid, account_sid
        self._auth_token = auth_token
        self._parameters = parameters
        self._on_problem = on_problem
        self._fate = fate
        self._unreachable = False  # half-open: nothing comes through any more
        self._buffer = StreamBuffer(self._mark_played)
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue()
        self._sequence = 0
        self._chunk = 0
        self._first_timestamp = 100 + secrets.randbelow(71)  # Twilio's first is not 0

    async def open(self) -> ClientConnection:
        """Connect, signed as Twilio signs. Raises StreamRefusedError.

        Nobody has a certificate for loopback: a bot there that asks for `wss` and cannot do TLS is
        met in plain.
        """
        await self._fate_at_opening()
        url = self.record.url
        local = url.startswith("wss:") and is_loopback(urlsplit(url).hostname or "")
        try:
            return await self._connect(url, _LOCAL_TLS_SECONDS if local else OPEN_SECONDS)
        except _REFUSALS as error:
            if not local or isinstance(error, InvalidStatus | ConnectionRefusedError):
                raise _refused(error) from None
        try:
            return await self._connect(url.replace("wss:", "ws:", 1), OPEN_SECONDS)
        except _REFUSALS as error:
            raise _refused(error) from None

    async def _fate_at_opening(self) -> None:
        if self._fate is None:
            return
        self.record.fault = self._fate.fault
        if self._fate.fault == "stream_slow":
            await asyncio.sleep(self._fate.seconds)
        elif self._fate.fault == "stream_refused":
            raise StreamRefusedError("a fault of the sandbox's")

    async def _connect(self, url: str, patience: float) -> ClientConnection:
        """One handshake; what is signed is the URL as the document has it."""
        signed = signature(self._auth_token, self.record.url, {})
        return await connect(
            url,
            additional_headers={"x-twilio-signature": signed},
            user_agent_header="Twilio.TmeWs/1.0",
            compression=None,
            proxy=None,
            open_timeout=patience,
            close_timeout=CLOSE_SECONDS,
            ping_interval=None,  # Twilio does not ping: a frozen bot stays connected
            max_size=1 << 24,
        )

    async def run(self, socket: ClientConnection, line: Line) -> None:
        """Carry the call until the bot closes. Cancelled when the call or its TwiML moves on."""
        self.record.started_at = time.time()
        self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._send(self._start(), numbered=True)
        forwarding = asyncio.create_task(self._forward(socket))
        fate = self._fate_to_come(socket)
        line.play(self._buffer)
        line.listen(self._said)
        try:
            await self._receive(socket)
            self.record.ended_by = self.record.ended_by or "app"
        finally:
            if fate is not None:
                fate.cancel()
            line.release(self._buffer)
            self.record.ended_at = time.time()
            self._send(self._stop(), numbered=True)
            self._outgoing.put_nowait(None)
            leave = _abandoned(socket) if self._unreachable else _closed(socket, forwarding)
            self.closing = asyncio.create_task(leave)

    def _fate_to_come(self, socket: ClientConnection) -> asyncio.TimerHandle | None:
        doings = {"stream_cut": self._cut, "stream_half_open": self._lose}
        if self._fate is None or (do := doings.get(self._fate.fault)) is None:
            return None
        return asyncio.get_running_loop().call_later(self._fate.seconds, do, socket)

    def _cut(self, socket: ClientConnection) -> None:
        """The connection breaks; both ends notice."""
        self.record.ended_by = "cut"
        socket.transport.abort()

    def _lose(self, socket: ClientConnection) -> None:
        """The connection breaks; nobody notices."""
        self._unreachable = True
        socket.transport.pause_reading()

    async def _receive(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                if not self._unreachable:
                    self._take(text)

    async def _forward(self, socket: ClientConnection) -> None:
        """Send what waits in order; at the end, close."""
        with contextlib.suppress(ConnectionClosed, OSError):
            while (text := await self._outgoing.get()) is not None:
                await socket.send(text)

    def _take(self, text: str | bytes) -> None:
        try:
            message = json.loads(text)
            event = message["event"]
            if message.get("streamSid") != self.record.sid:
                raise ValueError("streamSid is missing or another stream's")
            if event == "media":
                self._take_media(message["media"]["payload"])
            elif event == "mark":
                self._buffer.add_mark(str(message["mark"]["name"]))
            elif event == "clear":
                self._buffer.clear()
            else:
                raise ValueError(f"unknown event {event!r}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._on_problem(31951, f"invalid message on the stream: {error!r}")

    def _take_media(self, payload: str) -> None:
        try:
            data = base64.b64decode(payload, validate=True)
        except binascii.Error as error:
            raise ValueError(f"payload is not base64: {error}") from None
        self.record.media_in += len(data)
        if not self._buffer.add_audio(data):
            self._on_problem(31931, "more than ten minutes of audio were buffered; dropped")

    def _said(self, frame: Frame) -> None:
        """Send 20 ms of the person. Written by hand: it is done 50 times a second and call."""
        if self._unreachable or self._outgoing.qsize() > _MOST_WAITING:
            return
        payload = base64.b64encode(mulaw.encode(frame)).decode() if frame.any() else _SILENT_PAYLOAD
        self._sequence += 1
        timestamp = self._first_timestamp + 20 * self._chunk
        self._chunk += 1
        self._outgoing.put_nowait(
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{self._chunk}","timestamp":"{timestamp}","payload":"{payload}"}},'
            f'"streamSid":"{self.record.sid}"}}'
        )

    def _mark_played(self, name: str) -> None:
        self.record.marks.append(name)
        mark = {"event": "mark", "streamSid": self.record.sid, "mark": {"name": name}}
        self._send(mark, numbered=True)

    def _start(self) -> dict[str, Any]:
        start = {
            "accountSid": self._account_sid,
            "streamSid": self.record.sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(self._parameters),
        }
        return {"event": "start", "streamSid": self.record.sid, "start": start}

    def _stop(self) -> dict[str, Any]:
        stop = {"accountSid": self._account_sid, "callSid": self._call_sid}
        return {"event": "stop", "streamSid": self.record.sid, "stop": stop}

    def _send(self, message: dict[str, Any], *, numbered: bool = False) -> None:
        if self._unreachable:
            return
        if numbered:
            self._sequence += 1
            message = {**message, "sequenceNumber": str(self._sequence)}
        self._outgoing.put_nowait(json.dumps(message))


async def _closed(socket: ClientConnection, forwarding: asyncio.Task[None]) -> None:
    """Let the rest go out and close; a bot that does not read any more is cut off."""
    await asyncio.wait({forwarding}, timeout=CLOSE_SECONDS)
    if forwarding.done():
        await socket.close()
    else:
        forwarding.cancel()
        socket.transport.abort()


async def _abandoned(socket: ClientConnection) -> None:
    """The call is over, which a bot behind a half-open socket cannot see: wait for it to go."""
    try:
        socket.transport.resume_reading()
        await asyncio.wait_for(socket.wait_closed(), _HALF_OPEN_SECONDS)
    except TimeoutError:
        pass
    finally:
        socket.transport.abort()
