"""What is written about a call: events, turns, tools, recordings."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from outdial.domain.call_events import Event, Source
from outdial.storage import call_events, recordings, transcripts
from outdial.storage.tables import Unsettled
from storage_world import World

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC)


def event(key: str, source: Source = Source.CARRIER, **payload: object) -> Event:
    return Event(source, "status", key, NOW, "CA1", payload)


async def test_a_fact_is_written_once(world: World) -> None:
    attempt_id = await world.attempt()
    first = event("CA1:0", CallStatus="ringing", Empty="")
    async with world.sessions.begin() as session:
        assert await call_events.append(session, attempt_id, first) is not None
        assert await call_events.append(session, attempt_id, first) is None
        assert await call_events.append(session, attempt_id, event("CA1:0", Source.AMD))
    async with world.sessions() as session:
        rows = await call_events.of_attempt(session, attempt_id)
        unsettled = (await session.scalars(select(Unsettled.event_id))).all()
    assert call_events.as_event(rows[0]) == first
    assert [row.id for row in rows] == sorted(unsettled)
    assert len(rows) == 2


async def test_settling_takes_off_the_list_what_it_read_and_no_more(world: World) -> None:
    quiet, attempt_id = await world.attempt(), await world.attempt()
    async with world.sessions.begin() as session:
        numbers = [await call_events.append(session, attempt_id, event(f"{n}")) for n in range(2)]
    async with world.sessions.begin() as session:
        assert await call_events.unsettled_attempts(session, timedelta(0)) == [attempt_id]
        assert await call_events.unsettled_attempts(session, timedelta(minutes=1)) == []
        await call_events.mark_settled(session, [numbers[0] or 0])
        assert await call_events.unsettled_attempts(session, timedelta(0)) == [attempt_id]
        await call_events.mark_settled(session, [numbers[1] or 0])
        assert await call_events.unsettled_attempts(session, timedelta(0)) == []
        assert await call_events.of_attempt(session, quiet) == []


async def test_a_transcript_keeps_its_order_across_streams(world: World) -> None:
    attempt_id = await world.attempt()
    async with world.sessions.begin() as session:
        for stream_no, position, text in [(2, 0, "again"), (1, 1, "yes"), (1, 0, "hel")]:
            await transcripts.save_turn(
                session, attempt_id, stream_no, position, role="agent", text=text
            )
        await transcripts.save_turn(
            session, attempt_id, 1, 0, role="agent", text="hello", interrupted=True, raw={"a": 1}
        )
    async with world.sessions() as session:
        turns = await transcripts.turns_of(session, attempt_id)
    assert [turn.text for turn in turns] == ["hello", "yes", "again"]
    assert (turns[0].interrupted, turns[0].raw, turns[1].raw) == (True, {"a": 1}, None)


async def test_what_only_shows_that_somebody_listens_is_no_part_of_a_conversation(
    world: World,
) -> None:
    attempt_id = await world.attempt()
    said = [
        ("agent", "We are open on Monday.", None),
        ("person", "Mm-hm.", {"backchannel": True, "finals": []}),
        ("person", "When?", {"finals": []}),
        ("agent", "One moment.", {"filler": True}),
    ]
    async with world.sessions.begin() as session:
        for position, (role, text, raw) in enumerate(said):
            await transcripts.save_turn(
                session, attempt_id, 1, position, role=role, text=text, raw=raw
            )
    async with world.sessions() as session:
        heard = await transcripts.turns_of(session, attempt_id)
        conversation = await transcripts.conversation_of(session, attempt_id)
    assert [turn.text for turn in heard] == [text for _, text, _ in said]
    assert [turn.text for turn in conversation] == ["We are open on Monday.", "When?"]


async def test_a_tool_call_is_written_before_it_runs_and_once(world: World) -> None:
    attempt_id = await world.attempt()
    async with world.sessions.begin() as session:
        for first in (True, False):
            written = await transcripts.save_tool_call(
                session, attempt_id, 1, call_id="c1", name="record_outcome", arguments={"a": 1}
            )
            assert written is first
        (call,) = await transcripts.tool_calls_of(session, attempt_id)
        assert (call.result, call.finished_at) == (None, None)
        await transcripts.finish_tool_call(session, attempt_id, "c1", {"ok": True})
    async with world.sessions() as session:
        (call,) = await transcripts.tool_calls_of(session, attempt_id)
    assert call.result == {"ok": True}
    assert call.finished_at is not None


async def test_a_complete_recording_stays_complete(world: World) -> None:
    attempt_id = await world.attempt()
    async with world.sessions.begin() as session:
        for status, seconds in [("in-progress", None), ("completed", 12), ("in-progress", None)]:
            await recordings.save(
                session, attempt_id, "RE1", url="u", status=status, duration_seconds=seconds
            )
    async with world.sessions() as session:
        (recording,) = await recordings.of_attempt(session, attempt_id)
    assert (recording.status, recording.duration_seconds) == ("completed", 12)
