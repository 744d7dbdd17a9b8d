"""Interleavings that would double, lose or wrongly place a call."""

import asyncio
from datetime import timedelta

import pytest
from dialing_world import FakeCarrier, World, in_parallel, new_sid, pod, some_phone, status, tool
from outdial.operations.answer_dial_result import answer_dial_result
from outdial.operations.claim_due_leads import dispatch
from outdial.operations.hang_up_call import hang_up_call
from outdial.operations.place_attempt import place_attempts
from outdial.operations.record_callback import record_event
from outdial.operations.run_sweeps import run_sweeps
from outdial.operations.settle_attempt import settle_attempt
from outdial.operations.suppress_number import suppress
from outdial.routing.slot_reservation import free_slots
from outdial.storage import suppressions
from outdial.telephony.dial_result import (
    Accepted,
    AlreadyEnded,
    DialResult,
    NotSent,
    NotUpdated,
    OutcomeUnknown,
    Rejected,
)
from outdial.telephony.twilio_client import PlaceCall

pytestmark = pytest.mark.integration


class Killed(BaseException):
    """The worker died here."""


async def die(call: PlaceCall, sid: str) -> DialResult:
    raise Killed


async def test_a_hint_delivered_twice_at_once_is_one_post(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    results = await in_parallel(*(world.place(attempt.id) for _ in range(5)))
    assert len(world.carrier.posts) == 1
    assert sum(result.get("Accepted", 0) for result in results) == 1
    await world.place(attempt.id)
    assert len(world.carrier.posts) == 1


async def test_dispatchers_at_once_claim_each_lead_once(world: World) -> None:
    ids = {(await world.add_lead()).id for _ in range(30)}
    reports = await in_parallel(*(dispatch(world.runtime) for _ in range(6)))
    while any((report := await world.dispatch()).claimed):
        reports = [*reports, report]
    claimed = [attempt_id for report in reports for attempt_id in report.claimed]
    assert len(claimed) == len(set(claimed)) == len(ids)
    assert {(await world.attempt(one)).lead_id for one in claimed} == ids


async def test_dispatchers_at_once_stay_within_the_limit(world: World) -> None:
    await world.set_campaign(max_live_calls=3)
    for _ in range(160):  # more than one dispatcher reads at a time
        await world.add_lead()
    reports = await in_parallel(*(dispatch(world.runtime) for _ in range(8)))
    assert sum(len(report.claimed) for report in reports) == 3


async def test_no_more_is_claimed_than_there_are_slots(world: World) -> None:
    await world.beat(slots=3)
    for _ in range(10):
        await world.add_lead()
    assert len((await world.dispatch()).claimed) == 3
    assert (await world.dispatch()).claimed == []
    assert await free_slots(world.runtime.redis) == 0


async def test_killed_between_commit_and_post_is_never_dialed_again(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    world.carrier.on_post = die
    await world.place(attempt.id)
    world.carrier.known.clear()  # it died before the request went out
    world.carrier.on_post = None
    await world.place(attempt.id)
    assert (await world.dispatch()).claimed == []
    await world.age(attempt.id, 16)
    assert (await run_sweeps(world.runtime))["mark_unknown_attempts"] == 1
    assert (await world.attempt(attempt.id)).state == "unknown"
    await world.age(attempt.id, 600)
    assert (await run_sweeps(world.runtime))["reconcile_unknown_attempts"] == 1
    spent = await world.attempt(attempt.id)
    assert (spent.state, spent.spent, spent.outcome) == ("ended", True, "failed")
    waiting = await world.lead(lead.id)
    assert waiting.state == "retry"
    assert waiting.next_attempt_at is not None
    assert spent.ended_at is not None
    assert waiting.next_attempt_at - spent.ended_at >= timedelta(seconds=599)
    assert len(world.carrier.posts) == 1


async def test_killed_after_the_post_is_found_in_the_call_list(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    world.carrier.on_post = die
    await world.place(attempt.id)
    (sid,) = world.carrier.known
    await world.age(attempt.id, 3)  # the list tells of calls made after the intent
    await world.execute("UPDATE attempts SET state = 'unknown' WHERE id = :id", id=attempt.id)
    await world.age(attempt.id, 6)
    assert (await run_sweeps(world.runtime))["reconcile_unknown_attempts"] == 1
    found = await world.attempt(attempt.id)
    assert (found.state, found.call_sid) == ("ringing", sid)


async def test_two_calls_in_the_list_bind_nothing(world: World) -> None:
    attempt = await world.claim(await world.add_lead())

    async def lost(call: PlaceCall, sid: str) -> DialResult:
        return OutcomeUnknown("read timeout")

    world.carrier.on_post = lost
    await world.place(attempt.id)
    world.carrier.remember(attempt.phone, attempt.caller_number, new_sid())
    await world.age(attempt.id, 6)
    await run_sweeps(world.runtime)
    found = await world.attempt(attempt.id)
    assert (found.state, found.call_sid) == ("unknown", None)


async def test_a_call_of_another_attempt_is_not_taken(world: World) -> None:
    phone = some_phone()
    first = await world.dial(await world.add_lead(phone))
    await world.hear(first.id, status("busy", 1, str(first.call_sid)))
    second = await world.claim(await world.add_lead(phone))
    world.carrier.on_post = die
    await world.place(second.id)
    world.carrier.known = {str(first.call_sid): world.carrier.known[str(first.call_sid)]}
    await world.age(second.id, 16)
    await run_sweeps(world.runtime)
    await world.age(second.id, 6)
    await run_sweeps(world.runtime)
    assert (await world.attempt(second.id)).call_sid is None


async def test_a_callback_rescues_an_unknown_attempt(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    world.carrier.on_post = die
    await world.place(attempt.id)
    await world.age(attempt.id, 16)
    await run_sweeps(world.runtime)
    (sid,) = world.carrier.known
    await world.hear(attempt.id, status("ringing", 1, sid))
    found = await world.attempt(attempt.id)
    assert (found.state, found.call_sid) == ("ringing", sid)


async def test_a_call_of_which_only_the_pod_has_told_is_looked_for(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    world.carrier.on_post = die
    await world.place(attempt.id)
    await world.age(attempt.id, 16)
    await world.hear(attempt.id, pod("stream_started", stream_no=1))
    await world.hear(attempt.id, pod("conversation_closed", stream_no=1, ended_by="person"))
    assert (await world.attempt(attempt.id)).call_sid is None
    (sid,) = world.carrier.known
    await world.age(attempt.id, 16)
    await run_sweeps(world.runtime)
    assert (await world.attempt(attempt.id)).call_sid == sid


async def test_opt_out_between_claim_and_post(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    await suppress(world.runtime, attempt.phone, "asked", "api")
    await world.place(attempt.id)
    assert world.carrier.posts == []
    await settle_attempt(world.runtime, attempt.id)
    ended = await world.attempt(attempt.id)
    assert (ended.state, ended.outcome, ended.spent) == ("ended", "opted_out", False)
    assert (await world.lead(lead.id)).outcome == "opted_out"


async def test_opt_out_and_dialing_at_once_exclude_each_other(world: World) -> None:
    for _ in range(10):
        attempt = await world.claim(await world.add_lead())
        before = len(world.carrier.posts)
        await in_parallel(
            world.place(attempt.id), suppress(world.runtime, attempt.phone, "asked", "api")
        )
        posted = world.carrier.posts[before:]
        row = await world.attempt(attempt.id)
        if posted:
            assert row.call_sid in world.carrier.ended
        else:
            assert row.call_sid is None
        assert row.stop_reason == "opted_out"
        await settle_attempt(world.runtime, attempt.id)


async def test_opt_out_while_the_post_is_under_way_cuts_the_call(world: World) -> None:
    attempt = await world.claim(await world.add_lead())

    async def meanwhile(call: PlaceCall, sid: str) -> DialResult:
        await suppress(world.runtime, call.to, "asked", "api")
        return Accepted(sid)

    world.carrier.on_post = meanwhile
    await world.place(attempt.id)
    row = await world.attempt(attempt.id)
    assert world.carrier.ended == [row.call_sid]
    await world.hear(attempt.id, status("canceled", 1, str(row.call_sid)))
    assert (await world.attempt(attempt.id)).outcome == "opted_out"


async def test_a_call_that_could_not_be_cut_is_cut_by_a_sweep(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    world.carrier.on_end = lambda _sid: NotUpdated("away")
    await suppress(world.runtime, attempt.phone, "asked", "api")
    assert (await run_sweeps(world.runtime)) == {}
    world.carrier.on_end = None
    await world.age(attempt.id, 6)
    assert (await run_sweeps(world.runtime)) == {"end_stopped_calls": 1}
    assert world.carrier.ended == [attempt.call_sid] * 2


async def test_a_call_is_told_to_end_until_it_is_gone(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    sid = str(attempt.call_sid)
    world.carrier.on_end = lambda _sid: NotUpdated("away")
    world.carrier.away = True
    await hang_up_call(world.runtime, attempt.id)
    for tries in (2, 3, 4):
        assert (await run_sweeps(world.runtime)) == {}  # patience between two tries
        await world.age(attempt.id, 6)
        assert (await run_sweeps(world.runtime))["end_stopped_calls"] == 1
        assert world.carrier.ended == [sid] * tries
    world.carrier.on_end, world.carrier.away = (lambda _sid: AlreadyEnded()), False
    world.carrier.remember(attempt.phone, attempt.caller_number, sid, "completed")
    await world.age(attempt.id, 6)
    await run_sweeps(world.runtime)
    gone = await world.attempt(attempt.id)
    assert (gone.state, gone.outcome) == ("ended", "canceled")
    await world.age(attempt.id, 60)
    assert await run_sweeps(world.runtime) == {}
    assert len(world.carrier.ended) == 5


async def test_a_stopped_call_that_is_over_is_asked_for(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    await suppress(world.runtime, attempt.phone, "asked", "api")
    world.carrier.on_end = lambda _sid: AlreadyEnded()
    sid = str(attempt.call_sid)
    world.carrier.remember(attempt.phone, attempt.caller_number, sid, "completed")
    await world.age(attempt.id, 6)
    await run_sweeps(world.runtime)
    assert (await world.attempt(attempt.id)).outcome == "opted_out"


async def test_an_opt_out_that_only_the_tool_call_tells_of(world: World) -> None:
    lead = await world.add_lead("+12125550191", "+12125550192")
    attempt = await world.dial(lead)
    sid = str(attempt.call_sid)
    await world.hear(
        attempt.id,
        status("in-progress", 1, sid),
        pod("stream_started", stream_no=1),
        tool("opt_out"),
    )
    async with world.runtime.sessions() as session:
        assert await suppressions.is_suppressed(session, attempt.phone)
    assert world.carrier.ended == []  # the goodbye may be said
    await world.hear(attempt.id, status("completed", 2, sid))
    await world.age(attempt.id, 1)
    await settle_attempt(world.runtime, attempt.id, without_pod=True)
    assert (await world.lead(lead.id)).outcome == "opted_out"


async def test_an_operator_who_lifts_a_suppression_is_not_overruled_by_old_news(
    world: World,
) -> None:
    attempt = await world.dial(await world.add_lead())
    await world.hear(attempt.id, tool("opt_out"))
    async with world.runtime.sessions.begin() as session:
        await suppressions.remove(session, attempt.phone)
    await world.hear(attempt.id, status("completed", 1, str(attempt.call_sid)))
    async with world.runtime.sessions() as session:
        assert not await suppressions.is_suppressed(session, attempt.phone)


async def test_a_foreign_call_that_names_an_attempt_is_stored_and_ended(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    foreign = new_sid()
    world.carrier.on_end = lambda _sid: NotUpdated("away")
    await world.hear(attempt.id, status("in-progress", 1, foreign))
    assert await world.unsettled() == 1  # until the carrier could be asked
    world.carrier.on_end = None
    await world.age(attempt.id, 3)
    await run_sweeps(world.runtime)
    assert (world.carrier.ended, await world.unsettled()) == ([foreign, foreign], 0)
    row = await world.attempt(attempt.id)
    assert (row.state, row.call_sid) == ("initiated", attempt.call_sid)


async def test_a_call_of_an_attempt_given_up_is_ended(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    await world.age(attempt.id, 31)
    await run_sweeps(world.runtime)
    sid = new_sid()
    await world.hear(attempt.id, status("ringing", 1, sid))
    assert world.carrier.ended == [sid]
    assert (await world.attempt(attempt.id)).end_reason == "claim_expired"


async def test_a_refusal_after_a_callback_is_not_believed(world: World) -> None:
    attempt = await world.claim(await world.add_lead())

    async def odd(call: PlaceCall, sid: str) -> DialResult:
        await record_event(world.runtime, call.attempt_id, status("ringing", 1, sid))
        return NotSent("a proxy says so")

    world.carrier.on_post = odd
    await world.place(attempt.id)
    assert (await world.attempt(attempt.id)).state == "ringing"


async def test_too_late_to_post(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    late = world.runtime.settings.model_copy(update={"post_too_late_seconds": -1.0})
    await place_attempts(
        type(world.runtime)(**{**vars(world.runtime), "settings": late}), [attempt.id]
    )
    assert world.carrier.posts == []
    row = await world.attempt(attempt.id)
    assert (row.end_reason, row.spent) == ("not_sent", False)
    back = await world.lead(lead.id)
    assert (back.state, back.unspent_tries, back.refusal) == ("backlog", 1, "not_sent")


@pytest.mark.parametrize(
    ("result", "state", "spent", "refusal"),
    [
        (Rejected(20429, 429, "slow"), "backlog", False, "rejected:20429"),
        (Rejected(99999, 400, "?"), "retry", True, None),
        (NotSent("refused"), "backlog", False, "not_sent"),
    ],
)
async def test_answers_that_end_an_attempt(
    world: World, result: DialResult, state: str, spent: bool, refusal: str | None
) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)

    async def answer(call: PlaceCall, sid: str) -> DialResult:
        return result

    world.carrier.on_post = answer
    await world.place(attempt.id)
    assert (await world.attempt(attempt.id)).spent is spent
    back = await world.lead(lead.id)
    assert (back.state, back.refusal) == (state, refusal)
    assert await free_slots(world.runtime.redis) == 100


async def test_an_invalid_number_moves_to_the_next_contact(world: World) -> None:
    second = some_phone()
    lead = await world.add_lead(some_phone(), second)
    attempt = await world.claim(lead)

    async def invalid(call: PlaceCall, sid: str) -> DialResult:
        return Rejected(21211, 400, "not a number")

    world.carrier.on_post = invalid
    await world.place(attempt.id)
    world.carrier.on_post = None
    assert (await world.attempt(attempt.id)).outcome == "invalid_number"
    assert (await world.dial(lead)).phone == second


async def test_everything_at_once_neither_deadlocks_nor_differs(world: World) -> None:
    rows = [await world.dial(await world.add_lead()) for _ in range(6)]

    async def live(attempt_id: object, sid: str, phone: str) -> None:
        row = next(one for one in rows if one.id == attempt_id)
        steps = [
            record_event(world.runtime, row.id, status("ringing", 1, sid)),
            record_event(world.runtime, row.id, status("in-progress", 2, sid)),
            record_event(world.runtime, row.id, pod("stream_started", stream_no=1)),
            settle_attempt(world.runtime, row.id),
            settle_attempt(world.runtime, row.id),
            answer_dial_result(world.runtime, row.id, Accepted(sid)),
            suppress(world.runtime, phone, "asked", "api"),
            run_sweeps(world.runtime),
            dispatch(world.runtime),
        ]
        await asyncio.gather(*steps)

    await in_parallel(*(live(row.id, str(row.call_sid), row.phone) for row in rows))
    for row in rows:
        await world.hear(row.id, status("completed", 3, str(row.call_sid)))
        await settle_attempt(world.runtime, row.id, without_pod=True)
        assert (await world.attempt(row.id)).outcome == "opted_out"
    assert isinstance(world.carrier, FakeCarrier)
    assert len(world.carrier.posts) == 6
