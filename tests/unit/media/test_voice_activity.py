"""Windows of many calls are looked at together, and each call hears what it would hear alone."""

import asyncio
import inspect
from itertools import groupby

import numpy as np
import pytest
from loud_is_voice import QUIET, VOICE, WINDOW_BYTES, LoudIsVoice
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

from outdial.domain.call_template import Turns
from outdial_media.shared_models import SharedModels
from outdial_media.twilio_frames import SAMPLE_RATE
from outdial_media.voice_activity import GATHER_SECONDS, SharedSilero, WindowsTogether

pytestmark = pytest.mark.unit

FRAME = 320
_TOLD = {VADState.SPEAKING, VADState.QUIET}


def _call(together: WindowsTogether) -> tuple[SharedSilero, list[VADState]]:
    call = SharedSilero(together, VADParams(confidence=0.6, start_secs=0.064, stop_secs=0.064))
    call.set_sample_rate(SAMPLE_RATE)
    states: list[VADState] = []
    call.on_state = states.append
    return call, states


async def _looked() -> None:
    await asyncio.sleep(2 * GATHER_SECONDS)


def _noise(seed: int, seconds: float) -> bytes:
    rng = np.random.default_rng(seed)
    swell = np.sin(np.arange(int(SAMPLE_RATE * seconds)) / 2500 + seed) ** 2
    return (rng.normal(0, 4000, len(swell)) * swell).clip(-32768, 32767).astype(np.int16).tobytes()


async def test_together_each_call_hears_what_it_hears_alone() -> None:
    """With the real model: scores and the recurrent state, over two seconds and a reset."""
    models = SharedModels()
    calls = [models.voice_activity(Turns()) for _ in range(5)]
    alone = [models.voice_activity(Turns()) for _ in calls]
    for call in (*calls, *alone):
        call.set_sample_rate(SAMPLE_RATE)
    sounds = [_noise(seed, 2.6) for seed in range(len(calls))]
    for at in range(0, len(sounds[0]), 10 * FRAME):
        for call, other, sound in zip(calls, alone, sounds, strict=True):
            piece = sound[at : at + 10 * FRAME]
            for start in range(0, len(piece), FRAME):
                call.take(piece[start : start + FRAME])
            other.analyze(piece)
        await _looked()
        for call, other in zip(calls, alone, strict=True):
            assert call._vad_state == other._vad_state
            assert call._model._state == pytest.approx(other._model._state, abs=1e-4)
    models.close()


async def test_windows_of_many_calls_are_one_run() -> None:
    session = LoudIsVoice()
    together = WindowsTogether(session)  # type: ignore[arg-type]
    calls = [_call(together) for _ in range(8)]
    for call, _ in calls:
        call.take(VOICE)
    await _looked()
    assert sum(session.runs) == 8
    assert max(session.runs) >= 4, "but for the first few, which need not wait for others"
    for _, states in calls:
        assert states == [VADState.STARTING]


async def test_what_came_late_is_looked_at_in_order_and_at_once() -> None:
    together = WindowsTogether(LoudIsVoice())  # type: ignore[arg-type]
    call, states = _call(together)
    call.take(QUIET + VOICE + VOICE + QUIET + QUIET + QUIET[:100])
    await _looked()
    told = [state for state, _ in groupby(s for s in states if s in _TOLD)]
    assert told == [VADState.QUIET, VADState.SPEAKING, VADState.QUIET]
    assert not call.has_window


async def test_sound_is_looked_at_once_by_whichever_way() -> None:
    session = LoudIsVoice()
    together = WindowsTogether(session)  # type: ignore[arg-type]
    call, _ = _call(together)
    call.take(VOICE)
    call.analyze(VOICE)  # before the others' turn came
    await _looked()
    assert sum(session.runs) == 2
    assert call._model._state[0, 0, 0] == 2


async def test_a_call_that_is_over_is_not_looked_at() -> None:
    session = LoudIsVoice()
    together = WindowsTogether(session)  # type: ignore[arg-type]
    call, states = _call(together)
    call.take(VOICE)
    await call.cleanup()
    await _looked()
    assert not session.runs
    assert not states


def test_upstream_is_what_it_was_written_for() -> None:
    """`see` lets upstream's own rule run over one window at a time."""
    source = inspect.getsource(VADAnalyzer._run_analyzer)
    assert "self._vad_buffer += buffer" in source
    assert "confidence = self.voice_confidence(audio_frames)" in source
    assert source.rstrip().endswith("return self._vad_state")
    assert WINDOW_BYTES == 2 * 256


@pytest.mark.parametrize(("voiced", "told"), [(1, []), (2, [True, False]), (3, [True])])
async def test_a_voice_is_likely_before_it_is_sure(voiced: int, told: list[bool]) -> None:
    together = WindowsTogether(LoudIsVoice())  # type: ignore[arg-type]
    call = SharedSilero(together, VADParams(confidence=0.6, start_secs=0.1, stop_secs=0.25))
    call.set_sample_rate(SAMPLE_RATE)
    likely: list[bool] = []
    call.on_likely = likely.append
    for window in [VOICE] * voiced + [QUIET]:
        call.take(window)
        together._look()
    assert likely == told
