"""Twilio's REST API, behind values. Every call of the SDK runs in a thread, once, with a deadline.

There is no retry anywhere: `POST /Calls` has no idempotency key, and a repeated one is a second
call to the same person.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

import structlog

# Else the first request loads it: a hundred modules, while calls are to leave on time.
import twilio.rest.api.v2010  # noqa: F401
from requests.exceptions import RequestException
from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from outdial.observability import traces
from outdial.settings import Settings
from outdial.telephony.callbacks import AnswerHint, CallbackUrls
from outdial.telephony.departing_connection import NotDeparted, departing
from outdial.telephony.dial_result import (
    Accepted,
    AlreadyEnded,
    CarrierAway,
    CarrierCall,
    DialResult,
    NoSuchCall,
    NotSent,
    NotUpdated,
    OutcomeUnknown,
    Rejected,
    Updated,
    UpdateResult,
)
from outdial.telephony.twilio_errors import ALREADY_ENDED, code_of
from outdial.telephony.twilio_http import OneShotClient, never_sent

_log = structlog.get_logger(__name__)

T = TypeVar("T")

NOT_DEPARTED = NotSent("not sent: its moment has passed")
MOST_REQUESTS_AT_ONCE = 64  # those that wait for their moment among them
MOST_ON_A_PAGE = 1000  # Twilio's own bound
MOST_OF_A_LABEL = 200
REQUEST_TIMEOUT = 408  # of 4xx, the one that says nothing of what became of the request
STATUS_EVENTS = ("initiated", "ringing", "answered", "completed")


@dataclass(frozen=True)
class PlaceCall:
    """One call to place. Times are whole seconds.

    `hint` stands in the URLs, so that the answer can be routed without any store; `time_limit` is
    the longest that the call may last and is always set. `detection` is asynchronous: the
    conversation begins meanwhile. `twiml`, when given, is executed instead of asking our URL.
    """

    attempt_id: UUID
    to: str
    caller: str
    hint: AnswerHint
    ring_timeout: int
    time_limit: int
    record: bool = False
    detection: Literal["Enable", "DetectMessageEnd"] | None = None
    detection_timeout: int = 30
    twiml: str | None = None


class CallDeparture(Protocol):
    """When a call leaves."""

    async def when(self) -> float | None:
        """Asked when the request is ready and its connection open (monotonic seconds).

        None: it does not leave at all. Asked again if that moment was missed.
        """

    async def left_late(self, seconds: float) -> None:
        """It left so long after its moment."""


@dataclass(frozen=True)
class OwnedNumber:
    """A number of the account; `label` is its friendly name, where somebody has given it one."""

    phone: str
    label: str | None
    can_call: bool


class TwilioCarrier:
    """The carrier. Safe to share between tasks; one SDK client for each thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._urls = CallbackUrls(settings)
        self._threads = ThreadPoolExecutor(MOST_REQUESTS_AT_ONCE, thread_name_prefix="twilio")
        self._local = threading.local()

    @traces.traced("POST Calls", "client")
    async def place(self, call: PlaceCall, departure: CallDeparture | None = None) -> DialResult:
        """POST the call, once, whatever comes back; at its `departure`, without one at once."""
        fields = self._fields(call)
        threaded = None
        if departure is not None:
            patience = self._settings.post_timeout_seconds
            threaded = _ThreadsDeparture(departure, asyncio.get_running_loop(), patience)

        def post(client: Client) -> Any:
            with departing(threaded):
                return client.calls.create(**fields)

        try:
            made = await self._run(post)
        except NotDeparted:
            return NOT_DEPARTED
        except TwilioException as error:
            return _refusal(error)
        except RequestException as error:
            reason = _short(error)
            return NotSent(reason) if never_sent(error) else OutcomeUnknown(reason)
        except Exception as error:  # noqa: BLE001 - unreadable answers end here: the phone may ring
            return OutcomeUnknown(_short(error))
        return Accepted(made.sid) if made.sid else OutcomeUnknown("an answer without a sid")

    async def end_call(self, sid: str) -> UpdateResult:
        """Hang up a call, in whatever state it is."""
        return await self._update(sid, status="completed")

    async def update_twiml(self, sid: str, twiml: str) -> UpdateResult:
        """Have a live call execute other TwiML; its media stream is torn down."""
        return await self._update(sid, twiml=twiml)

    async def fetch_call(self, sid: str) -> CarrierCall | NoSuchCall | CarrierAway:
        """Ask for one call."""
        try:
            return _carrier_call(await self._run(lambda client: client.calls(sid).fetch()))
        except TwilioException as error:
            gone = getattr(error, "code", None) in ALREADY_ENDED
            return NoSuchCall() if gone else CarrierAway(_short(error))
        except Exception as error:  # noqa: BLE001 - requests', json's and the SDK's own
            return CarrierAway(_short(error))

    async def list_calls(
        self,
        *,
        to: str | None = None,
        caller: str | None = None,
        status: str | None = None,
        started_after: datetime | None = None,
        limit: int = 100,
    ) -> list[CarrierCall] | CarrierAway:
        """Calls that match. The list lags: a call that is not in it may exist all the same.

        `started_after` counts by whole days, and a queued call has no start: ask for
        `status="queued"` too.
        """
        wanted = {"to": to, "from_": caller, "status": status, "start_time_after": started_after}
        given = {name: value for name, value in wanted.items() if value is not None}
        try:
            found = await self._run(lambda client: client.calls.list(limit=limit, **given))
            return [_carrier_call(call) for call in found]
        except Exception as error:  # noqa: BLE001 - the SDK's, requests' and json's
            return CarrierAway(_short(error))

    async def list_numbers(self) -> list[OwnedNumber] | CarrierAway:
        """Every number that the account owns, page by page."""
        try:
            found = await self._run(
                lambda client: client.incoming_phone_numbers.list(page_size=MOST_ON_A_PAGE)
            )
            return [_owned_number(number) for number in found]
        except Exception as error:  # noqa: BLE001 - the SDK's, requests' and json's
            return CarrierAway(_short(error))

    def close(self) -> None:
        """Let threads go; requests under way are finished by nobody's waiting."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @traces.traced("POST Calls/{sid}", "client")
    async def _update(self, sid: str, **fields: str) -> UpdateResult:
        try:
            await self._run(lambda client: client.calls(sid).update(**fields))
        except TwilioException as error:
            ended = getattr(error, "code", None) in ALREADY_ENDED
            return AlreadyEnded() if ended else NotUpdated(_short(error))
        except Exception as error:  # noqa: BLE001 - requests', json's and the SDK's own
            return NotUpdated(_short(error))
        return Updated()

    async def _run(self, ask: Callable[[Client], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: ask(self._client()))

    def _client(self) -> Client:
        """The thread's own client: sessions of `requests` are not made for sharing."""
        client = getattr(self._local, "client", None)
        if client is None:
            base_url = self._settings.twilio_api_base_url
            client = Client(
                self._settings.twilio_account_sid,
                self._settings.twilio_auth_token.get_secret_value(),
                http_client=OneShotClient(base_url, self._settings.post_timeout_seconds),
            )
            client.api.base_url = base_url
            # The address is the setting's: TWILIO_EDGE and TWILIO_REGION would rewrite it.
            client.edge = client.region = None
            self._local.client = client
        return client

    def _fields(self, call: PlaceCall) -> dict[str, Any]:
        urls = self._urls
        fields: dict[str, Any] = {
            "to": call.to,
            "from_": call.caller,
            "status_callback": urls.status(call.attempt_id),
            "status_callback_event": list(STATUS_EVENTS),
            "timeout": call.ring_timeout,
            "time_limit": call.time_limit,
        }
        if call.twiml is not None:
            fields["twiml"] = call.twiml
        else:
            fields["url"] = urls.voice(call.attempt_id, call.hint)
            fields["fallback_url"] = urls.fallback(call.attempt_id, call.hint)
        if call.record:
            fields |= {
                "record": True,
                "recording_channels": "dual",
                "recording_status_callback": urls.recording(call.attempt_id),
                "recording_status_callback_event": ["completed", "absent"],
            }
        if call.detection is not None:
            fields |= {
                "machine_detection": call.detection,
                "machine_detection_timeout": call.detection_timeout,
                "async_amd": "true",
                "async_amd_status_callback": urls.amd(call.attempt_id),
            }
        return fields


