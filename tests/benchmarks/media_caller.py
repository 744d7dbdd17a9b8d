"""A caller on a media stream: speaks real speech at a 20 ms pace and measures what is heard.

All times are monotonic seconds, which processes of one machine share.
"""

import asyncio
import audioop
import base64
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from media_sounds import RATE, bot_seconds, noise, payload_of, payloads, quiet
from media_speech import FRAME_SECONDS, GREETING, LOUD, Label
from media_wire import PING, TEXT, Wire
from turns_script import ScriptedTurn

UNDERRUN = 0.02
"""A gap of more than this in the middle of what the bot says is heard."""

WHOLE = 0.96
"""The share of what was to be said that counts as all of it: bots drop or pad the last bit."""

PATIENCE = 8.0  # how long a caller waits for a reply
FALLEN_SILENT = 1.5


@dataclass
class Spoken:
    """One turn of a caller's, as it went."""

    turn: int
    kind: str
    label: str
    began: float = 0.0  # the first audible frame of what the turn is about
    said: float = 0.0  # the last one
    heard: float | None = None  # the bot's first audible sound of the reply
    stopped: float | None = None  # the bot stopped in mid-sentence
    went_on: float | None = None  # and was heard again, with the rest of it (`over`)
    finished: bool = True  # all that the bot was saying, or replied, was heard (`over`)
    cut_in: bool = False


@dataclass
class CallRecord:
    """What one caller measured."""

    call: int
    started: float = 0.0  # `start` was sent
    first_audio: float | None = None
    ended: float = 0.0
    turns: list[Spoken] = field(default_factory=list)
    underruns: list[float] = field(default_factory=list)
    error: str = ""


