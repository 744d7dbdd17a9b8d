"""What was lost is found again: each sweep, and that it leaves alone what is well."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dialing_world import World, amd, closed, pod, status, tool
from outdial.operations.record_callback import record_event
from outdial.operations.run_sweeps import run_sweeps
from outdial.operations.settle_attempt import settle_attempt
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.routing.slot_reservation import Slot, free_slots, holder, reserve
from outdial.storage import locks
from outdial.storage.ids import new_id

pytestmark = pytest.mark.integration


async def test_nothing_is_mended_where_nothing_is_wrong(world: World) -> None:
    await world.claim(await world.add_lead())
    await world.add_lead()
    await world.dispatch()
    assert await run_sweeps(world.runtime) == {}
    assert world.carrier.posts == world.carrier.ended == []


async def test_an_expired_claim_gives_the_lead_back(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    await world.age(attempt.id, 31)
    assert (await run_sweeps(world.runtime))["release_expired_claims"] == 1
    back = await world.lead(lead.id)
    assert (back.state, back.refusal, back.unspent_tries) == ("backlog", "claim_expired", 1)
    assert await free_slots(world.runtime.redis) == 100
    await world.place(attempt.id)
    assert world.carrier.posts == []


async def test_a_lost_hint_is_sent_once_more(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    await world.age(attempt.id, 6)
    assert await run_sweeps(world.runtime) == {"republish_hints": 1}
    assert await run_sweeps(world.runtime) == {}


async def test_events_that_nobody_read_are_settled(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    await record_event(world.runtime, attempt.id, status("busy", 1, str(attempt.call_sid)))
    assert await run_sweeps(world.runtime) == {}
    await world.age(attempt.id, 3)
    assert await run_sweeps(world.runtime) == {"settle_unsettled": 1}
    assert (await world.attempt(attempt.id)).outcome == "busy"


async def test_a_pod_that_never_closes_is_not_waited_for_for_ever(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.dial(lead)
    sid = str(attempt.call_sid)
    over = replace(
        status("completed", 2, sid), occurred_at=datetime.now(UTC) - timedelta(seconds=10)
    )
    await world.hear(
        attempt.id, status("in-progress", 1, sid), pod("stream_started", stream_no=1), over
    )
    await run_sweeps(world.runtime)
    assert (await world.attempt(attempt.id)).state == "in_progress"
    impatient = world.runtime.settings.model_copy(update={"settle_anyway_seconds": 9.0})
    world.runtime = replace(world.runtime, settings=impatient)
    assert await run_sweeps(world.runtime) == {"settle_unclosed_attempts": 1}
    assert (await world.attempt(attempt.id)).outcome == "technical_failure"
    assert (await world.lead(lead.id)).state == "retry"


async def test_a_pod_with_another_life_is_not_waited_for(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    sid = str(attempt.call_sid)
    await world.hear(
        attempt.id,
        status("in-progress", 1, sid),
        pod("stream_started", stream_no=1),
        status("completed", 2, sid),
    )
    await run_sweeps(world.runtime)
    assert (await world.attempt(attempt.id)).state == "in_progress"
    newborn = Heartbeat("pod-1", "boot-2", "wss://outdial.test/pods/pod-1", 100)
    await beat(world.runtime.redis, newborn, world.runtime.settings)
    await run_sweeps(world.runtime)
    assert (await world.attempt(attempt.id)).state == "ended"


async def test_a_word_that_comes_after_the_end_decides_again(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.dial(lead)
    sid = str(attempt.call_sid)
    await world.hear(
        attempt.id,
        status("in-progress", 1, sid),
        pod("stream_started", stream_no=1),
        status("completed", 2, sid),
    )
    await settle_attempt(world.runtime, attempt.id, without_pod=True)
    assert (await world.lead(lead.id)).state == "retry"
    await world.hear(attempt.id, tool("record_outcome", ok=True), closed())
    row = await world.attempt(attempt.id)
    assert (row.state, row.outcome) == ("ended", "completed")
    done = await world.lead(lead.id)
    assert (done.state, done.outcome, done.result) == ("finished", "completed", {"ok": True})


async def test_a_late_fact_does_not_undo_what_was_acted_on(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.dial(lead)
    await world.hear(attempt.id, status("no-answer", 1, str(attempt.call_sid)))
    await world.make_due(lead)
    second = await world.claim(lead)
    await world.hear(attempt.id, tool("record_outcome", ok=True))
    assert (await world.attempt(attempt.id)).outcome == "completed"
    now = await world.lead(lead.id)
    assert (now.state, now.live_attempt_id) == ("active", second.id)


async def test_a_late_verdict_changes_facts_only(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    sid = str(attempt.call_sid)
    await world.hear(attempt.id, status("busy", 1, sid))
    await world.hear(attempt.id, amd("unknown", sid))
    row = await world.attempt(attempt.id)
    assert (row.outcome, row.facts["answered_by"]) == ("busy", "unknown")


async def test_a_silent_call_is_asked_for(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    await world.hear(attempt.id, status("ringing", 1, str(attempt.call_sid)))
    sid = str(attempt.call_sid)
    now = datetime.now(UTC)
    world.carrier.known[sid] = replace(
        world.carrier.known[sid], status="no-answer", duration=0, end_time=now
    )
    assert "ask_silent_attempts" not in await run_sweeps(world.runtime)
    await world.age(attempt.id, 61)
    assert (await run_sweeps(world.runtime))["ask_silent_attempts"] == 1
    assert (await world.attempt(attempt.id)).outcome == "no_answer"


async def test_a_carrier_that_is_away_is_not_asked_again_at_once(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    await world.age(attempt.id, 61)
    world.carrier.away = True
    assert await run_sweeps(world.runtime) == {}
    heard = (await world.attempt(attempt.id)).heard_at
    assert heard is not None
    assert datetime.now(UTC) - heard < timedelta(seconds=30)


async def test_a_call_that_the_carrier_does_not_know_has_failed(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    world.carrier.known.clear()
    await world.age(attempt.id, 61)
    await run_sweeps(world.runtime)
    assert (await world.attempt(attempt.id)).outcome == "failed"


async def test_a_slot_without_an_attempt_is_given_back(world: World) -> None:
    redis = world.runtime.redis
    nobody = new_id()
    assert isinstance(await reserve(redis, nobody, 600), Slot)
    assert await run_sweeps(world.runtime) == {}
    held = await redis.hget("outdial:slots", str(nobody))
    assert held is not None
    pod_id, boot, since = str(held).split(" ")
    await redis.hset("outdial:slots", str(nobody), f"{pod_id} {boot} {int(since) - 31_000}")
    assert await run_sweeps(world.runtime) == {"release_leaked_slots": 1}
    assert await holder(redis, nobody) is None


async def test_a_lead_that_points_at_an_ended_attempt_is_decided(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.dial(lead)
    await world.hear(attempt.id, status("busy", 1, str(attempt.call_sid)))
    await world.execute(
        "UPDATE leads SET state = 'active', live_attempt_id = :attempt, next_attempt_at = NULL "
        "WHERE id = :id",
        id=lead.id,
        attempt=attempt.id,
    )
    assert await run_sweeps(world.runtime) == {"mend_lead_pointers": 1}
    assert (await world.lead(lead.id)).state == "retry"


async def test_leads_that_came_back_to_a_canceled_campaign_finish(world: World) -> None:
    lead = await world.add_lead()
    await world.set_campaign(status="canceled")
    assert await run_sweeps(world.runtime) == {"finish_canceled_leads": 1}
    done = await world.lead(lead.id)
    assert (done.state, done.outcome) == ("finished", "canceled")


@pytest.mark.parametrize("where", ["paused", "draft", "running"])
async def test_a_lead_expires_wherever_it_waits(world: World, where: str) -> None:
    past, future = (datetime.now(UTC) + timedelta(seconds=n) for n in (-1, 600))
    over = await world.add_lead(expires_at=past)
    held = await world.add_lead(expires_at=past)
    await world.execute("UPDATE leads SET held_at = now() WHERE id = :id", id=held.id)
    cooling = await world.add_lead(expires_at=past)
    await world.execute(
        "UPDATE leads SET state = 'retry', next_attempt_at = now() + interval '1 hour' "
        "WHERE id = :id",
        id=cooling.id,
    )
    others = [await world.add_lead(expires_at=future), await world.add_lead()]
    await world.set_campaign(status=where)
    assert (await run_sweeps(world.runtime))["finish_expired_leads"] == 3
    for lead in (over, held, cooling):
        done = await world.lead(lead.id)
        assert (done.state, done.outcome, done.next_attempt_at) == ("finished", "expired", None)
    assert [(await world.lead(lead.id)).state for lead in others] == ["backlog"] * 2
    assert "finish_expired_leads" not in await run_sweeps(world.runtime)


async def test_a_lead_that_is_being_called_does_not_expire_under_the_call(world: World) -> None:
    lead = await world.add_lead(expires_at=datetime.now(UTC) + timedelta(seconds=600))
    attempt = await world.dial(lead)
    await world.execute("UPDATE leads SET expires_at = now() WHERE id = :id", id=lead.id)
    assert await run_sweeps(world.runtime) == {}
    await world.hear(attempt.id, status("busy", 1, str(attempt.call_sid)))
    done = await world.lead(lead.id)
    assert (done.state, done.outcome) == ("finished", "expired")


async def test_sweepers_take_turns(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    await world.age(attempt.id, 31)
    account = world.runtime.settings.twilio_account_sid
    async with world.runtime.sessions.begin() as session:
        assert await locks.try_lock_sweep(session, f"{account}:stores")
        assert await run_sweeps(world.runtime) == {}
    assert (await run_sweeps(world.runtime))["release_expired_claims"] == 1


async def test_a_carrier_that_is_slow_keeps_no_other_sweep_waiting(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    await world.age(attempt.id, 31)
    account = world.runtime.settings.twilio_account_sid
    async with world.runtime.sessions.begin() as session:
        assert await locks.try_lock_sweep(session, f"{account}:carrier")
        assert await run_sweeps(world.runtime) == {"release_expired_claims": 1}


async def test_a_sweep_that_fails_does_not_keep_the_others_from_running(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    await world.age(attempt.id, 31)
    await world.runtime.redis.set("outdial:slots", "this is no hash")
    assert (await run_sweeps(world.runtime))["release_expired_claims"] == 1
