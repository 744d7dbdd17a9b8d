"""A whole call, by sound, is one trace, into which each process puts its spans by ids alone."""

from collections.abc import Callable
from uuid import UUID

import pytest

from otlp_collector import Collector, SentSpan
from outdial_cli.api_client import ApiClient, Json
from polling import wait_until

pytestmark = pytest.mark.acceptance

COMPLETED = ("+12125551200", "+12125551201")
PARTS = {
    ("outdial-api", "POST /v1/calls"),
    ("outdial-workers", "claim"),
    ("outdial-workers", "place_attempt"),
    ("outdial-workers", "POST Calls"),
    ("outdial-api", "POST /twilio/voice/{attempt_id}"),
    ("outdial-api", "POST /twilio/callback/status/{attempt_id}"),
    ("outdial-media", "conversation"),
    ("outdial-media", "turn"),
    ("outdial-media", "tool record_outcome"),
    ("outdial-workers", "settle_attempt"),
    ("outdial-workers", "attempt"),
}


@pytest.fixture(scope="module")
def call(api: ApiClient, reminder: str, ended: Callable[[str], Json]) -> Json:
    """A call with a result that another test made already, or else one of our own."""
    for known in api.get("/v1/calls", limit=200)["items"]:
        if known["to_number"] in COMPLETED and known["outcome"] == "completed":
            return api.get(f"/v1/calls/{known['id']}")
    variables = {"clinic": "Lakeside Clinic", "appointment": "Tuesday at ten thirty"}
    asked = {"template": reminder, "name": "Maria Lopez", "variables": variables}
    return ended(api.post("/v1/calls", {"to_number": COMPLETED[0], **asked})["id"])


@pytest.fixture(scope="module")
def spans(call: Json, collector: Collector) -> list[SentSpan]:
    """Its trace, once everybody has sent what they have."""
    trace_id = UUID(call["lead_id"]).hex

    def told() -> set[tuple[str, str]]:
        return {(span.service, span.name) for span in collector.of_trace(trace_id)}

    wait_until(lambda: told() >= PARTS, 30, lambda: f"{PARTS - told()} of trace {trace_id}")
    return collector.of_trace(trace_id)


def test_it_hangs_together(spans: list[SentSpan]) -> None:
    """One first span, and no span whose parent nobody sent."""
    ids = [span.span_id for span in spans]
    assert len(set(ids)) == len(ids)
    assert [span.name for span in spans if not span.parent_id] == ["POST /v1/calls"]
    assert {span.parent_id for span in spans if span.parent_id} <= set(ids)


def test_it_says_how_the_call_went(spans: list[SentSpan], call: Json) -> None:
    by_name = {span.name: span for span in spans}
    attempt, conversation = by_name["attempt"], by_name["conversation"]
    assert attempt.attributes["outdial.attempt_id"] == call["attempt_ids"][-1]
    assert attempt.attributes["outdial.outcome"] == "completed"
    assert attempt.began <= conversation.began < conversation.ended
    assert conversation.instance.startswith("pod-")
    turn = by_name["turn"]
    assert {"outdial.final_transcript_ms", "outdial.first_token_ms"} <= turn.attributes.keys()


def test_nothing_that_was_said_and_no_number_is_in_it(collector: Collector, call: Json) -> None:
    """In all that was exported since the stack was started."""
    said = [turn["text"] for turn in call["transcript"]]
    assert said
    for text in (*said, "+1212555", "12125551200", "Maria", "Lakeside"):
        assert text.encode() not in collector.raw
