"""When do we call again: the table."""

from datetime import UTC, datetime, timedelta

import pytest

from outdial.domain.attempt_state import StopReason
from outdial.domain.call_outcome import Facts, Outcome
from outdial.domain.call_template import Cooldowns, Retry
from outdial.domain.lead_state import ScheduledBy
from outdial.domain.retry_policy import (
    MAX_CALLBACKS,
    UNSPENT_BACKOFF,
    UNSPENT_BACKOFF_CAP,
    Decision,
    Finish,
    LeadView,
    NextContact,
    RetryAt,
    Tried,
    decide_next,
    pass_over,
    unspent_backoff,
    unspent_in_a_row,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
COOLDOWNS = Cooldowns()


def tried(outcome: Outcome, contact: int = 0, *, ago: timedelta = timedelta(0), **more: object):
    more = {"spent": True, **more}
    return Tried(contact, outcome, ended_at=NOW - ago, **more)  # type: ignore[arg-type]


def decide(
    *history: Tried,
    policy: Retry = Retry(max_retries=2),  # noqa: B008 - frozen
    contacts: int = 1,
    facts: Facts = Facts(),  # noqa: B008 - frozen
    expires_at: datetime | None = None,
) -> Decision:
    return decide_next(policy, LeadView(contacts, expires_at), history, facts, NOW)


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (Outcome.BUSY, COOLDOWNS.busy),
        (Outcome.NO_ANSWER, COOLDOWNS.no_answer),
        (Outcome.DECLINED, COOLDOWNS.declined),
        (Outcome.FAILED, COOLDOWNS.failed),
        (Outcome.CANCELED, COOLDOWNS.canceled),  # by the carrier
        (Outcome.MACHINE, COOLDOWNS.machine),
        (Outcome.SILENT, COOLDOWNS.silent),
        (Outcome.TECHNICAL_FAILURE, COOLDOWNS.technical_failure),
    ],
)
def test_a_failure_is_retried_after_its_cooldown(outcome: Outcome, seconds: int) -> None:
    assert decide(tried(outcome)) == RetryAt(0, NOW + timedelta(seconds=seconds))


def test_the_cooldown_counts_from_the_end_of_the_call() -> None:
    assert decide(tried(Outcome.BUSY, ago=MINUTE)) == RetryAt(0, NOW + 4 * MINUTE)
    assert decide(tried(Outcome.BUSY, ago=HOUR)) == RetryAt(0, NOW)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome.COMPLETED,
        Outcome.HUNG_UP,
        Outcome.OPTED_OUT,
        Outcome.TRANSFERRED,
        Outcome.VOICEMAIL_LEFT,
        Outcome.EXPIRED,
        Outcome.SUPPRESSED,
        Outcome.INVALID_NUMBER,
        Outcome.WRONG_PERSON,
        Outcome.FAX,
    ],
)
def test_these_finish_a_lead_of_one_contact(outcome: Outcome) -> None:
    assert decide(tried(outcome)) == Finish(outcome)


def test_retries_are_used_up() -> None:
    no_answer = tried(Outcome.NO_ANSWER)
    assert isinstance(decide(no_answer, no_answer), RetryAt)
    assert decide(no_answer, no_answer, no_answer) == Finish(Outcome.NO_ANSWER)
    assert decide(no_answer, policy=Retry(max_retries=0)) == Finish(Outcome.NO_ANSWER)


@pytest.mark.parametrize("outcome", [Outcome.INVALID_NUMBER, Outcome.WRONG_PERSON, Outcome.FAX])
def test_these_move_to_the_next_contact_at_once(outcome: Outcome) -> None:
    assert decide(tried(outcome), contacts=2) == NextContact(1, NOW)
    assert decide(tried(outcome, 0), tried(outcome, 1), contacts=2) == Finish(outcome)


def test_a_contact_called_enough_gives_way_to_the_next() -> None:
    policy = Retry(max_retries=9, per_contact=2)
    busy = tried(Outcome.BUSY)
    assert decide(busy, policy=policy, contacts=2) == RetryAt(0, NOW + 5 * MINUTE)
    assert decide(busy, busy, policy=policy, contacts=2) == NextContact(1, NOW)
    assert decide(busy, busy, policy=policy, contacts=1) == Finish(Outcome.BUSY)


def test_contacts_share_the_retries_of_their_lead() -> None:
    policy = Retry(max_retries=1)
    wrong = [tried(Outcome.WRONG_PERSON, contact) for contact in range(2)]
    assert decide(*wrong, policy=policy, contacts=5) == Finish(Outcome.WRONG_PERSON)


def test_the_policy_chooses_what_finishes_and_what_moves_on() -> None:
    policy = Retry(next_contact_on=("no_answer",), finish_on=("busy",))
    assert decide(tried(Outcome.NO_ANSWER), policy=policy, contacts=2) == NextContact(1, NOW)
    assert decide(tried(Outcome.BUSY), policy=policy) == Finish(Outcome.BUSY)
    assert isinstance(decide(tried(Outcome.HUNG_UP), policy=policy), RetryAt)
    voicemail = decide(tried(Outcome.VOICEMAIL_LEFT), policy=policy)
    assert voicemail == RetryAt(0, NOW + timedelta(seconds=COOLDOWNS.machine))
    assert decide(tried(Outcome.OPTED_OUT), policy=policy) == Finish(Outcome.OPTED_OUT)
    assert decide(tried(Outcome.COMPLETED), policy=policy) == Finish(Outcome.COMPLETED)


