"""Limits of a number, caller numbers and set-asides, on real rows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dialing_world import TEMPLATE, World, closed, pod, some_phone, status, tool
from outdial.domain.calling_hours import WEEKDAYS
from outdial.observability.metrics import REFUSED
from outdial.operations.control_campaign import pull_lever
from outdial.operations.review_caller_numbers import review_caller_numbers, set_aside_collapsed
from outdial.storage import numbers
from outdial.storage.tables import Attempt, Campaign, Lead
from outdial.telephony.dial_result import DialResult, NotSent, Rejected
from outdial.telephony.twilio_client import PlaceCall

pytestmark = pytest.mark.integration

NEW_YORK, DENVER, LONDON = "+12125550191", "+13035550191", "+442079460191"


async def limit(world: World, **limits: float) -> None:
    """From now on, leads of this world have a template with these limits."""
    world.template_id = await world.add_template(limits=limits, retry=TEMPLATE["retry"])


async def set_settings(world: World, **changes: object) -> None:
    settings = world.runtime.settings.model_copy(update=changes)
    world.runtime = replace(world.runtime, settings=settings)


async def call(world: World, lead: Lead, name: str = "no-answer") -> Attempt:
    """One call from claim to end."""
    await world.make_due(lead)
    attempt = await world.dial(lead)
    await world.hear(attempt.id, status(name, 1, str(attempt.call_sid)))
    return await world.attempt(attempt.id)


async def talk(world: World, lead: Lead, *tools: object) -> Attempt:
    """One call in which the person spoke."""
    await world.make_due(lead)
    attempt = await world.dial(lead)
    sid = str(attempt.call_sid)
    await world.hear(attempt.id, status("in-progress", 1, sid), pod("stream_started"))
    await world.hear(
        attempt.id, *tools, closed("person", "person_hung_up"), status("completed", 2, sid)
    )
    ended = await world.attempt(attempt.id)
    assert ended.state == "ended"
    return ended


async def refusal_of(world: World, lead: Lead) -> tuple[str | None, datetime | None]:
    await world.make_due(lead)
    assert (await world.dispatch()).claimed == []
    row = await world.lead(lead.id)
    return row.refusal, row.next_attempt_at


async def test_calls_to_a_number_count_across_campaigns(world: World) -> None:
    await limit(world, attempts_per_day=2)
    phone = some_phone()
    other = await world.add_campaign("other")
    first = await call(world, await world.add_lead(phone))
    await call(world, await world.add_lead(phone, campaign=other))
    before = REFUSED.labels("number_day_limit")._value.get()
    third = await world.add_lead(phone, campaign=other)
    reason, again = await refusal_of(world, third)
    assert reason == "number_day_limit"
    assert first.intent_at is not None
    assert again == first.intent_at + timedelta(days=1)
    assert REFUSED.labels("number_day_limit")._value.get() == before + 1
    # A day later there is room again.
    await world.age(first.id, 86_400)
    await world.make_due(third)
    assert len((await world.dispatch()).claimed) == 1


async def test_only_calls_that_disturbed_count(world: World) -> None:
    await limit(world, attempts_per_day=1)
    lead = await world.add_lead()

    async def away(call: PlaceCall, sid: str) -> DialResult:
        return NotSent("connection refused")

    world.carrier.on_post = away
    attempt = await world.claim(lead)
    await world.place(attempt.id)
    assert (await world.attempt(attempt.id)).spent is False
    world.carrier.on_post = None
    await world.make_due(lead)
    await world.dial(lead)


async def test_a_limit_is_counted_again_before_the_post(world: World) -> None:
    await limit(world, attempts_per_day=1)
    phone = some_phone()
    earlier = await call(world, await world.add_lead(phone))
    await world.age(earlier.id, 2 * 86_400)
    lead = await world.add_lead(phone)
    attempt = await world.claim(lead)
    # What the claim could not see: a call of this minute.
    await world.age(earlier.id, -2 * 86_400)
    posts = len(world.carrier.posts)
    await world.place(attempt.id)
    assert len(world.carrier.posts) == posts
    ended = await world.attempt(attempt.id)
    assert (ended.end_reason, ended.spent) == ("gate_refused", False)
    assert (await world.lead(lead.id)).refusal == "number_day_limit"


async def test_the_deployments_own_limit_holds_for_every_template(world: World) -> None:
    await set_settings(world, max_attempts_per_week=1)
    phone = some_phone()
    await call(world, await world.add_lead(phone))
    reason, _ = await refusal_of(world, await world.add_lead(phone))
    assert reason == "number_week_limit"


async def test_a_jurisdiction_brings_its_limit(world: World) -> None:
    days = {day: ["00:00-24:00"] for day in WEEKDAYS}
    phone = some_phone()
    for _ in range(3):
        await call(world, await world.add_lead(phone), "busy")
    fourth = await world.add_lead(phone)
    await world.set_campaign(
        hours={"weekdays": days, "jurisdictions": ["us-fl"], "spread_minutes": 0}
    )
    reason, _ = await refusal_of(world, fourth)
    assert reason in {"number_day_limit", "outside_hours"}  # by the hour at which this runs
    await world.set_campaign(hours={"weekdays": days})
    await world.make_due(fourth)
    assert len((await world.dispatch()).claimed) == 1


async def test_after_a_conversation_the_number_rests(world: World) -> None:
    await limit(world, rest_days_after_conversation=7)
    phone = some_phone()
    ended = await talk(world, await world.add_lead(phone))
    assert ended.ended_at is not None
    reason, again = await refusal_of(world, await world.add_lead(phone))
    assert (reason, again) == ("resting", ended.ended_at + timedelta(days=7))


async def test_a_machine_is_no_conversation(world: World) -> None:
    await limit(world, rest_days_after_conversation=7)
    phone = some_phone()
    ended = await talk(world, await world.add_lead(phone), tool("voicemail_reached"))
    assert ended.outcome == "machine"
    await world.claim(await world.add_lead(phone))


async def test_who_asked_to_be_called_later_is(world: World) -> None:
    await limit(world, rest_days_after_conversation=7)
    lead = await world.add_lead()
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    await talk(world, lead, tool("schedule_callback", at=soon))
    assert (await world.lead(lead.id)).scheduled_by == "person"
    await world.make_due(lead)
    assert len((await world.dispatch()).claimed) == 1


async def add_numbers(world: World, *phones: str) -> None:
    async with world.runtime.sessions.begin() as session:
        for phone in phones:
            await numbers.add(session, phone)


async def callers(world: World, claimed: Sequence[object]) -> list[str]:
    return [(await world.attempt(one)).caller_number for one in claimed]  # type: ignore[arg-type]


async def test_people_are_called_from_near_by(world: World) -> None:
    pool = [NEW_YORK, DENVER, LONDON]
    await add_numbers(world, *pool)
    await world.set_campaign(caller_numbers=pool)
    for to, caller in (
        ("+12125550601", NEW_YORK),
        ("+17205550601", DENVER),  # none of that area: the one of its country that rested
        ("+13035550601", DENVER),
        ("+442079460601", LONDON),
    ):
        attempt = await world.claim(await world.add_lead(to))
        assert attempt.caller_number == caller, to
    async with world.runtime.sessions() as session:
        rows = {row.phone: row.last_used_at for row in await numbers.all_numbers(session)}
    assert all(rows[phone] is not None for phone in pool)


async def test_numbers_rest_and_hold_so_many_calls(world: World) -> None:
    await add_numbers(world, NEW_YORK, DENVER)
    await world.set_campaign(caller_numbers=[NEW_YORK, DENVER])
    await set_settings(world, max_live_per_caller_number=1)
    for _ in range(3):
        await world.add_lead()
    report = await world.dispatch()
    assert sorted(await callers(world, report.claimed)) == [NEW_YORK, DENVER]
    assert report.refused == {"caller_numbers_busy": 1}
    await set_settings(world, max_live_per_caller_number=0, caller_number_rest_seconds=3600)
    await world.execute("UPDATE leads SET next_attempt_at = now() WHERE state = 'backlog'")
    assert (await world.dispatch()).refused == {"caller_numbers_busy": 1}


async def test_a_number_set_aside_after_the_claim_does_not_call(world: World) -> None:
    await add_numbers(world, NEW_YORK)
    await world.set_campaign(caller_numbers=[NEW_YORK])
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    async with world.runtime.sessions.begin() as session:
        await numbers.set_aside(session, NEW_YORK, "21212")
    await world.place(attempt.id)
    assert world.carrier.posts == []
    assert (await world.lead(lead.id)).refusal == "no_caller_number"


@pytest.mark.parametrize("code", [21210, 21212])
async def test_a_number_that_the_carrier_refuses_is_set_aside_with_its_reason(
    world: World, code: int
) -> None:
    await add_numbers(world, NEW_YORK, DENVER)
    await world.set_campaign(caller_numbers=[NEW_YORK, DENVER])
    lead = await world.add_lead()

    async def refuse(call: PlaceCall, sid: str) -> DialResult:
        return Rejected(code, 400, "not yours")

    world.carrier.on_post = refuse
    attempt = await world.claim(lead)
    await world.place(attempt.id)
    async with world.runtime.sessions() as session:
        number = await numbers.get(session, NEW_YORK)
    assert number is not None
    assert number.status == "set_aside"
    assert str(code) in str(number.set_aside_reason)
    assert number.set_aside_at is not None
    # The lead lost nothing, and is called from the other one.
    world.carrier.on_post = None
    await world.make_due(lead)
    assert (await world.dial(lead)).caller_number == DENVER


async def test_bad_credentials_pause_the_campaign_and_say_so(world: World) -> None:
    lead = await world.add_lead()

    async def who(call: PlaceCall, sid: str) -> DialResult:
        return Rejected(20003, 401, "Authenticate")

    world.carrier.on_post = who
    attempt = await world.claim(lead)
    await world.place(attempt.id)
    async with world.runtime.sessions() as session:
        campaign = await session.get_one(Campaign, world.campaign_id)
    assert campaign.status == "paused"
    assert campaign.paused_reason == "the carrier refused a call with 20003: Authenticate"
    await add_numbers(world, NEW_YORK)
    resumed = await pull_lever(world.runtime, world.campaign_id, "resume")
    assert (resumed.status, resumed.paused_reason) == ("running", None)


async def history(world: World, caller: str, calls: int, answered: int, days_ago: float) -> None:
    """So many calls of long ago, written without being made."""
    lead = await world.add_lead()
    await world.execute(
        "INSERT INTO attempts (id, lead_id, contact_id, campaign_id, template_id, phone, "
        "caller_number, state, spent, outcome, queued_at, intent_at, answered_at, ended_at) "
        "SELECT gen_random_uuid(), :lead, (SELECT id FROM contacts WHERE lead_id = :lead), "
        ":campaign, :template, '+12125550000', :caller, 'ended', true, "
        "CASE WHEN n <= :answered THEN 'completed' ELSE 'no_answer' END, at, at, "
        "CASE WHEN n <= :answered THEN at END, at "
        "FROM generate_series(1, :calls) AS n, "
        "LATERAL (SELECT now() - make_interval(secs => :days * 86400)) AS t(at)",
        lead=lead.id,
        campaign=world.campaign_id,
        template=world.template_id,
        caller=caller,
        calls=calls,
        answered=answered,
        days=days_ago,
    )


async def test_a_number_whose_answer_rate_collapses_is_set_aside(world: World) -> None:
    await add_numbers(world, NEW_YORK, DENVER)
    for caller in (NEW_YORK, DENVER):
        await history(world, caller, calls=200, answered=60, days_ago=3)
    await history(world, NEW_YORK, calls=80, answered=3, days_ago=0.1)
    await history(world, DENVER, calls=80, answered=24, days_ago=0.1)
    assert await review_caller_numbers(world.runtime) == 1
    async with world.runtime.sessions() as session:
        number = await numbers.get(session, NEW_YORK)
        assert not await numbers.is_set_aside(session, DENVER)
    assert number is not None
    assert number.set_aside_reason == "answer rate fell from 30% to 4% over the last 80 calls"
    # Not looked at again for some minutes, and nothing changes then.
    assert await review_caller_numbers(world.runtime) == 0
    assert await set_aside_collapsed(world.runtime) == 0


async def test_the_last_number_stays(world: World) -> None:
    await add_numbers(world, NEW_YORK, DENVER)
    await world.set_campaign(caller_numbers=[NEW_YORK])
    await history(world, NEW_YORK, calls=200, answered=60, days_ago=3)
    await history(world, NEW_YORK, calls=80, answered=3, days_ago=0.1)
    assert await set_aside_collapsed(world.runtime) == 0
    await world.set_campaign(caller_numbers=[NEW_YORK, DENVER])
    assert await set_aside_collapsed(world.runtime) == 1
