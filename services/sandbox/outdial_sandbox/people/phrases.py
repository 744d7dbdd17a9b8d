"""Everything that the sandbox's people and machines can say, with what they mean by it.

The wording is chosen so that the phrases are told apart by ear after a telephone's mu-law
(tests/unit/test_sandbox_people_phrases.py and docs/sandbox.md have the figures). No phrase has a
comma's pause in it: a pause ends a turn.
"""

from dataclasses import dataclass

from outdial_sandbox.people.behaviour import Intent


@dataclass(frozen=True)
class Phrase:
    """Words and what the speaker wants with them."""

    text: str
    intent: Intent | None


def _variants(intent: Intent | None, *texts: str) -> tuple[Phrase, ...]:
    return tuple(Phrase(text, intent) for text in texts)


# A person's script names a line; the seed of the call chooses the wording.
LINES: dict[str, tuple[Phrase, ...]] = {
    "hello": _variants("hello", "Hello?"),
    "hello_who": _variants("hello", "Hello, who is this?"),
    "confirm": _variants(
        "confirm", "Yes, everything is fine.", "Yes, that is right.", "Yes, I can confirm that."
    ),
    "confirm_again": _variants(
        "confirm", "Yes, I am quite sure.", "Yes please, that would be good.", "Yes, that is right."
    ),
    "one_word_yes": _variants("confirm", "Yes.", "Absolutely."),
    "confirm_over": _variants("confirm", "I know all about it, yes that is fine."),
    "decline": _variants("decline", "No, I am afraid not.", "No, unfortunately not."),
    "decline_again": _variants("decline", "No, not at all.", "No, not really."),
    "opt_out": _variants(
        "opt_out", "Stop calling me.", "Please take me off your list.", "Do not call me again."
    ),
    "wrong_person": _variants(
        "wrong_person",
        "You have the wrong number.",
        "There is nobody here by that name.",
        "Sorry, you have the wrong person.",
    ),
    "callback": _variants(
        "callback",
        "Please call me tomorrow.",
        "I am busy, call me back tomorrow.",
        "Can you call me tomorrow instead?",
    ),
    "human": _variants(
        "human", "I want to talk to a real person.", "Can I speak to a human please?"
    ),
    "repeat": _variants(
        "repeat",
        "Could you say that again?",
        "Sorry, what did you say?",
        "Can you repeat that please?",
    ),
    "hesitate": _variants("hesitate", "Well, let me see.", "Let me think about it."),
    "backchannel": _variants("backchannel", "Oh I see.", "All right."),
    "bye": _variants("bye", "Okay, goodbye.", "Thank you, bye bye."),
    "voicemail_whose": _variants("machine", "You have reached the voicemail of this number."),
    "voicemail_tone": _variants("machine", "Please leave a message after the tone."),
    "mailbox_full": _variants("machine", "There is no room for more messages."),
    "try_later": _variants("machine", "Please try again later."),
    "screening": _variants("screening", "Please say your name and why you are calling."),
    "menu": _variants("menu", "To talk to somebody press one."),
    "screening_hold": _variants("screening", "Thank you, please stay on the line."),
}

# What a colleague says who is put through: never heard by a recogniser, so not told apart there.
COLLEAGUE = "colleague"
LINES[COLLEAGUE] = _variants(None, "Hello, this is a colleague, how can I help?")

# Short words that callers' applications may meet, beside what the people's scripts say.
SINGLE_WORDS: tuple[Phrase, ...] = (
    Phrase("No.", "decline"),
    Phrase("Okay.", "confirm"),
)


def all_phrases() -> tuple[Phrase, ...]:
    """Each phrase once: what recognition has to tell apart."""
    said = [phrase for line, variants in LINES.items() for phrase in variants if line != COLLEAGUE]
    return tuple(dict.fromkeys([*said, *SINGLE_WORDS]))


def spoken_text(phrase: Phrase) -> str:
    """The text as it is given to the voice: without the commas that would make it pause."""
    return phrase.text.replace(",", "")
