"""Where spans stand follows from ids, so that every process says the same without asking."""

from uuid import UUID

import pytest

from outdial.observability.trace_ids import (
    SpanContext,
    attempt_span,
    is_sampled,
    lead_span,
    read_traceparent,
    stream_span,
    traceparent,
)
from outdial.storage.ids import new_id

pytestmark = pytest.mark.unit

LEAD = UUID("0190a5b4-7c00-7abc-8def-0123456789ab")
ATTEMPT = UUID("0190a5b4-7d00-7abc-8def-0123456789ab")


def test_a_leads_id_is_its_traces_id_and_its_attempts_are_in_it() -> None:
    found = [lead_span(LEAD), attempt_span(ATTEMPT, LEAD), stream_span(ATTEMPT, LEAD, 1)]
    assert {f"{one.trace_id:032x}" for one in found} == {LEAD.hex}


def test_a_call_without_a_lead_is_a_trace_of_its_own() -> None:
    assert attempt_span(ATTEMPT, None).trace_id == ATTEMPT.int
    assert stream_span(ATTEMPT, None, 1).trace_id == ATTEMPT.int


def test_each_span_that_others_hang_theirs_on_has_an_id_of_its_own() -> None:
    found = [
        lead_span(LEAD),
        attempt_span(ATTEMPT, LEAD),
        attempt_span(new_id(), LEAD),
        stream_span(ATTEMPT, LEAD, 1),
        stream_span(ATTEMPT, LEAD, 2),
    ]
    assert len({one.span_id for one in found}) == len(found)


def test_the_ids_are_the_same_in_every_version_that_runs_beside_another() -> None:
    """While a deployment is replaced, old and new processes put spans into one trace."""
    assert f"{lead_span(LEAD).span_id:016x}" == "98774ec74436ce85"
    assert f"{attempt_span(ATTEMPT, LEAD).span_id:016x}" == "7e6d3e343230a021"
    assert f"{stream_span(ATTEMPT, LEAD, 2).span_id:016x}" == "2aa2b2b813f2b83a"


@pytest.mark.parametrize("ratio", [0.05, 0.5, 0.9])
def test_the_share_that_is_kept_is_the_share_that_was_asked_for(ratio: float) -> None:
    """OpenTelemetry's own ratio would read the variant of a UUID, and keep none or all."""
    kept = sum(is_sampled(new_id().int, ratio) for _ in range(4000)) / 4000
    assert abs(kept - ratio) < 0.05


def test_all_and_none_are_exact() -> None:
    ids = [new_id().int for _ in range(100)]
    assert all(is_sampled(one, 1.0) for one in ids)
    assert not any(is_sampled(one, 0.0) for one in ids)


def test_a_traceparent_is_read_and_written() -> None:
    """The example of W3C Trace Context, and what we hand on."""
    text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    found = SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7)
    assert read_traceparent(text) == found
    assert traceparent(found) == text


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    ],
)
def test_a_traceparent_that_names_nothing_is_left(text: str | None) -> None:
    assert read_traceparent(text) is None
