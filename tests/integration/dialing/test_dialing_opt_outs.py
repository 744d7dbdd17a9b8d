"""An opt-out beside a call that is being placed, and calls that are told to end."""

import pytest

from dialing_world import World, in_parallel, pod, status, tool
from outdial.operations.hang_up_call import hang_up_call
from outdial.operations.run_sweeps import run_sweeps
from outdial.operations.settle_attempt import settle_attempt
from outdial.storage import suppressions
from outdial.telephony.dial_result import (
    Accepted,
    AlreadyEnded,
    DialResult,
    NotUpdated,
)
from outdial.telephony.twilio_client import PlaceCall

pytestmark = pytest.mark.integration


async def test_opt_out_between_claim_and_post(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    await world.opt_out(attempt.phone)
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
        await in_parallel(world.place(attempt.id), world.opt_out(attempt.phone))
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
        await world.opt_out(call.to)
        return Accepted(sid)

    world.carrier.on_post = meanwhile
    await world.place(attempt.id)
    row = await world.attempt(attempt.id)
    assert world.carrier.ended == [row.call_sid]
    await world.hear(attempt.id, status("canceled", 1, str(row.call_sid)))
    assert (await world.attempt(attempt.id)).outcome == "opted_out"


async def test_a_call_that_could_not_be_cut_is_cut_by_a_sweep(world: World) -> None:
    world.carrier.on_end = lambda _sid: NotUpdated("away")
    attempt = await world.opt_out_while_it_rings()
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
    attempt = await world.opt_out_while_it_rings()
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
