"""What the words heard so far say about the person's turn, beside Smart Turn, who hears intonation.

Pure rules. Larger judges of words (LiveKit's turn detector, Deepgram's Flux) are models of their
own; these rules cost nothing, and can be read.
"""

import re
from enum import Enum

from outdial_media.unfinished import sounds_unfinished


class HeardWords(Enum):
    """What the words say."""

    UNFINISHED = "unfinished"
    """More must follow: "my number is", "I have to ask", three digits of a telephone number."""
    WHOLE = "whole"
    """A whole sentence, as the recogniser's own full stop says."""
    OPEN = "open"
    """Neither: intonation decides."""


_STOPS = (".", "!", "?", "。", "！", "？", "؟", "।")
_GOES_ON = re.compile(r"(,|;|:|-|–|—|…|\.\.\.)$")
_FEWEST_WITH_COMMA = 3
"""Words. A recogniser that is made to hurry may leave a comma behind "yes"."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DIGITS: dict[str, frozenset[str]] = {
    "en": _words("zero oh one two three four five six seven eight nine"),
    "de": _words("null eins zwei zwo drei vier fünf sechs sieben acht neun"),
    "es": _words("cero uno dos tres cuatro cinco seis siete ocho nueve"),
}
_PARTS_OF_NUMBERS = frozenset({3, 6, 9})
"""So many digits, said one by one, are the first groups of a telephone number."""


def heard_words(text: str, language: str) -> HeardWords:
    """What `text`, which was recognised last, says."""
    text = text.strip()
    if not text:
        return HeardWords.OPEN
    goes_on = _GOES_ON.search(text) and len(text.split()) >= _FEWEST_WITH_COMMA
    if goes_on or sounds_unfinished(text, language) or _is_part_of_number(text, language):
        return HeardWords.UNFINISHED
    return HeardWords.WHOLE if text.endswith(_STOPS) else HeardWords.OPEN


def _is_part_of_number(text: str, language: str) -> bool:
    """Whether it ends in digits, said one by one, that are a part of a telephone number."""
    if text.endswith("?"):
        return False
    known = _DIGITS.get(language.partition("-")[0].lower(), frozenset())
    count = 0
    for word in reversed(re.findall(r"[^\W_]+", text.lower())):
        if word not in known and not (word.isdecimal() and len(word) == 1):
            break
        count += 1
    return count in _PARTS_OF_NUMBERS
