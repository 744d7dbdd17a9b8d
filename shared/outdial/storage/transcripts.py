"""Queries on what was said in a call, and on the tools that the agent called."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.tables import Base, Json, ToolCall, TranscriptTurn


async def save_turn(
    session: AsyncSession,
    attempt_id: uuid.UUID,
    stream_no: int,
    position: int,
    *,
    role: str,
    text: str,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    interrupted: bool = False,
    latency_ms: int | None = None,
    raw: Json | None = None,
) -> None:
    """Write a turn, or write it again when more of it is known."""
    await session.execute(
        _SAVE_TURN,
        {
            "attempt_id": attempt_id,
            "stream_no": stream_no,
            "position": position,
            "role": role,
            "text": text,
            "started_at": started_at,
            "ended_at": ended_at,
            "interrupted": interrupted,
            "latency_ms": latency_ms,
            "raw": raw,
        },
    )


# Made once: making such a statement takes a pod's loop longer than sending it.
_INSERT_TURN = insert(Base.metadata.tables[TranscriptTurn.__tablename__])
_SAVE_TURN = _INSERT_TURN.on_conflict_do_update(
    index_elements=["attempt_id", "stream_no", "position"],
    set_={
        name: _INSERT_TURN.excluded[name]
        for name in (
            "role",
            "text",
            "started_at",
            "ended_at",
            "interrupted",
            "latency_ms",
            "raw",
        )
    },
)


async def turns_of(session: AsyncSession, attempt_id: uuid.UUID) -> list[TranscriptTurn]:
    """The transcript of a call, in order, across its streams."""
    written = await session.scalars(
        select(TranscriptTurn)
        .where(TranscriptTurn.attempt_id == attempt_id)
        .order_by(TranscriptTurn.stream_no, TranscriptTurn.position)
    )
    return in_order(list(written))


async def conversation_of(session: AsyncSession, attempt_id: uuid.UUID) -> list[TranscriptTurn]:
    """What was said to each other: without what only covered a wait, or let the other speak on."""
    turns = await turns_of(session, attempt_id)
    return [turn for turn in turns if not {"filler", "backchannel"} & set(turn.raw or {})]


def in_order(turns: Sequence[TranscriptTurn]) -> list[TranscriptTurn]:
    """Turns by when they began to be spoken.

    Where two overlap, they were written in the order in which they ended; one without a time stays
    behind the one that was written before it.
    """
    keys: list[tuple[int, datetime | None]] = []
    for turn in turns:
        same_stream = bool(keys) and keys[-1][0] == turn.stream_no
        began = turn.started_at or (keys[-1][1] if same_stream else None)
        keys.append((turn.stream_no, began))
    earliest = datetime.min.replace(tzinfo=UTC)
    sorting = sorted(range(len(turns)), key=lambda n: (keys[n][0], keys[n][1] or earliest))
    return [turns[n] for n in sorting]


async def save_tool_call(
    session: AsyncSession,
    attempt_id: uuid.UUID,
    stream_no: int,
    *,
    call_id: str,
    name: str,
    arguments: Json,
) -> bool:
    """Write a tool call before it runs; False if it was written before and must not run again."""
    written = await session.scalar(
        insert(ToolCall)
        .values(
            attempt_id=attempt_id,
            stream_no=stream_no,
            call_id=call_id,
            name=name,
            arguments=arguments,
        )
        .on_conflict_do_nothing()
        .returning(ToolCall.id)
    )
    return written is not None


async def finish_tool_call(
    session: AsyncSession, attempt_id: uuid.UUID, call_id: str, result: Json
) -> None:
    """Write what a tool answered."""
    await session.execute(
        update(ToolCall)
        .where(ToolCall.attempt_id == attempt_id, ToolCall.call_id == call_id)
        .values(result=result, finished_at=func.clock_timestamp())
    )


async def tool_calls_of(session: AsyncSession, attempt_id: uuid.UUID) -> list[ToolCall]:
    """The tools called in a call, in order."""
    return list(
        await session.scalars(
            select(ToolCall).where(ToolCall.attempt_id == attempt_id).order_by(ToolCall.id)
        )
    )
