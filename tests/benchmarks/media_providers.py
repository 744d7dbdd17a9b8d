"""Deepgram's and Groq's protocols (and the two Twilio calls that bots make), with set delays.

`python media_providers.py PORT TLS_PORT CERTIFICATE`: plain on the one, and on the other over TLS,
as Deepgram and Groq are outside. The sandbox's providers really recognise, which costs more than a
pod does; these know what is said (media_speech.py) and answer when its sound has come in: the same
delays for every bot. What they saw of each turn is handed out by `GET /bench/turns`.

Delays (seconds): a final transcript after `Finalize`, or after the provider's own endpointing; the
model's first token and each one after; a voice's first byte, and then six times real time.
"""

import asyncio
import json
import ssl
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import uvloop

from media_speech import (
    AGENT_VOICE,
    FRAME_SECONDS,
    GREETING,
    REPLY,
    Label,
    frames_of,
    is_loud,
    labels_in,
    read_label,
    spoken,
    without_labels,
)
from media_wire import BINARY, TEXT, Request, Wire
from turns_script import SCRIPT, words_of

TRANSCRIPT = 0.1
ENDPOINTING = 0.3
INTERIM_FIRST, INTERIM_PACE = 0.4, 0.5
FIRST_TOKEN, TOKEN = 0.2, 0.005
FIRST_SOUND = 0.1
CHUNK, CHUNK_PACE = 4000, 0.04  # bytes of 16-bit PCM (0.25 s), and how often one is sent

_HEADERS = {"request_id": "bench", "model_uuid": "bench"}
_META = {**_HEADERS, "model_info": {"name": "nova-3", "version": "bench", "arch": "nova-3"}}


