"""Speech recognition, real and small: pocketsphinx with a grammar of what people here can say.

It hears audio and nothing else. At 8 kHz mu-law an open language model recognises nothing, a
grammar does, given 16 kHz samples, noise around them and wide beams. What fits no phrase well
becomes an empty transcript: a second decoder listens for plain phonemes, and a phrase that
explains the sound much worse than phonemes do was not said.

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
_BEFORE, _AFTER = 0.3, 0.5  # seconds of noise around the speech
_FAINT_NOISE = 20.0
_FRAMES_PER_SECOND = 100

# Log-scores of a frame of speech, in thousandths. Measured over every phrase and voice after
# mu-law, and over other sentences, cut phrases and noise; docs/sandbox.md has the figures.
_SURE = -4.0  # at least: accepted as it is
_HOPELESS = -6.8  # below: refused as it is
_AT_MOST_WORSE_THAN_PHONEMES = -2.9  # between them, the phoneme decoder is asked

_PURE = 0.95  # share of a frame's power in one peak; vowels stay below

# The mean cepstrum of the sandbox's speech after mu-law. Every utterance starts from it, so that
# what was heard before, on another call, has no say in it.
_CEPSTRAL_MEAN = "37.5,15.8,-40.0,41.9,-34.3,-10.9,7.2,-21.9,15.1,-17.9,5.7,3.0,-8.9"

_PHONEMES = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"),
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH"),
    *("T", "TH", "V", "W", "Y", "Z"),
)


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
    """Two decoders over one acoustic model. Building it takes about half a second."""

    def __init__(self) -> None:
        self._punctuated = {grammar_words(p.text): p.text for p in all_phrases()}
        phrases = " | ".join(f"( {words} )" for words in self._punctuated)
        self._phrases = _decoder(phrases, beam=1e-80, word_beam=1e-60)
        self._phonemes = _decoder(
            "( " + " | ".join(_phoneme_word(p) for p in _PHONEMES) + " )+",
            beam=1e-20,
            word_beam=1e-10,
            phonemes=_PHONEMES,
        )
        self._noise = np.random.default_rng(0).normal(0, 1, _TELEPHONE_RATE)

    def recognise(self, samples: Samples, sample_rate: int, floor: float = 0.0) -> Heard:
        """What was said in `samples`, if it is one of the phrases. `floor`: the line's noise."""
        if _is_tone(samples, sample_rate):
            return NOTHING
        audio = self._padded(resample(samples, sample_rate, _TELEPHONE_RATE), floor)
        segments = _decode(self._phrases, audio)
        if not segments:
            return NOTHING
        spoken = [segment for segment in segments if not _is_filler(segment)]
        score = _score(spoken) / _speech_frames(segments)
        if not self._fits(score, segments, audio):
            return NOTHING
        return self._heard(segments, score)

    def _fits(self, score: float, segments: list[Any], audio: Samples) -> bool:
        if score >= _SURE or score < _HOPELESS:
            return score >= _SURE
        plain = _decode(self._phonemes, audio)
        worse = (_score(segments) - _score(plain)) / _speech_frames(segments)
        return worse >= _AT_MOST_WORSE_THAN_PHONEMES

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


def _decoder(
    rule: str, *, beam: float, word_beam: float, phonemes: tuple[str, ...] = ()
) -> pocketsphinx.Decoder:
    model = Path(pocketsphinx.get_model_path("en-us"))
    decoder = pocketsphinx.Decoder(
        hmm=str(model / "en-us"),
        dict=str(model / "cmudict-en-us.dict"),
        lm=None,
        samprate=_RATE,
        beam=beam,
        wbeam=word_beam,
        pbeam=beam,
        bestpath=False,
        cmn="live",
        loglevel="FATAL",
    )
    for phoneme in phonemes:
        decoder.add_word(_phoneme_word(phoneme), phoneme, update=False)
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


def _phoneme_word(phoneme: str) -> str:
    return f"phoneme-{phoneme.lower()}"


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
