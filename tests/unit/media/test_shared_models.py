"""One session a process, many calls; and what is relied on in pipecat 1.14."""

import asyncio
import inspect
import os
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pipecat
import pytest
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn
from pipecat.audio.vad.silero import SileroOnnxModel, SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

from outdial.domain.call_template import Turns
from outdial_media.shared_models import SharedModels
from outdial_media.voice_activity import SharedSilero
from polling import until

pytestmark = pytest.mark.unit

RATE = 8000


@pytest.fixture(scope="module")
def models() -> SharedModels:
    return SharedModels()


def _speechlike(seconds: float) -> bytes:
    """A buzz with formants, loud and quiet by turns: enough to move the model."""
    times = np.arange(int(RATE * seconds)) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * times) / k for k in range(1, 20))
    gate = np.sin(2 * np.pi * 3 * times) > 0
    noise = np.random.default_rng(1).normal(0, 0.05, len(times))
    return ((buzz * gate + noise) * 6000).clip(-32768, 32767).astype(np.int16).tobytes()


def test_calls_share_the_session_and_nothing_else(models: SharedModels) -> None:
    one, other = models.voice_activity(Turns()), models.voice_activity(Turns())
    assert one._model.session is other._model.session
    assert one._model is not other._model


def test_a_call_hears_what_upstreams_own_analyzer_hears(models: SharedModels) -> None:
    """Also while another call uses the same session in between."""
    upstream = SileroVADAnalyzer()
    ours, another = models.voice_activity(Turns()), models.voice_activity(Turns())
    for analyzer in (upstream, ours, another):
        analyzer.set_sample_rate(RATE)
    audio = _speechlike(2.0)
    step = 2 * ours.num_frames_required()
    for start in range(0, len(audio) - step, step):
        window = audio[start : start + step]
        expected = float(np.asarray(upstream.voice_confidence(window)).item())
        another.voice_confidence(audio[:step])
        assert float(np.asarray(ours.voice_confidence(window)).item()) == pytest.approx(
            expected, abs=1e-6
        )


def test_upstream_is_what_the_subclasses_were_written_for() -> None:
    assert pipecat.version() == "1.14.0"
    made = SileroOnnxModel.__init__.__code__.co_names
    assert {"session", "sample_rates", "reset_states"} <= set(made)
    own = inspect.getsource(SileroVADAnalyzer.__init__)
    assert own.count("self._") == 3, "SharedSilero sets these three by itself"
    for name in ("_model", "_windows_since_reset", "_low_confidence_windows"):
        assert f"self.{name} = " in own
    assert "self._run_analyzer" in inspect.getsource(VADAnalyzer.analyze_audio)
    assert "_get_smoothed_volume" in inspect.getsource(VADAnalyzer._run_analyzer)
    assert list(inspect.signature(BaseSmartTurn._process_speech_segment).parameters) == [
        "self",
        "audio_buffer",
    ]
    assert "_predict_endpoint" in inspect.getsource(BaseSmartTurn._process_speech_segment)


def test_voice_activity_starts_no_thread(models: SharedModels) -> None:
    detector = models.voice_activity(Turns())
    detector.set_sample_rate(RATE)
    assert detector.analyze(bytes(2 * RATE)) is VADState.QUIET
    assert not detector._executor._threads


def test_a_quiet_line_is_not_mute() -> None:
    assert SharedSilero._get_smoothed_volume(None, b"") >= VADParams().min_volume  # type: ignore[arg-type]


def test_so_little_speech_is_a_turn_unless_the_model_is_sure_that_it_is_not(
    models: SharedModels,
) -> None:
    turns = Turns()
    analyzer = models.turn_end(turns)
    analyzer.set_sample_rate(RATE)
    frame = bytes(320)
    for _ in range(40):  # 0.8 s of reported speech, half of it the stop window
        analyzer.append_audio(frame, is_speech=True)
    assert analyzer._threshold() < 0.5
    for _ in range(60):
        analyzer.append_audio(frame, is_speech=True)
    assert analyzer._threshold() == 0.5


async def test_without_smart_turn_silence_ends_the_turn(models: SharedModels) -> None:
    analyzer = models.turn_end(Turns(smart_turn=False))
    analyzer.set_sample_rate(RATE)
    analyzer.append_audio(bytes(320), is_speech=True)
    state, _ = await analyzer.analyze_end_of_turn()
    assert state is EndOfTurnState.COMPLETE


