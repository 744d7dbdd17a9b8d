"""What is known of an attempt, and the one word computed from it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """How an attempt, and in the end its lead, came out."""

    COMPLETED = "completed"  # the agent recorded the template's result
    HUNG_UP = "hung_up"  # answered, ended by the person without a result
    SILENT = "silent"
    OPTED_OUT = "opted_out"
    WRONG_PERSON = "wrong_person"
    TRANSFERRED = "transferred"
    VOICEMAIL_LEFT = "voicemail_left"
    MACHINE = "machine"  # a machine, no message left
    FAX = "fax"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"  # SIP 603
    INVALID_NUMBER = "invalid_number"
    FAILED = "failed"  # the carrier's
    TECHNICAL_FAILURE = "technical_failure"  # ours, or a provider's
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    CANCELED = "canceled"


class EndedBy(StrEnum):
    """Who ended an answered call."""

    PERSON = "person"
    AGENT = "agent"
    SYSTEM = "system"


@dataclass(frozen=True)
class Facts:
    """All that is known of an attempt; each field has one source, `fold_events` fills it.

    Times are aware datetimes; durations are seconds.
    """

    carrier_status: str | None = None  # carrier: the last call status, by sequence number
    sip_code: int | None = None  # carrier: SipResponseCode of the terminal callback
    error_code: int | None = None  # carrier: the code of a refused POST, or ErrorCode
    answered_by: str | None = None  # carrier: the AMD verdict
    answered_at: datetime | None = None  # carrier
    duration_seconds: int | None = None  # carrier: CallDuration
    fallback_used: bool = False  # carrier: the TwiML fallback route was asked
    stream_opened: bool = False  # pod: a media stream started
    stream_lost: bool = False  # router: `action` came although nobody had closed
    human_turns: int = 0  # pod: turns in which the person said something
    result: dict[str, object] | None = None  # agent: record_outcome's arguments
    opted_out: bool = False  # agent: opt_out
    wrong_person: bool = False  # agent: wrong_person
    callback_at: datetime | None = None  # agent: schedule_callback
    transferred: bool = False  # pod
    voicemail_reached: bool = False  # agent: voicemail_reached
    voicemail_left: bool = False  # pod: the script was played to its end
    conversation_closed: bool = False  # pod: its last word on this call
    ended_by: EndedBy | None = None  # pod
    close_reason: str | None = None  # pod: agent_ended, person_hung_up, idle, longest_call...
    provider_failed: bool = False  # pod: no provider answered

    @property
    def answered(self) -> bool:
        """Whether somebody or something picked up."""
        return self.answered_at is not None or self.stream_opened
