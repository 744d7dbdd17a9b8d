"""Deepgram's `GET /v1/listen`: audio in, transcripts out, over a WebSocket.

Speech is recognised at each short pause, so a `Finalize` is answered at once. An utterance ends
when the client says `Finalize`, or after the silence it asked for with `endpointing`.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from starlette.websockets import WebSocket, WebSocketDisconnect

from outdial_sandbox.carrier.hang_up import reset
from outdial_sandbox.providers import audio_formats
from outdial_sandbox.providers.deepgram_door import (
    fail_handshake,
    is_authorised,
    refusal,
    refuse,
    unauthorised,
)
from outdial_sandbox.providers.endpointing import Ended, Endpointer, Event, Piece, Started
from outdial_sandbox.providers.provider_faults import Desk
from outdial_sandbox.providers.recognition import Heard
from outdial_sandbox.providers.recognition_process import RecognitionProcess
from outdial_sandbox.providers.settings import ProviderSettings

# Deepgram's own default is 10 ms, but its results come later than that: it waits until it is sure.
_DEFAULT_ENDPOINTING = 0.7
_LEAST_ENDPOINTING = 0.25
_NO_DATA = (
    "Deepgram did not receive audio data or a text message within the timeout window. NET-0001"
)


@dataclass(frozen=True)
class ListenRequest:
    """The query of a listen request, as far as it is understood here."""

    model: str
    encoding: str
    sample_rate: int
    channels: int
    interim_results: bool
    punctuate: bool
    endpointing: float | None
    utterance_end: float | None
    vad_events: bool


def parse_request(query: Mapping[str, str]) -> ListenRequest:
    """Read the query; raises UnsupportedFormat."""
    encoding = query.get("encoding", "linear16")
    return ListenRequest(
        model=query.get("model", "base-general"),
        encoding=encoding,
        sample_rate=audio_formats.checked(encoding, query.get("sample_rate", "16000")),
        channels=int(query.get("channels", "1") or 1),
        interim_results=_is_true(query.get("interim_results")),
        punctuate=_is_true(query.get("punctuate")) or _is_true(query.get("smart_format")),
        endpointing=_endpointing(query.get("endpointing", "")),
        utterance_end=_milliseconds(query.get("utterance_end_ms")),
        vad_events=_is_true(query.get("vad_events")),
    )


def _is_true(value: str | None) -> bool:
    return (value or "").lower() == "true"


def _milliseconds(value: str | None) -> float | None:
    return int(value) / 1000 if value and value.isdecimal() else None


def _endpointing(value: str) -> float | None:
    if value.lower() == "false":
        return None
    asked = _milliseconds(value)
    return _DEFAULT_ENDPOINTING if asked is None else max(asked, _LEAST_ENDPOINTING)


async def listen(
    socket: WebSocket,
    settings: ProviderSettings,
    recogniser: RecognitionProcess,
    desk: Desk,
) -> None:
    """Serve one listen socket from its handshake to its end."""
    if not is_authorised(socket.headers, settings.deepgram_key):
        return await refuse(socket, unauthorised())
    try:
        request = parse_request(socket.query_params)
    except (audio_formats.UnsupportedFormat, ValueError) as error:
        return await refuse(socket, refusal(400, "Bad Request", str(error)))
    if (fault := desk().listen_handshake()) is not None:
        return await fail_handshake(socket, fault)
    session = _Session(socket, request, settings, recogniser, desk)
    await socket.accept(headers=[(b"dg-request-id", session.request_id.encode())])
    await session.run()
    return None


@dataclass
class _Result:
    """A result to be sent once its words are known."""

    pieces: list[tuple[float, asyncio.Future[Heard]]]
    start: float
    end: float
    is_final: bool
    speech_final: bool = False
    from_finalize: bool = False
    late_seconds: float = 0.0


class _Session:
    """One socket. Results are sent in the order in which they were decided on."""

    def __init__(
        self,
        socket: WebSocket,
        request: ListenRequest,
        settings: ProviderSettings,
        recogniser: RecognitionProcess,
        desk: Desk,
    ) -> None:
        self._desk = desk
        self._hangs = False
        self._late_seconds = 0.0
        self.request_id = str(uuid4())
        self._socket = socket
        self._request = request
        self._settings = settings
        self._recogniser = recogniser
        self._endpointer = Endpointer(request.sample_rate, request.endpointing)
        self._pieces: list[tuple[float, asyncio.Future[Heard]]] = []
        self._reported = 0.0
        self._last_word_end = 0.0
        self._outbox: asyncio.Queue[_Result | dict[str, Any] | None] = asyncio.Queue()

    async def run(self) -> None:
        """Until the client closes, says CloseStream, or falls silent."""
        sender = asyncio.create_task(self._send_results())
        try:
            await self._receive()
            self._outbox.put_nowait(None)
            await sender
        except WebSocketDisconnect:
            pass
        finally:
            sender.cancel()
            for _, future in self._pieces:
                future.cancel()

    async def _receive(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._settings.listen_timeout_seconds):
                    message = await self._socket.receive()
            except TimeoutError:
                await self._socket.close(1011, _NO_DATA)
                raise WebSocketDisconnect(1011) from None
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            if message.get("bytes") is not None:
                self._hear(message["bytes"])
            elif self._control(message.get("text") or ""):
                return

    def _hear(self, data: bytes) -> None:
        samples = audio_formats.decode(data, self._request.encoding)
        if self._request.channels > 1:
            samples = samples[:: self._request.channels]  # one ear is enough for a telephone
        for event in self._endpointer.feed(samples):
            self._follow(event)

    def _control(self, text: str) -> bool:
        """Obey a control message; true for the last one."""
        kind = _kind_of(text)
        if kind == "Finalize":
            self._finish_utterance(speech_final=False, from_finalize=True)
        elif kind == "CloseStream":
            self._finish_utterance(speech_final=True)
            self._outbox.put_nowait(self._metadata())
            return True
        return False  # KeepAlive has done its work by arriving

    def _follow(self, event: Event) -> None:
        match event:
            case Started(at):
                self._suffer()
                if self._request.vad_events:
                    started = {"type": "SpeechStarted", "channel": [0, 1], "timestamp": at}
                    self._outbox.put_nowait(started)
            case Piece():
                self._recognise(event)
                if self._request.interim_results:
                    self._result(is_final=False)
            case Ended():
                self._finish_utterance(speech_final=True)

    def _suffer(self) -> None:
        """Let a fault befall what is being said, if it is its turn."""
        match self._desk().utterance():
            case "listen_cut":
                reset(self._socket.scope)
            case "listen_hang":
                self._hangs = True
            case "listen_slow":
                self._late_seconds = self._desk().faults.listen_slow_seconds

    def _recognise(self, piece: Piece) -> None:
        recognition = self._recogniser.recognise(piece, self._request.sample_rate)
        self._pieces.append((piece.began, asyncio.ensure_future(recognition)))

    def _finish_utterance(self, *, speech_final: bool, from_finalize: bool = False) -> None:
        for event in self._endpointer.flush():
            self._follow(event)
        self._result(is_final=True, speech_final=speech_final, from_finalize=from_finalize)
        self._pieces = []
        self._late_seconds = 0.0
        self._reported = self._endpointer.now

    def _result(self, **flags: bool) -> None:
        result = _Result(
            list(self._pieces),
            self._reported,
            self._endpointer.now,
            late_seconds=self._late_seconds,
            **flags,
        )
        self._outbox.put_nowait(result)

    async def _send_results(self) -> None:
        while (item := await self._outbox.get()) is not None:
            message = await self._worded(item) if isinstance(item, _Result) else item
            if self._hangs:
                continue
            await self._socket.send_text(json.dumps(message))
            if isinstance(item, _Result) and item.speech_final and item.pieces:
                await self._say_utterance_end()
        await self._socket.close(1000)

    async def _worded(self, result: _Result) -> dict[str, Any]:
        words: list[dict[str, Any]] = []
        for began, future in result.pieces:
            words += _words(await future, began, punctuate=self._request.punctuate)
        late = self._settings.transcript_ms / 1000 + result.late_seconds
        if late and words:
            await asyncio.sleep(late)
        if words:
            self._last_word_end = words[-1]["end"]
        return self._results_message(result, words)

    def _results_message(self, result: _Result, words: list[dict[str, Any]]) -> dict[str, Any]:
        shown = "punctuated_word" if self._request.punctuate else "word"
        alternative = {
            "transcript": " ".join(word[shown] for word in words),
            "confidence": min((word["confidence"] for word in words), default=0.0),
            "words": words,
        }
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": round(result.end - result.start, 3),
            "start": round(result.start, 3),
            "is_final": result.is_final,
            "speech_final": result.speech_final,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": self.request_id,
                "model_info": {
                    "name": self._request.model,
                    "version": "sandbox",
                    "arch": "pocketsphinx",
                },
                "model_uuid": self.request_id,
            },
            "from_finalize": result.from_finalize,
        }

    async def _say_utterance_end(self) -> None:
        if self._request.utterance_end is not None:
            end = round(self._last_word_end, 3)
            event = {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": end}
            await self._socket.send_text(json.dumps(event))

    def _metadata(self) -> dict[str, Any]:
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self.request_id,
            "sha256": "",
            "created": "1970-01-01T00:00:00.000Z",
            "duration": round(self._endpointer.now, 3),
            "channels": self._request.channels,
        }


def _kind_of(text: str) -> str:
    try:
        message = json.loads(text)
    except ValueError:
        return ""
    return str(message.get("type", "")) if isinstance(message, dict) else ""


def _words(heard: Heard, began: float, *, punctuate: bool) -> list[dict[str, Any]]:
    words = []
    for word in heard.words:
        item: dict[str, Any] = {
            "word": word.word,
            "start": round(began + word.start, 3),
            "end": round(began + word.end, 3),
            "confidence": heard.confidence,
        }
        if punctuate:
            item["punctuated_word"] = word.punctuated
        words.append(item)
    return words
