"""The sandbox's own doors under /sandbox: health, who answers, the ledger, settings."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from outdial_sandbox.carrier.exchange import Exchange
from outdial_sandbox.carrier.pacing import pacing
from outdial_sandbox.people.behaviour import Answer
from outdial_sandbox.people.people import TABLE

_NUMBERS_AT_ONCE = 500
_ANY_NUMBER = "+121255501"


class ControlApi:
    """For tests and for whoever runs the sandbox. It asks for no credentials: loopback only."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        """Everything under /sandbox."""
        return [
            Route("/sandbox/health", self.health, methods=["GET"]),
            Route("/sandbox/people", self.people, methods=["GET"]),
            Route("/sandbox/ledger", self.ledger, methods=["GET"]),
            Route("/sandbox/ledger/summary", self.summary, methods=["GET"]),
            Route("/sandbox/ledger/numbers", self.numbers, methods=["GET"]),
            Route("/sandbox/ledger", self.clear_ledger, methods=["DELETE"]),
            Route("/sandbox/settings", self.settings, methods=["GET"]),
            Route("/sandbox/settings", self.change_settings, methods=["POST"]),
        ]

    async def health(self, _request: Request) -> Response:
        """Ready to take calls."""
        live, calls = self._exchange.live_calls, len(self._exchange.calls)
        return JSONResponse({"status": "ok", "live_calls": live, "calls": calls})

    async def people(self, _request: Request) -> Response:
        """Who answers, by the last two digits of a number; `first` is the first call to it."""
        return JSONResponse({"people": {ending: self._person(ending) for ending in TABLE}})

    def _person(self, ending: str) -> dict[str, Any]:
        first, later = (self._exchange.who_answers(_ANY_NUMBER + ending, n) for n in (0, 1))
        found = {"about": TABLE[ending].about, "key": later.key, **_plain(later.answer)}
        return found | ({"first": first.key} if first.key != later.key else {})

    async def ledger(self, request: Request) -> Response:
        """What happened; `?since=` (epoch seconds) leaves out what was posted before."""
        try:
            since = _asked(request, "since", 0.0)
        except ValueError as error:
            return _wrong(error)
        return StreamingResponse(self._pieces(since), media_type="application/json")

    async def _pieces(self, since: float) -> AsyncIterator[str]:
        """The ledger as one JSON object, a call at a time: the calls under way go on."""
        ledger, between = self._exchange.ledger, ""
        yield '{"calls": ['
        for entry in ledger.calls(since):
            yield between + json.dumps(entry)
            between = ","
            await asyncio.sleep(0)
        others = await asyncio.to_thread(lambda: json.dumps(ledger.others(since)))
        yield f"], {others[1:]}"

    async def summary(self, request: Request) -> Response:
        """Counts, double dials and pacing, without reading through the calls.

        `?limit=` is the calls per second that the pace is compared with (the carrier's own, if
        none is given), `?since=` and `?until=` the moments it is measured between.
        """
        network = self._exchange.network
        try:
            limit = _asked(request, "limit", network.settings.calls_per_second)
            since, until = _asked(request, "since", 0.0), _asked(request, "until", float("inf"))
            if not limit > 0:
                raise ValueError(f"limit is a number above 0, not {limit:g}")
        except ValueError as error:
            return _wrong(error)
        tally = self._exchange.ledger.tally
        pace = await asyncio.to_thread(pacing, tally.times(since, until), limit)
        more = {"faults": dict(+network.injected), "callbacks_pending": network.callbacks_pending}
        return JSONResponse(tally.summary() | more | {"pacing": pace})

    async def numbers(self, _request: Request) -> Response:
        """What happened to each number: POSTs, calls, answers, live calls, the last status."""
        numbers = list(self._exchange.ledger.tally.numbers.items())

        async def pieces() -> AsyncIterator[str]:
            yield "{"
            for first in range(0, len(numbers), _NUMBERS_AT_ONCE):
                part = dict(numbers[first : first + _NUMBERS_AT_ONCE])
                text = json.dumps({number: found.entry() for number, found in part.items()})
                yield ("," if first else "") + text[1:-1]
                await asyncio.sleep(0)
            yield "}"

        return StreamingResponse(pieces(), media_type="application/json")

    async def clear_ledger(self, _request: Request) -> Response:
        """Forget ended calls, and that their numbers were ever called."""
        self._exchange.ledger.clear()
        return Response(status_code=204)

    async def settings(self, _request: Request) -> Response:
        """How the network behaves."""
        return JSONResponse(asdict(self._exchange.settings))

    async def change_settings(self, request: Request) -> Response:
        """Change what the JSON object names; 422 says what does not fit."""
        try:
            values = json.loads(await request.body() or b"{}")
            if not isinstance(values, dict):
                raise ValueError("a JSON object of settings is expected")  # noqa: TRY004
            self._exchange.settings = self._exchange.settings.changed(values)
        except ValueError as error:
            return _wrong(error)
        return JSONResponse(asdict(self._exchange.settings))


def _asked(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name)
    try:
        return default if text is None else float(text)
    except ValueError:
        raise ValueError(f"{name} is a number, not {text}") from None


def _wrong(error: ValueError) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=422)


def _plain(answer: Answer) -> dict[str, Any]:
    """An answer as JSON, which has no infinity: ringing for ever is null."""
    values = asdict(answer)
    if values["ring_seconds"] == float("inf"):
        values["ring_seconds"] = None
    return values
