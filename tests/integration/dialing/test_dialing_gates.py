"""What keeps a lead from being dialed, at the claim and at the last moment before the POST."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dialing_world import World, closed_now, some_phone, status
from outdial.observability.metrics import REFUSED
from outdial.routing.slot_reservation import free_slots
from outdial.storage import leads, numbers
from outdial.storage.leads import NewContact, NewLead
from outdial.telephony.dial_result import DialResult, Rejected
from outdial.telephony.twilio_client import PlaceCall

pytestmark = pytest.mark.integration

NEVER = {"weekdays": {}, "closed_dates": [], "require_timezone": True}


async def test_outside_hours_a_lead_waits_for_the_opening(world: World) -> None:
    await world.set_campaign(hours=closed_now())
    lead = await world.add_lead()
    report = await world.dispatch()
    assert (report.claimed, report.refused) == ([], {"outside_hours": 1})
    waiting = await world.lead(lead.id)
    assert (waiting.state, waiting.refusal) == ("backlog", "outside_hours")
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at > datetime.now(UTC) + timedelta(hours=6)


async def test_refused_leads_do_not_block_the_queue(world: World) -> None:
    shut = await world.add_campaign("shut", hours=closed_now())
    for _ in range(120):
        await world.add_lead(campaign=shut)
    lead = await world.add_lead(campaign=shut)
    await world.execute("UPDATE campaigns SET hours = NULL WHERE id = :id", id=world.campaign_id)
    mine = await world.add_lead()
    report = await world.dispatch()
    assert report.refused == {"outside_hours": 121}
    assert [(await world.attempt(one)).lead_id for one in report.claimed] == [mine.id]
    assert (await world.lead(lead.id)).refusal == "outside_hours"


async def test_an_unknown_time_zone_is_refused_where_one_is_asked_for(world: World) -> None:
    await world.set_campaign(hours=NEVER)
    lead = await world.add_lead("+870773111632")  # a ship's
    assert (await world.dispatch()).refused == {"timezone_unknown": 1}
    assert (await world.lead(lead.id)).refusal == "timezone_unknown"


async def test_an_expired_lead_finishes(world: World) -> None:
    lead = await world.add_lead(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    counted = REFUSED.labels("expired")._value.get()
    report = await world.dispatch()
    assert (report.finished, report.refused) == (1, {"expired": 1})
    assert REFUSED.labels("expired")._value.get() == counted + 1
    done = await world.lead(lead.id)
    assert (done.state, done.outcome) == ("finished", "expired")


async def test_a_lead_that_expires_while_it_waits_is_looked_at_then(world: World) -> None:
    await world.set_campaign(hours=closed_now())
    expiry = datetime.now(UTC) + timedelta(hours=1)
    lead = await world.add_lead(expires_at=expiry)
    await world.dispatch()
    assert (await world.lead(lead.id)).next_attempt_at == expiry


async def test_a_suppressed_contact_is_passed_over_and_the_last_one_finishes(
    world: World,
) -> None:
    first, second = some_phone(), some_phone()
    lead = await world.add_lead(first, second)
    await world.opt_out(first)
    assert (await world.dispatch()).claimed == []
    assert (await world.lead(lead.id)).contact_position == 1
    await world.opt_out(second)
    await world.make_due(lead)
    await world.dispatch()
    assert (await world.lead(lead.id)).outcome == "suppressed"
    assert world.carrier.posts == []


@pytest.mark.parametrize("state", ["paused", "draft", "canceled"])
async def test_only_running_campaigns_are_dialed(world: World, state: str) -> None:
    await world.add_lead()
    await world.set_campaign(status=state)
    assert (await world.dispatch()).claimed == []


async def test_a_pause_between_claim_and_post_gives_the_lead_back(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    await world.set_campaign(status="paused")
    await world.place(attempt.id)
    assert world.carrier.posts == []
    row = await world.attempt(attempt.id)
    assert (row.end_reason, row.spent) == ("gate_refused", False)
    back = await world.lead(lead.id)
    assert (back.state, back.refusal, back.contact_position) == (
        "backlog",
        "campaign_not_running",
        0,
    )
    assert await free_slots(world.runtime.redis) == 100


async def test_a_cancel_between_claim_and_post_finishes_the_lead(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    await world.set_campaign(status="canceled")
    await world.place(attempt.id)
    assert world.carrier.posts == []
    assert (await world.lead(lead.id)).outcome == "canceled"


async def test_hours_that_close_between_claim_and_post(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    await world.set_campaign(hours=closed_now())
    await world.place(attempt.id)
    assert world.carrier.posts == []
    assert (await world.lead(lead.id)).refusal == "outside_hours"


async def test_a_held_lead_is_not_claimed(world: World) -> None:
    lead = await world.add_lead()
    await world.execute("UPDATE leads SET held_at = now() WHERE id = :id", id=lead.id)
    assert (await world.dispatch()).claimed == []


async def test_one_number_has_one_call_at_a_time(world: World) -> None:
    phone = some_phone()
    first, second = await world.add_lead(phone), await world.add_lead(phone)
    report = await world.dispatch()
    assert (len(report.claimed), report.refused) == (1, {"number_busy": 1})
    assert (await world.lead(second.id)).refusal == "number_busy"
    attempt = (await world.attempts_of(first))[0]
    await world.place(attempt.id)
    await world.make_due(second)
    assert (await world.dispatch()).refused == {"number_busy": 1}
    await world.hear(
        attempt.id, status("completed", 1, str((await world.attempt(attempt.id)).call_sid))
    )
    await world.make_due(second)
    assert len((await world.dispatch()).claimed) == 1


async def test_one_branch_has_one_call_at_a_time(world: World) -> None:
    await world.add_lead(branch_key="house")
    await world.add_lead(branch_key="house")
    report = await world.dispatch()
    assert (len(report.claimed), report.refused) == (1, {"number_busy": 1})


async def test_somebody_who_is_calling_us_is_not_called(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    await world.execute(
        "INSERT INTO attempts (id, direction, template_id, phone, caller_number, state) "
        "VALUES (gen_random_uuid(), 'inbound', :template, :phone, '+15005550006', 'in_progress')",
        template=world.template_id,
        phone=attempt.phone,
    )
    await world.place(attempt.id)
    assert world.carrier.posts == []
    assert (await world.lead(lead.id)).refusal == "number_busy"


async def test_live_limits(world: World) -> None:
    await world.set_campaign(max_live_calls=2)
    for _ in range(5):
        await world.add_lead()
    assert len((await world.dispatch()).claimed) == 2
    assert (await world.dispatch()).claimed == []


async def test_room_is_shared_between_campaigns(world: World) -> None:
    other = await world.add_campaign("other")
    for _ in range(20):
        await world.add_lead()
    for _ in range(20):
        await world.add_lead(campaign=other)
    await world.beat(slots=10)
    claimed = (await world.dispatch()).claimed
    of_other = [one for one in claimed if (await world.attempt(one)).campaign_id == other]
    assert (len(claimed), len(of_other)) == (10, 5)


async def test_without_redis_nobody_is_called(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    await world.runtime.redis.flushall()
    assert await world.place(attempt.id) == {"not_dialed": 1}
    assert world.carrier.posts == []
    assert (await world.attempt(attempt.id)).end_reason == "gate_refused"


async def test_an_emptied_redis_is_rebuilt_before_more_is_claimed(world: World) -> None:
    await world.beat(slots=2)
    await world.dial(await world.add_lead())
    await world.add_lead()
    await world.add_lead()
    await world.runtime.redis.flushall()
    await world.beat(slots=2)
    assert len((await world.dispatch()).claimed) == 1


async def test_caller_numbers(world: World) -> None:
    ours = ["+12025550111", "+12025550112"]
    async with world.runtime.sessions.begin() as session:
        for number in ours:
            await numbers.add(session, number)
    await world.set_campaign(caller_numbers=ours)
    for _ in range(4):
        await world.add_lead()
    own = NewLead(
        world.campaign_id,
        world.template_id,
        (NewContact(some_phone()),),
        caller_number="+12025550113",
    )
    async with world.runtime.sessions.begin() as session:
        await leads.insert(session, [own], datetime.now(UTC) - timedelta(seconds=1))
    callers = [(await world.attempt(one)).caller_number for one in (await world.dispatch()).claimed]
    assert sorted(callers) == [*ours[:1] * 2, *ours[1:] * 2, "+12025550113"]


async def test_a_refused_caller_number_is_set_aside(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)

    async def not_ours(call: PlaceCall, sid: str) -> DialResult:
        return Rejected(21210, 400, "not yours")

    world.carrier.on_post = not_ours
    await world.place(attempt.id)
    await world.make_due(lead)
    assert (await world.dispatch()).refused == {"no_caller_number": 1}


async def test_bad_credentials_stop_the_campaign(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)

    async def who(call: PlaceCall, sid: str) -> DialResult:
        return Rejected(20003, 401, "who are you?")

    world.carrier.on_post = who
    await world.place(attempt.id)
    await world.make_due(lead)
    assert (await world.dispatch()).claimed == []
    assert (await world.lead(lead.id)).refusal == "rejected:20003"


async def test_too_many_requests_slow_the_pace_down(world: World) -> None:
    attempt = await world.claim(await world.add_lead())

    async def slow(call: PlaceCall, sid: str) -> DialResult:
        return Rejected(20429, 429, "slow down")

    world.carrier.on_post = slow
    await world.place(attempt.id)
    await world.runtime.redis.delete(f"outdial:pace:{world.runtime.settings.twilio_account_sid}")
    first, second = [await world.departure() for _ in range(2)]
    assert second - first == pytest.approx(2 * 1.01 / 200, abs=0.0001)


async def test_static_routing_needs_no_slot(world: World) -> None:
    settings = world.runtime.settings.model_copy(
        update={"routing": "static", "static_stream_url": "wss://dev.test/pods/pod-1"}
    )
    world.runtime = replace(world.runtime, settings=settings)
    await world.runtime.redis.flushall()
    await world.full_pace()
    await world.dial(await world.add_lead())
    (call,) = world.carrier.posts
    assert call.twiml is not None
    assert "wss://dev.test/pods/pod-1/ws/" in call.twiml
