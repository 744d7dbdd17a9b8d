"""HTTP to addresses that a template names, and to no other place.

The name is resolved once and every address of it must be allowed (domain/internet_address.py); the
connection goes to the address that was looked at, so a name that changes its mind between the look
and the connect (DNS rebinding) gains nothing. Redirects are not followed. Certificates are checked
against the name. An answer is read up to `MAX_BYTES`.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass

import httpx

from outdial.domain.internet_address import AllowList, is_public

MAX_BYTES = 64 * 1024


class AddressRefused(httpx.ConnectError):
    """The URL leads to a place that is not open to templates."""


@dataclass(frozen=True)
class Fetched:
    """What a server answered; `body` is whole."""

    status: int
    content_type: str
    body: bytes


class GuardedHttp:
    """A client for a whole process. Connections are not kept: one is checked for one name."""

    def __init__(self, allowed: AllowList) -> None:
        self._client = httpx.AsyncClient(
            transport=_Guard(allowed), follow_redirects=False, trust_env=False, timeout=60
        )

    async def close(self) -> None:
        """Let go of what is open."""
        await self._client.aclose()

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        json: object | None = None,
        seconds: float,
    ) -> Fetched:
        """One request, `seconds` from the name to the last byte.

        Raises:
            httpx.HTTPError: there was no (whole) answer; AddressRefused if it was not asked for.
            httpx.InvalidURL: it is no URL.
            TimeoutError: it took too long.

        """
        plain = {"accept": "application/json", "accept-encoding": "identity"}
        request = self._client.build_request(
            method, url, headers={**plain, **headers}, json=json if json is not None else None
        )
        async with asyncio.timeout(seconds):
            answer = await self._client.send(request, stream=True)
            try:
                body = await _whole(answer)
            finally:
                await answer.aclose()
        return Fetched(answer.status_code, answer.headers.get("content-type", ""), body)


async def _whole(answer: httpx.Response) -> bytes:
    # What is compressed although we asked for plain could unfold into anything: it is not read.
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise httpx.DecodingError("the answer is compressed", request=answer.request)
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            message = f"the answer is larger than {MAX_BYTES // 1024} KB"
            raise httpx.DecodingError(message, request=answer.request)
    return bytes(body)


class _Guard(httpx.AsyncBaseTransport):
    """Connects to an address that was looked at, in the name of the host that was asked for."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed
        # A kept connection would be found by its address alone, whatever name it was checked for.
        self._inner = httpx.AsyncHTTPTransport(
            verify=ssl.create_default_context(),
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        if request.url.scheme != "https" and not self._allowed.opens_host(host):
            raise AddressRefused("only https is open to templates", request=request)
        addresses = await self._look_up(request)
        # httpcore takes the certificate's name from this extension (httpx, "Request extensions").
        request.extensions = {**request.extensions, "sni_hostname": host}
        asked = request.url
        for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
            request.url = asked.copy_with(host=address)  # the Host header is set already
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if not left:
                    raise
        raise AddressRefused("the name has no address", request=request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _look_up(self, request: httpx.Request) -> list[str]:
        host, loop = request.url.host, asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, request.url.port, type=socket.SOCK_STREAM)
        except OSError:
            raise httpx.ConnectError("the name has no address", request=request) from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            if not (is_public(address) or self._allowed.opens(host, address)):
                raise AddressRefused("the URL leads to an internal address", request=request)
        return addresses
