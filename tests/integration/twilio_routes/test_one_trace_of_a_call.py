"""A call from its request to its end is one trace, over the real OTLP protocol.

Gateway, dispatcher, worker and the pod's parts run in this process and hand nothing to each other
but ids, as they do when they are processes of their own.
"""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from otlp_collector import Collector, SentSpan, collecting
from outdial.domain.call_outcome import EndedBy
from outdial.observability import traces
from outdial.observability.trace_setup import close_traces, open_traces
from outdial.operations.api_keys import create_api_key
from outdial.operations.claim_due_leads import dispatch
from outdial.operations.conversation_record import close_conversation, open_conversation
from outdial.operations.place_attempt import place_attempts
from outdial.operations.settle_attempt import settle_if_told
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.routing.slot_reservation import rebuild
from outdial.settings import Settings
from outdial.storage import attempts
from outdial_api.app import create_app
from outdial_media.background_writer import BackgroundWriter
from outdial_media.tool_result import Call
from outdial_media.tools import Tools
from outdial_media.transcript import Transcript
from twilio_world import SID, Twilio

pytestmark = pytest.mark.integration

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PHONE = "+12125550142"
WORDS = "my sister Eleonora lives there"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        open_traces("test")
        yield collector
        close_traces()


@pytest.fixture
def carrier_url() -> Iterator[str]:
    """A Twilio that takes every POST of a call."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"sid": SID, "status": "queued"}).encode()
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    serving.join()


@pytest.fixture
def settings(settings: Settings, carrier_url: str) -> Settings:
    """A fast deployment whose carrier is there; its one pod beats once."""
    return settings.model_copy(
        update={
            "twilio_api_base_url": carrier_url,
            "calls_per_second": 50.0,
            "pod_out_after_seconds": 600.0,
            "live_slot_lease_seconds": 601.0,
        }
    )


@pytest.fixture
async def app(settings: Settings, collector: Collector) -> AsyncIterator[FastAPI]:
    """The gateway, with the real carrier's client."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def twilio(app: FastAPI, settings: Settings) -> AsyncIterator[Twilio]:
    client = Twilio(app, settings)
    yield client
    await client.close()


class Nobody:
    """The call as tools see it."""

    def said_since_person(self) -> bool:
        return True

    def end_with(self, *_args: object) -> None:
        pass


async def ask_for_call(app: FastAPI) -> dict[str, Any]:
    key = await create_api_key(app.state.runtime.sessions, "test", "operator")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://api.test"
    ) as client:
        answer = await client.post(
            "/dialout",
            json={"to_number": PHONE},
            headers={"Authorization": f"Bearer {key.secret}", "traceparent": CALLER},
        )
    assert answer.status_code == 201, answer.text
    return cast("dict[str, Any]", answer.json())


async def talk(app: FastAPI, attempt_id: UUID) -> None:
    """What a pod does in a call, without its sound."""
    runtime = app.state.runtime
    brief = await open_conversation(runtime, attempt_id, 1)
    assert brief is not None
    writer = BackgroundWriter("test")
    transcript = Transcript(runtime, brief, writer)
    transcript.milestone("stream_started")
    transcript.person_turn(WORDS)
    transcript.trace_reply(620, {"final_transcript": 180, "first_token": 400, "first_audio": 560})
    tools = Tools(runtime, brief, cast("Call", Nobody()), cast("Any", None))
    await tools.run("record_outcome", {"summary": WORDS}, "call-1")
    await tools.run("end_call", {"goodbye": WORDS}, "call-2")
    await writer.drain()
    conversation = traces.span(
        "conversation", traces.attempt_span(attempt_id, brief.lead_id), own=brief.span
    )
    await close_conversation(
        runtime, attempt_id, 1, ended_by=EndedBy.AGENT, reason="agent_ended", human_turns=1
    )
    conversation.end()


