"""`decide_next` ends, keeps to every maximum, and never goes back."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain.call_outcome import Facts, Outcome
from outdial.domain.call_template import Cooldowns, Retry
from outdial.domain.lead_state import ScheduledBy
from outdial.domain.retry_policy import (
    MAX_CALLBACKS,
    Finish,
    LeadView,
    NextContact,
    RetryAt,
    Tried,
    decide_next,
)

pytestmark = pytest.mark.prop

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
OUTCOMES = st.sampled_from(Outcome)
WORDS = st.lists(OUTCOMES.map(str), max_size=5, unique=True).map(tuple)
POLICIES = st.builds(
    Retry,
    max_retries=st.integers(0, 6),
    per_contact=st.one_of(st.none(), st.integers(1, 4)),
    cooldowns=st.builds(Cooldowns, busy=st.integers(0, 9999), no_answer=st.integers(0, 9999)),
    next_contact_on=WORDS,
    finish_on=WORDS,
    window_hours=st.one_of(st.none(), st.floats(0.1, 100)),
    max_callback_days=st.integers(0, 60),
)
LEADS = st.builds(
    LeadView,
    contacts=st.integers(1, 4),
    expires_at=st.one_of(st.none(), st.integers(0, 10**6).map(lambda s: START + s * SECOND)),
)
SECOND = timedelta(seconds=1)


# What the world answers to a call: outcome, spent, seconds until the callback asked for, duration.
ANSWERS = st.tuples(
    OUTCOMES,
    st.booleans(),
    st.one_of(st.none(), st.integers(-(10**5), 10**7)),
    st.integers(0, 600),
)


@given(POLICIES, LEADS, st.data())
def test_a_lead_comes_to_its_end_within_its_maxima(
    policy: Retry, lead: LeadView, data: st.DataObject
) -> None:
    now, contact, asked_before = START, 0, False
    history: list[Tried] = []
    counted: Counter[int] = Counter()
    gone: set[int] = set()
    for _ in range(80):
        outcome, was_spent, callback, seconds = data.draw(ANSWERS)
        now += timedelta(seconds=seconds)
        answered = callback is not None and was_spent
        asked = now + timedelta(seconds=callback or 0) if answered else None
        history.append(Tried(contact, outcome, was_spent, now, asked_back=asked is not None))
        if was_spent:
            counted[contact] += not asked_before
            asked_before = asked is not None
        decision = decide_next(policy, lead, history, Facts(callback_at=asked), now)

        if isinstance(decision, Finish):
            break
        assert decision.at >= now
        assert lead.expires_at is None or decision.at < lead.expires_at
        assert outcome is not Outcome.OPTED_OUT
        if isinstance(decision, NextContact):
            assert decision.contact == contact + 1 < lead.contacts
            gone.add(contact)
        else:
            by_person = decision.by is ScheduledBy.PERSON
            assert decision.contact == contact
            if was_spent and not by_person:
                assert policy.per_contact is None or counted[contact] < policy.per_contact
        assert decision.contact not in gone
        if was_spent and not (isinstance(decision, RetryAt) and decision.by is ScheduledBy.PERSON):
            assert counted.total() <= policy.max_retries
        now, contact = decision.at, decision.contact

    assert counted.total() <= 1 + policy.max_retries
    assert sum(tried.spent for tried in history) <= 1 + policy.max_retries + MAX_CALLBACKS


@given(POLICIES, LEADS, st.lists(OUTCOMES, min_size=40, max_size=40))
def test_a_lead_whose_calls_all_count_always_finishes(
    policy: Retry, lead: LeadView, world: list[Outcome]
) -> None:
    now, contact, history = START, 0, []
    for outcome in world:
        history.append(Tried(contact, outcome, spent=True, ended_at=now))
        decision = decide_next(policy, lead, history, Facts(), now)
        if isinstance(decision, Finish):
            assert decision.outcome in {outcome, Outcome.EXPIRED}
            return
        now, contact = decision.at, decision.contact
    pytest.fail("it was called forty times")
