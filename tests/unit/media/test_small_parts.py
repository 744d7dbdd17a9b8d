"""Parts of a pod that are easier to see alone: writer, silence, errors, instructions, clients."""

import asyncio
import uuid
from typing import Any

import pytest
from pipecat.audio.vad.vad_analyzer import VADState
from sqlalchemy.exc import OperationalError

from outdial.domain.call_template import Agent, CallTemplate, Turns
from outdial.domain.phrases import phrases_for
from outdial.operations.conversation_record import (
    ConversationBrief,
    EarlierToolCall,
    SpokenTurn,
)
from outdial.settings import Settings
from outdial_media import background_writer, machine
from outdial_media.background_writer import BackgroundWriter
from outdial_media.instructions import earlier_messages, system_instruction
from outdial_media.machine import SilenceWatch, wait_for_its_end
from outdial_media.model_route import ModelRoute
from outdial_media.speech_services import SpeechServices

pytestmark = pytest.mark.unit

TEMPLATE = CallTemplate(
    slug="t", agent=Agent(name="A", greeting="Hello {{name}}.", prompt="Talk to {{name}}.")
)


def _brief(**more: Any) -> ConversationBrief:
    values = {"name": "Ann"}
    return ConversationBrief(uuid.UUID(int=1), 1, "+12025550100", TEMPLATE, values, **more)


async def test_writes_happen_in_order_and_all_before_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background_writer, "_PAUSE_SECONDS", 0)
    done: list[int] = []
    failing = {2: 3}  # the third write fails three times, as a store does that is away
    writer = BackgroundWriter("test")

    def write(number: int) -> background_writer.Write:
        async def run() -> None:
            await asyncio.sleep(0)
            if failing.get(number, 0):
                failing[number] -= 1
                raise OperationalError("write", {}, OSError("away"))
            done.append(number)

        return run

    for number in range(5):
        writer.add(write(number))
    await writer.drain()
    assert done == [0, 1, 2, 3, 4]


async def test_a_write_that_can_never_succeed_does_not_take_the_others_with_it() -> None:
    done: list[str] = []
    writer = BackgroundWriter("test")

    async def impossible() -> None:
        raise ValueError("not storable")

    async def possible() -> None:
        done.append("possible")

    writer.add(impossible)
    writer.add(possible)
    await writer.drain()
    assert done == ["possible"]


class _Detector:
    def __init__(self) -> None:
        self.state = VADState.QUIET

    def set_sample_rate(self, _rate: int) -> None: ...

    def analyze(self, _pcm: bytes) -> VADState:
        return self.state


def _hear(watch: SilenceWatch, seconds: float) -> None:
    for _ in range(round(seconds * 50)):
        watch.hear(bytes(320))


def test_silence_counts_from_the_last_speech_and_not_before_any() -> None:
    detector = _Detector()
    watch = SilenceWatch(detector, has_spoken=False)  # type: ignore[arg-type]
    _hear(watch, 5)
    assert watch.seconds == 0
    detector.state = VADState.SPEAKING
    _hear(watch, 1)
    detector.state = VADState.QUIET
    _hear(watch, 1.5)
    assert watch.seconds == pytest.approx(1.5)


async def test_the_carriers_verdict_ends_the_wait() -> None:
    watch = SilenceWatch(_Detector(), has_spoken=False)  # type: ignore[arg-type]

    async def verdict() -> str | None:
        return "machine_end_beep"

    async with asyncio.timeout(1):
        await wait_for_its_end(watch, verdict)


async def test_a_start_verdict_does_not_and_patience_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0
    monkeypatch.setattr(machine, "_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(machine, "LONGEST_WAIT_SECONDS", 0.05)

    async def verdict() -> str | None:
        nonlocal asked
        asked += 1
        return "machine_start"

    watch = SilenceWatch(_Detector(), has_spoken=False)  # type: ignore[arg-type]
    await wait_for_its_end(watch, verdict)
    assert asked == 10


def test_the_model_knows_its_goal_its_greeting_and_the_time() -> None:
    text = system_instruction(_brief(), "Monday, 2026-03-09, 10:00")
    assert text.startswith("Talk to Ann.")
    assert "Hello Ann." in text
    assert "Monday, 2026-03-09, 10:00" in text


def test_a_resumed_call_remembers_and_does_not_repeat_tools() -> None:
    brief = _brief(
        history=(SpokenTurn("agent", "Hello Ann."), SpokenTurn("person", "Yes.")),
        tool_history=(EarlierToolCall("record_outcome", {"ok": True}, None),),
    )
    messages = [dict(message) for message in earlier_messages(brief)]  # type: ignore[call-overload]
    assert [m["role"] for m in messages] == ["assistant", "user", "system"]
    assert "outcome unknown" in messages[2]["content"]


def test_every_language_has_words() -> None:
    assert phrases_for("de-DE") != phrases_for("en-US")
    assert phrases_for("xx") == phrases_for("en-US")


@pytest.fixture
def settings() -> Settings:
    return Settings(
        _env_file=None,
        deepgram_api_key="d",
        groq_api_key="g",
        deepgram_base_url="https://deepgram.example",
        groq_base_url="https://groq.example",
    )


async def test_clients_are_made_once_a_process(settings: Settings) -> None:
    services = SpeechServices(settings)
    one, other = services.hearing(TEMPLATE), services.hearing(TEMPLATE)
    assert one._client is other._client is services._deepgram
    route = services.thinking(TEMPLATE, "p")._client
    assert isinstance(route, ModelRoute)
    assert {endpoint.client for endpoint in route._endpoints} == {services.models.groq}
    await services.close()


async def test_addresses_and_models_come_from_settings_and_template(settings: Settings) -> None:
    services = SpeechServices(settings)
    assert str(services.models.groq.base_url) == "https://groq.example/openai/v1/"
    voice = services.speaking(TEMPLATE)
    assert voice._base_url == "wss://deepgram.example"
    assert voice._settings.voice == TEMPLATE.voice.tts
    assert services.hearing(TEMPLATE)._settings.model == TEMPLATE.voice.stt
    assert services.route(TEMPLATE)._endpoints[0].model == settings.groq_model
    await services.close()


def test_defaults_are_those_of_a_telephone() -> None:
    turns = Turns()
    assert 0.55 <= turns.vad_threshold <= 0.65
    assert 200 <= turns.silence_ms <= 650
