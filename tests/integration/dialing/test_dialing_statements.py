"""How often a call asks Postgres: what bounds the pace of a machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from dialing_world import World, status
from outdial.operations.record_callback import record_event
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import settle_if_told

pytestmark = pytest.mark.integration


@contextmanager
def statements(runtime: Runtime) -> Iterator[list[str]]:
    """What is sent to Postgres, without BEGIN and COMMIT."""
    engine = runtime.sessions.engine.sync_engine
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_a_dial(world: World) -> None:
    await world.dial(await world.add_lead())  # a process reads a template once
    attempt = await world.claim(await world.add_lead())
    with statements(world.runtime) as sent:
        assert await world.place(attempt.id) == {"Accepted": 1}
    # Which are queued, and whose lookup is awaited; lock number, lead and attempt, share the
    # campaign, a last look, the number's past, dialing; accepted.
    assert len(sent) <= 8, sent


async def test_a_callback_and_its_settling(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    assert attempt.call_sid is not None
    rings, answered = (
        status(name, number, attempt.call_sid)
        for number, name in enumerate(("ringing", "in-progress"), start=1)
    )
    with statements(world.runtime) as sent:
        await record_event(world.runtime, attempt.id, rings, in_time=False)
        assert await settle_if_told(world.runtime, attempt.id) is None
    assert len(sent) <= 4, sent  # lock the row, write the event, that it rings; nothing to settle
    with statements(world.runtime) as sent:
        await record_event(world.runtime, attempt.id, answered, in_time=False)
    assert len(sent) <= 2, sent  # lock the row, write the event
    with statements(world.runtime) as sent:
        await settle_if_told(world.runtime, attempt.id)
    # Lock all, read all, write the attempt, all read.
    assert len(sent) <= 4, sent
    with statements(world.runtime) as sent:
        assert await settle_if_told(world.runtime, attempt.id) is None
    assert len(sent) == 1, sent


async def test_an_end(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    assert attempt.call_sid is not None
    busy = status("busy", 2, attempt.call_sid)
    await record_event(world.runtime, attempt.id, busy, in_time=False)
    with statements(world.runtime) as sent:
        ended = await settle_if_told(world.runtime, attempt.id)
    assert ended is not None
    assert ended.just_ended
    # The same, and of the lead: contacts, history, campaign, itself, why it waits.
    assert len(sent) <= 8, sent