class Turns:
    """When each turn passed each provider: monotonic seconds, by label. First times stay."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, float]] = {}

    def note(self, label: str, event: str) -> None:
        """It happened now."""
        self.seen.setdefault(label, {}).setdefault(event, time.monotonic())

    def take(self) -> dict[str, dict[str, float]]:
        """Everything since the last time."""
        seen, self.seen = self.seen, {}
        return seen


TURNS = Turns()


@dataclass
class _Heard:
    """What a recogniser has taken in and not finished yet."""

    labels: list[Label] = field(default_factory=list)
    spoken: float = 0.0  # seconds of speech of the last label
    silence: float = 0.0


class _Listen:
    """One `/v1/listen` socket."""

    def __init__(self, wire: "_Provider") -> None:
        self._wire = wire
        self._heard = _Heard()
        self._label: Label | None = None
        self._now = self._reported = 0.0
        self._interim_at = INTERIM_FIRST

    def message(self, opcode: int, payload: bytes) -> None:
        if opcode == BINARY:
            for frame in frames_of(payload):  # some bots send more than one at a time
                self._hear(frame)
            return
        kind = json.loads(payload).get("type")
        if kind == "Finalize":
            for label in self._heard.labels:
                TURNS.note(label.text, "finalize")
            self._finish(from_finalize=True)
        elif kind == "CloseStream":
            self._wire.send(TEXT, json.dumps({"type": "Metadata", **_HEADERS}))
            self._wire.close()

    def _hear(self, pcm: bytes) -> None:
        self._now += FRAME_SECONDS
        heard = self._heard
        if is_loud(pcm):
            if self._label is not None:
                if self._label not in heard.labels:
                    heard.labels.append(self._label)
                    heard.spoken, self._interim_at = 0.0, INTERIM_FIRST
                heard.spoken += FRAME_SECONDS
                if heard.spoken >= self._interim_at:
                    self._interim_at += INTERIM_PACE
                    self._later(list(heard.labels), heard.spoken)
            heard.silence = 0.0
            return
        if (label := read_label(pcm)) is not None:
            self._label = label if SCRIPT[label.turn].pieces else None  # a noise has no words
        heard.silence += FRAME_SECONDS
        if heard.labels and heard.silence >= ENDPOINTING:
            self._finish(from_finalize=False)

    def _later(self, labels: list[Label], seconds: float) -> None:
        until = self._now

        def send() -> None:
            if self._heard.labels[: len(labels)] == labels:  # no final has overtaken it
                self._result(_text(labels, seconds), until, is_final=False)

        asyncio.get_running_loop().call_later(TRANSCRIPT, send)

    def _finish(self, *, from_finalize: bool) -> None:
        labels, self._heard, until = self._heard.labels, _Heard(), self._now

        def send() -> None:
            for label in labels:
                TURNS.note(label.text, "transcript")
            self._result(_text(labels), until, from_finalize=from_finalize)

        asyncio.get_running_loop().call_later(TRANSCRIPT, send)

    def _result(
        self, text: str, until: float, *, is_final: bool = True, from_finalize: bool = False
    ) -> None:
        words = [
            {"word": word, "start": 0.0, "end": 0.1, "confidence": 0.98, "punctuated_word": word}
            for word in text.split()
        ]
        alternative = {"transcript": text, "confidence": 0.98 if text else 0.0, "words": words}
        message = {
            "type": "Results",
            "channel_index": [0, 1],
            "start": round(self._reported, 2),
            "duration": round(until - self._reported, 2),
            "is_final": is_final,
            "speech_final": is_final and not from_finalize,
            "from_finalize": from_finalize,
            "channel": {"alternatives": [alternative]},
            "metadata": _META,
        }
        if is_final:
            self._reported = until
        self._wire.send(TEXT, json.dumps(message))


def _text(labels: list[Label], seconds: float | None = None) -> str:
    """The words of these pieces; of the last one only what fits into `seconds` of speech."""
    parts = []
    for label in labels:
        words = words_of(label).split()
        if seconds is not None and label is labels[-1]:
            words = words[: max(1, round(2.5 * seconds))]
        parts.append(" ".join(words))
    is_named = bool(labels) and seconds is None and SCRIPT[labels[-1].turn].named
    named = labels[-1].text if is_named else ""
    return " ".join([named, *parts]).strip()


class _Speak:
    """One `/v1/speak` socket."""

    def __init__(self, wire: "_Provider") -> None:
        self._wire = wire
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._speak())
        self._number = 0

    def message(self, opcode: int, payload: bytes) -> None:
        message = json.loads(payload)
        match message["type"]:
            case "Speak":
                for call, turn in labels_in(message["text"]):
                    TURNS.note(f"c{call}t{turn}", "speak")
                self._texts.put_nowait(message["text"])
            case "Flush":
                self._texts.put_nowait(None)
            case "Clear":
                self.stop()
                self._texts = asyncio.Queue()
                self._say("Cleared")
                self._task = asyncio.create_task(self._speak())
            case "Close":
                self._wire.close()

    def stop(self) -> None:
        self._task.cancel()

    async def _speak(self) -> None:
        while True:
            text = await self._texts.get()
            if text is None:
                self._say("Flushed")
                continue
            pcm = spoken(without_labels(text), AGENT_VOICE)
            await asyncio.sleep(FIRST_SOUND)
            for call, turn in labels_in(text):
                TURNS.note(f"c{call}t{turn}", "sound")
            for at in range(0, len(pcm), CHUNK):
                self._wire.send(BINARY, pcm[at : at + CHUNK])
                await asyncio.sleep(CHUNK_PACE)

    def _say(self, kind: str) -> None:
        self._number += 1
        self._wire.send(TEXT, json.dumps({"type": kind, "sequence_id": self._number}))


class _Provider(Wire):
    """One connection to us, whatever it is for."""

    def __init__(self) -> None:
        super().__init__()
        self._session: _Listen | _Speak | None = None

    def on_request(self, request: Request) -> None:
        match request.method, request.path:
            case "GET", "/v1/listen":
                self.upgrade(request)
                self._session = _Listen(self)
            case "GET", "/v1/speak":
                self.upgrade(request)
                self._session = _Speak(self)
            case "POST", "/v1/speak":
                text = json.loads(request.body)["text"]
                self.reply(spoken(text, AGENT_VOICE), "audio/l16;rate=8000")
            case "POST", "/openai/v1/chat/completions":
                asyncio.get_running_loop().create_task(self._think(json.loads(request.body)))
            case "GET", "/bench/turns":
                self.reply(json.dumps(TURNS.take()).encode())
            case _, path if path.startswith("/2010-04-01/"):
                self.reply(json.dumps({"from": "+15005550006", "to": "+12025550100"}).encode())
            case _:
                self.reply(b"{}", status=404)

    def on_message(self, opcode: int, payload: bytes) -> None:
        if self._session is not None:
            self._session.message(opcode, payload)

    def on_close(self) -> None:
        if isinstance(self._session, _Speak):
            self._session.stop()

    async def _think(self, body: dict[str, Any]) -> None:
        said = [str(m.get("content")) for m in body["messages"] if m["role"] == "user"]
        labels = labels_in(" ".join(said))
        label = f"c{labels[-1][0]}t{labels[-1][1]}" if labels else ""
        if label:
            TURNS.note(label, "request")
        if not body.get("stream"):
            self.reply(json.dumps(_whole(body["model"])).encode())
            return
        self.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        await asyncio.sleep(FIRST_TOKEN)
        self._event(_delta(body["model"], {"role": "assistant", "content": ""}))
        text = REPLY.replace("Thank you,", f"Thank you {label},") if label else GREETING
        for number, word in enumerate(text.split(" ")):
            self._event(_delta(body["model"], {"content": f" {word}" if number else word}))
            if label and word == "Is":  # upstream knows that a sentence is over by the next one
                TURNS.note(label, "sentence")
            await asyncio.sleep(TOKEN)
        self._event(_delta(body["model"], {}, "stop"))
        usage = {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130}
        self._event({**_delta(body["model"], {}), "choices": [], "usage": usage})
        self._chunk(b"data: [DONE]\n\n")
        self.write(b"0\r\n\r\n")

    def _event(self, body: dict[str, Any]) -> None:
        self._chunk(b"data: " + json.dumps(body).encode() + b"\n\n")

    def _chunk(self, raw: bytes) -> None:
        self.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")


def _delta(model: str, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1}
    return {**head, "model": model, "choices": [choice]}


def _whole(model: str) -> dict[str, Any]:
    """The closing pass after a hang-up: nothing more to do."""
    message = {"role": "assistant", "content": ""}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-bench", "object": "chat.completion", "created": 1, "model": model}
    usage = {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101}
    return {**head, "choices": [choice], "usage": usage}


async def _serve(port: int, tls_port: int, certificate: str) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    secure = await loop.create_server(_Provider, "127.0.0.1", tls_port, ssl=context)
    plain = await loop.create_server(_Provider, "127.0.0.1", port)
    await asyncio.gather(plain.serve_forever(), secure.serve_forever())


if __name__ == "__main__":
    for text in (GREETING, REPLY, *REPLY.split(". ")):
        spoken(text, AGENT_VOICE)
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
