"""Noise is taken out of what a pod hears, if the template asks for it and the extra is there."""

import importlib.util
from typing import Any

import numpy as np
import pytest
from pipecat.audio.filters.base_audio_filter import BaseAudioFilter

from outdial.domain.call_template import Agent, CallTemplate, Voice
from outdial_media import noise_filter
from outdial_media.foreign_services import ForeignServices
from outdial_media.noise_filter import PIECE_BYTES, NoiseFiltered, make_filter
from outdial_media.twilio_frames import SAMPLE_RATE
from outdial_sandbox.people.voice import synthesise

pytestmark = pytest.mark.unit

HAS_RNNOISE = importlib.util.find_spec("pyrnnoise") is not None


class Uneven(BaseAudioFilter):
    """Gives back what it got, in other pieces, as RNNoise does."""

    def __init__(self) -> None:
        self.rate = 0
        self._kept = b""

    async def start(self, sample_rate: int) -> None:
        self.rate = sample_rate

    async def stop(self) -> None:
        """Nothing is held."""

    async def process_frame(self, frame: Any) -> None:
        """Nothing to control."""

    async def filter(self, audio: bytes) -> bytes:
        self._kept += audio
        if len(self._kept) < 3 * len(audio):
            return b""
        told, self._kept = self._kept, b""
        return told


async def test_listeners_get_twenty_milliseconds_at_a_time_and_all_of_it() -> None:
    heard: list[bytes] = []

    async def hear(pcm: bytes) -> None:
        heard.append(pcm)

    uneven = Uneven()
    filtered = NoiseFiltered(uneven, [hear, hear])
    sound = np.random.default_rng(1).integers(-999, 999, 30 * 160).astype(np.int16).tobytes()
    for at in range(0, len(sound), PIECE_BYTES):
        await filtered.hear(sound[at : at + PIECE_BYTES])
    assert uneven.rate == SAMPLE_RATE
    assert {len(piece) for piece in heard} == {PIECE_BYTES}
    assert b"".join(heard[::2]) == b"".join(heard[1::2]) == sound


def test_a_pod_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_filter.importlib.util, "find_spec", lambda _name: None)
    template = CallTemplate("x", Agent("Ada", "Hi.", "P"), voice=Voice(noise_filter="rnnoise"))
    told = ForeignServices({}).problem_of(template)
    assert told == (
        'voice.noise_filter: rnnoise is not installed here: pip install "pipecat-ai[rnnoise]"'
    )
    assert make_filter("rnnoise") is None
    assert make_filter("") is None


@pytest.mark.skipif(not HAS_RNNOISE, reason="pipecat-ai[rnnoise] is not installed")
async def test_noise_falls_and_speech_passes() -> None:
    speech = synthesise("Yes, tomorrow at ten is fine for me, thank you.").astype(np.float64)
    lead = SAMPLE_RATE  # a second of noise alone, before and after
    noise = np.random.default_rng(2).normal(0, 400, len(speech) + 2 * lead)
    line = noise.copy()
    line[lead : lead + len(speech)] += speech
    heard = bytearray()

    async def hear(pcm: bytes) -> None:
        heard.extend(pcm)

    chosen = make_filter("rnnoise")
    assert chosen is not None
    filtered = NoiseFiltered(chosen, [hear])
    sound = np.clip(line, -32768, 32767).astype(np.int16).tobytes()
    for at in range(0, len(sound), PIECE_BYTES):
        await filtered.hear(sound[at : at + PIECE_BYTES])
    clean = np.frombuffer(bytes(heard), np.int16).astype(np.float64)
    quiet = clean[lead // 2 : lead * 9 // 10]
    spoken = clean[lead : lead + len(speech)]
    assert _level(quiet) < _level(noise) - 12
    assert _level(spoken) > _level(speech) - 6


def _level(samples: Any) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(samples))) + 1e-9))
