"""TwiML is well-formed XML that says what was meant, whatever stands in texts and addresses."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.telephony import twiml

pytestmark = pytest.mark.prop

_UNSAYABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
anything = st.text(st.characters())


def heard(text: str) -> str:
    """The text as XML can carry it; a reader of XML turns every line end into one."""
    return _UNSAYABLE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def in_attribute(text: str) -> str:
    """White space in attributes is spaces to a reader, unless it is escaped."""
    return re.sub(r"\s", " ", heard(text))


@given(url=anything, action=anything, name=anything, value=anything)
def test_a_stream_keeps_its_addresses_and_parameters(
    url: str, action: str, name: str, value: str
) -> None:
    text = twiml.connect_stream(
        url, action=action, status_callback="https://a/s", parameters={name: value}
    )
    response = ET.fromstring(text)
    assert response.tag == "Response"
    connect, refused = response
    (stream,) = connect
    (parameter,) = stream
    assert (connect.tag, stream.tag, parameter.tag) == ("Connect", "Stream", "Parameter")
    assert in_attribute(stream.attrib["url"]) == in_attribute(url)
    assert in_attribute(connect.attrib["action"]) == in_attribute(action)
    assert (refused.tag, refused.text or "") == ("Redirect", heard(action))
    assert in_attribute(parameter.attrib["name"]) == in_attribute(name)
    assert in_attribute(parameter.attrib["value"]) == in_attribute(value)[:499]


@given(text=anything, url=anything)
def test_a_hold_says_waits_and_comes_back(text: str, url: str) -> None:
    response = ET.fromstring(twiml.hold_and_redirect(text, url, "fr-CA", 2))
    say, pause, redirect = response
    assert [verb.tag for verb in response] == ["Say", "Pause", "Redirect"]
    assert (say.text or "") == heard(text)
    assert say.attrib == {"language": "fr-CA", "voice": "Polly.Chantal"}
    assert pause.attrib == {"length": "2"}
    assert (redirect.text or "") == heard(url)


@given(text=anything)
def test_goodbye_is_said_before_hanging_up(text: str) -> None:
    response = ET.fromstring(twiml.say_goodbye(text, "de-DE"))
    assert [verb.tag for verb in response] == ["Say", "Hangup"]
    assert (response[0].text or "") == heard(text)
    assert response[0].attrib == {"language": "de-DE", "voice": "Polly.Marlene"}


@pytest.mark.parametrize(
    ("tag", "spoken"),
    [
        ("de-AT", ("de-DE", "Polly.Marlene")),
        ("en-us", ("en-US", "Polly.Joanna")),
        ("es-419", ("es-MX", "Polly.Mia")),
        ("es", ("es-ES", "Polly.Conchita")),
        ("fr", ("fr-FR", "Polly.Celine")),
        ("it", ("it-IT", "Polly.Carla")),
        ("nl-BE", ("nl-NL", "Polly.Lotte")),
        ("pt", ("pt-BR", "Polly.Vitoria")),
        ("pt-PT", ("pt-PT", "Polly.Ines")),
        ("multi", ("en-US", "Polly.Joanna")),
        ("", ("en-US", "Polly.Joanna")),
    ],
)
def test_the_carrier_speaks_the_nearest_that_it_knows(tag: str, spoken: tuple[str, str]) -> None:
    (say,) = ET.fromstring(twiml.say("Oui", tag))
    assert (say.attrib["language"], say.attrib["voice"]) == spoken


@given(language=anything)
def test_any_language_is_said_in_one_that_the_carrier_knows(language: str) -> None:
    (say,) = ET.fromstring(twiml.say("Oui", language))
    assert re.fullmatch("[a-z]{2}-[A-Z]{2}", say.attrib["language"])


def test_the_short_ones() -> None:
    assert [verb.tag for verb in ET.fromstring(twiml.hangup())] == ["Hangup"]
    assert list(ET.fromstring(twiml.empty())) == []
