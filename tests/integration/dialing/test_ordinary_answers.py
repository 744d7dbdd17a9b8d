"""One statement writes of an ordinary answer to our POST what the rules would."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from dialing_world import World, new_sid, status
from outdial.operations import answer_dial_result as answering
from outdial.operations.answer_dial_result import answer_dial_result
from outdial.operations.receive_callback import receive_callback
from outdial.operations.settle_attempt import settle_if_told
from outdial.storage import call_events
from outdial.storage.tables import Unsettled
from outdial.telephony.dial_result import Accepted
from remembered_hints import RememberedHints

pytestmark = pytest.mark.integration

BEFORE: dict[str, tuple[str, ...]] = {
    "nothing was heard": (),
    "it begins": ("initiated",),
    "it rings": ("initiated", "ringing"),
    "somebody answered": ("initiated", "ringing", "in-progress"),
    "it is over": ("initiated", "ringing", "busy"),
    "reordered": ("ringing", "initiated"),
}
"""What callbacks have told before the answer to our POST came."""


@pytest.mark.parametrize("stands", ["dialing", "unknown", "stopped", "another call"])
@pytest.mark.parametrize("how", BEFORE)
async def test_it_says_what_the_rules_say(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str, stands: str
) -> None:
    said = []
    for by_the_rules in (False, True):
        if by_the_rules:
            monkeypatch.setattr(answering, "tell", nothing_is_ordinary)
        said.append(await became(world, BEFORE[how], stands))
    assert said[0] == said[1]


async def nothing_is_ordinary(*_: object) -> None:
    """As if the statement had found no row."""


async def became(world: World, callbacks: tuple[str, ...], stands: str) -> list[object]:
    """What the answer makes of an attempt, once whatever was hinted at is read."""
    hints = RememberedHints(world.runtime.settings)
    runtime = replace(world.runtime, hints=hints)
    attempt = await world.claim(await world.add_lead())
    await world.execute(
        "UPDATE attempts SET state = 'dialing', intent_at = now() WHERE id = :id", id=attempt.id
    )
    sid = new_sid()
    for number, name in enumerate(callbacks):
        await receive_callback(runtime, attempt.id, status(name, number, sid))
    if stands in {"unknown", "stopped"}:
        column, value = ("state", "unknown") if stands == "unknown" else ("stop_reason", "canceled")
        await world.execute(
            f"UPDATE attempts SET {column} = '{value}' WHERE id = :id AND state <> 'ended'",
            id=attempt.id,
        )
    answered = new_sid() if stands == "another call" else sid
    await answer_dial_result(runtime, attempt.id, Accepted(answered))
    for told in list(hints.settled):
        await settle_if_told(runtime, told)
    row = await world.attempt(attempt.id)
    async with world.runtime.sessions() as session:
        events = await call_events.of_attempt(session, attempt.id)
        unread = set(
            await session.scalars(
                select(Unsettled.event_id).where(Unsettled.attempt_id == attempt.id)
            )
        )
    names = {sid: "SID", answered: "ANSWERED", None: None}
    return [
        (row.state, row.outcome, row.stop_reason, names[row.call_sid], row.heard_at is not None),
        [getattr(row, name) is not None for name in ("initiated_at", "ringing_at", "answered_at")],
        [(one.kind, names[one.call_sid], one.id in unread) for one in events],
    ]


async def test_a_call_that_goes_as_it_should_is_one_statement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "settle_attempt", None)
    attempt = await world.claim(await world.add_lead())
    await world.place(attempt.id)
    row = await world.attempt(attempt.id)
    (sid,) = world.carrier.known
    assert (row.state, row.call_sid) == ("initiated", sid)
