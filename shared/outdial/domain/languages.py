"""Languages in which a call can be held: those that have the sentences which no template brings."""

SPOKEN: tuple[str, ...] = ("de", "en", "es")
"""Of `outdial_media/phrases.py` (goodbyes, apologies, fillers); a test holds the two together."""


def language_problem(tag: str) -> str:
    """Why a template cannot have this language; empty if it can. Only a tag's first part decides.

    `multi` lets the recogniser find out; what is said without the model is English then.
    """
    first = tag.partition("-")[0].lower()
    if first in SPOKEN or first == "multi":
        return ""
    return (
        f"has no sentences of its own here (goodbyes, apologies, fillers): {', '.join(SPOKEN)} "
        "have; docs/templates.md says how a language is added"
    )
