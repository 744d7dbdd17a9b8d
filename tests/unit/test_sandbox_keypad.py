"""Keypad tones are heard, whoever made them, and speech is never taken for one."""

import audioop
import wave
from importlib.resources import files

import numpy as np
import pytest

from outdial_sandbox.carrier.tones import keys
from outdial_sandbox.people.keypad import KeypadEar
from outdial_sandbox.people.phrases import all_phrases, spoken_text
from outdial_sandbox.people.voice import synthesise

pytestmark = pytest.mark.unit

ALL = "123456789*0#"


def heard(samples: np.ndarray, noise: float = 20.0) -> str:
    """The keys in some sound, after mu-law and on a line with noise."""
    line = np.concatenate([np.zeros(800), samples, np.zeros(800)])
    line = line + np.random.default_rng(3).normal(0, noise, len(line))
    pcm = np.clip(line, -32768, 32767).astype(np.int16).tobytes()
    pcm = audioop.ulaw2lin(audioop.lin2ulaw(pcm, 2), 2)
    decoded = np.frombuffer(pcm, np.int16)
    ear = KeypadEar()
    return "".join(ear.hear(decoded[at : at + 160]) for at in range(0, len(decoded) - 159, 160))


@pytest.mark.parametrize("key", ALL)
def test_the_tones_of_the_carrier_are_heard(key: str) -> None:
    assert heard(keys(key)) == key


@pytest.mark.parametrize("key", ALL)
def test_the_tones_that_pipecat_sends_are_heard(key: str) -> None:
    name = {"#": "pound", "*": "star"}.get(key, key)
    path = files("pipecat.audio.dtmf").joinpath(f"dtmf-{name}.wav")
    with path.open("rb") as file, wave.open(file) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    assert heard(np.concatenate([samples, samples])) == key * 2, "twice the same is two keys"


def test_keys_after_one_another_and_on_a_noisy_line() -> None:
    assert heard(keys("1123#w0"), noise=200) == "1123#0"


def test_no_speech_presses_a_key() -> None:
    said = [heard(synthesise(spoken_text(phrase), "en-us+f2")) for phrase in all_phrases()]
    assert not any(said)
