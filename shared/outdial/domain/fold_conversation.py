"""What the pod's events say of the conversation: the second half of `fold_events`.

The events come in order, each once. Nothing that a model wrote is trusted to have the right shape.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from outdial.domain.call_events import Event, Source
from outdial.domain.call_outcome import EndedBy, Facts

MET: frozenset[str | None] = frozenset({"completed", "answered"})
"""Statuses of a dial to a human after which the two have talked."""

LONGEST_WAIT = timedelta(days=366)
"""A callback asked for later than this is a mistake of the model's."""


def with_conversation(facts: Facts, events: Iterable[Event]) -> Facts:
    """`facts`, and what the pod and the agent's tools add to them."""
    events = list(events)
    said = [event for event in events if event.source is Source.POD]
    transfer_status = _transfer_status(events)
    kinds = {event.kind for event in said}
    tools = [event for event in said if event.kind == "tool_called"]
    called = {str(event.payload.get("name")) for event in tools}
    closing = _closing(said)
    return replace(
        facts,
        stream_opened=bool(kinds & {"stream_started", "conversation_closed"}),
        human_turns=_human_turns(said),
        result=_result(tools),
        opted_out="opt_out" in called,
        wrong_person="wrong_person" in called,
        callback_at=_callback_at(tools),
        transferred="transferred" in kinds or any(map(_have_met, events)),
        transfer_status=transfer_status,
        transfer_failed=any(_nobody_came(event) for event in events),
        voicemail_reached="voicemail_reached" in called,
        voicemail_left=any(event.kind == "voicemail_left" for event in events),
        conversation_closed=closing is not None,
        ended_by=_ended_by(closing),
        close_reason=_text(closing, "reason"),
        provider_failed="provider_failed" in kinds,
    )


def _transfer_status(events: Iterable[Event]) -> str | None:
    """How the dial to a human ended."""
    ended = [event for event in events if event.source is Source.TRANSFER]
    return _text(ended[-1], "DialCallStatus") if ended else None


def have_met(dial: Mapping[str, object]) -> bool:
    """Whether the two have talked, by the carrier's form about the dial.

    Who picks up, hears the whisper and hangs up has not been connected.
    """
    return dial.get("DialCallStatus") in MET and dial.get("DialBridged") != "false"


def _have_met(event: Event) -> bool:
    return event.source is Source.TRANSFER and have_met(event.payload)


def _nobody_came(event: Event) -> bool:
    """A dial that failed while the person waited; one who hangs up meanwhile ends it as well."""
    return (
        event.source is Source.TRANSFER
        and not have_met(event.payload)
        and event.payload.get("CallStatus") == "in-progress"
    )


def _closing(said: Sequence[Event]) -> Event | None:
    """The last word on the last stream; a call moved to another pod is not closed by the first."""
    streams = [stream_no(event) for event in said if event.kind == "stream_started"]
    closings = [event for event in said if event.kind == "conversation_closed"]
    last = max(closings, key=stream_no, default=None)
    return last if last is not None and stream_no(last) >= max(streams, default=0) else None


def _human_turns(said: Sequence[Event]) -> int:
    """Turns counted at each stream's close; a pod that died first may have told of one at least."""
    closings = [event for event in said if event.kind == "conversation_closed"]
    counted = sum(max(0, number(event.payload.get("human_turns")) or 0) for event in closings)
    return max(counted, int(any(event.kind == "first_words_heard" for event in said)))


def _result(tools: Sequence[Event]) -> dict[str, object] | None:
    """What the agent recorded last: it may correct itself."""
    recorded = [
        _arguments(event) for event in tools if event.payload.get("name") == "record_outcome"
    ]
    return dict(recorded[-1]) if recorded else None


def _callback_at(tools: Sequence[Event]) -> datetime | None:
    """The time that the person asked for last, if it can be read."""
    asked = [_asked_time(e) for e in tools if e.payload.get("name") == "schedule_callback"]
    return next((at for at in reversed(asked) if at is not None), None)


def _asked_time(event: Event) -> datetime | None:
    """`{"at": ISO time with its zone}` or `{"in_minutes": n}`; anything else is no time."""
    arguments = _arguments(event)
    try:
        if "at" in arguments:
            at = datetime.fromisoformat(str(arguments["at"]))
        else:
            at = event.occurred_at + timedelta(minutes=float(str(arguments["in_minutes"])))
        wait = at - event.occurred_at
    except (KeyError, ValueError, OverflowError, TypeError):  # TypeError: a time without its zone
        return None
    return at if timedelta(0) <= wait <= LONGEST_WAIT else None


def _ended_by(closing: Event | None) -> EndedBy | None:
    word = _text(closing, "ended_by")
    return EndedBy(word) if word in set(EndedBy) else None


def _text(event: Event | None, key: str) -> str | None:
    value = event.payload.get(key) if event else None
    return str(value) if value is not None else None


def _arguments(event: Event) -> Mapping[str, object]:
    arguments = event.payload.get("arguments")
    return arguments if isinstance(arguments, Mapping) else {}


def stream_no(event: Event) -> int:
    """Which stream of its call an event is about; the first, if it does not say."""
    return number(event.payload.get("stream_no")) or 1


def number(value: object) -> int | None:
    """A whole number as the carrier writes it (text) or as we do; None if it is neither."""
    try:
        return int(str(value))
    except ValueError:
        return None
