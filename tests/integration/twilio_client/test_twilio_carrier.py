"""The carrier's answers as values, over real sockets: what is certain, and what is not."""

import json
import socket
from urllib.parse import parse_qs, parse_qsl

import pytest

from far_carrier import Carrier, Reply, answering, call, call_json, refusing, resetting, stalling
from outdial.settings import Settings
from outdial.telephony.dial_result import (
    Accepted,
    AlreadyEnded,
    CarrierAway,
    CarrierCall,
    NoSuchCall,
    NotSent,
    NotUpdated,
    OutcomeUnknown,
    Rejected,
    Updated,
)
from outdial.telephony.twilio_client import TwilioCarrier

pytestmark = pytest.mark.integration


async def test_a_call_is_posted_once_with_all_that_comes_back(carrier: Carrier) -> None:
    placed = call(record=True, detection="DetectMessageEnd")
    assert await carrier.client.place(placed) == Accepted("CA1")
    ((method, path, body),) = carrier.asked
    sid = carrier.settings.twilio_account_sid
    assert (method, path) == ("POST", f"/2010-04-01/Accounts/{sid}/Calls.json")
    form = parse_qs(body)
    assert form["To"] == ["+15550000001"]
    assert form["Timeout"] == ["30"]
    assert form["TimeLimit"] == ["420"]
    assert form["StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]
    assert form["AsyncAmd"] == ["true"]
    assert form["MachineDetection"] == ["DetectMessageEnd"]
    assert form["RecordingChannels"] == ["dual"]
    url, _, patience = form["Url"][0].partition("#")
    assert url.startswith(f"https://outdial.test/twilio/voice/{placed.attempt_id}?")
    assert dict(parse_qsl(url.split("?")[1])) == {
        "pod": "pod-1",
        "boot": "b1",
        "at": "wss://a/pods/pod-1",
        "template": str(placed.hint.template_id),
        "lead": str(placed.hint.lead_id),
    }
    assert patience == "ct=500&rt=1500&rc=0"
    for name in (
        "FallbackUrl",
        "StatusCallback",
        "AsyncAmdStatusCallback",
        "RecordingStatusCallback",
    ):
        assert f"/{placed.attempt_id}" in form[name][0]


async def test_inline_twiml_replaces_our_address(carrier: Carrier) -> None:
    await carrier.client.place(call(twiml="<Response/>"))
    form = parse_qs(carrier.asked[0][2])
    assert form["Twiml"] == ["<Response/>"]
    assert "Url" not in form


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (refusing(400, 21211), 21211),
        (refusing(401, 20003), 20003),
        (refusing(429, 20429), 20429),
        (answering(429, "slow down"), 20429),
        (answering(400, {"type": "x", "title": "no", "status": 400, "code": 21217}), 21217),
    ],
)
async def test_a_refusal_is_certain(carrier: Carrier, reply: Reply, code: int) -> None:
    carrier.replies(reply)
    result = await carrier.client.place(call())
    assert isinstance(result, Rejected)
    assert result.code == code
    assert len(carrier.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        refusing(500, 20500),
        answering(503, "<html>"),
        answering(500, {"type": "x", "title": "no", "status": 500, "code": 1}),
        answering(201, "<html>"),
        answering(201, "{}"),
        answering(201, "[]"),
        answering(302, ""),
        refusing(408, 408),
        resetting,
        stalling,
    ],
    ids=[
        "500",
        "503 without a body",
        "500 in RFC 9457",
        "201 unreadable",
        "201 without a sid",
        "201 of another shape",
        "a redirect",
        "408",
        "a reset after the request",
        "no answer in time",
    ],
)
async def test_what_may_have_placed_a_call_is_unknown_and_never_repeated(
    carrier: Carrier, reply: Reply
) -> None:
    carrier.replies(reply)
    assert isinstance(await carrier.client.place(call()), OutcomeUnknown)
    assert len(carrier.asked) == 1


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:9", "http://nowhere.invalid", "https://127.0.0.1:9"]
)
async def test_what_cannot_have_left_is_not_sent(settings: Settings, base_url: str) -> None:
    client = TwilioCarrier(settings.model_copy(update={"twilio_api_base_url": base_url}))
    try:
        assert isinstance(await client.place(call()), NotSent)
    finally:
        client.close()


async def test_a_connect_that_takes_too_long_is_not_sent(settings: Settings) -> None:
    with socket.socket() as full:  # a listener whose queue is full answers no SYN
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        try:
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(full.getsockname())
                waiting.append(client)
            base_url = f"http://127.0.0.1:{full.getsockname()[1]}"
            update = {"twilio_api_base_url": base_url, "post_timeout_seconds": 0.6}
            carrier = TwilioCarrier(settings.model_copy(update=update))
            assert isinstance(await carrier.place(call()), NotSent)
            carrier.close()
        finally:
            for client in waiting:
                client.close()


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (answering(200, call_json(status="completed")), Updated),
        (refusing(404, 20404), AlreadyEnded),
        (refusing(400, 21220), AlreadyEnded),
        (refusing(500, 20500), NotUpdated),
        (resetting, NotUpdated),
        (answering(200, "<html>"), NotUpdated),
    ],
)
async def test_ending_a_call_is_a_value(carrier: Carrier, reply: Reply, result: type) -> None:
    carrier.replies(reply)
    assert isinstance(await carrier.client.end_call("CA1"), result)
    assert parse_qs(carrier.asked[0][2]) == {"Status": ["completed"]}


async def test_asking_for_a_call(carrier: Carrier) -> None:
    carrier.replies(answering(200, call_json(answered_by="human")))
    found = await carrier.client.fetch_call("CA1")
    assert isinstance(found, CarrierCall)
    assert (found.status, found.answered_by, found.duration) == ("in-progress", "human", 12)
    carrier.replies(refusing(404, 20404))
    assert await carrier.client.fetch_call("CA1") == NoSuchCall()
    carrier.replies(resetting)
    assert isinstance(await carrier.client.fetch_call("CA1"), CarrierAway)


async def test_listing_calls(carrier: Carrier) -> None:
    page = {"calls": [json.loads(call_json())], "next_page_uri": None, "page_size": 50}
    carrier.replies(answering(200, page))
    found = await carrier.client.list_calls(to="+15550000001", status="queued")
    assert isinstance(found, list)
    assert [c.sid for c in found] == ["CA1"]
    assert "Status=queued" in carrier.asked[0][1]
    assert "To=%2B15550000001" in carrier.asked[0][1]
    carrier.replies(resetting)
    assert isinstance(await carrier.client.list_calls(), CarrierAway)