@pytest.mark.skipif(sys.platform != "linux", reason="a priority is a process's there")
def test_judging_gives_way_to_the_loop(models: SharedModels) -> None:
    """On one core it would else take half of it from the sound of all calls (40 instead of 32)."""
    loops = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    judges = models.thread.submit(os.getpriority, os.PRIO_PROCESS, 0).result(10)
    assert judges == min(19, loops + 10)


FRAME = bytes(320)


class _Judged:
    """Smart Turn of a call, which says COMPLETE of all, when it is let."""

    def __init__(self, models: SharedModels, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self.looked = threading.Event(), 0
        self.analyzer = models.turn_end(Turns())
        self.analyzer.set_sample_rate(RATE)
        self.over: list[int] = []
        self.analyzer.on_over = self.over.append
        monkeypatch.setattr(self.analyzer, "_process_speech_segment", self._look)

    def _look(self, sound: list[tuple[float, object]]) -> tuple[EndOfTurnState, None]:
        self.looked += 1
        assert self.go.wait(10)
        return EndOfTurnState.COMPLETE, None

    async def speak(self, frames: int = 3) -> None:
        for _ in range(frames):
            self.analyzer.append_audio(FRAME, is_speech=True)
        await self.analyzer.analyze_end_of_turn()


@pytest.fixture
def judged(models: SharedModels, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Judged]:
    made = _Judged(models, monkeypatch)
    yield made
    made.go.set()


async def test_a_call_goes_on_while_it_is_judged_and_nothing_it_hears_is_lost(
    judged: _Judged,
) -> None:
    await judged.speak()
    judged.analyzer.append_audio(FRAME, is_speech=False)
    assert not judged.over
    judged.go.set()
    await until(lambda: judged.over)
    assert judged.over == [judged.analyzer.judgement]
    assert len(judged.analyzer._audio_buffer) == 1


async def test_who_speaks_on_has_not_been_judged(judged: _Judged) -> None:
    await judged.speak()
    await until(lambda: judged.looked)
    judged.analyzer.append_audio(FRAME, is_speech=True)
    judged.go.set()
    await asyncio.wrap_future(judged.analyzer._models.thread.submit(int))  # it has judged
    await asyncio.sleep(0)
    assert not judged.over
    assert len(judged.analyzer._audio_buffer) == 4


async def test_a_turn_that_has_ended_is_not_judged_any_more(
    judged: _Judged, models: SharedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words ended it while it waited for the thread: a full core is spared."""
    another = _Judged(models, monkeypatch)
    await judged.speak()
    await another.speak()
    another.analyzer.clear()
    await asyncio.sleep(0)  # the loop tells the thread
    judged.go.set()
    await asyncio.wrap_future(models.thread.submit(int))
    assert (judged.looked, another.looked) == (1, 0)


async def test_if_it_cannot_judge_silence_ends_the_turn(
    judged: _Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_sound: object) -> None:
        raise ValueError

    monkeypatch.setattr(judged.analyzer, "_process_speech_segment", fail)
    await judged.speak()
    await asyncio.wrap_future(judged.analyzer._models.thread.submit(int))
    await asyncio.sleep(0)
    seconds = judged.analyzer.params.stop_secs
    quiet = [
        judged.analyzer.append_audio(FRAME, is_speech=False)
        for _ in range(round(seconds / 0.02))
    ]  # fmt: skip
    assert quiet.pop() is EndOfTurnState.COMPLETE
    assert not judged.over


def test_the_longest_wait_counts_from_the_end_of_speech(models: SharedModels) -> None:
    analyzer = models.turn_end(Turns(silence_ms=400, smart_turn_max_ms=1200))
    assert analyzer.params.stop_secs == pytest.approx(0.8)


def test_the_short_way_through_silero_is_upstreams_own(models: SharedModels) -> None:
    """Window after window, also after a reset: the context and the state go on alike."""
    ours, upstream = models.voice_activity(Turns())._model, models.voice_activity(Turns())._model
    audio = np.frombuffer(_speechlike(1.5), np.int16)
    for round_ in range(2):
        for start in range(0, len(audio) - 256, 256):
            window = audio[start : start + 256]
            expected = upstream(window.astype(np.float32) / 32768.0, RATE)
            assert ours.confidence(window.tobytes()) == pytest.approx(
                float(expected.item()), abs=1e-6
            ), round_
        ours.reset_states()
        upstream.reset_states()