async def run_call(app: FastAPI, twilio: Twilio, settings: Settings) -> str:
    """From the request to the settled end; the lead's id."""
    runtime = app.state.runtime
    await rebuild(runtime.redis, [])
    url = "wss://outdial.test/pods/pod-1"
    await beat(runtime.redis, Heartbeat("pod-1", "b1", url, 2), settings)
    lead_id = (await ask_for_call(app))["call_id"]
    claimed = (await dispatch(runtime)).claimed
    if not claimed:  # a hint of the request's may have been faster
        async with runtime.sessions() as session:
            claimed = [one.id for one in await attempts.of_lead(session, UUID(lead_id))]
    (attempt_id,) = claimed
    assert await place_attempts(runtime, claimed) == {"Accepted": 1}
    for number, status in enumerate(("initiated", "ringing", "in-progress")):
        form = {"CallStatus": status, "SequenceNumber": str(number), "To": PHONE}
        await twilio.post(f"/twilio/callback/status/{attempt_id}", form)
        await settle_if_told(runtime, attempt_id)
    query = f"pod=pod-1&boot=b1&at={url}&lead={lead_id}"
    answer = await twilio.post(f"/twilio/voice/{attempt_id}?{query}", {"To": PHONE})
    assert "<Stream" in answer.text
    await talk(app, attempt_id)
    await twilio.post(f"/twilio/callback/stream-ended/{attempt_id}/1", {"To": PHONE})
    form = {"CallStatus": "completed", "SequenceNumber": "3", "CallDuration": "9", "To": PHONE}
    await twilio.post(f"/twilio/callback/status/{attempt_id}", form)
    await settle_if_told(runtime, attempt_id)
    async with runtime.sessions() as session:
        ended = await attempts.get(session, attempt_id)
    assert ended is not None
    assert ended.state == "ended"
    close_traces(seconds=20)
    return str(lead_id)


def tree(spans: list[SentSpan]) -> set[tuple[str, str]]:
    """(parent's name, name) of each."""
    names = {span.span_id: span.name for span in spans}
    return {(names.get(span.parent_id, span.parent_id), span.name) for span in spans}


async def test_a_call_is_one_trace_from_its_request_to_its_end(
    app: FastAPI, twilio: Twilio, settings: Settings, collector: Collector
) -> None:
    lead_id = await run_call(app, twilio, settings)
    spans = collector.of_trace(UUID(lead_id).hex)
    assert {span.trace_id for span in collector.spans} == {UUID(lead_id).hex}
    assert tree(spans) == {
        ("", "POST /dialout"),
        ("POST /dialout", "claim"),
        ("POST /dialout", "attempt"),
        ("attempt", "place_attempt"),
        ("place_attempt", "POST Calls"),
        ("attempt", "settle_attempt"),
        ("attempt", "POST /twilio/callback/status/{attempt_id}"),
        ("attempt", "POST /twilio/voice/{attempt_id}"),
        ("attempt", "POST /twilio/callback/stream-ended/{attempt_id}/{stream_no}"),
        ("attempt", "conversation"),
        ("conversation", "turn"),
        ("conversation", "tool record_outcome"),
        ("conversation", "tool end_call"),
    }
    by_name = {span.name: span for span in spans}
    assert by_name["POST /dialout"].links == (CALLER[3:-3],)
    assert by_name["POST /dialout"].kind == "server"
    assert by_name["POST Calls"].kind == "client"
    assert by_name["POST /twilio/voice/{attempt_id}"].attributes["outdial.said"] == "connected"
    assert by_name["place_attempt"].attributes["outdial.result"] == "Accepted"
    assert by_name["turn"].attributes["outdial.first_token_ms"] == 400
    turn = timedelta(microseconds=(by_name["turn"].ended - by_name["turn"].began) / 1000)
    assert turn >= timedelta(milliseconds=620)
    attempt = by_name["attempt"]
    assert attempt.attributes["outdial.outcome"]
    assert attempt.attributes["outdial.call_sid"] == SID
    assert not any(span.failed for span in spans)


async def test_nothing_of_people_or_keys_is_exported(
    app: FastAPI, twilio: Twilio, settings: Settings, collector: Collector
) -> None:
    await run_call(app, twilio, settings)
    assert collector.spans
    for secret in (PHONE, PHONE[1:], "Eleonora", settings.twilio_phone_number):
        assert secret.encode() not in collector.raw
    assert settings.twilio_auth_token.get_secret_value().encode() not in collector.raw
    assert b"wss://" not in collector.raw