def test_an_end_of_ours_is_not_retried() -> None:
    canceled = tried(Outcome.CANCELED, stop_reason=StopReason.CANCELED)
    assert decide(canceled) == Finish(Outcome.CANCELED)
    zombie = tried(Outcome.TECHNICAL_FAILURE, stop_reason=StopReason.ZOMBIE)
    assert isinstance(decide(zombie), RetryAt)


def test_tries_that_do_not_count_back_off_and_never_use_up_the_lead() -> None:
    unspent = tried(Outcome.TECHNICAL_FAILURE, spent=False)
    assert decide(unspent) == RetryAt(0, NOW + UNSPENT_BACKOFF)
    assert decide(unspent, unspent) == RetryAt(0, NOW + 2 * UNSPENT_BACKOFF)
    assert decide(*[unspent] * 5000) == RetryAt(0, NOW + UNSPENT_BACKOFF_CAP)
    spent = tried(Outcome.BUSY)
    assert isinstance(decide(spent, *[unspent] * 50, spent), RetryAt)
    assert unspent_in_a_row([unspent, spent, unspent, unspent]) == 2
    assert unspent_backoff(0) == UNSPENT_BACKOFF


def test_a_number_suppressed_at_the_last_moment_moves_on() -> None:
    refused = tried(Outcome.SUPPRESSED, spent=False)
    assert decide(refused, contacts=2) == NextContact(1, NOW)
    assert decide(refused) == Finish(Outcome.SUPPRESSED)
    assert pass_over(LeadView(2), 0, Outcome.SUPPRESSED, NOW) == NextContact(1, NOW)


def test_expiry_finishes() -> None:
    busy, soon = tried(Outcome.BUSY), NOW + 5 * MINUTE
    assert decide(busy, expires_at=soon) == Finish(Outcome.EXPIRED)
    assert decide(busy, expires_at=soon + MINUTE) == RetryAt(0, soon)
    unspent = tried(Outcome.TECHNICAL_FAILURE, spent=False)
    assert decide(unspent, expires_at=NOW) == Finish(Outcome.EXPIRED)
    assert decide(tried(Outcome.COMPLETED), expires_at=NOW) == Finish(Outcome.COMPLETED)


def test_the_window_closes() -> None:
    policy = Retry(max_retries=9, window_hours=2)
    first = tried(Outcome.NO_ANSWER, ago=2 * HOUR)
    assert decide(first, tried(Outcome.BUSY), policy=policy) == Finish(Outcome.BUSY)
    wrong = tried(Outcome.WRONG_PERSON, ago=timedelta(0))
    late = tried(Outcome.NO_ANSWER, ago=3 * HOUR)
    assert decide(late, wrong, policy=policy, contacts=2) == Finish(Outcome.WRONG_PERSON)
    assert isinstance(decide(tried(Outcome.BUSY), policy=policy), RetryAt)


class TestCallback:
    """A time that the person asked for."""

    @staticmethod
    def ask(*history: Tried, at: datetime = NOW + DAY, **more: object) -> Decision:
        last = tried(Outcome.HUNG_UP, asked_back=True)
        return decide(*history, last, facts=Facts(callback_at=at), **more)  # type: ignore[arg-type]

    def test_is_kept(self) -> None:
        assert self.ask() == RetryAt(0, NOW + DAY, ScheduledBy.PERSON)

    def test_is_kept_though_retries_are_used_up_and_the_window_closed(self) -> None:
        used = [tried(Outcome.NO_ANSWER, ago=9 * HOUR)] * 3
        policy = Retry(max_retries=2, window_hours=1)
        assert self.ask(*used, policy=policy) == RetryAt(0, NOW + DAY, ScheduledBy.PERSON)

    def test_counts_no_retry(self) -> None:
        asked = tried(Outcome.HUNG_UP, asked_back=True)
        no_answer = tried(Outcome.NO_ANSWER)
        assert isinstance(decide(no_answer, asked, no_answer), RetryAt)  # 2 of 3 counted
        assert decide(no_answer, asked, no_answer, no_answer) == Finish(Outcome.NO_ANSWER)

    def test_is_moved_into_what_is_possible(self) -> None:
        assert self.ask(at=NOW - HOUR) == RetryAt(0, NOW + MINUTE, ScheduledBy.PERSON)
        policy = Retry(max_callback_days=7)
        week = RetryAt(0, NOW + 7 * DAY, ScheduledBy.PERSON)
        assert self.ask(at=NOW + 60 * DAY, policy=policy) == week

    def test_does_not_outlive_the_lead(self) -> None:
        assert self.ask(expires_at=NOW + HOUR) == Finish(Outcome.EXPIRED)

    def test_is_not_asked_for_for_ever(self) -> None:
        asked = tried(Outcome.HUNG_UP, asked_back=True)
        assert isinstance(self.ask(*[asked] * (MAX_CALLBACKS - 1)), RetryAt)
        assert self.ask(*[asked] * MAX_CALLBACKS) == Finish(Outcome.HUNG_UP)

    def test_does_not_outrank_an_opt_out(self) -> None:
        last = tried(Outcome.OPTED_OUT, asked_back=True)
        facts = Facts(callback_at=NOW + DAY, opted_out=True)
        assert decide(last, facts=facts) == Finish(Outcome.OPTED_OUT)
