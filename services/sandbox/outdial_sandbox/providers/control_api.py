"""The providers' own doors under /sandbox: their faults, changed while they run."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from outdial_sandbox.providers.provider_faults import FaultDesks


class ControlApi:
    """For tests and for whoever runs the sandbox. It asks for no credentials: loopback only."""

    def __init__(self, desks: FaultDesks) -> None:
        self._desks = desks

    def routes(self) -> list[Route]:
        """Everything under /sandbox but health."""
        return [
            Route("/sandbox/settings", self.settings, methods=["GET"]),
            Route("/sandbox/settings", self.change_settings, methods=["POST"]),
        ]

    async def settings(self, _request: Request) -> Response:
        """The faults of everybody, and of each key that has its own."""
        return JSONResponse(self._desks.described())

    async def change_settings(self, request: Request) -> Response:
        """Change what the JSON object names; 422 says what does not fit."""
        try:
            values = json.loads(await request.body() or b"{}")
            if not isinstance(values, dict):
                raise ValueError("a JSON object of settings is expected")  # noqa: TRY004
            desk = self._desks.change(values)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=422)
        return JSONResponse(desk.described())
