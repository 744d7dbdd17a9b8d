"""The one word, from facts."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from outdial.domain.attempt_state import EndReason, Plan, StopReason
from outdial.domain.call_outcome import EndedBy, Facts, Outcome, outcome_of
from outdial.domain.spent import is_spent

pytestmark = pytest.mark.unit

TALKED = Facts(
    carrier_status="completed",
    answered_at=datetime(2026, 11, 21, tzinfo=UTC),
    stream_opened=True,
    human_turns=3,
    conversation_closed=True,
    ended_by=EndedBy.PERSON,
)
RESULT: dict[str, object] = {"status": "confirmed"}


def talked(**changes: object) -> Facts:
    return replace(TALKED, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (talked(result=RESULT), Outcome.COMPLETED),
        (talked(result={}), Outcome.COMPLETED),
        (talked(), Outcome.HUNG_UP),
        (talked(ended_by=EndedBy.AGENT), Outcome.HUNG_UP),
        (talked(human_turns=0), Outcome.HUNG_UP),  # during the greeting
        (talked(human_turns=0, ended_by=EndedBy.AGENT), Outcome.SILENT),
        (talked(human_turns=0, ended_by=EndedBy.SYSTEM), Outcome.SILENT),
        (talked(opted_out=True, result=RESULT), Outcome.OPTED_OUT),
        (talked(wrong_person=True), Outcome.WRONG_PERSON),
        (talked(transferred=True), Outcome.TRANSFERRED),
        (talked(transfer_failed=True, close_reason="transfer"), Outcome.TECHNICAL_FAILURE),
        (talked(transfer_failed=True, close_reason="agent_ended"), Outcome.HUNG_UP),  # taken back
        (talked(transfer_failed=True, result=RESULT), Outcome.COMPLETED),
        (talked(close_reason="transfer"), Outcome.HUNG_UP),  # gave up while it rang there
        (talked(provider_failed=True), Outcome.TECHNICAL_FAILURE),
        (talked(provider_failed=True, result=RESULT), Outcome.COMPLETED),
        (talked(conversation_closed=False), Outcome.TECHNICAL_FAILURE),
        (talked(conversation_closed=False, result=RESULT), Outcome.COMPLETED),
        (talked(stream_opened=False, conversation_closed=False), Outcome.TECHNICAL_FAILURE),
        (talked(answered_by="machine_start", human_turns=1), Outcome.MACHINE),
        (talked(answered_by="machine_end_beep", human_turns=0), Outcome.MACHINE),
        (talked(answered_by="machine_start", human_turns=2), Outcome.HUNG_UP),
        (talked(answered_by="machine_start", human_turns=1, result=RESULT), Outcome.COMPLETED),
        (talked(answered_by="machine_end_beep", voicemail_left=True), Outcome.VOICEMAIL_LEFT),
        (talked(voicemail_reached=True), Outcome.MACHINE),
        (talked(close_reason="machine"), Outcome.MACHINE),
        (talked(close_reason="error"), Outcome.TECHNICAL_FAILURE),
        (talked(close_reason="stream_lost"), Outcome.TECHNICAL_FAILURE),
        (talked(close_reason="stream_lost", result=RESULT), Outcome.COMPLETED),
        (talked(answered_by="fax", human_turns=0), Outcome.FAX),
        (talked(answered_by="fax", human_turns=2), Outcome.HUNG_UP),
        (talked(answered_by="unknown"), Outcome.HUNG_UP),
        (Facts(carrier_status="busy", sip_code=486), Outcome.BUSY),
        (Facts(carrier_status="no-answer", sip_code=487), Outcome.NO_ANSWER),
        (Facts(carrier_status="busy", sip_code=603), Outcome.DECLINED),
        (Facts(carrier_status="failed", sip_code=603), Outcome.DECLINED),
        (Facts(carrier_status="failed", sip_code=404), Outcome.INVALID_NUMBER),
        (Facts(carrier_status="failed", sip_code=484), Outcome.INVALID_NUMBER),
        (Facts(carrier_status="failed", sip_code=604), Outcome.INVALID_NUMBER),
        (Facts(carrier_status="failed", error_code=13224), Outcome.INVALID_NUMBER),
        (Facts(carrier_status="failed", sip_code=503), Outcome.FAILED),
        (Facts(carrier_status="canceled"), Outcome.CANCELED),
        (Facts(), Outcome.FAILED),
    ],
)
def test_outcome_of_a_call(facts: Facts, outcome: Outcome) -> None:
    assert outcome_of(facts) is outcome


def test_a_plan_of_voicemail_is_a_machine_though_its_greeting_was_heard_as_talk() -> None:
    assert outcome_of(talked(human_turns=4), Plan.VOICEMAIL) is Outcome.MACHINE
    assert outcome_of(talked(result=RESULT), Plan.VOICEMAIL) is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("facts", "reason", "outcome"),
    [
        (Facts(carrier_status="canceled"), StopReason.OPTED_OUT, Outcome.OPTED_OUT),
        (Facts(carrier_status="canceled"), StopReason.CANCELED, Outcome.CANCELED),
        (Facts(carrier_status="no-answer"), StopReason.EXPIRED, Outcome.EXPIRED),
        (talked(), StopReason.CANCELED, Outcome.CANCELED),
        (talked(), StopReason.ZOMBIE, Outcome.TECHNICAL_FAILURE),
        (talked(result=RESULT), StopReason.CANCELED, Outcome.COMPLETED),
        (talked(result=RESULT), StopReason.OPTED_OUT, Outcome.OPTED_OUT),
        (talked(opted_out=True), StopReason.CANCELED, Outcome.OPTED_OUT),
        (talked(wrong_person=True), StopReason.CANCELED, Outcome.WRONG_PERSON),
    ],
)
def test_a_status_that_we_caused_follows_why_we_stopped(
    facts: Facts, reason: StopReason, outcome: Outcome
) -> None:
    assert outcome_of(facts, stop_reason=reason) is outcome


@pytest.mark.parametrize(
    ("reason", "facts", "outcome", "spent"),
    [
        (EndReason.CARRIER, Facts(carrier_status="busy"), Outcome.BUSY, True),
        (EndReason.REJECTED, Facts(error_code=21211), Outcome.INVALID_NUMBER, True),
        (EndReason.REJECTED, Facts(error_code=21217), Outcome.INVALID_NUMBER, True),
        (EndReason.REJECTED, Facts(error_code=21214), Outcome.INVALID_NUMBER, True),
        (EndReason.REJECTED, Facts(error_code=21219), Outcome.INVALID_NUMBER, True),
        (EndReason.REJECTED, Facts(error_code=20001), Outcome.FAILED, True),
        (EndReason.REJECTED, Facts(), Outcome.FAILED, True),
        (EndReason.REJECTED, Facts(error_code=20429), Outcome.FAILED, False),
        (EndReason.REJECTED, Facts(error_code=10004), Outcome.FAILED, False),
        (EndReason.REJECTED, Facts(error_code=22005), Outcome.FAILED, False),
        (EndReason.REJECTED, Facts(error_code=20003), Outcome.FAILED, False),
        (EndReason.REJECTED, Facts(error_code=21210), Outcome.FAILED, False),
        (EndReason.UNKNOWN_EXPIRED, Facts(), Outcome.FAILED, True),
        (EndReason.NOT_SENT, Facts(), Outcome.TECHNICAL_FAILURE, False),
        (EndReason.CLAIM_EXPIRED, Facts(), Outcome.TECHNICAL_FAILURE, False),
        (EndReason.GATE_REFUSED, Facts(refusal="suppressed"), Outcome.SUPPRESSED, False),
        (EndReason.GATE_REFUSED, Facts(refusal="expired"), Outcome.EXPIRED, False),
        (EndReason.GATE_REFUSED, Facts(refusal="outside_hours"), Outcome.CANCELED, False),
        (EndReason.STOPPED, Facts(), Outcome.CANCELED, False),
    ],
)
def test_ends_without_a_call(
    reason: EndReason, facts: Facts, outcome: Outcome, spent: bool
) -> None:
    assert outcome_of(facts, end_reason=reason) is outcome
    assert is_spent(reason, facts.error_code) is spent


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_has_a_word_and_a_count(reason: EndReason) -> None:
    assert outcome_of(Facts(), end_reason=reason) in Outcome
    assert is_spent(reason) in {True, False}
