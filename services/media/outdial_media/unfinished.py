"""Which words want more words after them: the person pauses, and has not finished. Pure rules.

Smart Turn hears intonation and knows no words: "my number is" sounds like an end when the person
goes on to look for the number. Only endings that are rarely the last of an answer are listed:
whoever meant it as one waits longer for a reply.
"""

import re

from outdial_media.open_endings import EXCEPTED, WANTING

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
_FRENCH = """
le | la | les | des | du | de | mon | ma | mes | son | sa | ses | notre | votre | leur | et | ou
mais | parce que | car | que | à | au | aux | avec | pour | par | dans | chez | est | sont | cest
je suis | euh | heu | je veux dire | voyons voir | laissez moi voir
"""
_ITALIAN = """
il | lo | la | i | gli | le | un | una | e | o | ma | perché | se | che | di | del | della | da
dal | con | per | su | nel | nella | al | alla | è | cioè | ehm | voglio dire | vediamo
mi faccia vedere
"""
_PORTUGUESE = """
o | os | as | uma | e | ou | mas | porque | se | que | de | do | da | dos | das | com | para | pra
por | em | na | ao | à | número é | nome é | endereço é | eh | ahn | quer dizer | vamos ver
deixe me ver | deixa eu ver
"""
_DUTCH = """
de | mijn | onze | en | of | maar | omdat | want | als | van | bij | met | voor | naar | te | is
uh | uhm | eh | ehm | even kijken | laat me kijken | ik bedoel
"""
_COMPLETE_ENGLISH = """
it is | he is | she is | that is | this is | what is | who is | where is | how is | there is
they are | we are | you are | there are | who are | where are | it was | he was | she was
that was | they were | we were | you were | there were | hold on | go on | hang on
later on | i am | know of | oh my
"""


def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(part.split()) for part in re.split(r"[|\n]", text) if part.strip())


_UNFINISHED = {
    language: (
        _phrases(f"{words}\n{WANTING.get(language, '')}"),
        _phrases(f"{complete}\n{EXCEPTED.get(language, '')}"),
    )
    for language, words, complete in (
        ("de", _GERMAN, ""),
        ("en", _ENGLISH, _COMPLETE_ENGLISH),
        ("es", _SPANISH, ""),
        ("fr", _FRENCH, "il est | elle est"),
        ("it", _ITALIAN, "lo è"),
        ("nl", _DUTCH, "dat is | het is | zo is | er is"),
        ("pt", _PORTUGUESE, ""),
    )
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
