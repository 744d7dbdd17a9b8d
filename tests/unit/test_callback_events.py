"""Twilio's forms as events."""

from datetime import UTC, datetime

import pytest

from outdial.domain.call_events import Source
from outdial.telephony.callback_events import (
    amd_event,
    fallback_event,
    recording_event,
    status_event,
    stream_ended_event,
    stream_status_event,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_status_is_known_by_call_and_number_and_dated_by_twilio() -> None:
    form = {
        "CallSid": "CA1",
        "CallStatus": "ringing",
        "SequenceNumber": "1",
        "Timestamp": "Sun, 01 Mar 2026 11:59:58 +0000",
        "ToCity": "",
    }
    event = status_event(form, NOW)
    assert (event.source, event.kind, event.dedupe_key) == (Source.CARRIER, "status", "CA1:1")
    assert event.occurred_at == datetime(2026, 3, 1, 11, 59, 58, tzinfo=UTC)
    assert event.call_sid == "CA1"
    assert event.payload == form


def test_a_status_without_a_number_is_known_by_its_word() -> None:
    assert status_event({"CallSid": "CA1", "CallStatus": "busy"}, NOW).dedupe_key == "CA1:busy"


@pytest.mark.parametrize("timestamp", ["", "soon", "Sun, 99 Xyz", "2026-13-01T00:00:00Z"])
def test_a_time_that_cannot_be_read_is_now(timestamp: str) -> None:
    assert status_event({"CallSid": "CA1", "Timestamp": timestamp}, NOW).occurred_at == NOW


def test_streams_are_dated_in_iso() -> None:
    form = {"StreamSid": "MZ1", "StreamEvent": "stream-started", "CallSid": "CA1"}
    event = stream_status_event({**form, "Timestamp": "2026-03-01T11:00:00.250Z"}, NOW)
    assert event.occurred_at == datetime(2026, 3, 1, 11, 0, 0, 250000, tzinfo=UTC)
    assert event.dedupe_key == "MZ1:stream-started"


def test_the_others_are_known_by_what_cannot_happen_twice() -> None:
    form = {"CallSid": "CA1", "RecordingSid": "RE1", "RecordingStatus": "completed"}
    assert amd_event(form, NOW).dedupe_key == "CA1"
    assert recording_event(form, NOW).dedupe_key == "RE1:completed"
    assert fallback_event(form, NOW).dedupe_key == "fallback"
    ended = stream_ended_event(form, 2, NOW)
    assert (ended.kind, ended.dedupe_key, ended.payload["stream_no"]) == ("ended", "CA1:2", 2)
