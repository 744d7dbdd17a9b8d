"""The sandbox's own doors under /sandbox: health, who answers, the ledger, settings."""

import json
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from outdial_sandbox.carrier.exchange import Exchange
from outdial_sandbox.people.behaviour import Answer
from outdial_sandbox.people.people import TABLE

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
            Route("/sandbox/ledger", self.clear_ledger, methods=["DELETE"]),
            Route("/sandbox/settings", self.settings, methods=["GET"]),
            Route("/sandbox/settings", self.change_settings, methods=["POST"]),
        ]

    async def health(self, _request: Request) -> Response:
        """Ready to take calls."""
        calls = self._exchange.calls.values()
        live = sum(not call.over for call in calls)
        return JSONResponse({"status": "ok", "live_calls": live, "calls": len(calls)})

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
            since = float(request.query_params.get("since", "0"))
        except ValueError:
            return JSONResponse({"error": "since is a time in epoch seconds"}, status_code=422)
        return JSONResponse(self._exchange.ledger.content(since))

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
            return JSONResponse({"error": str(error)}, status_code=422)
        return JSONResponse(asdict(self._exchange.settings))


def _plain(answer: Answer) -> dict[str, Any]:
    """An answer as JSON, which has no infinity: ringing for ever is null."""
    values = asdict(answer)
    if values["ring_seconds"] == float("inf"):
        values["ring_seconds"] = None
    return values
