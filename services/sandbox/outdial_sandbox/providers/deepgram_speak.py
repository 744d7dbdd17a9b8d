"""Deepgram's `/v1/speak`: text in, audio out, over a WebSocket or as one POST.

Sentences are spoken as they are complete; the rest waits for `Flush`. The audio is real speech
(espeak-ng), sent as fast as the socket takes it, as Deepgram does.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4
from zlib import crc32

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect

from outdial_sandbox.carrier.hang_up import hang_up, reset
from outdial_sandbox.people.voice import DEFAULT_RATE, Samples, synthesise
from outdial_sandbox.providers import audio_formats
from outdial_sandbox.providers.deepgram_door import (
    fail_handshake,
    fault_response,
    is_authorised,
    refusal,
    refuse,
    unauthorised,
)
from outdial_sandbox.providers.provider_faults import Desk, SpeakFault
from outdial_sandbox.providers.settings import ProviderSettings

# A few of Deepgram's voices keep their sex here; any other name gets one of these by its hash.
_VOICES = {
    "thalia": "en-us+f4",
    "helena": "en-us+linda",
    "asteria": "en-us+f4",
    "andromeda": "en-us+f5",
    "luna": "en-us+steph",
    "apollo": "en-us+m3",
    "arcas": "en-us+m1",
    "orion": "en-us+m3",
}
_OTHER_VOICES = ("en-us+f4", "en-us+linda", "en-us+m3", "en-us+m1")

_CHUNK_SECONDS = 0.1
_BETWEEN_SENTENCES = 0.15
_CUT_SECONDS = 0.5  # of a reply's audio are sent before `speak_cut` cuts it
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class SpeakRequest:
    """The query of a speak request."""

    model: str
    encoding: str
    sample_rate: int
    speed: float


def parse_request(query: Mapping[str, str]) -> SpeakRequest:
    """Read the query; raises UnsupportedFormat or ValueError."""
    encoding = query.get("encoding", "linear16")
    default_rate = "8000" if encoding == "mulaw" else "24000"
    return SpeakRequest(
        model=query.get("model", "aura-asteria-en"),
        encoding=encoding,
        sample_rate=audio_formats.checked(encoding, query.get("sample_rate", default_rate)),
        speed=min(1.5, max(0.7, float(query.get("speed", "1")))),
    )


def voice_of(model: str) -> str:
    """The espeak-ng voice that stands in for a Deepgram model (`aura-2-thalia-en`)."""
    named = next((voice for name, voice in _VOICES.items() if name in model.lower()), None)
    return named or _OTHER_VOICES[crc32(model.encode()) % len(_OTHER_VOICES)]


def _spoken(text: str, request: SpeakRequest) -> Samples:
    speech = synthesise(
        text, voice_of(request.model), int(DEFAULT_RATE * request.speed), request.sample_rate
    )
    pause = np.zeros(int(request.sample_rate * _BETWEEN_SENTENCES), np.int16)
    return np.concatenate([speech, pause])


async def _chunks(
    text: str, request: SpeakRequest, settings: ProviderSettings
) -> AsyncIterator[bytes]:
    await asyncio.sleep(settings.first_audio_ms / 1000)
    samples = await asyncio.to_thread(_spoken, text, request)
    step = int(request.sample_rate * _CHUNK_SECONDS)
    for at in range(0, len(samples), step):
        yield audio_formats.encode(samples[at : at + step], request.encoding)


async def _faulty(
    chunks: AsyncIterator[bytes], fault: SpeakFault | None, scope: Scope, desk: Desk
) -> AsyncIterator[bytes]:
    """The chunks as `fault` lets them through."""
    sent = 0.0
    if fault == "speak_slow":
        await asyncio.sleep(desk().faults.speak_slow_seconds)
    if fault == "speak_hang":
        await asyncio.Event().wait()
    async for chunk in chunks:
        if fault == "speak_cut" and sent >= _CUT_SECONDS:
            reset(scope)
            return
        yield chunk
        sent += _CHUNK_SECONDS


async def speak_once(request: Request, settings: ProviderSettings, desk: Desk) -> Response:
    """`POST /v1/speak {"text": ...}`: the audio, without a container."""
    if not is_authorised(request.headers, settings.deepgram_key):
        return unauthorised()
    try:
        asked = parse_request(request.query_params)
        text = (await request.json())["text"]
    except (audio_formats.UnsupportedFormat, ValueError, KeyError, TypeError) as error:
        return refusal(400, "Bad Request", f"Failed to read the request: {error}")
    if (refused := desk().speak_handshake()) is not None:
        if (answer := fault_response(refused)) is not None:
            return answer
        if refused == "speak_stalled":
            await asyncio.Event().wait()
        await hang_up(request)
        return Response()
    headers = {"dg-request-id": str(uuid4()), "dg-model-name": asked.model}
    chunks = _chunks(str(text), asked, settings)
    audio = _faulty(chunks, desk().spoken_reply(), request.scope, desk)
    return StreamingResponse(audio, headers=headers, media_type=f"audio/{asked.encoding}")


async def speak(socket: WebSocket, settings: ProviderSettings, desk: Desk) -> None:
    """Serve one speak socket."""
    if not is_authorised(socket.headers, settings.deepgram_key):
        return await refuse(socket, unauthorised())
    try:
        request = parse_request(socket.query_params)
    except (audio_formats.UnsupportedFormat, ValueError) as error:
        return await refuse(socket, refusal(400, "Bad Request", str(error)))
    if (fault := desk().speak_handshake()) is not None:
        return await fail_handshake(socket, fault)
    session = _Session(socket, request, settings, desk)
    await socket.accept(headers=[(b"dg-request-id", session.request_id.encode())])
    await session.run()
    return None


class _Session:
    """One socket: a queue of sentences and flushes, spoken in order by one task."""

    def __init__(
        self,
        socket: WebSocket,
        request: SpeakRequest,
        settings: ProviderSettings,
        desk: Desk,
    ) -> None:
        self._desk = desk
        self._in_reply = False
        self.request_id = str(uuid4())
        self._socket = socket
        self._request = request
        self._settings = settings
        self._text = ""
        self._sequence = 0
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._speaker: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the client closes or says Close."""
        await self._send(self._metadata())
        self._speaker = asyncio.create_task(self._speak_queue())
        try:
            await self._receive()
        except WebSocketDisconnect:
            pass
        finally:
            self._speaker.cancel()

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            if not await self._obey(_parsed(message.get("text"))):
                return

    async def _obey(self, message: dict[str, Any]) -> bool:
        """Do what a message says; false after the last one."""
        match message.get("type"):
            case "Speak":
                self._take(str(message.get("text", "")))
            case "Flush":
                self._flush()
            case "Clear":
                await self._clear()
            case "Close":
                await self._close()
                return False
            case _:
                await self._send(_warning("Unknown message type", "UNPARSABLE_CLIENT_MESSAGE"))
        return True

    def _take(self, text: str) -> None:
        *sentences, self._text = _SENTENCE_END.split(self._text + text)
        for sentence in sentences:
            self._queue.put_nowait(sentence)

    def _flush(self) -> None:
        if self._text.strip():
            self._queue.put_nowait(self._text)
        self._text = ""
        self._queue.put_nowait(None)

    async def _clear(self) -> None:
        """Forget what was not yet sent, in the middle of a sentence if need be."""
        if self._speaker is not None:
            self._speaker.cancel()
            await asyncio.wait([self._speaker])
        self._text, self._queue = "", asyncio.Queue()
        await self._send({"type": "Cleared", "sequence_id": self._next_number()})
        self._speaker = asyncio.create_task(self._speak_queue())

    async def _close(self) -> None:
        """Say what is left, unless the client has gone; then close."""
        self._flush()
        said = asyncio.ensure_future(self._queue.join())
        waiting = [said] if self._speaker is None else [said, self._speaker]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        said.cancel()
        with suppress(RuntimeError, WebSocketDisconnect):  # it closed before us
            await self._socket.close(1000)

    async def _speak_queue(self) -> None:
        with suppress(RuntimeError, WebSocketDisconnect):  # nobody listens any more
            await self._speak_for_ever()

    async def _speak_for_ever(self) -> None:
        while True:
            sentence = await self._queue.get()
            if sentence is None:
                self._in_reply = False
                await self._send({"type": "Flushed", "sequence_id": self._next_number()})
            elif sentence.strip():
                chunks = _chunks(sentence.strip(), self._request, self._settings)
                async for chunk in _faulty(chunks, self._befalls(), self._socket.scope, self._desk):
                    await self._socket.send_bytes(chunk)
            self._queue.task_done()

    def _befalls(self) -> SpeakFault | None:
        """The fault of a reply's first sentence; the others have none of their own."""
        if self._in_reply:
            return None
        self._in_reply = True
        return self._desk().spoken_reply()

    def _next_number(self) -> int:
        number, self._sequence = self._sequence, self._sequence + 1
        return number

    def _metadata(self) -> dict[str, Any]:
        return {
            "type": "Metadata",
            "request_id": self.request_id,
            "model_name": self._request.model,
            "model_version": "sandbox",
            "model_uuid": self.request_id,
        }

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps(message))


def _parsed(text: str | None) -> dict[str, Any]:
    try:
        message = json.loads(text or "")
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _warning(description: str, code: str) -> dict[str, Any]:
    return {"type": "Warning", "description": description, "code": code}
