"""What the carrier reads and writes: parameters, signatures, retry policies, pages, TwiML."""

from dataclasses import dataclass

import pytest
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import VoiceResponse

from outdial_sandbox.carrier.api_errors import ApiError
from outdial_sandbox.carrier.call_request import Form, Hook, e164, is_web_address, parse_call
from outdial_sandbox.carrier.config import NetworkSettings
from outdial_sandbox.carrier.identifiers import formatted, iso8601, new_sid, rfc2822, sid_of
from outdial_sandbox.carrier.media_stream import stream_address
from outdial_sandbox.carrier.paging import in_time, page_of
from outdial_sandbox.carrier.twiml_document import (
    Connect,
    Hangup,
    Pause,
    Play,
    Redirect,
    Say,
    TwimlError,
    parse_twiml,
)
from outdial_sandbox.carrier.webhooks import RetryPolicy, retry_policy, signature

pytestmark = pytest.mark.unit

OWNED = ("+15005550006",)
MINIMAL = [("To", "+12125550100"), ("From", "+15005550006"), ("Url", "https://a.test/voice")]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+12125550100", "+12125550100"),
        ("(212) 555-0100", "+12125550100"),
        ("12125550100", "+12125550100"),
        ("+1 212 555 0100", "+12125550100"),
        ("+442071838750", "+442071838750"),
        ("+1212555010", None),
        ("+11125550100", None),
        ("+12121550100", None),
        ("911", None),
        ("hello", None),
        ("+0123456789", None),
        ("", None),
    ],
)
def test_numbers(number: str, expected: str | None) -> None:
    assert e164(number) == expected


def test_a_request_with_everything() -> None:
    request = parse_call(
        Form(
            [
                *MINIMAL,
                ("Method", "get"),
                ("StatusCallback", "https://a.test/s"),
                ("StatusCallbackEvent", "initiated ringing"),
                ("StatusCallbackEvent", "answered"),
                ("Timeout", "30"),
                ("TimeLimit", "120"),
                ("Record", "TRUE"),
                ("RecordingChannels", "dual"),
                ("RecordingStatusCallback", "https://a.test/r"),
                ("MachineDetection", "DetectMessageEnd"),
                ("MachineDetectionSpeechThreshold", "3000"),
                ("AsyncAmd", "true"),
                ("AsyncAmdStatusCallback", "https://a.test/amd"),
                ("AsyncAmdStatusCallbackMethod", "GET"),
            ]
        ),
        OWNED,
    )
    assert request.voice == Hook("https://a.test/voice", "GET")
    assert request.events == ("initiated", "ringing", "answered")
    assert (request.ring_timeout, request.time_limit) == (30, 120)
    assert request.recording is not None
    assert request.recording.channels == 2
    assert request.detection is not None
    assert request.detection.message_end
    assert request.detection.asynchronous
    assert request.detection.speech_threshold == 3.0
    assert request.detection.callback == Hook("https://a.test/amd", "GET")


def test_keys_switch_machine_detection_off() -> None:
    form = Form([*MINIMAL, ("SendDigits", "1w2"), ("MachineDetection", "Enable")])
    assert parse_call(form, OWNED).detection is None


def test_url_wins_over_twiml() -> None:
    request = parse_call(Form([*MINIMAL, ("Twiml", "<Response/>")]), OWNED)
    assert request.twiml is None
    assert request.voice is not None


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Timeout", "soon", 21208),
        ("Timeout", "0", 21208),
        ("TimeLimit", "99999999", 20001),
        ("MachineDetectionTimeout", "1", 20001),
        ("FallbackUrl", "ftp://a.test", 21205),
        ("RecordingChannels", "three", 20001),
    ],
)
def test_parameters_out_of_range(name: str, value: str, code: int) -> None:
    form = Form([*MINIMAL, ("Record", "true"), ("MachineDetection", "Enable"), (name, value)])
    with pytest.raises(ApiError) as caught:
        parse_call(form, OWNED)
    assert caught.value.code == code
    assert set(caught.value.body()) == {"code", "message", "more_info", "status"}


@pytest.mark.parametrize("url", ["https://a.test", "http://127.0.0.1:80/x?a=b#rc=1"])
def test_web_addresses(url: str) -> None:
    assert is_web_address(url)


