"""Speech recognition, real and small: pocketsphinx with a grammar of what people here can say.

It hears audio and nothing else. At 8 kHz mu-law an open language model recognises nothing; a
grammar does, given 16 kHz samples, some noise around them, wide beams and an even cepstral mean.
What fits no phrase well becomes an empty transcript.

pocketsphinx holds the GIL, so it runs in a process of its own (recognition_process.py).
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pocketsphinx

from outdial_sandbox.people.phrases import all_phrases
from outdial_sandbox.people.voice import resample

Samples = npt.NDArray[np.int16]

_RATE = 16000
_TELEPHONE_RATE = 8000
_BEFORE, _AFTER = 0.1, 0.15  # seconds of noise around a piece, which has some of its own
_FAINT_NOISE = 20.0
_FRAMES_PER_SECOND = 100

# Wide for pocketsphinx, as telephone speech needs; still narrow enough that most of what is no
# phrase finds no way through the grammar, and that an utterance costs about 30 ms of CPU.
_BEAM, _WORD_BEAM = 1e-60, 1e-40

# The least mean log-score of a frame of speech, in thousandths. Measured over every phrase and
# voice after mu-law, and over other sentences; docs/sandbox.md has the figures.
_LEAST_SCORE = -5.0

_PURE = 0.95  # share of a frame's power in one peak; vowels stay below

# The mean cepstrum of the sandbox's speech after mu-law. Every utterance starts from it, so that
# what was heard before, on another call, has no say in it.
_CEPSTRAL_MEAN = "37.5,15.8,-40.0,41.9,-34.3,-10.9,7.2,-21.9,15.1,-17.9,5.7,3.0,-8.9"


@dataclass(frozen=True)
class Word:
    """One word heard, in seconds from the first sample given."""

    word: str
    punctuated: str
    start: float
    end: float


@dataclass(frozen=True)
class Heard:
    """What was recognised; no words when nothing fits."""

    words: tuple[Word, ...] = ()
    confidence: float = 0.0


NOTHING = Heard()


def grammar_words(text: str) -> str:
    """A phrase as the grammar spells it: lower case, no punctuation."""
    return " ".join(re.sub(r"[^a-z' -]", "", text.lower()).split())


class Recogniser:
    """One decoder for the phrases. Building it takes about half a second."""

    def __init__(self) -> None:
        self._punctuated = {grammar_words(p.text): p.text for p in all_phrases()}
        self._decoder = _decoder(" | ".join(f"( {words} )" for words in self._punctuated))
        self._noise = np.random.default_rng(0).normal(0, 1, _TELEPHONE_RATE)

    def recognise(self, samples: Samples, sample_rate: int, floor: float = 0.0) -> Heard:
        """What was said in `samples`, if it is one of the phrases. `floor`: the line's noise."""
        if _is_tone(samples, sample_rate):
            return NOTHING
        audio = self._padded(resample(samples, sample_rate, _TELEPHONE_RATE), floor)
        segments = _decode(self._decoder, audio)
        if not segments:
            return NOTHING
        spoken = [segment for segment in segments if not _is_filler(segment)]
        score = _score(spoken) / _speech_frames(segments)
        return self._heard(segments, score) if score >= _LEAST_SCORE else NOTHING

    def _heard(self, segments: list[Any], score: float) -> Heard:
        spoken = [s for s in segments if not _is_filler(s)]
        plain = [re.sub(r"\(\d+\)$", "", s.word) for s in spoken]
        punctuated = self._punctuated.get(" ".join(plain), " ".join(plain)).split()
        words = tuple(
            Word(word, shown, _seconds(s.start_frame), _seconds(s.end_frame + 1))
            for word, shown, s in zip(plain, punctuated, spoken, strict=True)
        )
        return Heard(words, round(min(0.99, max(0.5, 1.0 + score / 20)), 4))

    def _padded(self, samples: Samples, floor: float) -> Samples:
        noise = self._noise * max(floor, _FAINT_NOISE)
        before = noise[: int(_BEFORE * _TELEPHONE_RATE)]
        after = noise[-int(_AFTER * _TELEPHONE_RATE) :]
        # Added before the sample rate goes up: noise above 4 kHz where the speech has none made
        # "no" into "hello".
        padded = np.concatenate([before, samples, after]).astype(np.int16)
        return resample(padded, _TELEPHONE_RATE, _RATE)


def _decoder(rule: str) -> pocketsphinx.Decoder:
    model = Path(pocketsphinx.get_model_path("en-us"))
    decoder = pocketsphinx.Decoder(
        hmm=str(model / "en-us"),
        dict=str(model / "cmudict-en-us.dict"),
        lm=None,
        samprate=_RATE,
        beam=_BEAM,
        wbeam=_WORD_BEAM,
        pbeam=_BEAM,
        bestpath=False,
        cmn="live",
        loglevel="FATAL",
    )
    decoder.add_jsgf_string("said", f"#JSGF V1.0; grammar said; public <said> = {rule};")
    decoder.activate_search("said")
    return decoder


def _is_tone(samples: Samples, sample_rate: int) -> bool:
    """Whether most of the sound is one pure frequency: a beep, a fax, a dialing key's half."""
    step = sample_rate // 50
    frames = samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64)
    power = np.abs(np.fft.rfft(frames * np.hanning(step), axis=1)) ** 2
    loud = power.sum(axis=1) > 0.1 * power.sum(axis=1).max(initial=1.0)
    peak = power.argmax(axis=1)
    near = np.abs(np.arange(power.shape[1])[None, :] - peak[:, None]) <= 2
    pure = (power * near).sum(axis=1) > _PURE * power.sum(axis=1)
    return bool(pure[loud].mean() > 0.5) if loud.any() else False


def _decode(decoder: pocketsphinx.Decoder, audio: Samples) -> list[Any]:
    decoder.set_cmn(_CEPSTRAL_MEAN)
    decoder.start_utt()
    decoder.process_raw(audio.tobytes(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return list(decoder.seg()) if found is not None and found.hypstr else []


def _score(segments: list[Any]) -> float:
    # pocketsphinx gives each segment's score as a probability; below the smallest float it is 0.
    return 1000 * sum(math.log(max(s.ascore, 1e-300)) for s in segments)


def _speech_frames(segments: list[Any]) -> int:
    return max(1, sum(int(s.end_frame - s.start_frame) for s in segments if not _is_filler(s)))


def _is_filler(segment: Any) -> bool:
    return str(segment.word).startswith(("<", "[", "++", "(NULL)"))


def _seconds(frame: int) -> float:
    return round(max(0.0, frame / _FRAMES_PER_SECOND - _BEFORE), 3)
