"""The carrier's requests to the customer: signed, timed and retried as Twilio does.

Retries follow the URL's fragment, `#rc=2&rp=ct,rt,5xx&ct=500&rt=1500&tt=10000`
(https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides). Without one, a request
is repeated once, and only if the connection could not be made.
"""

import asyncio
import base64
import hmac
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urldefrag, urlencode, urljoin

import httpx

from outdial_sandbox.carrier.call_request import Hook
from outdial_sandbox.carrier.http_exchange import (
    HttpAnswer,
    LostAnswerError,
    NotConnectedError,
    http_exchange,
)

MAX_HTTP_REDIRECTS = 10


@dataclass(frozen=True)
class RetryPolicy:
    """When a request is given up or repeated; times in seconds. `on` holds ct, rt, 4xx, 5xx."""

    retries: int = 1
    on: frozenset[str] = frozenset({"ct"})
    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0


@dataclass(frozen=True)
class Answered:
    """The customer's server answered, with whatever status."""

    status: int
    content_type: str
    body: bytes
    url: str

    @property
    def kind(self) -> str:
        """What a retry policy calls it: `5xx`."""
        return f"{self.status // 100}xx"


@dataclass(frozen=True)
class Unanswered:
    """No answer. `kind` is ct (not connected) or rt (no answer in time), `code` Twilio's."""

    kind: str
    code: int
    reason: str


@dataclass
class Delivery:
    """One request as the ledger keeps it; `result` is the HTTP status or the reason."""

    purpose: str
    url: str
    at: float
    event: str | None = None
    result: int | str | None = None
    attempts: int = 0
    seconds: float = 0.0


@dataclass
class WebhookLog:
    """What was sent for one call, in order."""

    deliveries: list[Delivery] = field(default_factory=list)
    pending: int = 0  # callbacks fired, and requests being made

    def begin(self, purpose: str, url: str, event: str | None) -> Delivery:
        """Note a request that begins now."""
        delivery = Delivery(purpose, url, time.time(), event)
        self.deliveries.append(delivery)
        return delivery

    def entries(self) -> list[dict[str, Any]]:
        """For the ledger."""
        return [dict(vars(delivery)) for delivery in self.deliveries]


def retry_policy(url: str) -> RetryPolicy:
    """What the fragment of `url` asks for, within Twilio's limits."""
    fragment = {name: values[-1] for name, values in parse_qs(urldefrag(url).fragment).items()}

    def whole(name: str, default: int, low: int, high: int) -> int:
        text = fragment.get(name, "")
        return min(max(int(text), low), high) if re.fullmatch(r"\d{1,9}", text) else default

    asked = frozenset(fragment.get("rp", "ct").split(","))
    return RetryPolicy(
        retries=whole("rc", 1, 0, 5),
        on=frozenset({"ct", "rt", "4xx", "5xx"}) if "all" in asked else asked,
        connect=whole("ct", 5000, 100, 10000) / 1000,
        read=whole("rt", 15000, 100, 15000) / 1000,
        total=whole("tt", 15000, 100, 15000) / 1000,
    )


def signature(auth_token: str, url: str, params: Mapping[str, str]) -> str:
    """X-Twilio-Signature: HMAC-SHA1 over the URL and the sorted parameters."""
    signed = url + "".join(name + params[name] for name in sorted(params))
    digest = hmac.new(auth_token.encode(), signed.encode(), "sha1").digest()
    return base64.b64encode(digest).decode()


class WebhookClient:
    """Sends webhooks. One for the process."""

    def __init__(self, auth_token: str) -> None:
        self._auth_token = auth_token

    async def send(
        self,
        hook: Hook,
        params: Mapping[str, str],
        log: WebhookLog,
        purpose: str,
        event: str | None = None,
        token: str = "",
    ) -> Answered | Unanswered:
        """Ask `hook`, repeating as its URL's fragment says. Never raises for what may go wrong."""
        delivery = log.begin(purpose, hook.url, event)
        log.pending += 1
        try:
            return await self._repeated(hook, params, delivery, token or str(uuid.uuid4()))
        finally:
            log.pending -= 1

    async def _repeated(
        self, hook: Hook, params: Mapping[str, str], delivery: Delivery, token: str
    ) -> Answered | Unanswered:
        policy = retry_policy(hook.url)
        deadline = time.monotonic() + policy.total
        began = time.monotonic()
        while True:
            delivery.attempts += 1
            outcome = await self._once(hook, params, policy, deadline, token)
            delivery.result = outcome.status if isinstance(outcome, Answered) else outcome.reason
            delivery.seconds = round(time.monotonic() - began, 3)
            spent = delivery.attempts > policy.retries or time.monotonic() >= deadline
            if spent or outcome.kind not in policy.on:
                return outcome

    async def _once(
        self,
        hook: Hook,
        params: Mapping[str, str],
        policy: RetryPolicy,
        deadline: float,
        token: str,
    ) -> Answered | Unanswered:
        allowed = min(policy.connect + policy.read, max(deadline - time.monotonic(), 0.05))
        try:
            async with asyncio.timeout(allowed):
                return await self._following(hook, params, policy, token)
        except NotConnectedError as error:
            return Unanswered("ct", 11205, f"not connected: {error}")
        except TimeoutError:
            return Unanswered("rt", 11200, f"no answer within {allowed:.1f} s")
        except (LostAnswerError, httpx.InvalidURL, ValueError) as error:
            return Unanswered("lost", 11200, f"{type(error).__name__}: {error}")

    async def _following(
        self, hook: Hook, params: Mapping[str, str], policy: RetryPolicy, token: str
    ) -> Answered | Unanswered:
        """Send, and follow up to ten HTTP redirects; each request is signed anew."""
        method, url = hook.method, urldefrag(hook.url).url
        for _ in range(MAX_HTTP_REDIRECTS + 1):
            response = await self._request(method, url, params, policy, token)
            if (elsewhere := response.redirects_to) is None:
                kind = response.headers.get("content-type", "")
                return Answered(response.status, kind, response.body, url)
            url = urldefrag(urljoin(url, elsewhere)).url
            if response.status in (301, 302, 303):
                method = "GET"
        return Unanswered("lost", 11215, "too many HTTP redirects")

    async def _request(
        self, method: str, url: str, params: Mapping[str, str], policy: RetryPolicy, token: str
    ) -> HttpAnswer:
        body = urlencode(params)
        if method == "GET" and body:
            url += ("&" if "?" in url else "?") + body
        target = httpx.URL(url)
        headers = {
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "I-Twilio-Idempotency-Token": token,
            "X-Twilio-Signature": signature(
                self._auth_token, str(target), {} if method == "GET" else params
            ),
        }
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        return await http_exchange(
            method,
            target,
            headers,
            body.encode() if method == "POST" else b"",
            connect_seconds=policy.connect,
            read_seconds=policy.read,
        )