@pytest.mark.parametrize(
    "url", ["", "a.test", "ws://a.test", "https://", "http://[", "https://a b"]
)
def test_what_is_no_web_address(url: str) -> None:
    assert not is_web_address(url)


@pytest.mark.parametrize(
    ("url", "params"),
    [
        ("https://a.test/voice/1?pod=a&b=%20", {"CallSid": "CA1", "Blank": "", "Ünï": "cødé"}),
        ("http://127.0.0.1:8000/x", {}),
        ("wss://a.test/pods/p/ws/t/token", {}),
        ("https://a.test:8443/x", {"B": "2", "A": "1", "a": "3"}),
    ],
)
def test_signatures_pass_the_sdks_validator(url: str, params: dict[str, str]) -> None:
    signed = signature("token", url, params)
    assert RequestValidator("token").validate(url, params, signed)
    assert not RequestValidator("other").validate(url, params, signed)
    assert not RequestValidator("token").validate(url, {**params, "More": "1"}, signed)


@pytest.mark.parametrize(
    ("fragment", "policy"),
    [
        ("", RetryPolicy()),
        ("#rc=0", RetryPolicy(retries=0)),
        ("#rc=3&rp=ct,rt,5xx", RetryPolicy(retries=3, on=frozenset({"ct", "rt", "5xx"}))),
        ("#ct=500&rt=1500&rc=0", RetryPolicy(retries=0, connect=0.5, read=1.5)),
        ("#rc=99&ct=1&rt=999999", RetryPolicy(retries=5, connect=0.1)),
        ("#rp=all&tt=9000", RetryPolicy(on=frozenset({"ct", "rt", "4xx", "5xx"}), total=9.0)),
        ("#rc=x&nonsense", RetryPolicy()),
    ],
)
def test_retry_policies(fragment: str, policy: RetryPolicy) -> None:
    assert retry_policy(f"https://a.test/x{fragment}") == policy


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("wss://a.test/ws?x=1#y", "wss://a.test/ws"),
        ("ws://127.0.0.1:80/ws", "ws://127.0.0.1:80/ws"),
        ("ws://localhost/ws", "ws://localhost/ws"),
        ("ws://[::1]:8080/ws", "ws://[::1]:8080/ws"),
        ("ws://a.test/ws", None),
        ("ws://127.0.0.1.a.test/ws", None),
        ("https://a.test/ws", None),
        ("wss:///ws", None),
    ],
)
def test_where_a_stream_may_go(url: str, address: str | None) -> None:
    assert stream_address(url) == address


@dataclass
class Item:
    sid: str


def test_pages_hold_still_while_new_items_come() -> None:
    items = [Item(f"CA{number}") for number in range(5)]
    first = page_of(items, "/Calls.json", [("To", "+1"), ("PageSize", "2")])
    assert [item.sid for item in first.items] == ["CA0", "CA1"]
    following = first.body["next_page_uri"]
    assert following == "/Calls.json?To=%2B1&PageSize=2&Page=1&PageToken=PACA1"
    query = [("To", "+1"), ("PageSize", "2"), ("Page", "1"), ("PageToken", "PACA1")]
    second = page_of([Item("CA9"), *items], "/Calls.json", query)
    assert [item.sid for item in second.items] == ["CA2", "CA3"]
    last = page_of(items, "/Calls.json", [("PageSize", "2"), ("PageToken", "PACA3"), ("Page", "2")])
    assert last.body["next_page_uri"] is None


@pytest.mark.parametrize(
    "query", [[("PageSize", "0")], [("Page", "-1")], [("PageToken", "PAnobody")]]
)
def test_pages_that_do_not_exist(query: list[tuple[str, str]]) -> None:
    with pytest.raises(ApiError):
        page_of([], "/Calls.json", query)


NOON = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


