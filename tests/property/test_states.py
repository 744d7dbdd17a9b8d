"""Both state machines, and attempts as their events tell of them."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain import attempt_state, lead_state
from outdial.domain.attempt_state import AttemptState, EndReason, advance
from outdial.domain.call_events import Event, Source
from outdial.domain.call_outcome import outcome_of
from outdial.domain.fold_events import STATUS_STATES, Folded, fold
from outdial.domain.lead_state import LeadState

pytestmark = pytest.mark.prop

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SIDS = st.sampled_from(["CA1", "CA2"])
TIMES = st.integers(0, 40).map(lambda seconds: START + timedelta(seconds=seconds))
SMALL = st.integers(0, 3)
JUNK = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.integers()))
TOOLS = ["record_outcome", "opt_out", "wrong_person", "schedule_callback", "end_call", "other"]


def keyed(source: Source, kind: str, payload: dict[str, object]) -> st.SearchStrategy[Event]:
    """An event with one of few keys, so that repetitions and collisions come up."""
    return st.builds(
        lambda n, at, sid: Event(source, kind, f"{kind}:{n}", at, sid, {**payload, "stream_no": n}),
        SMALL,
        TIMES,
        st.one_of(st.none(), SIDS),
    )


STATUSES = st.builds(
    lambda name, number, at, sid, sip: Event(
        Source.CARRIER,
        "status",
        f"{sid}:{number}",
        at,
        sid,
        {"CallStatus": name, "SequenceNumber": number, "SipResponseCode": sip},
    ),
    st.sampled_from([*STATUS_STATES, "nonsense"]),
    st.one_of(st.integers(0, 5).map(str), JUNK),
    TIMES,
    SIDS,
    st.one_of(st.sampled_from(["486", "603", "404", ""]), JUNK),
)
TOOL_CALLS = st.builds(
    lambda name, at, arguments, n: Event(
        Source.POD,
        "tool_called",
        f"call_{n}",
        at,
        None,
        {"call_id": f"call_{n}", "name": name, "arguments": arguments},
    ),
    st.sampled_from(TOOLS),
    TIMES,
    st.one_of(
        JUNK,
        st.dictionaries(
            st.sampled_from(["at", "in_minutes", "status"]), st.one_of(JUNK, st.floats())
        ),
        st.fixed_dictionaries({"at": st.datetimes(timezones=st.just(UTC)).map(str)}),
    ),
    SMALL,
)
EVENTS = st.lists(
    st.one_of(
        STATUSES,
        TOOL_CALLS,
        *(
            keyed(Source.DIALER, kind, {})
            for kind in ("accepted", "outcome_unknown", "rejected", "not_sent", "gate_refused")
        ),
        *(
            keyed(Source.POD, kind, {"human_turns": 2, "ended_by": "person", "reason": "x"})
            for kind in ("stream_started", "conversation_closed", "first_words_heard", "else")
        ),
        keyed(Source.GATEWAY, "answered", {}),
        keyed(Source.AMD, "verdict", {"AnsweredBy": "machine_start"}),
        keyed(Source.STREAM, "ended", {"CallStatus": "in-progress"}),
        keyed(Source.RECONCILE, "carrier_call", {"status": "completed", "duration": "7"}),
        keyed(Source.OPERATOR, "stopped", {"reason": "canceled"}),
    ),
    max_size=14,
)


def as_stored(events: list[Event]) -> list[Event]:
    """Of those with one key the first, as the table's constraint keeps it."""
    kept: dict[tuple[str, str, str], Event] = {}
    for event in events:
        kept.setdefault((event.source, event.kind, event.dedupe_key), event)
    return list(kept.values())


@given(EVENTS, st.randoms(use_true_random=False), st.integers(0, 3))
def test_order_and_repetition_change_nothing(
    events: list[Event], random_: random.Random, times: int
) -> None:
    shuffled = events + random_.choices(events, k=times) if events else []
    random_.shuffle(shuffled)
    assert fold(shuffled) == fold(events)


@given(EVENTS)
def test_every_fold_has_an_outcome_and_a_consistent_end(events: list[Event]) -> None:
    folded = fold(events)
    assert outcome_of(folded.facts, end_reason=folded.end_reason)
    assert folded.terminal == (folded.end_reason is not None) == (folded.ended_at is not None)
    assert folded.terminal or folded.state is not AttemptState.ENDED
    if folded.awaits_pod:
        assert folded.facts.stream_opened
        assert not folded.facts.conversation_closed


@given(EVENTS.map(as_stored))
def test_what_is_known_to_be_over_stays_over(events: list[Event]) -> None:
    """Told one after the other, facts move an attempt only as its table allows."""
    state, seen = AttemptState.QUEUED, Folded()
    for number in range(len(events) + 1):
        folded = fold(events[:number])
        assert folded.terminal or not seen.terminal or folded.call_sid != seen.call_sid
        after = advance(state, folded.state)
        assert after is state or attempt_state.may_move(state, after)
        assert after is AttemptState.ENDED or state is not AttemptState.ENDED
        state, seen = after, folded


@given(EVENTS, TIMES)
def test_another_callback_of_a_call_that_ended_does_not_revive_it(
    events: list[Event], at: datetime
) -> None:
    folded = fold(events)
    late = Event(Source.CARRIER, "status", "late", at, folded.call_sid, {"CallStatus": "ringing"})
    again = fold([*events, late], bound_sid=folded.call_sid)
    if folded.state is AttemptState.ENDED:
        assert again.state is AttemptState.ENDED
    if folded.end_reason is EndReason.CARRIER:
        assert again.facts == folded.facts


@given(st.sampled_from(AttemptState), st.lists(st.sampled_from(AttemptState), max_size=20))
def test_an_attempt_only_moves_forward(state: AttemptState, seen: list[AttemptState]) -> None:
    order = list(AttemptState)
    for proof in seen:
        after = advance(state, proof)
        assert order.index(after) >= order.index(state)
        state = after


def test_nothing_leaves_the_end_of_an_attempt() -> None:
    assert attempt_state.TRANSITIONS[AttemptState.ENDED] == frozenset()
    for state in AttemptState:
        assert not attempt_state.may_move(state, AttemptState.QUEUED)
        assert attempt_state.may_move(state, AttemptState.ENDED) == (
            state is not AttemptState.ENDED
        )


@given(st.lists(st.sampled_from(LeadState), max_size=20))
def test_a_lead_is_called_only_from_where_it_waits(wishes: list[LeadState]) -> None:
    state, path = LeadState.BACKLOG, [LeadState.BACKLOG]
    for wish in wishes:
        if lead_state.may_move(state, wish):
            state = wish
            path.append(state)
    for before, after in pairwise(path):
        if after is LeadState.ACTIVE:
            assert before in lead_state.DUE_STATES
        if before is LeadState.FINISHED:
            assert after is LeadState.RETRY
