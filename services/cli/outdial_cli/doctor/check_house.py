"""Our own side: stores, the public address, the pods."""

import httpx
import redis
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from outdial.domain.voice_services import LABEL_PREFIX, READY
from outdial.settings import Settings
from outdial.storage.engine import database
from outdial_cli.connection import connect, running_stack
from outdial_cli.doctor.finding import Finding, missing, note, ok
from outdial_cli.failure import CommandFailedError

_PATIENCE = 10.0
_UP = "Start Outdial here with `outdial up`, or set {}."


def check_database(settings: Settings) -> Finding:
    """Reachable, with a schema."""
    stack = running_stack()
    url = settings.database_url or (stack.postgres if stack else "")
    if not url:
        return missing("Database", "None runs here.", _UP.format("DATABASE_URL"))
    engine = create_engine(database(url), connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            found = connection.scalar(text("SELECT to_regclass('alembic_version')"))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return missing("Database", f"It cannot be used: {reason}", "Check DATABASE_URL.")
    finally:
        engine.dispose()
    if found is None:
        return missing("Database", "It has no schema yet.", "Run `outdial db upgrade`.")
    return ok("Database", "It answers, and has the schema.")


def check_redis(settings: Settings) -> Finding:
    """Reachable."""
    stack = running_stack()
    url = settings.redis_url or (stack.redis if stack else "")
    if not url:
        return missing("Redis", "None runs here.", _UP.format("REDIS_URL"))
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        return missing("Redis", f"It cannot be used: {error}", "Check REDIS_URL.")
    return ok("Redis", "It answers.")


def check_public_url(settings: Settings) -> Finding:
    """The address at which Twilio reaches us, seen from outside as far as we can."""
    url = settings.public_url
    tunnel = "Start a tunnel to port 8000 (README, A real call) and set PUBLIC_URL to its address."
    if not url:
        return missing("Public URL", "PUBLIC_URL is not set: Twilio cannot reach you.", tunnel)
    if not url.startswith("https://"):
        return missing("Public URL", f"{url} is not https: Twilio's streams need it.", tunnel)
    try:
        answer = httpx.get(f"{url}/health", timeout=_PATIENCE)
    except httpx.HTTPError as error:
        return missing("Public URL", f"{url} does not answer: {error}.", tunnel)
    if answer.status_code != httpx.codes.OK:
        return missing(
            "Public URL",
            f"{url}/health answers {answer.status_code}: Outdial is not behind it.",
            "Start `outdial up`, and let the tunnel lead to its port.",
        )
    return ok("Public URL", f"{url} leads to a running Outdial.")


def check_pods() -> Finding:
    """Somebody who can talk."""
    try:
        with connect() as api:
            pods = list(api.pages("/v1/pods"))
    except CommandFailedError as error:
        return missing("Media pods", str(error).splitlines()[0], "Start Outdial: `outdial up`.")
    ready = [pod for pod in pods if pod.get("state") == "ready"]
    if not ready:
        return missing("Media pods", "No pod is ready.", "See var/log/media-pod-1.log.")
    lacks = [
        f"{pod.get('pod_id')}: {text}"
        for pod in ready
        for label, text in (pod.get("labels") or {}).items()
        if label.startswith(LABEL_PREFIX) and text != READY
    ]
    if lacks:
        return note(
            "Media pods",
            f"Some templates name services that a pod does not have. {'; '.join(lacks)}",
            "Their leads wait. Install or set it where the pod runs, and start the pod anew.",
        )
    slots = sum(int(pod.get("slots", 0)) for pod in ready)
    if running_stack() is not None and _is_sandbox():
        return note(
            "Media pods",
            f"{len(ready)} ready, but the stack that runs here calls the sandbox.",
            "Stop it, and start `outdial up` without --sandbox.",
        )
    return ok("Media pods", f"{len(ready)} ready, with room for {slots} calls.")


def _is_sandbox() -> bool:
    stack = running_stack()
    return bool(stack and stack.carrier_url)