@pytest.mark.parametrize(
    ("name", "value", "passes"),
    [
        ("StartTime", "2023-11-14", True),
        ("StartTime", "2023-11-14T01:00:00Z", True),  # without an operator the day counts
        ("StartTime", "2023-11-15", False),
        ("StartTime<", "2023-11-14", True),
        ("StartTime<", "2023-11-13", False),
        ("StartTime>", "2023-11-14T22:00:00Z", True),
        ("StartTime>", "2023-11-14T23:00:00Z", False),
        ("EndTime", "1999-01-01", True),  # another filter
    ],
)
def test_time_filters(name: str, value: str, passes: bool) -> None:
    assert in_time(NOON, "StartTime", [(name, value)]) is passes


def test_what_has_no_time_passes_no_time_filter() -> None:
    assert in_time(None, "StartTime", [])
    assert not in_time(None, "StartTime", [("StartTime", "2023-11-14")])
    with pytest.raises(ApiError):
        in_time(NOON, "StartTime", [("StartTime", "yesterday")])


def test_names_and_dates() -> None:
    assert len(new_sid("CA")) == 34
    assert new_sid("CA") != new_sid("CA")
    assert sid_of("PN", "+1") == sid_of("PN", "+1")
    assert rfc2822(NOON) == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert rfc2822(None) is None
    assert iso8601(NOON) == "2023-11-14T22:13:20.000000Z"
    assert formatted("+13051416799") == "(305) 141-6799"
    assert formatted("+442071838750") == "+442071838750"


def test_what_the_sdk_writes_is_read() -> None:
    response = VoiceResponse()
    response.say("Fish & chips <today>", language="de-DE", loop=2)
    response.pause(length=3)
    response.play("https://a.test/x.wav?a=1&b=2")
    response.play(digits="1w#")
    connect = response.connect(action="/ended?a=1&b=2", method="GET")
    stream = connect.stream(url="wss://a.test/ws", name="one", status_callback="/status")
    stream.parameter(name="lead_id", value='<&"')
    response.redirect("/again", method="GET")
    response.reject()
    say, pause, play, press, connected, redirect, reject = parse_twiml(str(response))
    assert say == Say("Fish & chips <today>", "de-DE", 2)
    assert pause == Pause(3.0)
    assert play == Play("https://a.test/x.wav?a=1&b=2", "", 1)
    assert press == Play("", "1w#", 1)
    assert isinstance(connected, Connect)
    assert (connected.action, connected.method) == ("/ended?a=1&b=2", "GET")
    assert connected.stream.parameters == {"lead_id": '<&"'}
    assert (connected.stream.name, connected.stream.status_url) == ("one", "/status")
    assert redirect == Redirect("/again", "GET")
    assert reject == Hangup()


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("", 12100),
        ("hello", 12100),
        ("<Response><Say>&nbsp;</Say></Response>", 12100),
        ("<html/>", 12200),
        ("<Response>words</Response>", 12200),
        ("<Response><say>lower case</say></Response>", 12200),
        ("<Response><Connect/></Response>", 12200),
        ("<Response><Connect><Stream/></Connect></Response>", 12200),
        ("<Response><Connect><Stream url='wss://a/'><Say/></Stream></Connect></Response>", 12200),
        ("<Response><Pause length='long'/></Response>", 12200),
        ("<Response><Redirect method='PUT'>/</Redirect></Response>", 12200),
        ("<Response><Redirect><Say/></Redirect></Response>", 12200),
        ("<Response><Play digits='abc'/></Response>", 12200),
        (
            "<Response><Connect><Stream url='wss://a/' track='outbound_track'/></Connect>"
            "</Response>",
            31941,
        ),
    ],
)
def test_documents_that_are_refused(document: str, code: int) -> None:
    with pytest.raises(TwimlError) as caught:
        parse_twiml(document)
    assert caught.value.code == code


def test_parameters_may_not_be_longer_than_500_characters() -> None:
    def document(length: int) -> str:
        return (
            "<Response><Connect><Stream url='wss://a/'>"
            f"<Parameter name='n' value='{'x' * length}'/></Stream></Connect></Response>"
        )

    assert parse_twiml(document(498))
    with pytest.raises(TwimlError):
        parse_twiml(document(499))


def test_ring_times_are_scaled() -> None:
    assert NetworkSettings().ring_scale() == 1.0
    assert NetworkSettings().changed({"ring_seconds": 4}).ring_scale() == 2.0
