"""The carrier's audio: mu-law, playback and marks, machine detection, timing."""

import asyncio
import warnings

import numpy as np
import pytest

from outdial_sandbox.carrier import mulaw
from outdial_sandbox.carrier.call_request import DetectionRequest
from outdial_sandbox.carrier.machine_detection import MachineDetector
from outdial_sandbox.carrier.pacer import Pacer, Schedule
from outdial_sandbox.carrier.playback import MOST_BUFFERED_BYTES, StreamBuffer
from outdial_sandbox.carrier.speech_timing import BotSpeech, Segment, voice_to_voice
from outdial_sandbox.carrier.tones import keys, listen
from outdial_sandbox.people.behaviour import FRAME_SAMPLES, Frame, Utterance

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop  # the reference; gone in Python 3.13

pytestmark = pytest.mark.unit

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)


def tone(seconds: float, hertz: float, level: int = 6000) -> Frame:
    at = np.arange(int(seconds * 8000)) / 8000
    return (np.sin(2 * np.pi * hertz * at) * level).astype(np.int16)


def speech(seconds: float, level: int = 3000) -> Frame:
    return np.random.default_rng(7).normal(0, level, int(seconds * 8000)).astype(np.int16)


def silence(seconds: float) -> Frame:
    return np.zeros(int(seconds * 8000), np.int16)


def test_decoding_is_g711() -> None:
    every_code = bytes(range(256))
    assert mulaw.decode(every_code).tobytes() == audioop.ulaw2lin(every_code, 2)


