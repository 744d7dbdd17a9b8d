"""Who takes part in these tests: a carrier, a customer with a web server and a bot, people."""

import asyncio
import base64
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from outdial_sandbox.people.behaviour import (
    FRAME_SAMPLES,
    FRAME_SECONDS,
    HANG_UP,
    Answer,
    Frame,
    HangUp,
    MachineFacts,
    Utterance,
)
from polling import until

ACCOUNT = "AC" + "a1" * 16
TOKEN = "token-of-a-test"
CALLER = "+15005550006"
ANYONE = "+12125550100"
PATIENCE = 15.0


def tone(seconds: float, hertz: float = 400, level: int = 6000) -> Frame:
    at = np.arange(int(seconds * 8000)) / 8000
    return (np.sin(2 * np.pi * hertz * at) * level).astype(np.int16)


def noise(seconds: float, level: int = 4000) -> Frame:
    return np.random.default_rng(1).normal(0, level, int(seconds * 8000)).astype(np.int16)


class Script:
    """Somebody who says given samples at given seconds, and hangs up at a given second."""

    def __init__(self, words: list[tuple[float, Frame]], hang_up_at: float | None) -> None:
        end = max([at + len(samples) / 8000 for at, samples in words], default=0.0)
        self._line = np.zeros(int((end + FRAME_SECONDS) * 8000), np.int16)
        self.utterances: list[Utterance] = []
        for at, samples in words:
            start = int(at * 8000)
            self._line[start : start + len(samples)] = samples
            self.utterances.append(Utterance("words", "confirm", at, at + len(samples) / 8000))
        self.machine: MachineFacts | None = None
        self.heard: list[Frame] = []
        self._hang_up_at = hang_up_at
        self._frames = 0

    def frame(self, heard: Frame) -> Frame | HangUp:
        self.heard.append(heard.copy())
        start = self._frames * FRAME_SAMPLES
        self._frames += 1
        if self._hang_up_at is not None and start / 8000 >= self._hang_up_at:
            return HANG_UP
        said = self._line[start : start + FRAME_SAMPLES]
        return np.concatenate([said, np.zeros(FRAME_SAMPLES - len(said), np.int16)])


@dataclass
class Somebody:
    """A person of a test."""

    answer: Answer = field(default_factory=lambda: Answer("person", 2.0))
    words: list[tuple[float, Frame]] = field(default_factory=list)
    hang_up_at: float | None = None
    key: str = "somebody"
    behaviours: list[Script] = field(default_factory=list)

    def start(self, seed: int) -> Script:
        self.behaviours.append(Script(self.words, self.hang_up_at))
        return self.behaviours[-1]


class Seen:
    """Things that happened, and a way to wait for one."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._changed = asyncio.Event()

    def add(self, item: Any) -> None:
        self.items.append(item)
        self._changed.set()

    async def wait(self, wanted: Callable[[Any], bool], count: int = 1) -> Any:
        """The `count`-th item that is wanted, waiting for it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [item for item in self.items if wanted(item)]
                if len(found) >= count:
                    return found[count - 1]
                self._changed.clear()
                await self._changed.wait()


