"""What callers say, turn by turn, and what should follow from it.

A turn is named by its place in `SCRIPT`, which is what a label carries (at most 255). The first
`SENTENCE_TURNS` are whole sentences and serve `make bench ONLY=media`; the rest are `ONLY=turns`.
"""

from dataclasses import dataclass

from media_speech import SENTENCES, Label

SENTENCE_TURNS = 96


@dataclass(frozen=True)
class ScriptedTurn:
    """`pieces` are said with `gap` seconds between them.

    `over`: while the bot speaks; `at_the_end`: as its question comes to its end. The transcript of
    what is not `named` carries no label: a backchannel is known by its words.
    """

    kind: str
    pieces: tuple[str, ...] = ()
    gap: float = 0.0
    over: bool = False
    at_the_end: bool = False
    named: bool = True


_WORDS = (
    "Yes.", "No.", "Seven.", "Hello?", "Okay.", "Sure.", "Tuesday.", "Speaking.", "Maybe.",
    "Correct.", "Nine.", "Monday.", "Never.", "Absolutely.", "Goodbye.",
)  # fmt: skip
_MORE_SENTENCES = (
    "I have to work on that day.",
    "Is it possible to come a little later?",
    "That is fine with me.",
    "Yes, hello, this is she.",
    "I think that works very well for me.",
    "No, I can not come on Friday.",
    "My daughter will bring me to the clinic.",
    "How long will the appointment take?",
    "I have moved to another city last year.",
    "Can you send the bill to my address?",
)
_PAUSED = (
    ("I would like to come on", "Tuesday morning."),
    ("My number is", "five five five, one two three four."),
    ("Well, let me see,", "I think Thursday would be better."),
    ("Can I come on Monday or", "is that too late for you?"),
    ("I have to ask", "my wife about that."),
    ("The name of my doctor is", "Peter Miller."),
    ("I will be there at", "a quarter past nine."),
    ("It depends on", "how long it will take."),
    ("We could do it on Wednesday, but", "only in the afternoon."),
    ("I am calling because", "my knee has been hurting for a week."),
)
_BACKCHANNELS = ("Mm-hm.", "Uh-huh.", "Okay.", "Yeah.", "Right.", "I see.", "Yes.", "Aha.")
_INTERRUPTIONS = (
    "Wait a moment, I have a question about that.",
    "Sorry, can you say that again, please?",
    "No no, that is not what I said.",
    "Stop, I do not want any of this.",
    "Excuse me, who is calling?",
    "Hold on, I need to find my glasses.",
    "Actually, I would like to change the day.",
    "Can I speak to a human being?",
    "Stop.",
    "No.",
    "Wait.",
)
_ANSWERS = ("Yes.", "Yeah.", "Okay.", "Sure.")


def _scripted() -> list[ScriptedTurn]:
    turns = [ScriptedTurn("one_word", (word,)) for word in _WORDS * 2]
    turns += [ScriptedTurn("sentence", (text,)) for text in SENTENCES + _MORE_SENTENCES]
    turns += [ScriptedTurn("pause_inside", pieces, 0.7) for pieces in _PAUSED]
    turns += [ScriptedTurn("pause_inside", pieces, 1.0) for pieces in _PAUSED]
    turns += [_over("backchannel", text) for text in _BACKCHANNELS * 2]
    turns += [_over("early_answer", text, at_the_end=True) for text in _ANSWERS * 2]
    turns += [ScriptedTurn("interruption", (text,), over=True) for text in _INTERRUPTIONS * 2]
    turns += [ScriptedTurn("silence")] * 8
    turns += [ScriptedTurn("noise")] * 6 + [ScriptedTurn("noise", over=True)] * 6
    return turns


def _over(kind: str, text: str, *, at_the_end: bool = False) -> ScriptedTurn:
    return ScriptedTurn(kind, (text,), over=True, at_the_end=at_the_end, named=False)


SCRIPT = [
    *(ScriptedTurn("sentence", (SENTENCES[n % len(SENTENCES)],)) for n in range(SENTENCE_TURNS)),
    *_scripted(),
]


def words_of(label: Label) -> str:
    """What the labelled piece of speech says."""
    return SCRIPT[label.turn].pieces[label.piece]
