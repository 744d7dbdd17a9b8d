"""The pod's doors: the media socket, its health, and its numbers."""

from fastapi import FastAPI, Response, WebSocket
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from outdial_media.pod import Pod


def make_app(pod: Pod) -> FastAPI:
    """The doors of a pod that is at work."""
    app = FastAPI(
        title="Outdial media pod",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # our traces are our own
    )

    @app.websocket("/pods/{pod_id}/ws/{template_id}/{token}")
    async def media(websocket: WebSocket, pod_id: str, token: str) -> None:
        """Twilio's media stream. What is after `/pods/{pod_id}` is what its signature covers."""
        path = _raw_path(websocket)
        await pod.enter(websocket, path.removeprefix(f"/pods/{pod_id}"), token)

    @app.get("/health")
    async def health() -> Response:
        """200 when calls can be sent here."""
        return Response(status_code=200 if pod.is_ready else 503)

    @app.get("/metrics")
    async def numbers() -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


def _raw_path(websocket: WebSocket) -> str:
    """The path as it was requested: a signature is over what was written."""
    raw = websocket.scope.get("raw_path")
    return raw.decode("ascii", "replace") if isinstance(raw, bytes) else websocket.url.path
