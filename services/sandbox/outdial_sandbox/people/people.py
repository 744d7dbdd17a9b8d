"""Who answers: the last two digits of the number dialed decide, whatever stands before them.

The table is documented in docs/sandbox.md; `GET /sandbox/people` at the carrier lists it.
"""

import math
import re
from dataclasses import dataclass

from outdial_sandbox.people.behaviour import Answer, Behaviour, Person
from outdial_sandbox.people.machines import Fax, Machine
from outdial_sandbox.people.talker import (
    AfterBot,
    AfterKey,
    AfterOwn,
    InSilence,
    Move,
    Talker,
    WhileBot,
)

# Most people wait for a voice before they speak, and say hello only into silence.
_HELLO = Move(InSilence(1.2), say="hello", optional=True)
_YES_AGAIN = Move(AfterBot(1.2), say="confirm_again")
_BYE = Move(AfterBot(2.5), say="bye", hang_up=2.5)
_TO_THE_END = (_YES_AGAIN, Move(AfterBot(1.6), say="confirm_again"), _BYE)


@dataclass(frozen=True)
class Unanswered:
    """A number where nobody picks up."""

    key: str
    answer: Answer

    def start(self, seed: int) -> Behaviour:  # noqa: ARG002
        """There is nobody to start."""
        raise ValueError(f"{self.key}: nobody picks up")


@dataclass(frozen=True)
class Entry:
    """A line of the table: who answers, and who answers the first time if that differs."""

    person: Person
    about: str
    first_time: Person | None = None


def _talks(key: str, *moves: Move) -> Talker:
    return Talker(key, (_HELLO, *moves))


_CONFIRMS = _talks("confirms", Move(AfterBot(), say="confirm"), *_TO_THE_END)
_BUSY = Unanswered("busy", Answer("busy", 1.0, sip_code=486))
_NO_ANSWER = Unanswered("no_answer", Answer("no_answer", math.inf, sip_code=487))

