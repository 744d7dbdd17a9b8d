"""Each fault of a provider at each moment of a call: it goes on, or it ends in words.

The same short call throughout: the greeting, "yes", the outcome recorded, a goodbye. The faults are
the sandbox's own, for this call's API key alone, so that many calls go on side by side.
"""

import asyncio
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from calls import Record, closed_record, make_call, socket_url
from conftest import RunningPod
from media_line import LOUD, MediaLine, open_line
from outdial.settings import Settings
from outdial_media import loop_lag
from outdial_sandbox.people.behaviour import Behaviour, Frame, HangUp, MachineFacts, Utterance
from outdial_sandbox.people.talker import AfterBot, Move, Talker
from polling import until
from starved import Stretch

pytestmark = pytest.mark.integration

APOLOGY = "I'm sorry, I have a technical problem. I will try again later. Goodbye."
GREETING = "Hello Ann, this is Ada. Can you come on Monday at ten?"
FAREWELL = "Thank you. Goodbye."
LONGEST_SILENCE = 3.0


@dataclass
class Fault:
    """Faults set at a moment of the call, and what must come of them."""

    name: str
    faults: Mapping[str, float] = field(default_factory=dict)  # shares, for all that follows
    next: Mapping[str, int] = field(default_factory=dict)  # how many of those that come next
    moment: str = "answer"  # prepare | answer: while the greeting is heard
    ends: str = "recorded"  # recorded | apology | farewell: recorded, and no voice for the end
    replaced: str = ""  # whose work was done by another
    template: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Called:
    """A call that is over."""

    record: Record
    line: MediaLine
    silence: Stretch  # the longest
    wall: float  # the longest on the wall: on an idle machine the same
    injected: Mapping[str, int]

    def kinds(self, provider: str) -> list[str]:
        """What the record says about a provider."""
        return [
            event.kind
            for event in self.record.events
            if event.kind.startswith("provider_") and event.payload["provider"] == provider
        ]


class Listening:
    """A person whose waiting is measured: silence on their line after the last sound of anybody.

    Without the time for which this machine did not let the call go on (`starved.py`).
    """

    machine: MachineFacts | None = None

    def __init__(self, person: Behaviour) -> None:
        self.person = person
        self.utterances: list[Utterance] = []
        self.silences: list[Stretch] = []
        self._quiet: Stretch | None = None

    def frame(self, heard: Frame) -> Frame | HangUp:
        """One frame each way."""
        said = self.person.frame(heard)
        loud = bool(len(heard)) and abs(int(heard.max())) > LOUD
        speaks = not isinstance(said, HangUp) and int(said.max()) > 10 * LOUD
        if loud or speaks:
            self.over()
        elif self._quiet is None:
            self._quiet = Stretch.begin()
        return said

    def over(self) -> None:
        """Somebody is heard, or the call has ended."""
        if self._quiet is not None:
            self.silences.append(self._quiet.ended())
            self._quiet = None

    @property
    def longest(self) -> Stretch:
        """The longest silence."""
        return max(self.silences, key=lambda stretch: stretch.seconds)


