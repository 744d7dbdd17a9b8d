"""Callers on media streams: they speak real speech at a 20 ms pace and measure what they hear.

`python media_callers.py` reads jobs from stdin, a line each (a number and a `Job`), and answers
each with a line of JSON when it is done. All times are monotonic seconds, which processes of one
machine share.
"""

import asyncio
import audioop
import base64
import json
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import uvloop

from media_speech import (
    AGENT_VOICE,
    CALLER_VOICE,
    FRAME_SECONDS,
    GREETING,
    LOUD,
    REPLY,
    Label,
    frames_of,
    spoken,
)
from media_wire import PING, TEXT, Wire
from turns_script import SCRIPT, ScriptedTurn

UNDERRUN = 0.02
"""A gap of more than this in the middle of what the bot says is heard."""

WHOLE = 0.96
"""The share of what was to be said that counts as all of it: bots drop or pad the last bit."""

MANNERS = 0.5  # between the bot's last sound and a caller's first
PATIENCE = 8.0  # how long a caller waits for a reply
STILL = 4.0
"""How long after the bot's last sound a caller says nothing at most: by default a template asks
after five seconds whether anybody is there, rightly."""
OVER_AFTER = 1.2  # how far into the bot's words a caller speaks over them
BEFORE_END = 0.7  # how long before their end an early answer comes
FALLEN_SILENT = 1.5
SAID_TWICE = 1.0
"""A bot that goes on may say so much again; one that answers says a whole reply."""

_RATE = 8000


@dataclass(frozen=True)
class Job:
    """Calls to make: number n begins n times `stagger` later and, with `script`, says those turns.

    Without, it says sentences until `seconds` after the last one began. `probe`: the first caller
    pings its socket at this pace (seconds; 0: not at all), and what the pongs say about the bot's
    event loop is returned. `brief`: speak into the greeting, hear the reply begin, hang up.
    """

    urls: list[str]
    first_call: int = 0
    stagger: float = 0.1
    seconds: float = 0.0
    script: list[int] = field(default_factory=list)
    probe: float = 0.0
    brief: bool = False


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


@lru_cache(maxsize=512)
def _payloads(text: str) -> tuple[str, ...]:
    """The frames of a caller's words, as Twilio writes them."""
    return tuple(_payload(pcm) for pcm in frames_of(spoken(text, CALLER_VOICE)))


def _payload(pcm: bytes) -> str:
    return base64.b64encode(audioop.lin2ulaw(pcm, 2)).decode()


@lru_cache(maxsize=1)
def _noise() -> tuple[str, ...]:
    """0.4 s of a door: noise that swells and fades, as loud as quiet speech."""
    shape = np.hanning(int(0.4 * _RATE))
    sound = np.random.default_rng(7).normal(0, 1200, len(shape)) * shape
    return tuple(_payload(pcm) for pcm in frames_of(sound.astype(np.int16).tobytes()))


@lru_cache(maxsize=8)
def _seconds(text: str) -> float:
    """How long the bot takes to say it: sentences are spoken one by one."""
    parts = [part if part[-1] in "?." else part + "." for part in text.split(". ")]
    return sum(len(spoken(part, AGENT_VOICE)) for part in parts) / (2 * _RATE)


@lru_cache(maxsize=1)
def _quiet() -> tuple[str, ...]:
    """A second of what a quiet line sounds like: noise at -60 dB of full scale."""
    sound = np.random.default_rng(3).normal(0, 33, _RATE)
    return tuple(_payload(pcm) for pcm in frames_of(sound.astype(np.int16).tobytes()))


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
        self._expected = _seconds(GREETING)
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
        payload, then = self._out.popleft() if self._out else (_quiet()[n % 50], None)
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

        pieces = [_payloads(text) for text in scripted.pieces] or [_noise()]
        for index, frames in enumerate(pieces):
            if index:
                pause = round(scripted.gap / FRAME_SECONDS)
                self._out.extend((_quiet()[n % 50], None) for n in range(pause))
            label = Label(self.record.call, turn, index)
            self._out.append((_payload(label.frame()), None))
            self._out.append((frames[0], first))
            self._out.extend((payload, None) for payload in frames[1:-1])
            self._out.append((frames[-1], last if index == len(pieces) - 1 else None))
        await _first(over, self.gone.wait())

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
        seconds = len(ulaw) / _RATE
        self._plays_until = max(self._plays_until, now) + seconds
        self._got += seconds
        self.received += seconds
        self._moved.set()

    def expect(self, text: str) -> None:
        """The next sound of the bot's begins this."""
        self._expected, self._got = _seconds(text), 0.0

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

    async def bot_falls_silent(self, patience: float = 2 * PATIENCE) -> None:
        """Wait until nothing has been heard of it for a while."""
        deadline = time.monotonic() + patience
        while not self.gone.is_set() and (now := time.monotonic()) < deadline:
            if (left := self._plays_until + FALLEN_SILENT - now) <= 0:
                return
            await _first(self.gone.wait(), asyncio.sleep(left))

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
            await _first(self._moved.wait(), asyncio.sleep(max(0.02, left)))
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


