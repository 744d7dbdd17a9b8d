"""What is known of an attempt, and the one word computed from it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from outdial.domain.attempt_state import EndReason, Plan, StopReason


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
    refusal: str | None = None  # dialer: the gate that closed between claim and POST
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
    transferred: bool = False  # carrier: the dial to a human was answered
    transfer_status: str | None = None  # carrier: how that dial ended
    transfer_failed: bool = False  # carrier: nobody came, and the person was still there
    voicemail_reached: bool = False  # agent: voicemail_reached
    voicemail_left: bool = (
        False  # pod, or the carrier in its place: the script was played to its end
    )
    conversation_closed: bool = False  # pod: its last word on this call
    ended_by: EndedBy | None = None  # pod
    close_reason: str | None = None  # pod: person_hung_up, agent_ended, machine, error...
    provider_failed: bool = False  # pod: no provider answered

    @property
    def answered(self) -> bool:
        """Whether somebody or something picked up."""
        return self.answered_at is not None or self.stream_opened


INVALID_NUMBER_CODES: frozenset[int] = frozenset(
    {
        13224,  # the number called is not valid, and so the next two
        21211,
        21217,
        21214,  # cannot be reached
        21215,  # no permission for its country
        21216,  # blocked
        21219,  # a trial account may not call it
    }
)
"""Codes with which the carrier says that this number cannot be called, now or later."""

INVALID_NUMBER_SIP: frozenset[int] = frozenset({404, 484, 604})
DECLINED_SIP = 603

_OUR_FAULT: frozenset[str] = frozenset({"error", "stream_lost", "provider_failed"})
"""Reasons of a pod's close that are neither the person's doing nor the agent's."""

_STOPPED: dict[StopReason, Outcome] = {
    StopReason.OPTED_OUT: Outcome.OPTED_OUT,
    StopReason.CANCELED: Outcome.CANCELED,
    StopReason.EXPIRED: Outcome.EXPIRED,
    StopReason.ZOMBIE: Outcome.TECHNICAL_FAILURE,
}
_REFUSED: dict[str, Outcome] = {
    "suppressed": Outcome.SUPPRESSED,
    "expired": Outcome.EXPIRED,
}
_STATUSES: dict[str, Outcome] = {
    "busy": Outcome.BUSY,
    "no-answer": Outcome.NO_ANSWER,
    "canceled": Outcome.CANCELED,
}


def outcome_of(
    facts: Facts,
    plan: Plan = Plan.CONVERSATION,
    stop_reason: StopReason | None = None,
    end_reason: EndReason | None = EndReason.CARRIER,
) -> Outcome:
    """The one word. What was said in the call outranks why we ended it, and that the carrier.

    Only an opt-out, wherever it was said, outranks everything.
    """
    if facts.opted_out or stop_reason is StopReason.OPTED_OUT:
        return Outcome.OPTED_OUT
    said = _said(facts)
    if said is not None:
        return said
    if stop_reason is not None:
        return _STOPPED[stop_reason]
    if end_reason is not EndReason.CARRIER:
        return _not_connected(facts, end_reason)
    return _answered(facts, plan) if facts.answered else _unanswered(facts)


def is_machine(facts: Facts, plan: Plan) -> bool:
    """Whether a machine took the call.

    Carrier's detection errs: two turns of a person's talk or a recorded result refute it. What the
    agent noticed, and a plan already changed to voicemail, stand.
    """
    if facts.result is not None:
        return False
    if facts.voicemail_reached or plan is Plan.VOICEMAIL or facts.close_reason == "machine":
        return True
    return (facts.answered_by or "").startswith("machine") and facts.human_turns < 2


def _said(facts: Facts) -> Outcome | None:
    """What the agent learned or did, whatever ended the call afterwards."""
    if facts.wrong_person:
        return Outcome.WRONG_PERSON
    if facts.transferred:
        return Outcome.TRANSFERRED
    if facts.voicemail_left:
        return Outcome.VOICEMAIL_LEFT
    return Outcome.COMPLETED if facts.result is not None else None


def _answered(facts: Facts, plan: Plan) -> Outcome:
    if facts.answered_by == "fax" and facts.human_turns < 2:
        return Outcome.FAX
    if is_machine(facts, plan):
        return Outcome.MACHINE
    if facts.provider_failed or facts.close_reason in _OUR_FAULT or not facts.conversation_closed:
        return Outcome.TECHNICAL_FAILURE  # no provider, no pod, or a pod that died
    if facts.transfer_failed and facts.close_reason == "transfer":
        return Outcome.TECHNICAL_FAILURE  # handed to a human who did not come, and not taken back
    if facts.human_turns == 0 and facts.ended_by is not EndedBy.PERSON:
        return Outcome.SILENT
    return Outcome.HUNG_UP


def _unanswered(facts: Facts) -> Outcome:
    if facts.sip_code == DECLINED_SIP:
        return Outcome.DECLINED
    if facts.sip_code in INVALID_NUMBER_SIP or facts.error_code in INVALID_NUMBER_CODES:
        return Outcome.INVALID_NUMBER
    return _STATUSES.get(facts.carrier_status or "", Outcome.FAILED)


def _not_connected(facts: Facts, end_reason: EndReason | None) -> Outcome:
    """Refused by the carrier, by a gate of ours, or lost on the way."""
    match end_reason:
        case EndReason.REJECTED if facts.error_code in INVALID_NUMBER_CODES:
            return Outcome.INVALID_NUMBER
        case EndReason.REJECTED | EndReason.UNKNOWN_EXPIRED:
            return Outcome.FAILED
        case EndReason.GATE_REFUSED:
            return _REFUSED.get(facts.refusal or "", Outcome.CANCELED)
        case EndReason.STOPPED:
            return Outcome.CANCELED
        case _:
            return Outcome.TECHNICAL_FAILURE