SECOND_MODEL = {"voice": {"second_llm": "llama-3.3-70b-versatile"}}
SECOND_VOICE = {"voice": {"second_tts": "aura-2-apollo-en"}}
MODEL_ONCE = [
    Fault(f"{kind} at the first token", next={kind: 1}, replaced="thinking", template=SECOND_MODEL)
    for kind in ("model_429", "model_500", "model_refused", "model_slow", "model_hang")
]
MODEL_LATER = [
    Fault(f"{kind} in the middle", next={kind: 1}, replaced="thinking")
    for kind in ("model_cut", "model_hang_in_stream")
]
MODEL_TOOL = [
    Fault(f"{kind} at the tool call", next={kind: 1}, replaced="thinking")
    for kind in ("model_tool_use_failed", "model_bad_arguments")
]
MODEL_GONE = [
    Fault("the model refuses for good", faults={"model_429": 1}, ends="apology"),
    Fault("the model hangs for good", faults={"model_hang": 1}, ends="apology"),
    Fault("the model cannot call tools", faults={"model_tool_use_failed": 1}, ends="apology"),
]
LISTEN = [
    Fault("listening is cut as the person speaks", next={"listen_cut": 1}, replaced="hearing"),
    Fault(
        "it is cut, and twice refuses to listen again",
        next={"listen_cut": 1, "listen_429": 1, "listen_refused": 1},
        replaced="hearing",
    ),
    Fault("listening hangs as the person speaks", next={"listen_hang": 1}, replaced="hearing"),
    Fault("transcripts are slow", next={"listen_slow": 1}),
    Fault(
        "listening is refused as the call is prepared",
        next={"listen_500": 1},
        moment="prepare",
        replaced="hearing",
    ),
    Fault(
        "the handshake stalls as the call is prepared",
        next={"listen_stalled": 1},
        moment="prepare",
        replaced="hearing",
    ),
    Fault("nobody listens", faults={"listen_refused": 1}, moment="prepare", ends="apology"),
    Fault("nobody listens any more", faults={"listen_hang": 1}, ends="apology"),
]
SPEAK = [
    Fault("a reply has no sound", next={"speak_hang": 1}, replaced="speaking"),
    Fault("a reply's sound is late", next={"speak_slow": 1}, replaced="speaking"),
    Fault("a reply stops in the middle", next={"speak_cut": 1}, replaced="speaking"),
    Fault(
        "it stops, another voice ends it",
        next={"speak_cut": 2},
        replaced="speaking",
        template=SECOND_VOICE,
    ),
    Fault(
        "the voice is refused as the call is prepared",
        next={"speak_429": 12},  # seven ask at once, six of them once more
        moment="prepare",
        replaced="speaking",
    ),
    Fault("nobody speaks any more", faults={"speak_hang": 1}, ends="farewell"),
    Fault(
        "nobody speaks or thinks any more",
        faults={"speak_429": 1, "speak_cut": 1, "model_500": 1},
        ends="apology",
    ),
]
EVERY = [*MODEL_ONCE, *MODEL_LATER, *MODEL_TOOL, *MODEL_GONE, *LISTEN, *SPEAK]


async def set_faults(providers: str, key: str, fault: Fault) -> Mapping[str, int]:
    async with httpx.AsyncClient() as http:
        body = {"key": key, "faults": dict(fault.faults), "next": dict(fault.next)}
        answer = await http.post(f"{providers}/sandbox/settings", json=body)
        answer.raise_for_status()
        injected: Mapping[str, int] = answer.json()["injected"]
        return injected


async def call(pod: RunningPod, providers: str, fault: Fault, key: str) -> Called:
    """One whole call of a person who says yes, with the fault at its moment."""
    # Whoever is asked whether they are there says it again; else a filler would be talked over.
    moves = [Move(AfterBot(1.2), say="confirm")] * (4 if fault.ends == "apology" else 1)
    person = Listening(Talker("confirms", tuple(moves), patience=None).start(3))
    if fault.moment == "prepare":
        await set_faults(providers, key, fault)
    called = await make_call(pod.runtime, **fault.template)
    url = socket_url(pod.runtime, called, pod.pod.boot_id)
    services = pod.pod._kit.services
    async with open_line(url, person) as line:
        async with asyncio.timeout(90):
            await line.agent_was_heard.wait()
            if fault.moment == "answer":
                await until(lambda: not services.being_made)
                await set_faults(providers, key, fault)
            await line.closed.wait()
    person.over()
    record = await closed_record(pod.runtime, called.attempt_id)
    injected = await set_faults(providers, key, Fault("none"))
    wall = max(silence.wall for silence in person.silences)
    return Called(record, line, person.longest, wall, injected)