async def _first(*waits: Any) -> None:
    """Wait for one of them."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
    finally:
        for task in tasks:
            task.cancel()


async def converse(caller: Caller, turns: Callable[[int], int | None]) -> None:
    """Hear the greeting, then take turns until there is none left."""
    await caller.bot_is_done()
    count = 0
    while (turn := turns(count)) is not None and not caller.gone.is_set():
        await asyncio.sleep(MANNERS)
        done = await take_turn(caller, turn)
        caller.record.turns.append(done)
        count += 1


async def be_brief(caller: Caller) -> None:
    """A whole exchange in as little time as one takes."""
    while caller.record.first_audio is None and not caller.gone.is_set():
        caller._moved.clear()
        await _first(caller._moved.wait(), asyncio.sleep(PATIENCE))
    heard = asyncio.Event()
    done = Spoken(0, "sentence", Label(caller.record.call, 0).text)

    def reply(now: float) -> None:
        done.heard = now
        heard.set()

    await caller.say(0, SCRIPT[0], done)
    caller.expect(REPLY)
    caller.on_bot = reply
    await _first(heard.wait(), asyncio.sleep(PATIENCE), caller.gone.wait())
    caller.record.turns.append(done)


async def take_turn(caller: Caller, turn: int) -> Spoken:
    """One scripted turn and what the bot makes of it."""
    scripted = SCRIPT[turn]
    done = Spoken(turn, scripted.kind, Label(caller.record.call, turn).text)
    if scripted.over:
        await _speak_over(caller, turn, scripted, done)
        return done

    def heard(now: float) -> None:
        done.heard = now
        done.cut_in = not done.said or now < done.said

    caller.expect(REPLY)
    caller.on_bot = heard
    if scripted.kind == "silence":
        await _be_still(caller)
    else:
        await caller.say(turn, scripted, done)
        if scripted.kind == "noise":
            await _be_still(caller)
    if scripted.pieces or done.heard is not None:
        done.finished = await caller.bot_is_done()
    return done


async def _be_still(caller: Caller) -> None:
    await asyncio.sleep(max(0.0, caller.plays_until + STILL - time.monotonic()))


async def _speak_over(caller: Caller, turn: int, scripted: ScriptedTurn, done: Spoken) -> None:
    """Get the bot to talk, speak over it, and see what it does."""
    spoke = asyncio.Event()
    caller.expect(REPLY)
    caller.on_bot = lambda _: spoke.set()
    await caller.say(0, SCRIPT[0], Spoken(0, "sentence", ""))
    await _first(spoke.wait(), asyncio.sleep(PATIENCE), caller.gone.wait())
    wait = max(OVER_AFTER, caller.left - BEFORE_END) if scripted.at_the_end else OVER_AFTER
    await asyncio.sleep(wait)
    expected = 0.0

    def cut(now: float) -> None:
        nonlocal expected
        if done.stopped is None and done.began and not caller.is_whole:
            done.stopped = now
            expected = caller.received + caller.left

    def again(now: float) -> None:
        if done.stopped is not None and done.went_on is None:
            done.went_on = now

    caller.on_cut, caller.on_again = cut, again
    await caller.say(turn, scripted, done)
    if scripted.kind in {"interruption", "early_answer"}:
        await _be_answered(caller, done)
    else:
        await caller.bot_falls_silent()
        done.finished = caller.is_whole
        if done.stopped is not None:
            more = caller.received - expected
            done.finished = abs(more) <= SAID_TWICE and done.went_on is not None
        if done.stopped is not None and done.went_on is None:
            await _be_answered(caller, done)  # some take their time
            done.finished = False
    caller.on_cut = caller.on_again = lambda _: None


async def _be_answered(caller: Caller, done: Spoken) -> None:
    if done.stopped is None and not caller.is_whole:
        done.stopped = caller.plays_until  # it fell silent without taking anything back
    answered = asyncio.Event()
    caller.expect(REPLY)

    def heard(now: float) -> None:
        done.heard = now
        answered.set()

    caller.on_bot = heard
    await _first(answered.wait(), asyncio.sleep(PATIENCE / 2), caller.gone.wait())
    done.finished = done.heard is not None and await caller.bot_is_done()


async def run(job: Job) -> dict[str, Any]:
    """Make the calls of a job."""
    late: list[float] = []
    pings: list[tuple[float, float]] = []
    last_start = time.monotonic() + job.stagger * (len(job.urls) - 1)
    until = last_start + job.seconds

    def turns(count: int) -> int | None:
        if job.script:
            return job.script[count] if count < len(job.script) else None
        return count if time.monotonic() < until else None

    async def one(index: int, url: str) -> CallRecord:
        record = CallRecord(job.first_call + index)
        await asyncio.sleep(index * job.stagger)
        caller = Caller(record, late)
        pinging: asyncio.Task[None] | None = None
        try:
            await caller.open(url)
            caller.begin()
            if job.probe and not index:
                pinging = asyncio.create_task(caller.ping(pings, job.probe))
            await (be_brief(caller) if job.brief else converse(caller, turns))
            if caller.gone.is_set():
                record.error = "the bot hung up"
            caller.end()
        except (OSError, TimeoutError) as error:
            record.error = repr(error)
        finally:
            if pinging is not None:
                pinging.cancel()
        return record

    records = await asyncio.gather(*(one(i, url) for i, url in enumerate(job.urls)))
    late.sort()
    return {
        "calls": [asdict(record) for record in records],
        "late_ms": {
            share: round(1000 * late[int(len(late) * quantile)], 2) if late else 0.0
            for share, quantile in (("p50", 0.5), ("p99", 0.99))
        },
        "pings": pings,
    }


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    jobs: set[asyncio.Task[None]] = set()

    async def do(number: int, job: Job) -> None:
        sys.stdout.write(json.dumps([number, await run(job)]) + "\n")
        sys.stdout.flush()

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        number, job = json.loads(line)
        task = asyncio.create_task(do(number, Job(**job)))
        jobs.add(task)
        task.add_done_callback(jobs.discard)


if __name__ == "__main__":
    for scripted in SCRIPT:
        for text in scripted.pieces:
            _payloads(text)
    _seconds(GREETING), _seconds(REPLY), _noise()
    uvloop.run(_serve())