TABLE: dict[str, Entry] = {
    "00": Entry(_CONFIRMS, "talks and says yes"),
    "01": Entry(
        _talks(
            "one_word",
            Move(AfterBot(), say="one_word_yes"),
            Move(AfterBot(1.2), say="one_word_yes"),
            Move(AfterBot(1.6), say="one_word_yes"),
            _BYE,
        ),
        "says yes in one word",
    ),
    "02": Entry(_BUSY, "busy (SIP 486)"),
    "03": Entry(_NO_ANSWER, "rings, nobody answers"),
    "04": Entry(
        Machine("voicemail", ("voicemail_whose", "voicemail_tone")),
        "voicemail: greeting, beep, records",
    ),
    "05": Entry(
        Machine("mailbox_full", ("mailbox_full", "try_later"), records=False),
        "voicemail that is full: says so and hangs up, no beep",
    ),
    "06": Entry(Fax(), "fax: 2100 Hz"),
    "07": Entry(
        Unanswered("invalid_number", Answer("invalid", 0.0, error_code=21211)),
        "invalid number: the POST is refused with 21211",
    ),
    "08": Entry(
        Unanswered("not_in_service", Answer("failed", 1.0, sip_code=404)),
        "not in service: the call fails (SIP 404)",
    ),
    "09": Entry(
        Unanswered("declines_call", Answer("rejected", 2.0, sip_code=603)),
        "presses decline (SIP 603)",
    ),
    "10": Entry(
        Talker("hangs_up_early", (Move(WhileBot(1.2), hang_up=0.0),)),
        "answers and hangs up during the greeting",
    ),
    "11": Entry(Talker("silent", (), patience=None), "answers and never says a word"),
    "12": Entry(
        _talks("interrupts", Move(WhileBot(1.5), say="confirm_over"), *_TO_THE_END),
        "talks over the bot: says yes in the middle of its first sentence",
    ),
    "13": Entry(
        _talks("stop_calling", Move(AfterBot(), say="opt_out"), _BYE),
        '"stop calling me", then waits for the goodbye',
    ),
    "14": Entry(
        _talks("stop_calling_at_once", Move(AfterBot(), say="opt_out", hang_up=0.2)),
        '"stop calling me", and hangs up 0.2 s later',
    ),
    "15": Entry(
        # Says hello as they pick up, as many do: it falls into the bot's first words.
        Talker(
            "wrong_person",
            (
                Move(AfterOwn(0.3), say="hello_who"),
                Move(AfterBot(), say="wrong_person"),
                _BYE,
            ),
        ),
        '"hello, who is this?" at once, then "you have the wrong number"',
    ),
    "16": Entry(
        _talks("call_tomorrow", Move(AfterBot(), say="callback"), _BYE),
        '"please call me tomorrow"',
    ),
    "17": Entry(
        _talks(
            "declines_offer",
            Move(AfterBot(), say="decline"),
            Move(AfterBot(1.2), say="decline_again"),
            Move(AfterBot(1.6), say="decline_again"),
            _BYE,
        ),
        "talks and says no",
    ),
    "18": Entry(_CONFIRMS, "busy the first time, then as 00", first_time=_BUSY),
    "19": Entry(_CONFIRMS, "no answer the first time, then as 00", first_time=_NO_ANSWER),
    "20": Entry(
        Talker(
            "slow_talker",
            (
                _HELLO,
                Move(AfterBot(1.0), say="hesitate"),
                Move(AfterOwn(0.7), say="confirm"),
                *_TO_THE_END,
            ),
            rate=135,
        ),
        "speaks slowly, with a pause of 0.7 s inside the answer, and says yes",
    ),
    "21": Entry(
        _talks(
            "backchannels",
            Move(WhileBot(1.5), say="backchannel", optional=True),
            Move(WhileBot(4.0), say="backchannel", optional=True),
            Move(AfterBot(), say="confirm"),
            *_TO_THE_END,
        ),
        '"I see" while the bot speaks, then says yes',
    ),
    "22": Entry(
        _talks(
            "asks_to_repeat",
            Move(AfterBot(), say="repeat"),
            Move(AfterBot(), say="confirm"),
            *_TO_THE_END,
        ),
        "asks the bot to say it again, then says yes",
    ),
    "23": Entry(
        Talker(
            "screened",
            (
                Move(AfterOwn(0.5), say="screening", voice="en-us+f1"),
                Move(AfterBot(1.5), say="screening_hold", voice="en-us+f1"),
                Move(AfterOwn(3.0), say="hello_who", voice="en-us+michael"),
                Move(AfterBot(), say="confirm", voice="en-us+michael"),
                Move(AfterBot(1.2), say="confirm_again", voice="en-us+michael"),
                Move(AfterBot(2.5), say="bye", voice="en-us+michael", hang_up=2.5),
            ),
        ),
        "call screening asks who is calling; then its owner comes and says yes",
    ),
    "24": Entry(
        _talks(
            "wants_a_human",
            Move(AfterBot(), say="human"),
            Move(AfterBot(6.0), say="bye", hang_up=2.5),  # waits to be connected
        ),
        "asks for a human",
    ),
    "25": Entry(
        Talker(
            "noisy_line",
            (_HELLO, Move(AfterBot(), say="confirm"), *_TO_THE_END),
            noise=120.0,
        ),
        "as 00, on a noisy line",
    ),
    "26": Entry(
        Talker(
            "menu",
            (
                Move(AfterOwn(0.5), say="menu", voice="en-us+f2"),
                Move(InSilence(6.0), say="menu", optional=True, voice="en-us+f2"),
                Move(AfterKey("1"), say="screening_hold", voice="en-us+f2"),
                Move(AfterOwn(2.0), say="hello_who", voice="en-us+michael"),
                Move(AfterBot(), say="confirm", voice="en-us+michael"),
                Move(AfterBot(1.2), say="confirm_again", voice="en-us+michael"),
                Move(AfterBot(2.5), say="bye", voice="en-us+michael", hang_up=2.5),
            ),
        ),
        "a menu: press 1 (keypad tone); then somebody comes and says yes",
    ),
    "27": Entry(
        Talker(
            "colleague",
            (Move(AfterOwn(0.5), say="colleague"), Move(AfterOwn(9.0), hang_up=0.0)),
            answer=Answer("person", ring_seconds=1.0),
        ),
        "a human to put calls through to: says who they are, and hangs up 4 s later",
    ),
    "28": Entry(
        _talks(
            "half_deaf",
            Move(AfterBot(), say="repeat"),
            Move(AfterBot(), say="repeat"),
            Move(AfterBot(), say="confirm"),
            *_TO_THE_END,
        ),
        "half-deaf: asks the bot twice to say it again, then says yes",
    ),
}


def who_answers(number: str, earlier_calls: int = 0) -> Person:
    """Who picks up `number` (E.164 or any digits), dialed `earlier_calls` times before."""
    entry = TABLE.get(re.sub(r"\D", "", number)[-2:], TABLE["00"])
    if entry.first_time is not None and earlier_calls == 0:
        return entry.first_time
    return entry.person
