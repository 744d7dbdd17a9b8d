"""Where a span stands follows from ids: nobody has to carry it from process to process.

A lead's id is its trace's id, and the ids of the spans that others hang theirs on are hashes of
what they are about. So the gateway, a worker, a pod and a sweep put their spans into one trace
although Celery's messages hold ids only, Redis may be emptied, and Twilio carries nothing for us.
Pure: no clock, no framework.
"""

import hashlib
import re
from dataclasses import dataclass
from uuid import UUID

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_RANDOM_BITS = 56
"""The right-most bits of a trace id that are random (W3C Trace Context, level 2). A version 7 UUID
keeps that; the 64 bits that OpenTelemetry's own ratio sampler reads begin with its variant."""


@dataclass(frozen=True, slots=True)
class SpanContext:
    """A span, as others name it: 128 and 64 bits, neither of them 0."""

    trace_id: int
    span_id: int


def lead_span(lead_id: UUID) -> SpanContext:
    """The first span of a lead's trace: the request that asked for the call, or its first claim."""
    return SpanContext(lead_id.int, _hashed("lead", lead_id))


def attempt_span(attempt_id: UUID, lead_id: UUID | None) -> SpanContext:
    """One dial, from claim to end. Without a lead (an inbound call) it begins a trace."""
    trace = lead_id or attempt_id
    return SpanContext(trace.int, _hashed("attempt", attempt_id))


def stream_span(attempt_id: UUID, lead_id: UUID | None, stream_no: int) -> SpanContext:
    """The conversation on one stream of an attempt."""
    trace = lead_id or attempt_id
    return SpanContext(trace.int, _hashed(f"stream {stream_no}", attempt_id))


def is_sampled(trace_id: int, ratio: float) -> bool:
    """Whether this trace is among the kept share. Every process says the same."""
    return trace_id & (1 << _RANDOM_BITS) - 1 < ratio * (1 << _RANDOM_BITS)


def read_traceparent(text: str | None) -> SpanContext | None:
    """The span that a `traceparent` header names (W3C Trace Context); None if it names none."""
    match = _TRACEPARENT.fullmatch(text or "")
    if match is None:
        return None
    found = SpanContext(int(match[1], 16), int(match[2], 16))
    return found if found.trace_id and found.span_id else None


def traceparent(span: SpanContext) -> str:
    """The header that hands a sampled span on."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-01"


def _hashed(what: str, about: UUID) -> int:
    digest = hashlib.sha256(what.encode() + about.bytes).digest()
    return int.from_bytes(digest[:8]) or 1
