"""TwiML read into verbs. Pure: a document in, verbs or an error with Twilio's code out."""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MAX_PARAMETER = 500  # characters of a <Parameter>'s name and value together

PARSE_FAILURE = 12100
NOT_VALID = 12200


class TwimlError(Exception):
    """A document that cannot be executed; `code` is Twilio's."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True)
class Say:
    """Speak a text. `loop` 0 is until the call ends."""

    text: str
    language: str
    loop: int


@dataclass(frozen=True)
class Play:
    """Play a file, or keypad tones."""

    url: str
    digits: str
    loop: int


@dataclass(frozen=True)
class Pause:
    """Say nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Redirect:
    """Go on with another document."""

    url: str
    method: str


@dataclass(frozen=True)
class Hangup:
    """End the call; Reject does the same to a call that is already answered."""


@dataclass(frozen=True)
class Stream:
    """Where the audio goes, in both directions."""

    url: str
    name: str | None
    parameters: Mapping[str, str]
    status_url: str | None
    status_method: str


@dataclass(frozen=True)
class Connect:
    """Hand the call to a stream; `action` is asked when that has ended."""

    stream: Stream
    action: str | None
    method: str


@dataclass(frozen=True)
class Dial:
    """Call somebody else and connect the two; `action` is asked when that has ended.

    `whisper_url` is a document for the one who is dialed, before they meet.
    """

    number: str
    caller_id: str | None
    timeout: float
    whisper_url: str | None
    whisper_method: str
    action: str | None
    method: str


Verb = Say | Play | Pause | Redirect | Hangup | Connect | Dial


def parse_twiml(document: bytes | str) -> list[Verb]:
    """The verbs of a document, in order. Raises TwimlError."""
    data = document.encode() if isinstance(document, str) else document
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise TwimlError(PARSE_FAILURE, "a document type is not allowed")
    try:
        root = ET.fromstring(data)  # noqa: S314 - entities were refused above
    except ET.ParseError as error:
        raise TwimlError(PARSE_FAILURE, f"not well-formed XML: {error}") from None
    if root.tag != "Response":
        raise TwimlError(NOT_VALID, f"the root element is <{root.tag}>, not <Response>")
    if (root.text or "").strip() or any((verb.tail or "").strip() for verb in root):
        raise TwimlError(NOT_VALID, "text stands outside of a verb")
    return [_verb(element) for element in root]


def _verb(element: ET.Element) -> Verb:
    reader = _READERS.get(element.tag)
    if reader is None:
        known = ", ".join(f"<{name}>" for name in _READERS)
        raise TwimlError(
            NOT_VALID, f"<{element.tag}> is not a verb here; the carrier knows {known}"
        )
    return reader(element)


def _say(element: ET.Element) -> Say:
    text = " ".join("".join(element.itertext()).split())
    return Say(text, element.get("language", "en-US"), _count(element, "loop", 1))


def _play(element: ET.Element) -> Play:
    digits = element.get("digits", "")
    if not re.fullmatch(r"[0-9wW#*]*", digits):
        raise TwimlError(NOT_VALID, f"<Play digits> is not valid: {digits}")
    url = _plain(element)
    if not url and not digits:
        raise TwimlError(NOT_VALID, "<Play> has neither a URL nor digits")
    return Play(url, digits, _count(element, "loop", 1))


def _pause(element: ET.Element) -> Pause:
    return Pause(float(_count(element, "length", 1)))


def _redirect(element: ET.Element) -> Redirect:
    return Redirect(_plain(element), _method(element, "method"))


def _hangup(_element: ET.Element) -> Hangup:
    return Hangup()


def _connect(element: ET.Element) -> Connect:
    streams = [child for child in element if child.tag == "Stream"]
    if len(streams) != 1 or len(element) != 1:
        raise TwimlError(NOT_VALID, "<Connect> must hold one <Stream>; the carrier knows no other")
    return Connect(_stream(streams[0]), element.get("action"), _method(element, "method"))


def _dial(element: ET.Element) -> Dial:
    nouns = list(element)
    if len(nouns) > 1 or any(noun.tag != "Number" for noun in nouns):
        raise TwimlError(NOT_VALID, "<Dial> must hold one number; the carrier knows no other")
    noun = nouns[0] if nouns else element
    number = re.sub(r"[\s().-]", "", noun.text or "")
    if not re.fullmatch(r"\+?[1-9]\d{6,14}", number):
        raise TwimlError(13224, f"<Dial>: invalid phone number {number!r}")
    return Dial(
        number=number if number.startswith("+") else f"+{number}",
        caller_id=element.get("callerId"),
        timeout=float(_count(element, "timeout", 30)),
        whisper_url=noun.get("url") if nouns else None,
        whisper_method=_method(noun, "method") if nouns else "POST",
        action=element.get("action"),
        method=_method(element, "method"),
    )


def _stream(element: ET.Element) -> Stream:
    if not (url := element.get("url", "").strip()):
        raise TwimlError(NOT_VALID, "<Stream> has no url")
    if element.get("track", "inbound_track") != "inbound_track":
        raise TwimlError(31941, "a bidirectional <Stream> has the inbound_track only")
    return Stream(
        url=url,
        name=element.get("name"),
        parameters=dict(_parameter(child) for child in element),
        status_url=element.get("statusCallback"),
        status_method=_method(element, "statusCallbackMethod"),
    )


def _parameter(element: ET.Element) -> tuple[str, str]:
    name, value = element.get("name", ""), element.get("value", "")
    if element.tag != "Parameter" or not name:
        raise TwimlError(NOT_VALID, "<Stream> may hold <Parameter name= value=> only")
    if len(name) + len(value) >= MAX_PARAMETER:
        raise TwimlError(NOT_VALID, f"<Parameter> {name} is longer than {MAX_PARAMETER} characters")
    return name, value


def _plain(element: ET.Element) -> str:
    if len(element):
        raise TwimlError(NOT_VALID, f"<{element.tag}> cannot hold <{element[0].tag}>")
    return (element.text or "").strip()


def _count(element: ET.Element, name: str, default: int) -> int:
    text = element.get(name, str(default))
    if not re.fullmatch(r"\d{1,6}(\.\d+)?", text):
        raise TwimlError(NOT_VALID, f"<{element.tag} {name}> is not a number: {text}")
    return math.ceil(float(text))


def _method(element: ET.Element, name: str) -> str:
    method = element.get(name, "POST").upper()
    if method not in ("GET", "POST"):
        raise TwimlError(NOT_VALID, f"<{element.tag} {name}> is GET or POST, not {method}")
    return method


_READERS: dict[str, Callable[[ET.Element], Verb]] = {
    "Say": _say,
    "Play": _play,
    "Pause": _pause,
    "Redirect": _redirect,
    "Hangup": _hangup,
    "Reject": _hangup,
    "Connect": _connect,
    "Dial": _dial,
}
