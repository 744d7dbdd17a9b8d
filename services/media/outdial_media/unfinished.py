"""Which words want more words after them: the person pauses, and has not finished. Pure rules.

Smart Turn hears intonation and knows no words: "my number is" sounds like an end when the person
goes on to look for the number. Only endings that are rarely the last of an answer are listed:
whoever meant it as one waits longer for a reply.
"""

import re

_ENGLISH = """
the | a | an | my | your | his | our | their | and | or | but | because | if | although
unless | until | than | of | at | from | with | for | on | into | between
is | are | was | were | am | im | ive | its | thats | theres | um | uh | er | erm | i mean
let me see | let me think | let me check | let me look
"""
_GERMAN = """
der | den | dem | ein | eine | einen | einem | einer | mein | meine | meinen | meinem | meiner
und | oder | aber | weil | wenn | dass | ob | von | vom | bei | beim | für | zum | zur
am | im | um | äh | ähm | öh | naja | mal sehen | mal schauen | ich meine
"""
_SPANISH = """
el | la | los | las | un | una | mi | su | y | o | pero | porque | que | de | del | con | para
por | en | al | eh | em | este | a ver | déjeme ver | es que | o sea
"""
_COMPLETE = {
    "en": """
    it is | he is | she is | that is | this is | what is | who is | where is | how is | there is
    they are | we are | you are | there are | who are | where are | it was | he was | she was
    that was | they were | we were | you were | there were | hold on | go on | hang on
    later on | i am | know of | oh my
    """,
    "de": "",
    "es": "",
}


def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(part.split()) for part in re.split(r"[|\n]", text) if part.strip())


_UNFINISHED = {
    language: (_phrases(words), _phrases(_COMPLETE[language]))
    for language, words in {"en": _ENGLISH, "de": _GERMAN, "es": _SPANISH}.items()
}
_LONGEST = 3


def sounds_unfinished(text: str, language: str) -> bool:
    """Whether more should follow what was recognised last. A question is finished."""
    known = _UNFINISHED.get(language.partition("-")[0].lower())
    if known is None or text.rstrip().endswith(("?", "!")):
        return False
    words = re.findall(r"[^\W_]+", re.sub(r"['’]", "", text.lower()))
    ends = {tuple(words[-length:]) for length in range(1, _LONGEST + 1)}
    unfinished, complete = known
    return not ends.isdisjoint(unfinished) and ends.isdisjoint(complete)
