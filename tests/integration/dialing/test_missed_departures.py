"""A worker that slept past its departure does not leave with everybody who slept as long."""

import asyncio

import pytest
from dialing_world import World
from outdial.operations import place_attempt
from outdial.operations.runtime import Runtime
from outdial.telephony.dial_result import Accepted, DialResult
from outdial.telephony.twilio_client import PlaceCall
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway
from sqlalchemy import text

pytestmark = pytest.mark.integration


class Departures:
    """Gives away these waits instead of Redis's, in seconds; then there is no Redis."""

    def __init__(self, *waits: float) -> None:
        self.left = list(waits)

    async def take(self, redis: Redis, account: str, rate: float, notice: float) -> float:
        if not self.left:
            raise RedisAway("away")
        return self.left.pop(0)


@pytest.fixture
def departures(monkeypatch: pytest.MonkeyPatch) -> Departures:
    given = Departures()
    monkeypatch.setattr(place_attempt, "take_departure", given.take)
    return given


async def test_whoever_slept_past_a_departure_takes_another_one(
    world: World, departures: Departures
) -> None:
    attempt = await world.claim(await world.add_lead())
    departures.left = [-3.0, -0.1, 0.3]
    seen: list[int] = []

    async def answer(call: PlaceCall, sid: str) -> DialResult:
        seen.append(len(departures.left))
        return Accepted(sid)

    world.carrier.on_post = answer
    assert await world.place(attempt.id) == {"Accepted": 1}
    assert seen == [0]


async def test_one_who_finds_no_other_departure_is_not_dialed_and_stays_queued(
    world: World, departures: Departures
) -> None:
    attempt = await world.claim(await world.add_lead())
    departures.left = [-3.0]
    assert await world.place(attempt.id) == {"failed": 1}
    assert (world.carrier.posts, (await world.attempt(attempt.id)).state) == ([], "queued")


@pytest.mark.parametrize(
    ("others", "posts", "end_reason"),
    [
        pytest.param([0.2], 1, None, id="the-next-is-soon"),
        pytest.param([5.0], 0, "not_sent", id="the-next-is-too-late"),
        pytest.param([], 0, "not_sent", id="no-redis"),
    ],
)
async def test_a_commit_that_took_too_long_departs_with_the_next_or_not_at_all(
    world: World,
    departures: Departures,
    others: list[float],
    posts: int,
    end_reason: str | None,
) -> None:
    attempt = await world.claim(await world.add_lead())
    departures.left = [0.1, *others]
    async with world.runtime.sessions.begin() as other:
        # What the intent needs last is held until the departure has passed.
        await other.execute(
            text("SELECT 1 FROM attempts WHERE id = :id FOR UPDATE"), {"id": attempt.id}
        )
        placing = asyncio.create_task(world.place(attempt.id))
        await _past_its_departure(world.runtime)
    await placing
    row = await world.attempt(attempt.id)
    assert (len(world.carrier.posts), row.end_reason) == (posts, end_reason)
    if end_reason is not None:
        assert row.spent is False


async def _past_its_departure(runtime: Runtime) -> None:
    """Until somebody waits for a lock, and then for as long as he may be late."""
    while True:
        async with runtime.sessions() as session:
            waiting = await session.scalar(
                text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            )
        if waiting:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
