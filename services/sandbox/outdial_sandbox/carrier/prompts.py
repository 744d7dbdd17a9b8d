"""Samples for <Say> and <Play>."""

import asyncio
import contextlib
import io
import wave

import numpy as np

from outdial_sandbox.carrier import mulaw
from outdial_sandbox.people.behaviour import SAMPLE_RATE, Frame
from outdial_sandbox.people.voice import VoiceError, resample, synthesise

_LONGEST_SECONDS = 600


class PromptError(Exception):
    """Audio that cannot be played, and why."""


async def spoken(text: str, language: str = "en-US") -> Frame:
    """`text` as speech; a language that the voices do not know is spoken in English."""
    if not text:
        return np.zeros(0, np.int16)
    return await asyncio.to_thread(_spoken, text, language.lower())


def _spoken(text: str, language: str) -> Frame:
    for voice in (language, language.partition("-")[0]):
        with contextlib.suppress(VoiceError):
            return synthesise(text, voice)
    return synthesise(text)


def read_audio(data: bytes, content_type: str) -> Frame:
    """A fetched file as 8 kHz mono. WAV (16-bit) and raw mu-law are known, MP3 is not."""
    if content_type.startswith("audio/basic"):
        return mulaw.decode(data)
    try:
        with wave.open(io.BytesIO(data)) as file:
            if file.getsampwidth() != 2 or file.getnframes() > _LONGEST_SECONDS * 48000:
                raise PromptError("only WAV with 16 bits, up to ten minutes, is played")
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            channels, rate = file.getnchannels(), file.getframerate()
    except (wave.Error, EOFError) as error:
        raise PromptError(f"not a WAV file: {error}") from None
    mono = samples.reshape(-1, channels).mean(axis=1).astype(np.int16)
    return resample(mono, rate, SAMPLE_RATE)
