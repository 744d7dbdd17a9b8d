"""Attempts: one live per lead, number and branch; each move has one winner."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from outdial.domain.attempt_state import AttemptState, Plan, StopReason
from outdial.storage import attempts, leads
from outdial.storage.tables import Attempt
from storage_world import World

pytestmark = pytest.mark.integration

PAST = datetime.now(UTC) - timedelta(hours=1)
ENDED: dict[str, Any] = {
    "state": "ended",
    "ended_at": PAST,
    "spent": True,
    "outcome": "busy",
    "intent_at": PAST,
}


async def end(world: World, attempt_id: UUID) -> None:
    async with world.sessions.begin() as session:
        await session.execute(update(Attempt).where(Attempt.id == attempt_id).values(**ENDED))


async def read(world: World, attempt_id: UUID) -> Attempt:
    async with world.sessions() as session:
        found = await attempts.get(session, attempt_id)
    assert found is not None
    return found


async def test_a_lead_has_one_live_attempt(world: World) -> None:
    (lead_id,) = await world.insert(world.lead())
    async with world.sessions.begin() as session:
        first = await world.row(session, lead_id)
        again = await world.row(session, lead_id, phone="+12025559999")
        assert await attempts.insert_queued(session, [first]) == {first["id"]}
        assert await attempts.insert_queued(session, [again]) == set()
    await end(world, first["id"])
    async with world.sessions.begin() as session:
        assert await attempts.insert_queued(session, [again]) == {again["id"]}
        assert [a.id for a in await attempts.of_lead(session, lead_id)] == [
            first["id"],
            again["id"],
        ]


async def test_a_number_has_one_live_attempt_in_the_whole_deployment(world: World) -> None:
    same = (leads.NewContact("+12025557777"),)
    one, two = await world.insert(world.lead(contacts=same), world.lead(contacts=same))
    async with world.sessions.begin() as session:
        rows = [await world.row(session, one), await world.row(session, two)]
        written = await attempts.insert_queued(session, rows)
    assert len(written) == 1
    assert written <= {row["id"] for row in rows}


async def test_a_branch_has_one_live_attempt(world: World) -> None:
    one, two = await world.insert(world.lead(), world.lead())
    async with world.sessions.begin() as session:
        rows = [await world.row(session, lead, branch_key="house") for lead in (one, two)]
        assert len(await attempts.insert_queued(session, rows)) == 1


async def test_claims_of_the_same_numbers_at_once_do_not_wait_in_a_circle(world: World) -> None:
    ids = await world.insert(*[world.lead() for _ in range(12)])

    async def claim(order: int) -> set[UUID]:
        async with world.sessions.begin() as session:
            rows = [await world.row(session, lead_id) for lead_id in ids[::order]]
            return await attempts.insert_queued(session, rows)

    written = await asyncio.gather(*(claim(order) for order in (1, -1, 1, -1)))
    assert sorted(map(len, written)) == [0, 0, 0, 12]


async def test_dialing_begins_once(world: World) -> None:
    attempt_id = await world.attempt(claim_expires_at=PAST)

    async def begin() -> bool:
        async with world.sessions.begin() as session:
            return await attempts.begin_dialing(session, attempt_id)

    assert sorted(await asyncio.gather(*(begin() for _ in range(5)))) == [False] * 4 + [True]
    dialing = await read(world, attempt_id)
    assert (dialing.state, dialing.claim_expires_at) == ("dialing", None)
    assert dialing.intent_at is not None


async def test_a_stopped_attempt_is_not_dialed(world: World) -> None:
    attempt_id = await world.attempt()
    async with world.sessions.begin() as session:
        assert await attempts.cut(session, attempt_id, StopReason.OPTED_OUT)
        assert await attempts.cut(session, attempt_id, StopReason.CANCELED)
        assert not await attempts.begin_dialing(session, attempt_id)
    stopped = await read(world, attempt_id)
    assert (stopped.stop_reason, stopped.plan) == ("opted_out", "hangup")


async def test_one_call_is_bound_and_stays_bound(world: World) -> None:
    attempt_id, other = await world.attempt(), await world.attempt()
    async with world.sessions.begin() as session:
        assert await attempts.bind_sid(session, attempt_id, "CA1")
        assert await attempts.bind_sid(session, attempt_id, "CA1")
        assert not await attempts.bind_sid(session, attempt_id, "CA2")
    with pytest.raises(IntegrityError, match="uq_attempts_call_sid"):
        async with world.sessions.begin() as session:
            await attempts.bind_sid(session, other, "CA1")


async def test_plan_and_stream_have_one_winner(world: World) -> None:
    attempt_id = await world.attempt()
    async with world.sessions.begin() as session:
        assert await attempts.change_plan(session, attempt_id, Plan.CONVERSATION, Plan.VOICEMAIL)
        assert not await attempts.change_plan(session, attempt_id, Plan.CONVERSATION, Plan.HANGUP)
        assert await attempts.next_stream(session, attempt_id, 1)
        assert not await attempts.next_stream(session, attempt_id, 1)
        assert await attempts.assign_pod(session, attempt_id, "pod-2", "boot")
    moved = await read(world, attempt_id)
    assert (moved.plan, moved.stream_no, moved.pod, moved.boot_id) == (
        "voicemail",
        2,
        "pod-2",
        "boot",
    )


async def test_nothing_moves_an_attempt_that_ended(world: World) -> None:
    attempt_id = await world.attempt()
    await end(world, attempt_id)
    async with world.sessions.begin() as session:
        assert not await attempts.begin_dialing(session, attempt_id)
        assert not await attempts.cut(session, attempt_id, StopReason.CANCELED)
        assert not await attempts.change_plan(session, attempt_id, Plan.CONVERSATION, Plan.HANGUP)
        assert not await attempts.next_stream(session, attempt_id, 1)
        assert not await attempts.assign_pod(session, attempt_id, "p", "b")
        assert not await attempts.mark_hinted(session, attempt_id, None)


async def test_a_hint_is_published_again_by_one(world: World) -> None:
    attempt_id = await world.attempt()
    async with world.sessions.begin() as session:
        assert await attempts.mark_hinted(session, attempt_id, None)
        assert not await attempts.mark_hinted(session, attempt_id, None)
    hinted = await read(world, attempt_id)
    async with world.sessions.begin() as session:
        assert await attempts.mark_hinted(session, attempt_id, hinted.hinted_at)


async def test_claims_expire_by_the_databases_clock(world: World) -> None:
    expired = await world.attempt(claim_expires_at=PAST)
    await world.attempt(claim_expires_at=datetime.now(UTC) + timedelta(hours=1))
    dialing = await world.attempt(claim_expires_at=PAST)
    async with world.sessions.begin() as session:
        await attempts.begin_dialing(session, dialing)
        assert await attempts.expired_claims(session) == [expired]


async def test_live_calls_are_counted(world: World) -> None:
    queued, ended, dialing = [await world.attempt() for _ in range(3)]
    await end(world, ended)
    async with world.sessions.begin() as session:
        await attempts.begin_dialing(session, dialing)
        assert await attempts.count_live(session) == {world.campaign_id: 2}
        assert await attempts.count_queued(session) == 1
        live = await attempts.live(session, campaign_id=world.campaign_id)
        found = await attempts.in_states(session, [AttemptState.DIALING, AttemptState.ENDED])
        page = await attempts.page(session, campaign_id=world.campaign_id, limit=2)
        rest = await attempts.page(session, before=page[-1].id)
        held = await attempts.lock_live_of_number(session, live[0].phone)
    assert {a.id for a in live} == {queued, dialing}
    assert [a.id for a in found] == [dialing]
    assert [a.id for a in page + rest] == [dialing, ended, queued]
    assert [a.id for a in held] == [live[0].id]


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"state": "dialing"}, "ck_attempts_intent"),
        ({"state": "ended"}, "ck_attempts_ended"),
        ({**ENDED, "state": "queued"}, "ck_attempts_ended"),
        ({**ENDED, "spent": None}, "ck_attempts_ended"),
        ({"state": "gone", "intent_at": PAST}, "ck_attempts_state"),
        ({"plan": "sing"}, "ck_attempts_plan"),
        ({"lead_id": None}, "ck_attempts_outbound_has_lead"),
    ],
)
async def test_constraints(world: World, values: dict[str, Any], constraint: str) -> None:
    attempt_id = await world.attempt()
    with pytest.raises(IntegrityError, match=constraint):
        async with world.sessions.begin() as session:
            await session.execute(update(Attempt).where(Attempt.id == attempt_id).values(**values))
