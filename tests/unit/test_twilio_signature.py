"""Signatures, held against those that the Twilio SDK's own validator computes."""

import pytest
from twilio.request_validator import RequestValidator

from outdial.telephony.twilio_signature import is_signed, is_socket_signed

pytestmark = pytest.mark.unit

TOKEN = "12345"


class Repeated(dict[str, list[str]]):
    """A form with repeated names, as the SDK's validator reads Django's."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def sign(url: str, form: dict[str, list[str]]) -> str:
    return str(RequestValidator(TOKEN).compute_signature(url, Repeated(form)))


FORMS = {
    "nothing": [],
    "plain": [("CallSid", "CA1"), ("CallStatus", "ringing"), ("From", "+15550001111")],
    "blank values": [("CallSid", "CA1"), ("ToCity", ""), ("ToState", ""), ("ForwardedFrom", "")],
    "a name repeated": [("Event", "b"), ("Event", "a"), ("CallSid", "CA1")],
    "a value repeated": [("Event", "a"), ("Event", "a")],
    "other alphabets": [("CallerName", "Zoë 张 & Søn"), ("Digits", "1+2 =3")],
}
TARGETS = [
    "/twilio/callback/status/1",
    "/twilio/voice/1?pod=pod-1&at=wss%3A%2F%2Fa%2Fpods%2Fpod-1&template=",
    "/twilio/voice/1?a=1&a=2&b=%20+",
    "/",
]
HOSTS = ["https://a.example", "http://127.0.0.1:8123", "https://a.example:8443", "https://a.b/x"]


@pytest.mark.parametrize("pairs", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("host", HOSTS)
def test_what_the_sdk_signs_holds(host: str, target: str, pairs: list[tuple[str, str]]) -> None:
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    signature = sign(host + target, form)
    assert is_signed(TOKEN, host, target, pairs, signature)
    assert not is_signed("another token", host, target, pairs, signature)
    assert not is_signed(TOKEN, "https://elsewhere.example", target, pairs, signature)
    assert not is_signed(TOKEN, host, target + "x", pairs, signature)
    assert not is_signed(TOKEN, host, target, [*pairs, ("Added", "1")], signature)


def test_the_vector_of_twilios_documentation() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    pairs = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
        ("Caller", "+14158675309"),
    ]
    signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    host = "https://mycompany.com"
    assert is_signed("12345", host, url.removeprefix(host), pairs, signature)
    assert is_signed("12345", f"{host}:443", url.removeprefix(host), pairs, signature)


def test_a_blank_field_that_is_dropped_breaks_the_signature() -> None:
    host, target = "https://a.example", "/twilio/callback/status/1"
    signature = sign(host + target, {"CallSid": ["CA1"], "ToCity": [""]})
    assert not is_signed(TOKEN, host, target, [("CallSid", "CA1")], signature)


@pytest.mark.parametrize("signature", [None, "", "nonsense", "é", "A" * 28])
def test_no_signature_and_nonsense_do_not_hold(signature: str | None) -> None:
    assert not is_signed(TOKEN, "https://a.example", "/x", [], signature)


def test_without_a_token_nothing_holds() -> None:
    url = "https://a.example/x"
    signature = str(RequestValidator("").compute_signature(url, {}))
    assert not is_signed("", "https://a.example", "/x", [], signature)


def test_an_address_that_cannot_be_read_does_not_hold() -> None:
    assert not is_signed(TOKEN, "https://a.example:port", "/x", [], "A" * 28)


@pytest.mark.parametrize("host", ["wss://a.example", "ws://127.0.0.1:9000", "wss://a.example:8443"])
def test_sockets_are_signed_as_written(host: str) -> None:
    target = "/pods/pod-1/ws/t/token"
    signature = str(RequestValidator(TOKEN).compute_signature(host + target, {}))
    assert is_socket_signed(TOKEN, host, target, signature)
    assert not is_socket_signed(TOKEN, host, target + "a", signature)
    assert not is_socket_signed(TOKEN, host, target, None)