def with_key(settings: Settings, key: str) -> Settings:
    """Settings of a pod of its own, whose faults are its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return settings.model_copy(
        update={
            "deepgram_api_key": SecretStr(key),
            "groq_api_key": SecretStr(key),
            "port": port,
            "pod_id": key,
            "pod_public_url": f"ws://127.0.0.1:{port}/pods/{key}",
        }
    )


def problems_of(fault: Fault, called: Called) -> Iterator[str]:
    """What is not as it should be after this fault."""
    record = called.record
    if not called.injected and not fault.faults:
        yield "it never befell"
    if not record.turns or not GREETING.startswith(record.turns[0].text):
        yield f"the greeting was {record.turns[0].text if record.turns else None!r}"
    if called.silence.seconds > LONGEST_SILENCE:
        yield f"the person waited in silence for {called.silence}"
    ends = {
        "recorded": problems_of_outcome,
        "apology": problems_of_apology,
        "farewell": problems_of_farewell,
    }
    yield from ends[fault.ends](fault, called)


def problems_of_apology(_fault: Fault, called: Called) -> Iterator[str]:
    """Nobody does the work: the call ends in words, and its facts say why."""
    record = called.record
    closing = record.payload("conversation_closed")
    if (closing["ended_by"], closing["reason"]) != ("system", "provider_failed"):
        yield f"it ended by {closing}"
    said = [turn.text for turn in record.turns if turn.role == "agent"]
    if said[-1] != APOLOGY:
        yield f"its last words were {said[-1]!r}"
    if record.event("provider_failed") is None:
        yield "no fact says why"


def problems_of_farewell(_fault: Fault, called: Called) -> Iterator[str]:
    """The result is recorded, and the voice is lost: what was agreed stands, and nothing else."""
    record = called.record
    closing = record.payload("conversation_closed")
    if (closing["ended_by"], closing["reason"]) != ("agent", "agent_ended"):
        yield f"it ended by {closing}"
    if [tool.name for tool in record.tools] != ["record_outcome", "end_call"]:
        yield f"tools were {[tool.name for tool in record.tools]}"
    fillers = [turn for turn in record.turns if (turn.raw or {}).get("filler")]
    said = [t.text for t in record.turns if t.role == "agent" and t not in fillers]
    if said != [GREETING, FAREWELL]:
        yield f"heard were {said}: what had no sound is no part of it"
    if record.event("provider_failed") is None:
        yield "no fact says why"


def problems_of_outcome(fault: Fault, called: Called) -> Iterator[str]:
    """Another one does the work: the call ends as if nothing had been, and its facts tell."""
    record = called.record
    closing = record.payload("conversation_closed")
    recorded = [tool for tool in record.tools if tool.name == "record_outcome"]
    if [tool.arguments.get("status") for tool in recorded] != ["confirmed"]:
        yield f"recorded were {[tool.arguments for tool in recorded]}"
    if closing["reason"] == "provider_failed":
        yield f"it was given up: {record.payload('provider_failed')}"
    if "appointment is confirmed" not in record.said("agent"):
        yield f"the agent said {record.said('agent')!r}"
    if fault.replaced and called.kinds(fault.replaced) != ["provider_replaced"] * len(
        called.kinds(fault.replaced)
    ):
        yield "a provider failed for good"
    if fault.replaced and not called.kinds(fault.replaced):
        yield f"no fact tells that {fault.replaced} was replaced"


@pytest.fixture(autouse=True)
def _admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pods in a process that tests share are late together; here they take their call."""
    monkeypatch.setattr(loop_lag, "CLOSE_SECONDS", 60.0)


async def problems_with(
    faults: list[Fault],
    start_pod: Callable[[Settings], asyncio.Future[RunningPod]],
    settings: Settings,
    providers: str,
) -> list[str]:
    """One call for each fault, side by side; what was not as it should be."""
    keys = [uuid.uuid4().hex for _ in faults]
    pods = [await start_pod(with_key(settings, key)) for key in keys]
    calls = await asyncio.gather(
        *(call(pod, providers, f, key) for pod, f, key in zip(pods, faults, keys, strict=True))
    )
    for fault, called in zip(faults, calls, strict=True):
        print(f"{fault.name}: longest silence {called.silence}, at most {called.wall:.2f} on it")
    return [
        f"{fault.name}: {problem}"
        for fault, called in zip(faults, calls, strict=True)
        for problem in problems_of(fault, called)
    ]


def named(*names: str) -> list[Fault]:
    return [fault for fault in EVERY if fault.name in names]


BY_PROVIDER = {
    "model": named(
        "model_429 at the first token",
        "model_bad_arguments at the tool call",
        "the model hangs for good",
    ),
    "listen": named(
        "it is cut, and twice refuses to listen again",
        "listening hangs as the person speaks",
        "nobody listens",
    ),
    "speak": named(
        "a reply has no sound",
        "a reply stops in the middle",
        "nobody speaks or thinks any more",
    ),
}


@pytest.mark.parametrize("provider", BY_PROVIDER)
async def test_a_call_goes_on_or_ends_in_words(
    start_pod: Callable[[Settings], asyncio.Future[RunningPod]],
    media_settings: Settings,
    providers: str,
    provider: str,
) -> None:
    problems = await problems_with(BY_PROVIDER[provider], start_pod, media_settings, providers)
    assert not problems, "\n".join(problems)


@pytest.mark.chaos
@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", range(0, len(EVERY), 3), ids=lambda at: EVERY[at].name)
async def test_every_fault_at_every_moment(
    start_pod: Callable[[Settings], asyncio.Future[RunningPod]],
    media_settings: Settings,
    providers: str,
    at: int,
) -> None:
    problems = await problems_with(EVERY[at : at + 3], start_pod, media_settings, providers)
    assert not problems, "\n".join(problems)
