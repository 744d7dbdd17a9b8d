"""People act on what they hear, say what the table promises, and never block."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from outdial_sandbox.people.behaviour import Behaviour, Frame, HangUp, Utterance
from outdial_sandbox.people.people import TABLE, who_answers
from outdial_sandbox.people.voice import VoiceError, resample, synthesise

pytestmark = pytest.mark.unit

SILENCE = np.zeros(160, np.int16)
FRAME = 0.02


class Bot:
    """The other end: speaks noise for given stretches of time, or answers each utterance."""

    def __init__(self, person: Behaviour, speech: list[tuple[float, float]]) -> None:
        self.person = person
        self.speech = speech
        self.hung_up_at: float | None = None
        self._loud = (np.random.default_rng(0).normal(0, 3000, 160)).astype(np.int16)

    def run(
        self, seconds: float, after_utterance: Callable[[Utterance], float] | None = None
    ) -> "Bot":
        """Play frames until the time is up or the person hangs up."""
        seen = 0
        for number in range(int(seconds / FRAME)):
            now = number * FRAME
            loud = any(start <= now < end for start, end in self.speech)
            if isinstance(self.person.frame(self._loud if loud else SILENCE), HangUp):
                self.hung_up_at = now
                return self
            if len(self.person.utterances) > seen and after_utterance is not None:
                seen = len(self.person.utterances)
                length = after_utterance(self.person.utterances[-1])
                self.speech.append((now + 0.7, now + 0.7 + length))
        return self

    @property
    def intents(self) -> list[str | None]:
        """What the person wanted, in order."""
        return [utterance.intent for utterance in self.person.utterances]


def call(digits: str, speech: list[tuple[float, float]], seconds: float = 60, seed: int = 1) -> Bot:
    """A call to a number with these last digits; the bot answers with two seconds of speech."""
    person = who_answers(f"+12125550{digits}", earlier_calls=1).start(seed)
    return Bot(person, speech).run(seconds, lambda _: 2.0)


@pytest.mark.parametrize(
    ("digits", "kind", "sip", "error"),
    [
        ("02", "busy", 486, None),
        ("03", "no_answer", 487, None),
        ("07", "invalid", None, 21211),
        ("08", "failed", 404, None),
        ("09", "rejected", 603, None),
    ],
)
def test_nobody_picks_up(digits: str, kind: str, sip: int | None, error: int | None) -> None:
    answer = who_answers(f"+1212555{digits}").answer
    assert (answer.kind, answer.sip_code, answer.error_code) == (kind, sip, error)
    assert not answer.picked_up
    assert math.isinf(answer.ring_seconds) == (kind == "no_answer")


def test_any_other_ending_confirms() -> None:
    assert who_answers("+12125550150").key == "confirms"
    assert who_answers("+1 (212) 555-01 99").key == "confirms"
    assert who_answers("").key == "confirms"


@pytest.mark.parametrize(("digits", "first"), [("18", "busy"), ("19", "no_answer")])
def test_second_call_is_answered(digits: str, first: str) -> None:
    assert who_answers(f"+12125550{digits}", earlier_calls=0).key == first
    assert who_answers(f"+12125550{digits}", earlier_calls=1).key == "confirms"


@pytest.mark.parametrize(
    ("digits", "intent"),
    [
        ("00", "confirm"),
        ("01", "confirm"),
        ("13", "opt_out"),
        ("14", "opt_out"),
        ("16", "callback"),
        ("17", "decline"),
        ("22", "repeat"),
        ("24", "human"),
        ("25", "confirm"),
    ],
)
def test_answers_when_the_bot_has_finished(digits: str, intent: str) -> None:
    bot = call(digits, [(0.1, 5.0)])
    first = bot.person.utterances[0]
    assert first.intent == intent
    assert 5.5 <= first.started <= 6.5, "it waits for the end of the bot's speech"


def test_a_pause_between_sentences_is_not_the_end() -> None:
    bot = call("00", [(0.1, 3.0), (3.6, 6.0)])
    assert bot.person.utterances[0].started > 6.0


def test_says_hello_into_silence_and_gives_up_in_the_end() -> None:
    person = who_answers("+12125550100").start(1)
    bot = Bot(person, []).run(60)
    assert bot.intents == ["hello", "hello"]
    assert 1.0 <= person.utterances[0].started <= 1.6
    assert bot.hung_up_at is not None


def test_one_word_answers_are_one_word() -> None:
    bot = call("01", [(0.1, 5.0)])
    assert all(len(u.text.split()) == 1 for u in bot.person.utterances if u.intent == "confirm")


def test_hangs_up_during_the_greeting_without_a_word() -> None:
    bot = call("10", [(0.1, 8.0)])
    assert bot.hung_up_at is not None
    assert 1.0 < bot.hung_up_at < 2.0
    assert bot.intents == []


def test_silent_says_nothing_and_stays() -> None:
    bot = call("11", [(0.1, 5.0)], seconds=120)
    assert bot.intents == []
    assert bot.hung_up_at is None


def test_interrupts_while_the_bot_speaks() -> None:
    bot = call("12", [(0.1, 9.0)])
    first = bot.person.utterances[0]
    assert first.intent == "confirm"
    assert first.ended < 9.0


@pytest.mark.parametrize("seed", range(6))
def test_stop_calling_hangs_up_within_300_ms(seed: int) -> None:
    bot = call("14", [(0.1, 5.0)], seed=seed)
    assert bot.intents == ["opt_out"]
    assert bot.hung_up_at is not None
    assert 0.0 < bot.hung_up_at - bot.person.utterances[0].ended <= 0.3


def test_stop_calling_waits_for_the_goodbye() -> None:
    bot = call("13", [(0.1, 5.0)])
    assert bot.intents == ["opt_out", "bye"]


def test_wrong_person_says_hello_at_once() -> None:
    bot = call("15", [(0.1, 5.0)])
    assert bot.intents[:2] == ["hello", "wrong_person"]
    assert bot.person.utterances[0].started < 1.0


def test_slow_talker_pauses_inside_the_answer() -> None:
    bot = call("20", [(0.1, 5.0)])
    first, second = bot.person.utterances[:2]
    assert (first.intent, second.intent) == ("hesitate", "confirm")
    assert 0.6 <= second.started - first.ended <= 1.0


def test_backchannels_come_while_the_bot_speaks() -> None:
    bot = call("21", [(0.1, 6.0)])
    said = bot.person.utterances
    assert [u.intent for u in said[:3]] == ["backchannel", "backchannel", "confirm"]
    assert said[1].ended < 6.0 < said[2].started


def test_short_speech_leaves_out_the_backchannels() -> None:
    assert call("21", [(0.1, 1.2)]).intents[0] == "confirm"


def test_who_hears_badly_asks_twice_and_then_answers() -> None:
    bot = call("28", [(0.1, 5.0)])
    assert bot.intents[:3] == ["repeat", "repeat", "confirm"]


def test_screening_asks_then_the_owner_comes() -> None:
    bot = call("23", [(4.0, 7.0)])
    assert bot.intents[:4] == ["screening", "screening", "hello", "confirm"]


def test_noisy_line_is_noisy() -> None:
    frames = {
        digits: [who_answers(f"+1212555{digits}").start(1).frame(SILENCE)]
        for digits in ("00", "25")
    }
    quiet, noisy = (np.std(np.asarray(frames[digits][0])) for digits in ("00", "25"))
    assert noisy > 5 * quiet


def test_voicemail_beeps_and_measures_the_message() -> None:
    person = who_answers("+12125550104").start(1)
    facts = person.machine
    assert facts is not None
    bot = Bot(person, [(1.0, 3.0)])
    bot.run(7)
    assert facts.beep_at is not None
    assert 4.0 <= facts.beep_at <= 6.0
    assert facts.message_seconds == 0.0, "what was said before the beep is no message"
    # The message is left after the beep.
    loud = np.full(160, 3000, np.int16)
    for _ in range(int(3.0 / FRAME)):
        person.frame(loud)
    person.frame(SILENCE)
    assert facts.message_seconds == pytest.approx(3.0, abs=0.1)


def test_voicemail_beep_is_a_tone_of_1000_hertz() -> None:
    person = who_answers("+12125550104").start(1)
    facts = person.machine
    assert facts is not None
    tail: list[Frame] = []
    while facts.beep_at is None or len(tail) < 10:
        frame = person.frame(SILENCE)
        assert not isinstance(frame, HangUp)
        if facts.beep_at is not None:
            tail.append(frame)
    spectrum = np.abs(np.fft.rfft(np.concatenate(tail).astype(float)))
    assert np.argmax(spectrum) * 8000 / (10 * 160) == pytest.approx(1000, abs=10)


def test_full_mailbox_hangs_up_without_a_beep() -> None:
    person = who_answers("+12125550105").start(1)
    bot = Bot(person, []).run(30)
    assert bot.hung_up_at is not None
    assert person.machine is not None
    assert person.machine.beep_at is None
    assert any("no room" in u.text for u in person.utterances)


def test_fax_sends_2100_hertz_and_gives_up() -> None:
    fax = who_answers("+12125550106").start(1)
    frames = [fax.frame(SILENCE) for _ in range(100)]
    second = np.concatenate([f for f in frames[50:100] if not isinstance(f, HangUp)])
    spectrum = np.abs(np.fft.rfft(second.astype(float)))
    assert np.argmax(spectrum) * 8000 / len(second) == pytest.approx(2100, abs=10)
    assert Bot(fax, []).run(60).hung_up_at is not None


def test_the_same_seed_is_the_same_call() -> None:
    for digits in TABLE:
        person = who_answers(f"+1212555{digits}", earlier_calls=1)
        if not person.answer.picked_up:
            continue
        one, two = person.start(3), person.start(3)
        chance = random.Random(digits)
        for _ in range(500):
            heard = np.full(160, chance.choice([0, 0, 3000]), np.int16)
            a, b = one.frame(heard), two.frame(heard)
            assert isinstance(a, HangUp) == isinstance(b, HangUp)
            if isinstance(a, HangUp) or isinstance(b, HangUp):
                break
            assert np.array_equal(a, b)
        assert one.utterances == two.utterances


def test_seeds_vary_the_wording() -> None:
    texts = {call("16", [(0.1, 3.0)], 15, seed).person.utterances[0].text for seed in range(12)}
    assert len(texts) > 1


def test_speech_is_level_and_trimmed() -> None:
    for rate in (8000, 16000, 24000):
        speech = synthesise("Yes, that is right.", sample_rate=rate)
        assert 0.5 < len(speech) / rate < 2.5
        assert 1500 < np.sqrt(np.mean(speech.astype(float) ** 2)) < 5000
        assert abs(int(speech[0])) > 50
        assert abs(int(speech[-1])) > 50


def test_unknown_voice_is_named() -> None:
    with pytest.raises(VoiceError, match="nobody"):
        synthesise("hello", "nobody")


def test_resampling_keeps_what_fits_and_drops_what_would_fold() -> None:
    def heard(hertz: float) -> float:
        tone = (10000 * np.sin(2 * np.pi * hertz * np.arange(22050) / 22050)).astype(np.int16)
        return float(np.std(resample(tone, 22050, 8000)))

    assert heard(1000) == pytest.approx(7071, rel=0.02)
    assert heard(6000) < 100


def test_the_table_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    for digits, entry in TABLE.items():
        rows = [
            row for row in text.splitlines() if row.startswith((f"| {digits} |", f"| {digits},"))
        ]
        assert len(rows) == 1, digits
        assert f"`{(entry.first_time or entry.person).key}`" in rows[0]
