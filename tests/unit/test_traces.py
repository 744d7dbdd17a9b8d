"""Spans know whose call they are about, tell nothing of people, and cost nothing when unwanted."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import pytest

from outdial.domain.call_template import HttpRequest
from outdial.observability import traces
from outdial.observability.logs import add_trace
from outdial.observability.trace_ids import SpanContext, attempt_span, lead_span
from outdial.observability.trace_setup import TracesError, TraceSettings, read_trace_settings
from outdial.observability.traces import Span
from outdial.operations.call_http_tool import ask
from outdial.operations.guarded_http import Fetched, GuardedHttp

pytestmark = pytest.mark.unit

LEAD = UUID("0190a5b4-7c00-7abc-8def-0123456789ab")
ATTEMPT = UUID("0190a5b4-7d00-7abc-8def-0123456789ab")
CALL = attempt_span(ATTEMPT, LEAD)

Heard = list[tuple[Span, SpanContext]]


@pytest.fixture
def heard() -> Iterator[Heard]:
    found: Heard = []
    traces.listen(lambda span, context: found.append((span, context)))
    yield found
    traces.listen(None)


def test_without_an_exporter_nothing_is_made() -> None:
    made = traces.span("place_attempt", CALL, attempt_id=ATTEMPT)
    with made as inner:
        inner.set(result="Accepted")
        inner.fail("x")
        assert traces.current_context() is None
        assert traces.headers() == {}
    assert made is traces.span("another")
    assert made.attributes == {}


def test_nothing_of_opentelemetry_is_imported_while_no_exporter_is_set() -> None:
    code = (
        "import sys, outdial.observability.trace_setup as t, outdial.observability.logs\n"
        "t.open_traces('api'); t.close_traces()\n"
        "sys.exit(any(m.startswith('opentelemetry') for m in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], env={"PATH": ""}, check=False)
    assert run.returncode == 0


def test_a_span_stands_below_the_one_around_it(heard: Heard) -> None:
    with traces.span("outer", CALL), traces.span("inner"):
        pass
    (inner, below), (outer, above) = heard
    assert inner.parent is outer
    assert below.trace_id == above.trace_id == LEAD.int
    assert below.span_id != above.span_id
    assert outer.parent == CALL


def test_what_began_without_knowing_its_call_learns_it_from_below(heard: Heard) -> None:
    with traces.span("request", kind="server"), traces.span("work"):
        traces.belongs_to(CALL)
        traces.belongs_to(lead_span(ATTEMPT))  # the first word counts
    (work, _), (request, context) = heard
    assert request.parent == CALL
    assert context.trace_id == LEAD.int
    assert isinstance(work.parent, Span)


def test_what_never_learns_its_call_is_not_sent(heard: Heard) -> None:
    with traces.span("request", kind="server"), traces.span("work"):
        pass
    assert heard == []


def test_the_first_of_a_trace_has_the_id_that_others_expect(heard: Heard) -> None:
    with traces.span("POST /v1/calls", kind="server"):
        traces.begins(lead_span(LEAD))
    ((span, context),) = heard
    assert context == lead_span(LEAD)
    assert span.parent is None


def test_a_span_with_a_place_of_its_own_is_nobodys_child_by_accident(heard: Heard) -> None:
    with traces.span("settle", CALL), traces.span("attempt", own=CALL):
        pass
    assert heard[0][0].parent is None


async def test_tasks_that_run_at_once_have_spans_of_their_own(heard: Heard) -> None:
    async def place(call: SpanContext) -> None:
        with traces.span("place_attempt"):
            await asyncio.sleep(0)
            traces.belongs_to(call)
            with traces.span("POST"):
                await asyncio.sleep(0)

    calls = [attempt_span(ATTEMPT, LEAD), attempt_span(LEAD, ATTEMPT)]
    await asyncio.gather(*map(place, calls))
    assert sorted(context.trace_id for _, context in heard) == sorted(2 * [LEAD.int, ATTEMPT.int])


def test_numbers_and_logins_do_not_leave_and_texts_are_short(heard: Heard) -> None:
    with traces.span("x", CALL) as span:
        span.set(
            reason="refused +12125550142", url="redis://:secret@host/0", long=500 * "a", no=None
        )
    attributes = heard[0][0].attributes
    assert attributes["outdial.reason"] == "refused ***42"
    assert attributes["outdial.url"] == "redis://***@host/0"
    assert len(str(attributes["outdial.long"])) == 200
    assert "outdial.no" not in attributes


def test_of_an_error_only_its_class_is_told(heard: Heard) -> None:
    with pytest.raises(ValueError, match="secret words"), traces.span("x", CALL):
        raise ValueError("secret words")
    assert heard[0][0].error == "ValueError"
    assert "secret words" not in str(vars(heard[0][0]))


def test_a_span_may_tell_of_what_is_past(heard: Heard) -> None:
    began, ended = (datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (9, 10))
    span = traces.span("attempt", own=CALL, began=began)
    span.stop(ended)
    span.end()
    assert heard == [(span, CALL)]
    assert span.ended_ns - span.began_ns == 3600 * 10**9


def test_a_trace_that_is_not_sampled_is_neither_sent_nor_handed_on(heard: Heard) -> None:
    traces.listen(lambda span, context: heard.append((span, context)), ratio=0.0)
    with traces.span("x", CALL):
        assert traces.headers() == {}
    assert heard == []


def test_the_users_own_systems_are_handed_the_trace(heard: Heard) -> None:
    with traces.span("tool", CALL):
        given = traces.headers()["traceparent"]
    _, context = heard[0]
    assert given == f"00-{LEAD.hex}-{context.span_id:016x}-01"


async def test_a_request_of_a_template_carries_the_trace(heard: Heard) -> None:
    """Its own headers go before ours; its URL, headers and answer stay out of the span."""
    sent: dict[str, str] = {}

    class Http:
        async def fetch(self, *_: object, headers: dict[str, str], **__: object) -> Fetched:
            sent.update(headers)
            return Fetched(404, "application/json", b'{"who": "Eleonora"}')

    request = HttpRequest("https://shop.test/{{order}}", headers={"X-Shop": "green"})
    with traces.span("tool order_status", CALL):
        await ask(cast("GuardedHttp", Http()), request, {"order": "A7"})
    client, context = heard[0]
    assert sent == {
        "traceparent": f"00-{LEAD.hex}-{context.span_id:016x}-01",
        "X-Shop": "green",
    }
    assert client.kind == "client"
    assert client.attributes == {"server.address": "shop.test", "http.response.status_code": 404}


def test_log_lines_name_their_span(heard: Heard) -> None:
    with traces.span("x", CALL):
        line = add_trace(None, "info", {"event": "claimed"})
    assert line["trace_id"] == LEAD.hex
    assert line["span_id"] == f"{heard[0][1].span_id:016x}"
    assert add_trace(None, "info", {"event": "claimed"}) == {"event": "claimed"}


@pytest.mark.parametrize(
    ("environment", "settings"),
    [
        ({}, None),
        ({"OTEL_TRACES_SAMPLER": "nonsense"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, TraceSettings("otlp")),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces"}, TraceSettings("otlp")),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, TraceSettings("otlp")),
        ({"OTEL_TRACES_EXPORTER": "console"}, TraceSettings("console")),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, None),
        (
            {
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": "0.25",
            },
            TraceSettings("otlp", 0.25),
        ),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "always_off"},
            TraceSettings("otlp", 0.0),
        ),
    ],
    ids=str,
)
def test_opentelemetrys_own_variables_decide(
    environment: dict[str, str], settings: TraceSettings | None
) -> None:
    assert read_trace_settings(environment) == settings


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "OTEL_TRACES_SAMPLER"),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "ten"},
            "OTEL_TRACES_SAMPLER_ARG",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_by_the_variables_name(
    wrong: dict[str, str], named: str
) -> None:
    with pytest.raises(TracesError, match=named):
        read_trace_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", **wrong})


def test_a_service_without_the_exporter_installed_says_so_at_its_start() -> None:
    code = (
        "import sys, importlib.abc\n"
        "class Missing(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.startswith('opentelemetry.exporter'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "sys.argv = ['outdial_api']\n"
        "import outdial.observability.trace_setup as t\n"
        "try: t.open_traces('api')\n"
        "except t.TracesError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pip install 'outdial[traces]'" in run.stdout
