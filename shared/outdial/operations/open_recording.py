"""Fetch a recording from the carrier, for somebody whom we have let in."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from outdial.domain.errors import Conflict, NotFound, Unavailable
from outdial.operations.runtime import Runtime
from outdial.settings import Settings
from outdial.storage import attempts, recordings

_DONE = "completed"


@asynccontextmanager
async def open_recording(runtime: Runtime, attempt_id: uuid.UUID) -> AsyncIterator[httpx.Response]:
    """A streaming answer of the carrier: WAV, two channels.

    Raises:
        NotFound: there is no such call, or it has no recording.
        Conflict: the recording is not ready yet.
        Unavailable: the carrier does not give it out now.

    """
    url = await _recording_url(runtime, attempt_id)
    settings = runtime.settings
    secret = settings.twilio_auth_token.get_secret_value()
    async with httpx.AsyncClient(
        auth=(settings.twilio_account_sid, secret),
        timeout=httpx.Timeout(30, connect=5),
        trust_env=not _is_loopback(url),
    ) as client:
        request = client.build_request("GET", url, params={"RequestedChannels": "2"})
        try:
            answer = await client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise Unavailable(f"The carrier does not answer: {type(error).__name__}.") from None
        try:
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise NotFound("The carrier no longer has this recording.")
            if answer.status_code != httpx.codes.OK:
                raise Unavailable(f"The carrier answered {answer.status_code}.")
            yield answer
        finally:
            await answer.aclose()


async def _recording_url(runtime: Runtime, attempt_id: uuid.UUID) -> str:
    async with runtime.sessions() as session:
        if await attempts.get(session, attempt_id) is None:
            raise NotFound(f"There is no call {attempt_id}.")
        found = await recordings.of_attempt(session, attempt_id)
    ready = [recording for recording in found if recording.status == _DONE]
    if not ready:
        if found and found[-1].status == "in-progress":
            raise Conflict("The recording is not ready yet.")
        raise NotFound("This call has no recording.")
    url = ready[-1].url
    if not is_carriers(url, runtime.settings):
        raise NotFound("The recording does not lie at the carrier.")
    return url if url.endswith(".wav") else f"{url}.wav"


def is_carriers(url: str, settings: Settings) -> bool:
    """Whether `url` lies at the carrier, in our account: our credentials go nowhere else.

    The address came in a callback; a signed one, but a guard costs nothing.
    """
    given, ours = urlsplit(url), urlsplit(settings.twilio_api_base_url)
    folder = f"/2010-04-01/Accounts/{settings.twilio_account_sid}/Recordings/"
    name = given.path.removeprefix(ours.path + folder)
    return (
        (given.scheme, given.netloc) == (ours.scheme, ours.netloc)
        and given.path.startswith(ours.path + folder)
        and name.removesuffix(".wav").isalnum()
    )


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
