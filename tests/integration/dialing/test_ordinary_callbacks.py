"""One statement writes of an ordinary callback what the rules would, and leaves them all others."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from dialing_world import World, amd, new_sid, status
from outdial.domain.call_events import Event
from outdial.operations import receive_callback as receiving
from outdial.operations.receive_callback import receive_callback
from outdial.storage import call_events
from outdial.storage.tables import Attempt, Unsettled
from remembered_hints import RememberedHints

pytestmark = pytest.mark.integration

# What is written into the row before the callback comes; `sid`: the call that it is bound to.
STANDS: dict[str, dict[str, Any]] = {
    "queued": {"state": "queued", "sid": None},
    "dialing": {"state": "dialing", "sid": None},
    "dialing, bound": {"state": "dialing", "sid": "own"},
    "dialing, bound to another": {"state": "dialing", "sid": "another"},
    "initiated": {"state": "initiated", "sid": "own"},
    "ringing": {"state": "ringing", "sid": "own"},
    "unknown": {"state": "unknown", "sid": None},
    "in_progress": {"state": "in_progress", "sid": "own"},
    "stopped": {"state": "initiated", "sid": "own", "stop_reason": "canceled"},
    "ended": {"state": "ended", "sid": "own"},
}


def told(what: str, sid: str) -> Event:
    return amd("human", sid) if what == "human" else status(what, 3, sid)


async def stands(world: World, state: str, sid: str | None, stop_reason: str | None) -> Attempt:
    attempt = await world.claim(await world.add_lead())
    ended = ", ended_at = now(), spent = true, outcome = 'busy', end_reason = 'carrier'"
    await world.execute(
        "UPDATE attempts SET state = :state, call_sid = :sid, stop_reason = :stop, "
        "intent_at = CASE WHEN :state = 'queued' THEN NULL ELSE now() END"
        + (ended if state == "ended" else "")
        + " WHERE id = :id",
        state=state,
        sid=sid,
        stop=stop_reason,
        id=attempt.id,
    )
    return attempt


async def became(world: World, attempt: Attempt, event: Event, times: int = 1) -> list[object]:
    """What a callback makes of an attempt, in words that do not name it."""
    hints = RememberedHints(world.runtime.settings)
    runtime = replace(world.runtime, hints=hints)
    received = [await receive_callback(runtime, attempt.id, event) for _ in range(times)]
    row = await world.attempt(attempt.id)
    async with world.runtime.sessions() as session:
        events = await call_events.of_attempt(session, attempt.id)
        waiting = await session.scalars(
            select(Unsettled.event_id).where(Unsettled.attempt_id == attempt.id)
        )
        unread = set(waiting)
    return [
        [(one.known, one.zombie, one.rings, one.is_urgent) for one in received],
        len(hints.settled),
        (row.state, row.call_sid == event.call_sid, row.stop_reason),
        (row.initiated_at == event.occurred_at, row.ringing_at == event.occurred_at),
        row.heard_at is not None,
        [(one.source, one.kind, one.payload, one.id in unread) for one in events],
    ]


@pytest.mark.parametrize("what", ["initiated", "ringing", "in-progress", "completed", "human"])
@pytest.mark.parametrize("how", STANDS)
async def test_it_says_what_the_rules_say(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str, what: str
) -> None:
    said = []
    for by_the_rules in (False, True):
        if by_the_rules:
            monkeypatch.setattr(receiving, "tell", nothing_is_ordinary)
        own = new_sid()
        sid = {"own": own, "another": new_sid(), None: None}[STANDS[how]["sid"]]
        state, stop = STANDS[how]["state"], STANDS[how].get("stop_reason")
        attempt = await stands(world, state, sid, stop)
        event = told(what, own)
        shown = await became(world, attempt, event, times=2)
        said.append([str(one).replace(own, "SID") for one in shown])
    assert said[0] == said[1]


async def nothing_is_ordinary(*_: object) -> None:
    """As if the statement had found no row."""


async def test_a_call_of_another_attempt_is_left_to_the_rules(world: World) -> None:
    first = await world.dial(await world.add_lead())
    assert first.call_sid is not None
    second = await stands(world, "dialing", None, None)
    await receive_callback(world.runtime, second.id, status("ringing", 1, first.call_sid))
    row = await world.attempt(second.id)
    assert (row.call_sid, row.state) == (None, "dialing")
    assert (await world.attempt(first.id)).call_sid == first.call_sid


async def test_most_callbacks_are_one_statement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules are not asked about a call that goes as it should."""
    monkeypatch.setattr(receiving, "_write_by_the_rules", None)
    attempt = await stands(world, "dialing", None, None)
    sid = new_sid()
    for number, name in enumerate(("initiated", "ringing", "in-progress", "completed")):
        await receive_callback(world.runtime, attempt.id, status(name, number, sid))
    assert len(await world.events_of(attempt.id)) == 4
