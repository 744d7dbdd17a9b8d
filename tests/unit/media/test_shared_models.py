"""One session a process, many calls; and what is relied on in pipecat 1.14."""

import inspect

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
