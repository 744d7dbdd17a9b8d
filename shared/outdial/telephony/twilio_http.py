"""How requests to Twilio travel: a deadline always, never a retry, a fresh connection each."""

from typing import Any
from urllib.parse import urlsplit

from requests import Session
from requests.exceptions import ConnectTimeout, RequestException
from twilio.http import HttpClient
from twilio.http.response import Response
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from outdial.telephony.one_shot_adapter import NoAuthorities, OneShotAdapter

LONGEST_CONNECT_SECONDS = 3.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class OneShotClient(HttpClient):  # type: ignore[misc]
    """Twilio's transport over `requests`, one for each thread.

    The SDK's own cannot tell connecting from reading in its timeout, and keeps connections. A kept
    connection that the far end has just closed would leave a POST's outcome in doubt.
    """

    def __init__(self, base_url: str, timeout_seconds: float) -> None:
        connect = min(LONGEST_CONNECT_SECONDS, timeout_seconds / 3)
        super().__init__(logger=None, is_async=False, timeout=timeout_seconds)
        self._timeouts = (connect, timeout_seconds - connect)
        self._session = Session()
        self._session.headers["Connection"] = "close"
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, OneShotAdapter())
        # A proxy of the environment leads to the internet, not to this machine.
        self._session.trust_env = urlsplit(base_url).hostname not in _LOOPBACK

    def request(
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the SDK's interface; ours is fixed
        allow_redirects: bool = False,
    ) -> Response:
        """Send one request, once."""
        answer = self._session.request(
            method,
            url,
            params=_as_text(params),
            data=data,
            headers=headers,
            auth=auth,
            timeout=self._timeouts,
            allow_redirects=allow_redirects,
        )
        return Response(answer.status_code, answer.text, answer.headers)


def never_sent(error: RequestException) -> bool:
    """Whether `error` proves that no byte of the request reached the carrier.

    No name, nobody listening, no connection in time, a certificate that does not hold, or none to
    hold it against. A reset is no proof: it may have come after the request was read.
    """
    if isinstance(error, (ConnectTimeout, NoAuthorities)):
        return True
    return any(_before_sending(cause) for cause in _causes(error))


def _before_sending(cause: BaseException) -> bool:
    kinds = (NewConnectionError, ConnectTimeoutError, NameResolutionError)
    return isinstance(cause, kinds) or type(cause).__name__ == "SSLCertVerificationError"


def _causes(error: BaseException) -> list[BaseException]:
    """`error` and everything it was made of; urllib3 hides causes in `reason` and arguments."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__]
            waiting.append(cause.__context__)
    return found


def _as_text(params: dict[str, object] | None) -> dict[str, str] | None:
    if params is None:
        return None
    return {name: str(value) for name, value in params.items() if value is not None}
