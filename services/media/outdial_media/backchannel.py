"""What a listener says without wanting the floor ("mm-hm"), and when such a word is an answer.

Pure rules: no clock, no framework. Backchannels: V. Yngve, "On getting a word in edgewise" (1970).
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from outdial_media.playback import CHARACTERS_A_SECOND
from outdial_media.saying import Said

BEFORE_END_SECONDS = 1.2
"""Words that come so late in a short question, or in a turn, are about it: people answer early."""

AFTER_QUESTION_SECONDS = 2.5
"""And so long after a question, while the agent says more."""

LONGEST = 5
"""Words. Who says more wants to be heard."""

# Never: no, mm-mm, uh-uh, stop, wait, what, sorry, hello. They want something.
_ENGLISH = """
mhm | mhmm | mmhm | mmhmm | mm hm | mm hmm | hm | hmm | uh huh | uhhuh | aha | ah | oh | ooh
okay | ok | k | right | all right | alright | yeah | yea | yep | yup | ya | yes | sure | i see
got it | gotcha | i got it | understood | i understand | of course | exactly | absolutely
true | great | good | fine | cool | nice | perfect | wow | makes sense | go on | go ahead
"""
_GERMAN = """
mhm | mhmm | mmhm | hm | hmm | aha | ah | ach | ach so | achso | oh | okay | ok | ja | jaja
jo | genau | gut | alles klar | klar | verstehe | ich verstehe | verstanden | richtig | stimmt
natürlich | sicher | schön | prima | super | toll | in ordnung
"""
_SPANISH = """
mhm | mhmm | ajá | aja | ah | ah ya | oh | ok | okay | vale | sí | si | ya | ya veo | claro
claro que sí | bien | muy bien | bueno | entiendo | entendido | de acuerdo | exacto | perfecto
correcto | por supuesto
"""
_FRENCH = """
mhm | hm | hmm | ah | ah bon | ah oui | oh | ok | okay | oui | ouais | d'accord | bien
très bien | bien sûr | je vois | je comprends | j'ai compris | compris | c'est compris | exact
exactement | tout à fait | c'est ça | voilà | parfait | super | entendu | en effet | effectivement
"""
_ITALIAN = """
mhm | hm | ah | ah sì | eh sì | oh | ok | okay | sì | si | certo | certamente | va bene
bene | benissimo | capisco | ho capito | capito | d'accordo | esatto | giusto | perfetto | ottimo
infatti | chiaro | vero
"""
_PORTUGUESE = """
mhm | hm | hum | uhum | aham | ah | ah sim | oh | ok | okay | sim | tá | tá bom | tá certo
está bem | certo | claro | claro que sim | bom | bem | muito bem | entendi | entendo | percebo
perfeito | exato | exatamente | isso | isso mesmo | com certeza | pois | pois é | de acordo
correto | ótimo | beleza
"""
_DUTCH = """
mhm | hm | hmm | aha | ah | oh | oké | ok | okay | ja | jaja | ja hoor | jawel | juist
precies | goed | prima | mooi | fijn | klopt | dat klopt | natuurlijk | tuurlijk | zeker
ik snap het | snap ik | ik begrijp het | begrijp ik | begrepen | duidelijk | inderdaad | is goed
in orde
"""
_LANGUAGES = {
    "de": _GERMAN,
    "en": _ENGLISH,
    "es": _SPANISH,
    "fr": _FRENCH,
    "it": _ITALIAN,
    "nl": _DUTCH,
    "pt": _PORTUGUESE,
}

_SENTENCE_END = re.compile(r"[.!?…？。！؟]+")
_QUESTION = frozenset("?？؟")

Words = tuple[str, ...]


@dataclass(frozen=True)
class Backchannels:
    """The backchannels of one template; without any, every voice over the agent interrupts it."""

    phrases: frozenset[Words]

    def holds_only(self, text: str) -> bool:
        """Whether all that was said are backchannels (and something was said)."""
        words = _words(text)
        return 0 < len(words) <= LONGEST and self._split(words, unfinished=False)

    def may_hold_only(self, text: str) -> bool:
        """Whether more words could still make it one: "I" may become "I see"."""
        words = _words(text)
        return len(words) <= LONGEST and self._split(words, unfinished=True)

    def _split(self, words: Words, *, unfinished: bool) -> bool:
        if not words:
            return True
        for phrase in self.phrases:
            length = len(phrase)
            if words[:length] == phrase and self._split(words[length:], unfinished=unfinished):
                return True
            if unfinished and length > len(words) and phrase[: len(words)] == words:
                return True
        return False


@lru_cache(maxsize=256)
def backchannels(language: str, own: tuple[str, ...] | None) -> Backchannels:
    """A template's own words, or those of its language; `multi` has none."""
    known = _LANGUAGES.get(language.partition("-")[0].lower(), "")
    said = own if own is not None else tuple(re.split(r"[|\n]", known))
    return Backchannels(frozenset(words for text in said if (words := _words(text))))


def invites_answer(said: Said) -> bool:
    """Whether a word that is said now answers the agent.

    It does in the second half of a question and for a while after it, and towards the end of the
    turn: the agent stops there, and waits for the person.
    """
    saying, text = said.saying, said.saying.text
    pace = len(text) / saying.seconds if saying.whole and saying.seconds else CHARACTERS_A_SECOND
    at = said.position
    before, after = BEFORE_END_SECONDS * pace, AFTER_QUESTION_SECONDS * pace
    if saying.whole and len(text) - at <= before:
        return True
    began = 0
    for end in _SENTENCE_END.finditer(text):
        early = max(before, (end.end() - began) / 2)
        if not _QUESTION.isdisjoint(end.group()) and -early <= at - end.end() <= after:
            return True
        began = end.end()
    return False


def _words(text: str) -> Words:
    letters = unicodedata.normalize("NFC", text).lower().replace("'", "").replace("’", "")
    return tuple(re.findall(r"[^\W_]+", letters))
