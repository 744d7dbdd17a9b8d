"""Spans over the real OTLP protocol, to a collector that is there, away, or comes back."""

import logging
import os
from collections.abc import Iterator
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from otlp_collector import Collector, collecting
from outdial.observability import traces
from outdial.observability.metrics import SPANS_DROPPED
from outdial.observability.trace_ids import SpanContext, attempt_span, lead_span
from outdial.observability.trace_setup import close_traces, open_traces
from polling import wait_until

pytestmark = pytest.mark.integration

LEAD = UUID("0190a5b4-7c00-7abc-8def-0123456789ab")
ATTEMPT = UUID("0190a5b4-7d00-7abc-8def-0123456789ab")
CALL = attempt_span(ATTEMPT, LEAD)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield collector
        close_traces()


def test_a_span_arrives_as_it_was_made(collector: Collector) -> None:
    open_traces("media", "pod-7")
    caller = SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0xF067AA0BA902B7)
    with traces.span("POST /v1/calls", own=lead_span(LEAD), kind="server") as first:
        first.link = caller
    with traces.span("place_attempt", CALL, attempt_id=ATTEMPT, tries=2) as span:
        span.fail("Rejected")
    wait_until(lambda: len(collector.spans) == 2, 20, "spans")
    request, place = collector.spans
    assert (request.service, request.instance) == ("outdial-media", "pod-7")
    assert (request.trace_id, request.parent_id) == (LEAD.hex, "")
    assert request.span_id == f"{lead_span(LEAD).span_id:016x}"
    assert request.kind == "server"
    assert request.links == ("4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",)
    assert place.trace_id == LEAD.hex
    assert place.parent_id == f"{CALL.span_id:016x}"
    assert place.failed
    assert place.attributes["outdial.attempt_id"] == str(ATTEMPT)
    assert place.attributes["outdial.tries"] == 2
    assert 0 < place.began <= place.ended


def test_the_operators_own_name_for_a_service_is_kept(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "dialer-eu")
    open_traces("workers")
    with traces.span("x", CALL):
        pass
    wait_until(lambda: bool(collector.spans), 20, "a span")
    assert collector.spans[0].service == "dialer-eu"


def test_what_waits_is_sent_before_a_process_ends(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    open_traces("api")
    with traces.span("x", CALL):
        pass
    close_traces(seconds=20)
    assert [span.name for span in collector.spans] == ["x"]
    assert not traces.is_on()


def test_a_collector_that_refuses_costs_two_lines_and_no_call(collector: Collector) -> None:
    """One when it begins, one when it is over; OpenTelemetry's own lines are not ours."""
    collector.status = 400
    lost = SPANS_DROPPED._value.get()
    with capture_logs() as lines:
        open_traces("api")
        for number in range(3):
            with traces.span(f"lost {number}", CALL):
                pass
            wait_until(lambda n=number: SPANS_DROPPED._value.get() == lost + n + 1, 20, "dropped")
        collector.status = 200
        with traces.span("taken", CALL):
            pass
        wait_until(lambda: bool(collector.spans), 20, "a span")
        wait_until(lambda: len(lines) > 1, 20, "a line")
    assert [line["event"] for line in lines] == ["traces_not_exported", "traces_exported_again"]
    assert "400" in lines[0]["reason"]
    assert lines[1]["spans_lost"] == 3


def test_a_collector_that_is_away_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ending takes no longer than it was given, although the exporter goes on trying."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "256")
    open_traces("api")
    for number in range(1000):  # more than may wait: the rest is dropped, not waited for
        with traces.span(f"span {number}", CALL):
            pass
    # Its lines of each try, in each process, would drown ours.
    assert not logging.getLogger("opentelemetry").propagate
    close_traces(seconds=0.2)
    assert not traces.is_on()


def test_children_of_a_fork_export_for_themselves(collector: Collector) -> None:
    """As Celery's children do: opened after the fork, closed before they end."""
    child = os.fork()
    if child == 0:
        try:
            open_traces("workers")
            with traces.span("in the child", CALL):
                pass
            close_traces(seconds=20)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert [span.name for span in collector.spans] == ["in the child"]
    assert collector.spans[0].instance.endswith(f":{child}")
