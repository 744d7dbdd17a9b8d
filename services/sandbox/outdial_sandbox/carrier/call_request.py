"""`POST /Calls`: what may be asked for, and what is refused with which code."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from outdial_sandbox.carrier.api_errors import ApiError

MAX_TWIML = 4000
MAX_RING = 600
MAX_CALL_SECONDS = 14400  # Twilio's four hours

EVENTS = ("initiated", "ringing", "answered", "completed")
RECORDING_EVENTS = ("in-progress", "completed", "absent")

_E164 = re.compile(r"\+[1-9]\d{7,14}")
_NORTH_AMERICA = re.compile(r"\+1[2-9]\d{2}[2-9]\d{6}")
_DIGITS = re.compile(r"[0-9wW#*]*")


@dataclass(frozen=True)
class Hook:
    """A URL of the customer's, and how to ask it."""

    url: str
    method: str = "POST"


@dataclass(frozen=True)
class DetectionRequest:
    """MachineDetection*; times in seconds."""

    message_end: bool
    timeout: float = 30.0
    speech_threshold: float = 2.4
    speech_end: float = 1.2
    silence: float = 5.0
    asynchronous: bool = False
    callback: Hook | None = None


@dataclass(frozen=True)
class RecordingRequest:
    """Record=true, or a recording started by REST."""

    channels: int = 1
    callback: Hook | None = None
    events: tuple[str, ...] = ("completed",)
    source: str = "OutboundAPI"


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A call that the network will place."""

    to: str
    caller: str
    voice: Hook | None
    twiml: str | None
    fallback: Hook | None = None
    status: Hook | None = None
    events: tuple[str, ...] = ("completed",)
    ring_timeout: int = 60
    time_limit: int = MAX_CALL_SECONDS
    send_digits: str = ""
    detection: DetectionRequest | None = None
    recording: RecordingRequest | None = None


class Form:
    """The request's parameters. A name may stand several times; blank counts as absent."""

    def __init__(self, items: Collection[tuple[str, str]]) -> None:
        self._items = [(name, value) for name, value in items if value.strip()]

    def has(self, name: str) -> bool:
        """Whether the parameter was given."""
        return any(given == name for given, _ in self._items)

    def text(self, name: str, default: str = "") -> str:
        """The last value given."""
        return next((value for given, value in reversed(self._items) if given == name), default)

    def words(
        self, name: str, allowed: Collection[str], default: tuple[str, ...]
    ) -> tuple[str, ...]:
        """A list: repeated parameters, or one with spaces (or commas) between."""
        values = [value for given, value in self._items if given == name]
        words = tuple(word for value in values for word in re.split(r"[\s,]+", value) if word)
        if wrong := [word for word in words if word not in allowed]:
            raise ApiError(20001, f"Invalid {name} {wrong[0]}: choose from {', '.join(allowed)}")
        return words or default

    def flag(self, name: str) -> bool:
        """`true` or `false`, in any case."""
        return self.text(name, "false").strip().lower() == "true"

    def whole(self, name: str, default: int, low: int, high: int, code: int = 20001) -> int:
        """A whole number between `low` and `high`."""
        text = self.text(name, str(default)).strip()
        if not re.fullmatch(r"-?\d{1,9}", text) or not low <= int(text) <= high:
            wrong = f"{name} must be a whole number from {low} to {high}, not {text}"
            raise ApiError(code, wrong)
        return int(text)

    def hook(self, name: str, code: int = 21205) -> Hook | None:
        """The URL `name` (`StatusCallback`, `Url`) with its method, or None."""
        if not self.has(name):
            return None
        url = self.text(name).strip()
        if not is_web_address(url):
            raise ApiError(code, f"Url is not a valid URL: {url}" if code == 21205 else url)
        stem = name.removesuffix("Url")
        method_name = f"{name}Method" if name.endswith("Callback") else f"{stem}Method"
        method = self.text(method_name, "POST").upper()
        if method not in ("GET", "POST"):
            raise ApiError(21209, method_name)
        return Hook(url, method)


