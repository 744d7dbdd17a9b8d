"""A token that opens one media stream of one attempt on one pod, for a minute.

It stands in the path of the stream's URL (Twilio drops queries) and needs no store to be checked.
That it is used once is seen by the pod's own memory: it knows the boot id that the token names.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from uuid import UUID

LIFETIME_SECONDS = 60
"""From the TwiML to Twilio's connect, with room for clocks that differ."""

_HEAD = struct.Struct(">B16sHQ")  # version, attempt, stream number, expiry in ms
_VERSION = 2
_MAC_BYTES = 20
_LONGEST_BOOT_ID = 64


class InvalidToken(Exception):
    """The token is not one of ours, was changed, or is too old."""


@dataclass(frozen=True)
class StreamClaims:
    """What a token grants. `expires_at` is in epoch seconds, kept to the millisecond."""

    attempt_id: UUID
    stream_no: int
    boot_id: str
    expires_at: float


def sign(secret: bytes, claims: StreamClaims) -> str:
    """The token: letters, digits, `-` and `_`."""
    boot_id = claims.boot_id.encode()
    if len(boot_id) > _LONGEST_BOOT_ID:
        raise ValueError("a boot id is at most 64 bytes long")
    head = _HEAD.pack(
        _VERSION, claims.attempt_id.bytes, claims.stream_no, round(claims.expires_at * 1000)
    )
    body = head + boot_id
    return base64.urlsafe_b64encode(_mac(secret, body) + body).rstrip(b"=").decode()


def verify(secret: bytes, token: str, now: float) -> StreamClaims:
    """What `token` grants at `now` (epoch seconds).

    Raises:
        InvalidToken: it grants nothing.

    """
    raw = _decode(token)
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if len(body) < _HEAD.size or not hmac.compare_digest(mac, _mac(secret, body)):
        raise InvalidToken("not signed by us")
    version, attempt, stream_no, expires_ms = _HEAD.unpack_from(body)
    expires_at = expires_ms / 1000
    if version != _VERSION:
        raise InvalidToken("of another version")
    if now >= expires_at:
        raise InvalidToken("expired")
    return StreamClaims(UUID(bytes=attempt), stream_no, body[_HEAD.size :].decode(), expires_at)


def _decode(token: str) -> bytes:
    try:
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", True)
    except (ValueError, binascii.Error):
        raise InvalidToken("not readable") from None
    # The last character has bits that decoding ignores: one token has one spelling.
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
        raise InvalidToken("not readable")
    return raw


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).digest()[:_MAC_BYTES]