class Caller(Wire):
    """One call."""

    late: list[float]  # how late frames were sent, of all callers

    def __init__(self, record: CallRecord, late: list[float]) -> None:
        super().__init__(client=True)
        self.record = record
        self.late = late
        self.gone = asyncio.Event()
        self._sid = "MZ" + uuid.uuid4().hex
        self._out: deque[tuple[str, Callable[[float], None] | None]] = deque()
        self._number = 0
        self._due = 0.0
        # What the bot says, as its carrier would play it.
        self._plays_until = 0.0
        self._expected = bot_seconds(GREETING)
        self._got = 0.0  # seconds of the present reply
        self.on_bot: Callable[[float], None] = lambda _: None
        """The bot was heard after silence."""
        self.on_cut: Callable[[float], None] = lambda _: None
        """The bot took back what was not yet played."""
        self.on_again: Callable[[float], None] = lambda _: None
        """The first sound after that."""
        self._taken_back = False
        self.received = 0.0
        """Seconds of sound that were played, or will be."""
        self._moved = asyncio.Event()

    def begin(self) -> None:
        """Say `start` and send sound from now on."""
        start = {
            "accountSid": "AC" + "0" * 32,
            "streamSid": self._sid,
            "callSid": f"CA{self.record.call:032d}",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {},
        }
        self._tell({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._tell({"event": "start", "sequenceNumber": "1", "start": start})
        self.record.started = self._due = time.monotonic()
        self.on_bot = self._heard_first
        self._tick()

    def end(self) -> None:
        """Hang up."""
        self._tell({"event": "stop", "sequenceNumber": "0", "stop": {"accountSid": "AC"}})
        self.record.ended = time.monotonic()
        self.close()

    def on_close(self) -> None:
        self.gone.set()
        self._moved.set()
        self.record.ended = self.record.ended or time.monotonic()

    def _heard_first(self, now: float) -> None:
        if self.record.first_audio is None:
            self.record.first_audio = now

    # What is said.

    def _tick(self) -> None:
        if self.transport is None:
            return
        now = time.monotonic()
        self.late.append(now - self._due)
        self._number += 1
        n = self._number
        payload, then = self._out.popleft() if self._out else (quiet()[n % 50], None)
        self.send(
            TEXT,
            f'{{"event":"media","sequenceNumber":"{n}","media":{{"track":"inbound","chunk":"{n}",'
            f'"timestamp":"{20 * n}","payload":"{payload}"}},"streamSid":"{self._sid}"}}',
        )
        if then is not None:
            then(now)
        self._due += FRAME_SECONDS
        wait = max(0.0, self._due - time.monotonic())
        asyncio.get_running_loop().call_later(wait, self._tick)

    async def say(self, turn: int, scripted: ScriptedTurn, done: Spoken) -> None:
        """All pieces of a turn; returns when the last frame was sent."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def first(now: float) -> None:
            done.began = done.began or now

        def last(now: float) -> None:
            done.said = now
            if not over.done():
                over.set_result(None)

        pieces = [payloads(text) for text in scripted.pieces] or [noise()]
        for index, frames in enumerate(pieces):
            if index:
                pause = round(scripted.gap / FRAME_SECONDS)
                self._out.extend((quiet()[n % 50], None) for n in range(pause))
            label = Label(self.record.call, turn, index)
            self._out.append((payload_of(label.frame()), None))
            self._out.append((frames[0], first))
            self._out.extend((payload, None) for payload in frames[1:-1])
            self._out.append((frames[-1], last if index == len(pieces) - 1 else None))
        await first_of(over, self.gone.wait())

    # What is heard.

    def on_message(self, opcode: int, payload: bytes) -> None:
        message = json.loads(payload)
        now = time.monotonic()
        match message["event"]:
            case "media":
                self._hear(base64.b64decode(message["media"]["payload"]), now)
            case "mark":
                name = message["mark"]["name"]
                wait = max(0.0, self._plays_until - now)
                asyncio.get_running_loop().call_later(wait, self._echo, name)
            case "clear":
                unplayed = max(0.0, self._plays_until - now)
                self._got = max(0.0, self._got - unplayed)
                self.received -= unplayed
                self._plays_until -= unplayed
                self._taken_back = True
                self.on_cut(now)
                self._moved.set()

    def _echo(self, name: str) -> None:
        self._tell({"event": "mark", "mark": {"name": name}})

    def _hear(self, ulaw: bytes, now: float) -> None:
        if not self._got:
            if audioop.max(audioop.ulaw2lin(ulaw, 2), 2) <= LOUD:
                return  # silence before the words
            self._plays_until = now
            self.on_bot(now)
        elif self._taken_back:
            self.on_again(now)
        elif now > self._plays_until + UNDERRUN and self._got < WHOLE * self._expected:
            self.record.underruns.append(now)
        self._taken_back = False
        seconds = len(ulaw) / RATE
        self._plays_until = max(self._plays_until, now) + seconds
        self._got += seconds
        self.received += seconds
        self._moved.set()

    def expect(self, text: str) -> None:
        """The next sound of the bot's begins this."""
        self._expected, self._got = bot_seconds(text), 0.0

    @property
    def is_whole(self) -> bool:
        """Whether the bot has sent all that it is to say."""
        return self._got >= WHOLE * self._expected

    @property
    def plays_until(self) -> float:
        """When what was sent so far will have been played."""
        return self._plays_until

    @property
    def left(self) -> float:
        """Seconds of what it is to say that have not come."""
        return self._expected - self._got

    async def bot_begins(self) -> None:
        """Wait until its first sound was heard, or it is gone."""
        while self.record.first_audio is None and not self.gone.is_set():
            self._moved.clear()
            await first_of(self._moved.wait(), asyncio.sleep(PATIENCE))

    async def bot_falls_silent(self, patience: float = 2 * PATIENCE) -> None:
        """Wait until nothing has been heard of it for a while."""
        deadline = time.monotonic() + patience
        while not self.gone.is_set() and (now := time.monotonic()) < deadline:
            if (left := self._plays_until + FALLEN_SILENT - now) <= 0:
                return
            await first_of(self.gone.wait(), asyncio.sleep(left))

    async def bot_is_done(self, patience: float = PATIENCE) -> bool:
        """Wait until it has said all and it has been played; False if it stops before."""
        deadline = time.monotonic() + patience
        while not self.gone.is_set():
            now = time.monotonic()
            if self.is_whole and now >= self._plays_until:
                return True
            if now >= max(deadline, self._plays_until + patience / 4):
                return False
            self._moved.clear()
            left = self._plays_until - now if self.is_whole else 0.5
            await first_of(self._moved.wait(), asyncio.sleep(max(0.02, left)))
        return False

    async def ping(self, out: list[tuple[float, float]], pace: float) -> None:
        """Ask the bot's event loop how it is, until cancelled: (sent at, seconds to the pong)."""

        def pong(payload: bytes) -> None:
            sent = float(payload.decode())
            out.append((sent, time.monotonic() - sent))

        self.on_pong = pong
        while not self.gone.is_set():
            self.send(PING, f"{time.monotonic():.6f}")
            await asyncio.sleep(pace)

    def _tell(self, message: Mapping[str, Any]) -> None:
        self.send(TEXT, json.dumps({"streamSid": self._sid, **message}))


async def first_of(*waits: Any) -> None:
    """Wait for one of them."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
    finally:
        for task in tasks:
            task.cancel()