def is_web_address(url: str) -> bool:
    """Whether Twilio would send a request there."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in url
    except ValueError:
        return False


def e164(number: str) -> str | None:
    """`number` as E.164, or None. Ten digits are taken as North American, as Twilio does."""
    plain = re.sub(r"[\s().-]", "", number)
    if re.fullmatch(r"\d{10}", plain):
        plain = f"+1{plain}"
    elif re.fullmatch(r"1\d{10}", plain):
        plain = f"+{plain}"
    if plain.startswith("+1"):
        return plain if _NORTH_AMERICA.fullmatch(plain) else None
    return plain if _E164.fullmatch(plain) else None


def parse_call(form: Form, owned: Collection[str]) -> CallRequest:
    """The request of a call. Raises ApiError with Twilio's code for what cannot be done."""
    if not form.has("To"):
        raise ApiError(21201)
    if not form.has("From"):
        raise ApiError(21213)
    to = e164(form.text("To"))
    if to is None:
        raise ApiError(21211, form.text("To"))
    voice, twiml = _instructions(form)
    return CallRequest(
        to=to,
        caller=_caller(form, owned),
        voice=voice,
        twiml=twiml,
        fallback=form.hook("FallbackUrl"),
        status=form.hook("StatusCallback", 21609),
        events=form.words("StatusCallbackEvent", EVENTS, ("completed",)),
        ring_timeout=form.whole("Timeout", 60, 1, MAX_RING, 21208),
        time_limit=form.whole("TimeLimit", MAX_CALL_SECONDS, 1, MAX_CALL_SECONDS),
        send_digits=_digits(form),
        detection=_detection(form),
        recording=_recording(form),
    )


def parse_recording(form: Form, source: str) -> RecordingRequest:
    """RecordingChannels and RecordingStatusCallback*."""
    channels = form.text("RecordingChannels", "mono").lower()
    if channels not in ("mono", "dual"):
        raise ApiError(20001, f"Invalid RecordingChannels {channels}: choose mono or dual")
    return RecordingRequest(
        channels=2 if channels == "dual" else 1,
        callback=form.hook("RecordingStatusCallback"),
        events=form.words("RecordingStatusCallbackEvent", RECORDING_EVENTS, ("completed",)),
        source=source,
    )


def _caller(form: Form, owned: Collection[str]) -> str:
    caller = e164(form.text("From"))
    if caller is None:
        raise ApiError(21212, form.text("From"))
    if caller not in owned:
        raise ApiError(21210, caller)
    return caller


def _instructions(form: Form) -> tuple[Hook | None, str | None]:
    if voice := form.hook("Url"):
        return voice, None  # given both, Twilio ignores Twiml
    if form.has("Twiml"):
        return None, checked_twiml(form.text("Twiml"))
    if form.has("ApplicationSid"):
        raise ApiError(21218, form.text("ApplicationSid"))  # the sandbox has no applications
    raise ApiError(21205, "Url parameter is required.")


def checked_twiml(twiml: str) -> str:
    """A document given in the request itself. Raises ApiError if it is too long."""
    if len(twiml) > MAX_TWIML:
        raise ApiError(20001, f"Twiml is longer than {MAX_TWIML} characters")
    return twiml


def _digits(form: Form) -> str:
    digits = form.text("SendDigits")
    if not _DIGITS.fullmatch(digits):
        raise ApiError(21206, digits)
    return digits


def _recording(form: Form) -> RecordingRequest | None:
    return parse_recording(form, "OutboundAPI") if form.flag("Record") else None


def _detection(form: Form) -> DetectionRequest | None:
    wanted = form.text("MachineDetection").strip()
    if not wanted or form.has("SendDigits"):  # Twilio ignores the one when given the other
        return None
    if wanted not in ("Enable", "DetectMessageEnd"):
        raise ApiError(20001, f"Invalid MachineDetection {wanted}: Enable or DetectMessageEnd")

    def seconds(name: str, default: int, low: int, high: int) -> float:
        return form.whole(f"MachineDetection{name}", default, low, high) / 1000

    return DetectionRequest(
        message_end=wanted == "DetectMessageEnd",
        timeout=float(form.whole("MachineDetectionTimeout", 30, 3, 59)),
        speech_threshold=seconds("SpeechThreshold", 2400, 1000, 6000),
        speech_end=seconds("SpeechEndThreshold", 1200, 500, 5000),
        silence=seconds("SilenceTimeout", 5000, 2000, 10000),
        asynchronous=form.flag("AsyncAmd"),
        callback=form.hook("AsyncAmdStatusCallback"),
    )