@dataclass
class Asked:
    """A request that reached the customer."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str]
    signed: bool


@dataclass
class Customer:
    """The customer's web server: answers by path, checks signatures with the SDK's validator."""

    url: str = ""
    seen: Seen = field(default_factory=Seen)
    answers: dict[str, list[Any]] = field(default_factory=dict)

    def says(self, path: str, *answers: Any) -> None:
        """Answer `path` with TwiML, a status, or a Response; the last one again and again."""
        self.answers[path] = list(answers)

    async def handle(self, request: Request) -> Response:
        body = (await request.body()).decode()
        form = dict(parse_qsl(body, keep_blank_values=True))
        query = request.url.query
        url = self.url + request.url.path + (f"?{query}" if query else "")
        signature = request.headers.get("x-twilio-signature", "")
        signed = RequestValidator(TOKEN).validate(url, form, signature)
        self.seen.add(
            Asked(
                request.method,
                request.url.path,
                dict(request.query_params),
                form,
                dict(request.headers),
                signed,
            )
        )
        waiting = self.answers.get(request.url.path, [204])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if asyncio.iscoroutinefunction(answer):
            answer = await answer()
        if isinstance(answer, str):
            return Response(answer, media_type="application/xml")
        return Response(status_code=answer) if isinstance(answer, int) else answer

    async def asked(self, path: str, count: int = 1) -> Asked:
        """Wait for a request to `path`."""
        return await self.seen.wait(lambda item: item.path == path, count)

    async def status(self, status: str) -> Asked:
        """Wait for a status callback."""
        return await self.seen.wait(
            lambda item: item.path == "/status" and item.form["CallStatus"] == status
        )

    def paths(self) -> list[str]:
        return [item.path for item in self.seen.items]


@dataclass
class Socket:
    """One stream that reached the bot."""

    connection: ServerConnection
    path: str
    headers: dict[str, str]
    seen: Seen = field(default_factory=Seen)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    sid: str = ""

    async def event(self, name: str, count: int = 1) -> dict[str, Any]:
        return await self.seen.wait(lambda item: item["event"] == name, count)

    async def send(self, event: str, **more: Any) -> None:
        message = {"event": event, "streamSid": self.sid, **more}
        await self.connection.send(json.dumps(message))

    async def play(self, mulaw: bytes) -> None:
        await self.send("media", media={"payload": base64.b64encode(mulaw).decode()})

    async def mark(self, name: str) -> None:
        await self.send("mark", mark={"name": name})


@dataclass
class Bot:
    """The customer's media-stream server."""

    url: str = ""
    sockets: Seen = field(default_factory=Seen)

    async def handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        headers = {name.lower(): value for name, value in connection.request.headers.raw_items()}
        here = Socket(connection, connection.request.path, headers)
        self.sockets.add(here)
        with suppress(ConnectionClosed):
            async for text in connection:
                message = json.loads(text)
                if message["event"] == "start":
                    here.sid = message["streamSid"]
                here.seen.add(message)
        here.closed.set()

    async def socket(self, count: int = 1) -> Socket:
        """Wait for a stream that has started."""
        found: Socket = await self.sockets.wait(lambda _: True, count)
        await found.event("start")
        return found


@dataclass
class Carrier:
    """The carrier under test, and the SDK's client for it."""

    url: str
    data: Path
    client: Client
    people: dict[str, Somebody]
    app: Starlette

    async def call(self, **options: Any) -> Any:
        """calls.create with the SDK."""
        given = {"to": ANYONE, "from_": CALLER, **options}
        return await asyncio.to_thread(lambda: self.client.calls.create(**given))

    async def refused(self, **options: Any) -> TwilioRestException:
        """The error of a calls.create that must fail."""
        with pytest.raises(TwilioRestException) as caught:
            await self.call(**options)
        return caught.value

    async def sdk(self, work: Callable[[Client], Any]) -> Any:
        """Anything else with the SDK."""
        return await asyncio.to_thread(work, self.client)

    def ledger(self) -> dict[str, Any]:
        content: dict[str, Any] = self.app.state.exchange.ledger.content()
        return content

    def entry(self, sid: str) -> dict[str, Any]:
        return next(call for call in self.ledger()["calls"] if call["sid"] == sid)

    def without_sound(self) -> None:
        """What the carrier says takes no time."""
        self.change(audio=False)

    def change(self, **values: Any) -> None:
        """POST /sandbox/settings, without the request."""
        exchange = self.app.state.exchange
        exchange.settings = exchange.settings.changed(values)

    async def quiet(self) -> None:
        """Wait until no call lives and no callback is on its way."""
        exchange = self.app.state.exchange
        network = exchange.network
        await until(lambda: not (exchange.live_calls or network.callbacks_pending), PATIENCE)

    async def over(self, sid: str) -> dict[str, Any]:
        """Wait for the end of a call; its ledger entry."""
        await until(lambda: self.entry(sid)["ended_at"] is not None, PATIENCE, "the call is over")
        return self.entry(sid)


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
