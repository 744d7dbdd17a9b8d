"""Who may open a media socket: a token of ours, for this process, once, while there is room."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from outdial.routing.stream_token import InvalidToken, StreamClaims, verify
from outdial.settings import Settings
from outdial.telephony.twilio_signature import is_socket_signed


@dataclass(frozen=True)
class Refused:
    """The handshake is answered with this HTTP status; `reason` is for logs and metrics."""

    status: int
    reason: str


class Admission:
    """Checks sockets before they are accepted. Its memory of used tokens is this process's own.

    Tokens name the process's boot id, so no other process could accept one that was used here.
    """

    def __init__(self, settings: Settings, boot_id: str, slots: int | None = None) -> None:
        self._slots = settings.pod_slots if slots is None else slots
        self._settings = settings
        self._boot_id = boot_id
        self._used: dict[str, float] = {}  # to its expiry, in epoch seconds

    def admit(
        self,
        path: str,
        token: str,
        signature: str | None,
        calls: int,
        has_room: Callable[[UUID], bool] = lambda _attempt_id: True,
    ) -> StreamClaims | Refused:
        """What the socket is for, or why it may not open. An admitted token is used up.

        `path` is the part of the address after `/pods/{pod_id}`, as it was requested; `calls` how
        many calls go on now; `has_room` whether this attempt's call can be held well.
        """
        if signature is not None and not self._is_signed(path, signature):
            return Refused(403, "signature")
        try:
            claims = verify(self._settings.stream_secret, token, time.time())
        except InvalidToken:
            return Refused(403, "token")
        if claims.boot_id != self._boot_id:
            return Refused(403, "boot_id")
        if token in self._used:
            return Refused(409, "used")
        if calls >= self._slots:
            return Refused(503, "full")
        if not has_room(claims.attempt_id):
            return Refused(503, "lag")
        self._forget_expired()
        self._used[token] = claims.expires_at
        return claims

    def _is_signed(self, path: str, signature: str) -> bool:
        auth_token = self._settings.twilio_auth_token.get_secret_value()
        return is_socket_signed(auth_token, self._settings.pod_public_url, path, signature)

    def _forget_expired(self) -> None:
        """A token that has expired is refused for that; it need not be remembered."""
        now = time.time()
        for token in [token for token, expiry in self._used.items() if expiry <= now]:
            del self._used[token]
