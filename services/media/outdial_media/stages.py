"""Where a conversation stands, and how it may end."""

from dataclasses import dataclass
from enum import StrEnum

from outdial.domain.call_outcome import EndedBy


class Stage(StrEnum):
    """Where a conversation stands; it only goes forward."""

    WAITING = "waiting"  # prepared, the phone still rings
    TALKING = "talking"
    MACHINE = "machine"  # mute until the script
    GOODBYE = "goodbye"  # the last words are being said
    OVER = "over"


@dataclass(frozen=True)
class Ending:
    """Why a conversation ended."""

    ended_by: EndedBy
    reason: str
