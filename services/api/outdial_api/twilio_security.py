"""Only Twilio gets in: the signature is checked before anything is read or written.

It covers the address that the public sees, made of the configured URL and the request's own path
and query; never of `Host`. The fallback may live at a host of its own, so both are tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

import structlog
from fastapi import Depends, HTTPException, Request

from outdial.settings import Settings
from outdial.telephony.twilio_signature import FormPairs, is_signed

_log = structlog.get_logger(__name__)

SIGNATURE = "X-Twilio-Signature"
MOST_BYTES = 64 * 1024
MOST_FIELDS = 500


@dataclass(frozen=True)
class TwilioForm:
    """A form that Twilio signed. Of a repeated name, `fields` has the last value."""

    fields: Mapping[str, str]

    @property
    def call_sid(self) -> str:
        """Which call it is about; empty if it is about none."""
        return self.fields.get("CallSid", "")

    @property
    def call_status(self) -> str:
        """Where that call stood when it was sent."""
        return self.fields.get("CallStatus", "")


async def signed_form(request: Request) -> TwilioForm:
    """The request's form, if it is Twilio's; 403 if not, and nothing has happened."""
    settings: Settings = request.app.state.runtime.settings
    pairs = _pairs(await _body(request))
    token = settings.twilio_auth_token.get_secret_value()
    signature = request.headers.get(SIGNATURE)
    target = _target(request)
    if not any(is_signed(token, url, target, pairs, signature) for url in _public_urls(settings)):
        _log.warning("unsigned_request", path=request.url.path, signed=signature is not None)
        raise HTTPException(403, "This address is for Twilio: the signature does not hold.")
    # Postgres has no way to store a NUL, and no field of Twilio's means anything by one.
    return TwilioForm({name: value.replace("\0", "") for name, value in pairs})


Signed = Annotated[TwilioForm, Depends(signed_form)]


def _public_urls(settings: Settings) -> list[str]:
    return [url for url in (settings.public_url, settings.fallback_url) if url]


def _target(request: Request) -> str:
    """Path and query as they came over the wire: decoded ones would not be what was signed."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return (raw + b"?" + query if query else raw).decode("latin-1")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413, "Twilio sends no forms of this size.")
    return bytes(body)


def _pairs(body: bytes) -> FormPairs:
    """Names and values; blank ones too, they are signed."""
    try:
        return parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="strict",
        )
    except ValueError:  # a UnicodeDecodeError is one
        raise HTTPException(403, "This is no form of Twilio's.") from None
