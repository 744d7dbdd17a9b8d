"""What the carrier answered, as values. Nothing here is an exception: each case must be handled."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Accepted:
    """The call exists at the carrier."""

    sid: str


@dataclass(frozen=True)
class Rejected:
    """The carrier read the request and refused it: no phone will ring.

    `code` is Twilio's (`twilio_errors` says what it asks for), `status` that of HTTP.
    """

    code: int
    status: int
    message: str


@dataclass(frozen=True)
class NotSent:
    """The request provably never reached the carrier."""

    reason: str


@dataclass(frozen=True)
class OutcomeUnknown:
    """The request may have been carried out: the phone may ring. Never send it again."""

    reason: str


DialResult = Accepted | Rejected | NotSent | OutcomeUnknown


@dataclass(frozen=True)
class Updated:
    """The carrier changed the call as asked."""


@dataclass(frozen=True)
class AlreadyEnded:
    """There was nothing left to change: the call is over, or was never there."""


@dataclass(frozen=True)
class NotUpdated:
    """The carrier could not be asked, or refused. Asking again does no harm."""

    reason: str


UpdateResult = Updated | AlreadyEnded | NotUpdated


@dataclass(frozen=True)
class CarrierCall:
    """A call as the carrier tells of it when asked. Numbers are E.164, `duration` is seconds."""

    sid: str
    to: str
    caller: str
    status: str
    direction: str
    answered_by: str | None
    duration: int | None
    date_created: datetime | None
    start_time: datetime | None
    end_time: datetime | None


@dataclass(frozen=True)
class NoSuchCall:
    """The carrier knows no call of this name."""


@dataclass(frozen=True)
class CarrierAway:
    """The carrier could not be asked."""

    reason: str
