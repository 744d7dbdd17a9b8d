"""Spans to OpenTelemetry's exporter: batched in a thread, and dropped when nobody takes them.

The provider is ours alone and not the process's global one: libraries with instruments of their
own (FastAPI, pipecat) export nothing through it, whose attributes would hold queries and words.
"""

import logging
import os
import threading
from collections.abc import Sequence

import structlog
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanKind, Status, StatusCode, TraceFlags

from outdial.observability.metrics import SPANS_DROPPED
from outdial.observability.trace_ids import SpanContext
from outdial.observability.traces import Sink, Span

_log = structlog.get_logger(__name__)

MOST_AT_ONCE = 128
"""Spans encoded together: a pod's audio waits for that thread as for any other."""
_DELAY_SECONDS = 2
_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}


class _Process:
    provider: TracerProvider | None = None


def start_exporting(exporter: str, service: str, instance: str | None) -> Sink:
    """Open the exporter that the environment describes; what takes spans for it."""
    inner = ConsoleSpanExporter() if exporter == "console" else OTLPSpanExporter()
    ids = _GivenIds()
    provider = TracerProvider(
        sampler=ALWAYS_ON,  # what comes here has been chosen already
        resource=_resource(service, instance),
        id_generator=ids,
        shutdown_on_exit=False,  # it would wait half a minute for a collector that is away
    )
    provider.add_span_processor(_batches(_Patient(inner)))
    _Process.provider = provider
    tracer = provider.get_tracer("outdial")

    def sink(span: Span, context: SpanContext) -> None:
        try:
            _send(tracer, ids, span, context)
        except Exception:  # noqa: BLE001 - a trace is never worth a call
            _log.exception("span_not_made", span=span.name)

    return sink


def stop_exporting(seconds: float) -> None:
    """Send what waits, for so long at most."""
    provider, _Process.provider = _Process.provider, None
    if provider is not None:
        last = threading.Thread(target=provider.shutdown, daemon=True, name="last-spans")
        last.start()
        last.join(seconds)


def _resource(service: str, instance: str | None) -> Resource:
    name = os.environ.get("OTEL_SERVICE_NAME") or f"outdial-{service}"
    return Resource.create(
        {
            "service.name": name,
            "service.namespace": "outdial",
            "service.instance.id": instance or f"{os.uname().nodename}:{os.getpid()}",
        }
    )


def _batches(exporter: SpanExporter) -> BatchSpanProcessor:
    return BatchSpanProcessor(
        exporter,
        max_export_batch_size=_given("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", MOST_AT_ONCE),
        schedule_delay_millis=_given("OTEL_BSP_SCHEDULE_DELAY", 1000 * _DELAY_SECONDS),
    )


def _given(variable: str, otherwise: int) -> int | None:
    """None where the environment says it: the processor reads that itself."""
    return None if os.environ.get(variable) else otherwise


def _send(tracer: otel.Tracer, ids: "_GivenIds", span: Span, context: SpanContext) -> None:
    above = span.parent.context if isinstance(span.parent, Span) else span.parent
    ids.give(context)
    made = tracer.start_span(
        span.name,
        context=_below(above),
        kind=_KINDS[span.kind],
        attributes=span.attributes,
        links=[otel.Link(_as_otel(span.link))] if span.link else None,
        start_time=span.began_ns,
    )
    if span.error is not None:
        made.set_attribute("error.type", span.error)
        made.set_status(Status(StatusCode.ERROR, span.error))
    made.end(max(span.ended_ns, span.began_ns))


def _below(parent: SpanContext | None) -> Context:
    if parent is None:
        return Context()
    return otel.set_span_in_context(NonRecordingSpan(_as_otel(parent)), Context())


def _as_otel(span: SpanContext) -> otel.SpanContext:
    return otel.SpanContext(
        span.trace_id, span.span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


class _GivenIds(IdGenerator):
    """Gives the span that is made next the ids that it has already; each thread has its own."""

    def __init__(self) -> None:
        self._local = threading.local()

    def give(self, context: SpanContext) -> None:
        """The ids of the next span."""
        self._local.context = context

    def generate_span_id(self) -> int:
        return self._local.context.span_id  # type: ignore[no-any-return]

    def generate_trace_id(self) -> int:
        return self._local.context.trace_id  # type: ignore[no-any-return]


class _Patient(SpanExporter):
    """Says once that spans are not taken, and once that they are again; counts what was lost."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._lost = 0
        self._words = _FirstWords()
        ours = logging.getLogger("opentelemetry")
        ours.propagate = False  # a line for each try, from each process
        ours.addHandler(self._words)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                _log.info("traces_exported_again", spans_lost=self._lost)
            self._lost = 0
            self._words.take()
            return result
        if not self._lost:
            _log.warning("traces_not_exported", reason=self._words.take())
        self._lost += len(spans)
        SPANS_DROPPED.inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()
        logging.getLogger("opentelemetry").removeHandler(self._words)


class _FirstWords(logging.Handler):
    """Keeps what the exporter said first of a trouble: later it only says that it gave up."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._first: str | None = None

    def take(self) -> str:
        """What was said, and forget it."""
        said, self._first = self._first, None
        return said or "the collector did not take them"

    def emit(self, record: logging.LogRecord) -> None:
        if "Queue full" not in record.msg:
            self._first = self._first or record.getMessage()[:300]
