"""Spans of calls: who did what for how long, in one trace from the request to the hang-up.

Nothing here imports OpenTelemetry. Until `trace_setup` has given the process an exporter, `span()`
answers one shared object that does nothing. An attribute is an id, a code, a word of ours or a
number: never what a person said, a telephone number or a secret. Of an error its class is told.
"""

import random
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, Token
from datetime import datetime
from functools import wraps
from types import TracebackType
from typing import Any, Literal, ParamSpec, Self, TypeVar
from uuid import UUID

from outdial.observability.redaction import without_secrets
from outdial.observability.trace_ids import (
    SpanContext,
    attempt_span,
    is_sampled,
    traceparent,
)

Kind = Literal["internal", "server", "client"]
Value = str | int | float | bool | UUID | None
P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[P, Coroutine[Any, Any, T]]

_LONGEST = 200


class Span:
    """Something that was done. Use it in a `with`, or `end()` it; both send it.

    It stands where `own` says, below `parent`, or below the span around it. One that does not know
    yet whose call it is about learns it from `belongs_to()`; one that never learns it is not sent.
    """

    def __init__(
        self,
        name: str,
        *,
        own: SpanContext | None = None,
        parent: "SpanContext | Span | None" = None,
        kind: Kind = "internal",
        began: datetime | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.own = own
        self.parent = parent
        self.began_ns = time.time_ns() if began is None else _nanoseconds(began)
        self.ended_ns = 0
        self.attributes: dict[str, str | int | float | bool] = {}
        self.link: SpanContext | None = None
        self.error: str | None = None
        self._span_id = random.getrandbits(64) or 1
        self._token: Token[Span | None] | None = None

    @property
    def context(self) -> SpanContext | None:
        """Where it stands, if it knows."""
        if self.own is not None:
            return self.own
        above = self.parent.context if isinstance(self.parent, Span) else self.parent
        return SpanContext(above.trace_id, self._span_id) if above is not None else None

    def set(self, **attributes: Value) -> None:
        """Add attributes `outdial.<name>`; None is left out."""
        for name, value in attributes.items():
            self.set_standard(f"outdial.{name}", value)

    def set_standard(self, name: str, value: Value) -> None:
        """Add an attribute of OpenTelemetry's semantic conventions."""
        if value is None:
            return
        if isinstance(value, str | UUID):
            value = without_secrets(str(value))[:_LONGEST]
        self.attributes[name] = value

    def fail(self, what: str) -> None:
        """Mark it as failed: a class of errors or a code, not a message."""
        self.error = what[:_LONGEST]

    def stop(self, at: datetime | None = None) -> None:
        """It is over, now or at a moment that is past; it is sent later."""
        self.ended_ns = time.time_ns() if at is None else _nanoseconds(at)

    def end(self) -> None:
        """Send it. It is over now, if it was not stopped before."""
        if not self.ended_ns:
            self.stop()
        context, sink = self.context, _Process.sink
        if (
            context is not None
            and sink is not None
            and is_sampled(context.trace_id, _Process.ratio)
        ):
            sink(self, context)

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
        if kind is not None and self.error is None:
            self.fail(kind.__name__)
        self.end()


class _Nothing(Span):
    """What `span()` answers while nobody listens."""

    def set(self, **attributes: Value) -> None:
        pass

    def set_standard(self, name: str, value: Value) -> None:
        pass

    def fail(self, what: str) -> None:
        pass

    def stop(self, at: datetime | None = None) -> None:
        pass

    def end(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass


Sink = Callable[[Span, SpanContext], None]
"""Takes a span that has ended. It must not wait and must not raise."""


class _Process:
    sink: Sink | None = None
    ratio: float = 1.0


_current: ContextVar[Span | None] = ContextVar("outdial_span", default=None)
NOTHING: Span = _Nothing("nothing")
"""What nobody listens to."""


def listen(sink: Sink | None, ratio: float = 1.0) -> None:
    """Send this share of traces to `sink`; None: no traces."""
    _Process.sink, _Process.ratio = sink, ratio


def is_on() -> bool:
    """Whether anybody listens."""
    return _Process.sink is not None


def span(
    name: str,
    parent: SpanContext | None = None,
    *,
    own: SpanContext | None = None,
    kind: Kind = "internal",
    began: datetime | None = None,
    **attributes: Value,
) -> Span:
    """A span that begins now, or began at a moment that is past; `Span` has the rest."""
    if _Process.sink is None:
        return NOTHING
    # What stands somewhere by itself is not the child of whatever runs at the moment.
    made = Span(
        name,
        own=own,
        parent=parent or (None if own else _current.get()),
        kind=kind,
        began=began,
    )
    made.set(**attributes)
    return made


def traced(name: str, kind: Kind = "internal") -> Callable[[Work[P, T]], Work[P, T]]:
    """Put a span around each call of a coroutine function."""

    def around(work: Work[P, T]) -> Work[P, T]:
        @wraps(work)
        async def inside(*args: P.args, **kwargs: P.kwargs) -> T:
            with span(name, kind=kind):
                return await work(*args, **kwargs)

        return inside

    return around


def belongs_to(call: SpanContext) -> None:
    """Say whose call the work at hand is about, for spans that began without knowing it."""
    outermost = _outermost()
    if outermost is not None and outermost.own is None and outermost.parent is None:
        outermost.parent = call


def about_attempt(attempt_id: UUID, lead_id: UUID | None) -> None:
    """The work at hand belongs to this attempt."""
    belongs_to(attempt_span(attempt_id, lead_id))
    note(attempt_id=attempt_id, lead_id=lead_id)


def begins(first: SpanContext) -> None:
    """Say that the work at hand is the first of a trace: this very span."""
    outermost = _outermost()
    if outermost is not None and outermost.parent is None:
        outermost.own = first


def note(**attributes: Value) -> None:
    """Add attributes to the span around, if there is one."""
    current = _current.get()
    if current is not None:
        current.set(**attributes)


def current_context() -> SpanContext | None:
    """The span around, where it stands already."""
    current = _current.get()
    return current.context if current is not None else None


def headers() -> dict[str, str]:
    """What hands the trace on to a system of the user's own: `traceparent`, or nothing."""
    context = current_context()
    if context is None or not is_sampled(context.trace_id, _Process.ratio):
        return {}
    return {"traceparent": traceparent(context)}


def _outermost() -> Span | None:
    found = _current.get()
    while found is not None and isinstance(found.parent, Span):
        found = found.parent
    return found


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1_000
