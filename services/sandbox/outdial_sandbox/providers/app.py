"""The providers' process: Deepgram and Groq on one port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from outdial_sandbox.carrier.hang_up import HangUpApp
from outdial_sandbox.providers import deepgram_speak, groq_chat
from outdial_sandbox.providers.control_api import ControlApi
from outdial_sandbox.providers.deepgram_door import is_authorised, unauthorised
from outdial_sandbox.providers.deepgram_listen import listen
from outdial_sandbox.providers.provider_faults import Desk, FaultDesks
from outdial_sandbox.providers.recognition_process import RecognitionProcess
from outdial_sandbox.providers.settings import ProviderSettings


def create_app(settings: ProviderSettings) -> Starlette:
    """The application; it owns the recogniser's process while it runs."""
    doors = _Doors(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        doors.recogniser = RecognitionProcess()
        await doors.recogniser.warm_up()
        try:
            yield
        finally:
            doors.recogniser.close()

    routes = [
        WebSocketRoute("/v1/listen", doors.listen),
        WebSocketRoute("/v1/speak", doors.speak),
        Route("/v1/speak", doors.speak_once, methods=["POST"]),
        Route("/v1/projects", doors.projects),
        Route("/openai/v1/chat/completions", doors.chat_completions, methods=["POST"]),
        Route("/openai/v1/models", doors.models),
        Route("/sandbox/health", doors.health),
        *ControlApi(doors.desks).routes(),
    ]
    return HangUpApp(routes=routes, lifespan=lifespan)


class _Doors:
    """The routes, with what they need."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self.desks = FaultDesks()
        self.recogniser: RecognitionProcess | None = None

    def _desk(self, connection: HTTPConnection) -> Desk:
        authorization = connection.headers.get("authorization", "")
        return lambda: self.desks.of(authorization)

    async def listen(self, socket: WebSocket) -> None:
        assert self.recogniser is not None, "served before it was started"  # noqa: S101
        await listen(socket, self._settings, self.recogniser, self._desk(socket))

    async def speak(self, socket: WebSocket) -> None:
        await deepgram_speak.speak(socket, self._settings, self._desk(socket))

    async def speak_once(self, request: Request) -> Response:
        return await deepgram_speak.speak_once(request, self._settings, self._desk(request))

    async def projects(self, request: Request) -> Response:
        if not is_authorised(request.headers, self._settings.deepgram_key):
            return unauthorised()
        project = {"project_id": "00000000-0000-0000-0000-000000000000", "name": "Sandbox"}
        return JSONResponse({"projects": [project]})

    async def chat_completions(self, request: Request) -> Response:
        return await groq_chat.chat_completions(request, self._settings, self._desk(request)())

    async def models(self, request: Request) -> Response:
        return groq_chat.models(request, self._settings)

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})