def test_encoding_is_g711_to_the_nearest_step() -> None:
    ours, reference = mulaw.encode(EVERY_SAMPLE), audioop.lin2ulaw(EVERY_SAMPLE.tobytes(), 2)
    # audioop works on 14 bits: at the edge of two steps it may choose the neighbour.
    apart = np.abs(mulaw.decode(ours).astype(int) - mulaw.decode(reference).astype(int))
    step = np.maximum(np.abs(EVERY_SAMPLE.astype(int)) // 8, 8)
    assert (apart <= step).all()
    assert np.mean(np.frombuffer(ours, np.uint8) == np.frombuffer(reference, np.uint8)) > 0.95


def test_every_code_survives_a_round_trip() -> None:
    codes = bytes(code for code in range(256) if code != 0x7F)  # negative zero becomes zero
    assert mulaw.encode(mulaw.decode(codes)) == codes


class Heard:
    def __init__(self) -> None:
        self.marks: list[str] = []
        self.buffer = StreamBuffer(self.marks.append)


def test_audio_of_any_length_is_played_in_order() -> None:
    heard = Heard()
    data = bytes(np.random.default_rng(3).integers(0, 127, 1000, dtype=np.uint8))
    for start in range(0, 1000, 37):
        assert heard.buffer.add_audio(data[start : start + 37])
    played = []
    while (frame := heard.buffer.pull()) is not None:
        assert len(frame) == FRAME_SAMPLES
        played.append(mulaw.encode(frame))
    assert b"".join(played)[:1000] == data
    assert set(b"".join(played)[1000:]) == {mulaw.SILENCE}


def test_a_mark_waits_for_its_audio() -> None:
    heard = Heard()
    heard.buffer.add_mark("first")
    heard.buffer.add_audio(bytes(200))
    heard.buffer.add_mark("second")
    heard.buffer.pull()
    assert heard.marks == ["first"]
    heard.buffer.pull()  # the last of the audio is on the line now
    assert heard.marks == ["first"]
    assert heard.buffer.pull() is None
    assert heard.marks == ["first", "second"]


def test_a_mark_without_audio_comes_back_at_once() -> None:
    heard = Heard()
    heard.buffer.add_mark("alone")
    assert heard.buffer.pull() is None
    assert heard.marks == ["alone"]


def test_clear_tells_every_mark_and_plays_nothing_more() -> None:
    heard = Heard()
    heard.buffer.add_audio(bytes(100))
    heard.buffer.add_mark("a")
    heard.buffer.add_audio(bytes(1000))
    heard.buffer.add_mark("b")
    heard.buffer.pull()
    heard.buffer.clear()
    assert heard.marks == ["a", "b"]
    assert heard.buffer.pull() is None
    assert heard.marks == ["a", "b"]


def test_ten_minutes_are_kept_and_no_more() -> None:
    heard = Heard()
    assert heard.buffer.add_audio(bytes(MOST_BUFFERED_BYTES))
    assert not heard.buffer.add_audio(b"x")
    heard.buffer.clear()
    assert heard.buffer.add_audio(b"x")


def judge(line: Frame, **options: object) -> tuple[str | None, float]:
    """The verdict on a line, and the second at which it came."""
    detector = MachineDetector(DetectionRequest(**{"message_end": False, **options}))  # type: ignore[arg-type]
    for start in range(0, len(line) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        if verdict := detector.add(line[start : start + FRAME_SAMPLES]):
            return verdict, detector.seconds
    return None, detector.seconds


LONG_GREETING = np.concatenate([silence(0.4), speech(2.0), silence(0.5), speech(1.5)])


@pytest.mark.parametrize(
    ("line", "options", "verdict"),
    [
        ([silence(0.5), speech(0.6), silence(3)], {}, "human"),
        ([silence(0.5), speech(0.6), silence(3)], {"message_end": True}, "human"),
        ([LONG_GREETING, silence(1)], {}, "machine_start"),
        ([LONG_GREETING, silence(1), tone(0.3, 1000), silence(1)], {}, "machine_start"),
        (
            [LONG_GREETING, silence(1), tone(0.3, 1000), silence(1)],
            {"message_end": True},
            "machine_end_beep",
        ),
        ([speech(1), tone(0.3, 1400), silence(1)], {"message_end": True}, "machine_end_beep"),
        ([LONG_GREETING, silence(3)], {"message_end": True}, "machine_end_silence"),
        ([LONG_GREETING, speech(40)], {"message_end": True}, "machine_end_other"),
        ([silence(0.5), tone(3, 2100)], {}, "fax"),
        ([silence(0.5), tone(0.5, 1100), silence(3)], {}, "fax"),
        ([silence(6)], {}, "unknown"),
        ([silence(3)], {"silence": 2.0}, "unknown"),
        ([silence(1)], {}, None),
        # A line with noise is not a machine that talks without end.
        ([speech(6, level=300)], {}, "unknown"),
    ],
)
def test_who_answered(line: list[Frame], options: dict[str, object], verdict: str | None) -> None:
    assert judge(np.concatenate(line), **options)[0] == verdict


def test_thresholds_are_those_asked_for() -> None:
    hello = np.concatenate([speech(1.5), silence(3)])
    assert judge(hello, speech_threshold=1.0)[0] == "machine_start"
    assert judge(hello, speech_end=0.5)[1] == pytest.approx(2.0, abs=0.05)
    assert judge(hello, speech_end=2.0)[1] == pytest.approx(3.5, abs=0.05)


@pytest.mark.parametrize("hertz", [440, 1000, 1100, 1400, 2100])
def test_a_tone_is_told_from_speech(hertz: float) -> None:
    heard = listen(tone(0.02, hertz), 350)
    assert heard.tone == pytest.approx(hertz, abs=25)
    assert listen(speech(0.02), 350).tone is None
    assert listen(silence(0.02), 350).tone is None


def test_keys_are_two_tones_each() -> None:
    samples = keys("5")
    power = np.abs(np.fft.rfft(samples[:800].astype(float)))
    loudest = sorted(int(bin_) * 10 for bin_ in np.argsort(power)[-2:])
    assert loudest == [770, 1340]  # 770 and 1336 Hz
    assert len(keys("w")) == 4000


def test_bot_speech_is_what_is_audible() -> None:
    bot = BotSpeech()
    for frame in [None, tone(0.02, 400), None, tone(0.02, 400), *[None] * 30, tone(0.02, 400)]:
        bot.add(frame)
    bot.add(np.full(160, 100, np.int16))  # too quiet to be heard
    spans = [(round(part.started, 2), round(part.ended, 2)) for part in bot.segments]
    assert spans == [(0.02, 0.08), (0.68, 0.7)]


def said(started: float, ended: float, intent: str | None = "confirm") -> Utterance:
    return Utterance("words", intent, started, ended)  # type: ignore[arg-type]


GREETING = Segment(0.1, 3.0)


@pytest.mark.parametrize(
    ("words", "bot", "waits"),
    [
        ([said(3.5, 4.0)], [GREETING, Segment(4.6, 6)], [0.6]),
        # Hello before the greeting is not answered by it.
        ([said(0.0, 0.05)], [GREETING], []),
        # The person paused and went on: the bot's answer is to the end.
        ([said(3.5, 4.0), said(4.5, 5.0)], [GREETING, Segment(5.4, 6)], [0.4]),
        # A word into the bot's speech waits for nothing.
        ([said(1.0, 1.3)], [GREETING, Segment(9, 10)], []),
        ([said(3.4, 3.6, "backchannel")], [GREETING, Segment(9, 10)], []),
        # An interruption that outlasts the bot is answered.
        ([said(2.8, 3.6)], [GREETING, Segment(4.2, 5)], [0.6]),
        ([said(3.5, 4.0)], [GREETING], []),
        ([], [GREETING], []),
    ],
)
def test_voice_to_voice(words: list[Utterance], bot: list[Segment], waits: list[float]) -> None:
    assert voice_to_voice(words, bot) == pytest.approx(waits)


def test_frames_keep_to_one_schedule() -> None:
    schedule = Schedule(began=100.0)
    now, made, at_once = 100.0, 0, []
    late = {200: 0.5}  # a stall of half a second
    for step in range(400):
        now += schedule.wait(now) + 0.003 + late.get(step, 0.0)  # every wake-up is a little late
        at_once.append(schedule.due(now))
        made += at_once[-1]
    assert made == int((now - 100.0) / 0.02)  # nothing was lost, nothing drifted
    assert max(at_once) == 3  # and the stall was not made up for in one burst


async def test_a_line_that_fails_does_not_silence_the_others() -> None:
    pacer = Pacer()
    heard = asyncio.Event()

    def broken() -> None:
        raise ValueError("broken")

    pacer.add(broken)
    key = pacer.add(heard.set)
    async with asyncio.timeout(10):
        await heard.wait()
        heard.clear()
        await heard.wait()
    pacer.remove(key)
    await pacer.close()