@dataclass(frozen=True)
class _ThreadsDeparture:
    """A call's departure, for the thread that sends it: `of` lives on `loop`."""

    of: CallDeparture
    loop: asyncio.AbstractEventLoop
    patience: float  # seconds

    def when(self) -> float | None:
        """None, too, if it cannot be known: then nothing leaves."""
        try:
            asked = asyncio.run_coroutine_threadsafe(self.of.when(), self.loop)
            return asked.result(self.patience)
        except Exception:  # noqa: BLE001 - without a moment nothing leaves
            _log.exception("departure_not_known")
            return None

    def left_late(self, seconds: float) -> None:
        """Said without waiting: the call is on its way, and its answer is what matters now."""
        try:
            asyncio.run_coroutine_threadsafe(self.of.left_late(seconds), self.loop)
        except Exception:  # noqa: BLE001 - raised here, it would be the outcome of the POST
            _log.exception("late_departure_not_told")


def _refusal(error: TwilioException) -> DialResult:
    """A refusal, if Twilio says so; a server that fails may have placed the call."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and 400 <= status < 500 and status != REQUEST_TIMEOUT:
        return Rejected(code_of(getattr(error, "code", None), status), status, _short(error))
    return OutcomeUnknown(_short(error))


def _carrier_call(call: Any) -> CarrierCall:
    return CarrierCall(
        sid=call.sid,
        to=call.to or "",
        caller=call._from or "",  # noqa: SLF001 - the SDK has no other name for it
        status=str(call.status or ""),
        direction=str(call.direction or ""),
        answered_by=call.answered_by or None,
        duration=int(call.duration) if call.duration else None,
        date_created=call.date_created,
        start_time=call.start_time,
        end_time=call.end_time,
    )


def _owned_number(number: Any) -> OwnedNumber:
    phone, name = str(number.phone_number), number.friendly_name or ""
    digits = "".join(character for character in name if character.isdigit())
    # Without a name of its own a number's friendly name is the number: `(202) 555-0100`.
    label = None if digits and phone.endswith(digits) else name[:MOST_OF_A_LABEL] or None
    return OwnedNumber(phone, label, bool((number.capabilities or {}).get("voice")))


def _short(error: BaseException) -> str:
    """One line: the SDK's own text is for a terminal, and causes of `requests` run long."""
    words = getattr(error, "msg", None) or getattr(error, "title", None) or str(error)
    return f"{type(error).__name__}: {words}"[:300]
