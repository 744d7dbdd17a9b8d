"""Calling rules of some places, as data: hours, and limits for each number called.

This is no legal advice. A template or campaign opts in by name (`hours.jurisdictions`); the rules
then hold for every call of it, whoever is called, and where several are named the strictest of each
kind holds. What a law says about consent, identification, do-not-call lists or abandoned calls is
not here. The sources were read in 2026, where `unverified` does not say otherwise; laws change.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from outdial.domain.call_template import Limits
from outdial.domain.recipient_state import BY_STATE

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Jurisdiction:
    """When somebody may be called there, in their own time, and how often."""

    title: str
    weekdays: dict[str, tuple[str, ...]]
    sources: tuple[str, ...]
    unverified: tuple[str, ...] = ()  # what of this we have only at second hand
    limits: Limits = field(default_factory=Limits)


def _daily(window: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(_WEEK, (window,))


JURISDICTIONS: dict[str, Jurisdiction] = {
    "us-federal": Jurisdiction(
        "United States, TCPA: 8:00 to 21:00 where the person called is",
        _daily("08:00-21:00"),
        ("47 CFR 64.1200(c)(1)",),
    ),
    "us-fl": Jurisdiction(
        "Florida: 8:00 to 20:00, three calls within 24 hours",
        _daily("08:00-20:00"),
        ("Florida Statutes 501.616(6)(a) and (b)", "Florida SB 1120 (2021), enrolled text"),
        limits=Limits(attempts_per_day=3),
    ),
    "us-ok": Jurisdiction(
        "Oklahoma: 9:00 to 20:00, three calls within 24 hours",
        # Solicitation may begin at eight, devices that dial and speak by themselves only at nine;
        # whether an AI that converses is one has not been decided.
        _daily("09:00-20:00"),
        (
            "15 O.S. 755.1(C)(2): automatic dial announcing devices, not before 9:00",
            "Telephone Solicitation Act of 2022 (HB 3168), 15 O.S. 775C.4: 8:00 to 20:00",
        ),
        (
            "9:00 is our own reading: 755.1 as if an AI that converses were such a device",
            "15 O.S. 775C.4: its hours and its limit are from reports on the act",
        ),
        limits=Limits(attempts_per_day=3),
    ),
    "us-wa": Jurisdiction(
        "Washington: 8:00 to 20:00",
        _daily("08:00-20:00"),
        ("RCW 19.158.040(2)", "RCW 80.36.390 as amended by HB 1497 (2022)"),
        ("RCW 80.36.390: its hours were not read; those of 19.158.040(2) were",),
    ),
    BY_STATE: Jurisdiction(
        "United States: 8:00 to 21:00, and what Florida, Oklahoma and Washington add for numbers "
        "that may be theirs",
        _daily("08:00-21:00"),
        (
            "47 CFR 64.1200(c)(1)",
            "us-fl, us-ok and us-wa, each for whom domain/recipient_state.py finds there",
        ),
        ("us-ok: that an AI may call from 9:00 on, not from 8:00, is our own reading",),
    ),
    "us-reg-f": Jurisdiction(
        "United States, debt collection: seven calls within seven days, then seven days of rest "
        "after a conversation, 8:00 to 21:00",
        _daily("08:00-21:00"),
        ("12 CFR 1006.14(b)(2)", "12 CFR 1006.6(b)(1)(i)"),
        limits=Limits(attempts_per_week=7, rest_days_after_conversation=7),
    ),
    "uk": Jurisdiction(
        "United Kingdom: 8:00 to 21:00, on Saturdays and Sundays from 9:00",
        _daily("08:00-21:00") | dict.fromkeys(("sat", "sun"), ("09:00-21:00",)),
        (
            "Ofcom, Persistent misuse: a statement of Ofcom's general policy (in force from 1 "
            "March 2017), names no hours",
            "the hours are those of the Direct Marketing Association's Code of Practice, 21.41",
        ),
        ("DMA code 21.41: as quoted in the trade; later editions were not read",),
    ),
}
"""By the name that `hours.jurisdictions` gives."""


def limits_of(names: Iterable[str]) -> list[Limits]:
    """The limits that come with these jurisdictions."""
    return [JURISDICTIONS[name].limits for name in names]
