"""Turns stand in the order in which they began, whatever the order in which they were written."""

from datetime import UTC, datetime, timedelta

import pytest

from outdial.storage.tables import TranscriptTurn
from outdial.storage.transcripts import in_order

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 9, 15, 0, tzinfo=UTC)


def turn(text: str, began: float | None, stream_no: int = 1) -> TranscriptTurn:
    started_at = None if began is None else START + timedelta(seconds=began)
    return TranscriptTurn(text=text, started_at=started_at, stream_no=stream_no)


@pytest.mark.parametrize(
    ("written", "order"),
    [
        ([("a", 0.0), ("b", 2.0), ("c", 4.0)], "abc"),
        # The person talked over the agent, whose turn was written when it was known what was heard.
        ([("person", 1.5), ("agent", 0.0)], "agentperson"),
        ([("a", 0.0), ("b", None), ("c", 4.0)], "abc"),
        ([("b", 3.0), ("c", None), ("a", 0.0)], "abc"),
        ([("a", None), ("b", None), ("c", 1.0)], "abc"),
        ([], ""),
    ],
)
def test_turns_by_when_they_began(written: list[tuple[str, float | None]], order: str) -> None:
    turns = [turn(text, began) for text, began in written]
    assert "".join(found.text for found in in_order(turns)) == order


def test_what_was_said_on_a_later_stream_comes_later() -> None:
    turns = [turn("a", 5.0), turn("b", None, 2), turn("c", 0.0, 2)]
    assert [found.text for found in in_order(turns)] == ["a", "b", "c"]
