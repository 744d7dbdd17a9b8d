"""Twilio's REST API, as far as a voice application needs it: /2010-04-01/Accounts/..."""

import asyncio
import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from outdial_sandbox.carrier.api_errors import ApiError
from outdial_sandbox.carrier.call import Call
from outdial_sandbox.carrier.call_request import Form, e164
from outdial_sandbox.carrier.exchange import Exchange
from outdial_sandbox.carrier.faults import between
from outdial_sandbox.carrier.hang_up import hang_up
from outdial_sandbox.carrier.identifiers import sid_of
from outdial_sandbox.carrier.paging import in_time, page_of
from outdial_sandbox.carrier.resources import (
    account_resource,
    call_recording_resource,
    call_resource,
    number_resource,
    recording_resource,
)

_ROOT = "/2010-04-01/Accounts"
Handler = Callable[["RestApi", Request], Awaitable[Response]]
Query = Sequence[tuple[str, str]]


class RestApi:
    """The handlers. Each answers JSON, and Twilio's error body for what it refuses."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._config = exchange.config

    def routes(self) -> list[Route]:
        """The routes, most particular first."""
        calls, recordings = f"{_ROOT}/{{account}}/Calls", f"{_ROOT}/{{account}}/Recordings"
        numbers = f"{_ROOT}/{{account}}/IncomingPhoneNumbers"
        return [
            self._route("POST", f"{calls}.json", RestApi.create_call),
            self._route("GET", f"{calls}.json", RestApi.list_calls),
            self._route("POST", f"{calls}/{{sid}}/Recordings.json", RestApi.start_recording),
            self._route("GET", f"{calls}/{{sid}}/Recordings.json", RestApi.list_call_recordings),
            self._route("GET", f"{calls}/{{call}}/Recordings/{{sid}}.json", RestApi.call_recording),
            self._route("POST", f"{calls}/{{sid}}.json", RestApi.update_call),
            self._route("GET", f"{calls}/{{sid}}.json", RestApi.fetch_call),
            self._route("DELETE", f"{calls}/{{sid}}.json", RestApi.delete_call),
            self._route("GET", f"{recordings}.json", RestApi.list_recordings),
            self._route("GET", f"{recordings}/{{name}}", RestApi.fetch_recording),
            self._route("DELETE", f"{recordings}/{{name}}", RestApi.delete_recording),
            self._route("GET", f"{numbers}.json", RestApi.list_numbers),
            self._route("GET", f"{numbers}/{{sid}}.json", RestApi.fetch_number),
            self._route("GET", f"{_ROOT}/{{account}}/Balance.json", RestApi.fetch_balance),
            self._route("GET", f"{_ROOT}/{{account}}.json", RestApi.fetch_account),
        ]

    def _route(self, method: str, path: str, handler: Handler) -> Route:
        async def answer(request: Request) -> Response:
            try:
                self._authenticate(request)
                return await handler(self, request)
            except ApiError as error:
                return refusal(error)

        return Route(path, answer, methods=[method], name=f"{method} {path}")

    def _authenticate(self, request: Request) -> None:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        expected = f"{self._config.account_sid}:{self._config.auth_token}"
        try:
            given = base64.b64decode(credentials, validate=True)
        except binascii.Error:
            given = b""
        known = scheme.lower() == "basic" and hmac.compare_digest(given, expected.encode())
        if not known or request.path_params["account"] != self._config.account_sid:
            raise ApiError(20003)

    async def create_call(self, request: Request) -> Response:
        """POST Calls.json; the call may be placed and its answer still go wrong."""
        call = self._exchange.place(await _form(request))
        answer = JSONResponse(call_resource(call, self._config), status_code=201)
        match call.post_fault:
            case "post_500_placed":
                raise ApiError(20500)
            case "post_dropped":
                await hang_up(request)
            case "post_slow":
                settings = self._exchange.settings
                longest = settings.faults.post_slow_seconds
                await asyncio.sleep(between(0.0, longest, settings.seed, "slow", call.key))
        return answer

    async def list_calls(self, request: Request) -> Response:
        """GET Calls.json, newest first."""
        query = request.query_params.multi_items()
        wanted = _wanted(query)
        calls = [call for call in reversed(self._exchange.calls.values()) if wanted(call)]
        page = page_of(calls, request.url.path, query)
        shown = [call_resource(call, self._config) for call in page.items]
        return JSONResponse(page.body | {"calls": shown})

    async def fetch_call(self, request: Request) -> Response:
        """GET Calls/{Sid}.json."""
        call = self._exchange.call(request.path_params["sid"])
        return JSONResponse(call_resource(call, self._config))

    async def update_call(self, request: Request) -> Response:
        """POST Calls/{Sid}.json: Status, Url or Twiml."""
        call = await self._exchange.update(request.path_params["sid"], await _form(request))
        return JSONResponse(call_resource(call, self._config))

    async def delete_call(self, request: Request) -> Response:
        """DELETE Calls/{Sid}.json."""
        self._exchange.delete(request.path_params["sid"])
        return Response(status_code=204)

    async def start_recording(self, request: Request) -> Response:
        """POST Calls/{Sid}/Recordings.json."""
        recording = self._exchange.record(request.path_params["sid"], await _form(request))
        return JSONResponse(call_recording_resource(recording, self._config), status_code=201)

    async def list_call_recordings(self, request: Request) -> Response:
        """GET Calls/{Sid}/Recordings.json."""
        recordings = self._exchange.call(request.path_params["sid"]).recordings
        page = page_of(recordings, request.url.path, request.query_params.multi_items())
        shown = [call_recording_resource(item, self._config) for item in page.items]
        return JSONResponse(page.body | {"recordings": shown})

    async def call_recording(self, request: Request) -> Response:
        """GET Calls/{CallSid}/Recordings/{Sid}.json."""
        recording = self._exchange.recording(request.path_params["sid"])
        return JSONResponse(call_recording_resource(recording, self._config))

    async def list_recordings(self, request: Request) -> Response:
        """GET Recordings.json, newest first."""
        query = request.query_params.multi_items()
        asked = dict(query)
        recordings = [
            item
            for item in self._exchange.recordings()
            if asked.get("CallSid", item.call_sid) == item.call_sid
            and in_time(item.started_at, "DateCreated", query)
        ]
        page = page_of(recordings, request.url.path, query)
        shown = [recording_resource(item, self._config) for item in page.items]
        return JSONResponse(page.body | {"recordings": shown})

    async def fetch_recording(self, request: Request) -> Response:
        """GET Recordings/{Sid}.json, or its audio at {Sid} and {Sid}.wav (no mp3 here)."""
        sid, _, kind = request.path_params["name"].partition(".")
        recording = self._exchange.recording(sid)
        if kind == "json":
            return JSONResponse(recording_resource(recording, self._config))
        if kind not in ("", "wav"):
            raise ApiError(20404, f"{request.url.path} (the sandbox serves .wav only)")
        if recording.status != "completed":
            raise ApiError(20404, f"{request.url.path} (the recording is {recording.status})")
        return Response(await asyncio.to_thread(recording.wav), media_type="audio/x-wav")

    async def delete_recording(self, request: Request) -> Response:
        """DELETE Recordings/{Sid}.json: the resource and its file."""
        recording = self._exchange.recording(request.path_params["name"].removesuffix(".json"))
        if recording.status == "in-progress":
            raise ApiError(20009, "the recording has not ended yet")
        self._exchange.call(recording.call_sid).recordings.remove(recording)
        recording.path.unlink(missing_ok=True)
        return Response(status_code=204)

    async def list_numbers(self, request: Request) -> Response:
        """GET IncomingPhoneNumbers.json: the numbers that may be called from."""
        query = request.query_params.multi_items()
        wanted = dict(query).get("PhoneNumber", "").replace("*", "")
        numbers = [
            _Number(number) for number in self._exchange.settings.numbers if wanted in number
        ]
        page = page_of(numbers, request.url.path, query)
        shown = [self._number(item.number) for item in page.items]
        return JSONResponse(page.body | {"incoming_phone_numbers": shown})

    async def fetch_number(self, request: Request) -> Response:
        """GET IncomingPhoneNumbers/{Sid}.json."""
        for number in self._exchange.settings.numbers:
            if sid_of("PN", number) == request.path_params["sid"]:
                return JSONResponse(self._number(number))
        raise ApiError(20404, request.url.path)

    async def fetch_balance(self, _request: Request) -> Response:
        """GET Balance.json: calls in the sandbox are free."""
        return JSONResponse(
            {"account_sid": self._config.account_sid, "balance": "100.00", "currency": "USD"}
        )

    async def fetch_account(self, _request: Request) -> Response:
        """GET Accounts/{Sid}.json."""
        return JSONResponse(account_resource(self._config, self._exchange.began_at))

    def _number(self, number: str) -> dict[str, Any]:
        return number_resource(number, self._config, self._exchange.began_at)


class _Number:
    """An owned number in a list."""

    def __init__(self, number: str) -> None:
        self.number = number
        self.sid = sid_of("PN", number)


def refusal(error: ApiError) -> JSONResponse:
    """Twilio's error body."""
    asks = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if error.status == 401 else None
    return JSONResponse(error.body(), status_code=error.status, headers=asks)


async def _form(request: Request) -> Form:
    body = (await request.body()).decode(errors="replace")
    return Form(parse_qsl(body, keep_blank_values=True))


def _wanted(query: Query) -> Callable[[Call], bool]:
    """Whether a call passes the filters of a list."""
    asked = dict(query)
    to, caller, status = e164(asked.get("To", "")), e164(asked.get("From", "")), asked.get("Status")

    def passes(call: Call) -> bool:
        return (
            ("To" not in asked or to == call.request.to)
            and ("From" not in asked or caller == call.request.caller)
            and status in (None, call.status)
            and "ParentCallSid" not in asked
            and in_time(call.dialed_at, "StartTime", query)
            and in_time(call.ended_at, "EndTime", query)
        )

    return passes
