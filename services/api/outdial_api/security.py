"""API keys and roles: `Authorization: Bearer od_...`.

viewer reads, operator also calls and changes, admin also keeps keys and lifts suppressions.
"""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from outdial.operations.api_keys import Role, find_api_key, hash_of
from outdial.storage import api_keys
from outdial.storage.tables import ApiKey
from outdial_api.dependencies import OpenRuntime

_RANK: dict[str, int] = {"viewer": 0, "operator": 1, "admin": 2}
_MINUTE = timedelta(minutes=1)
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    description="A key made with `outdial key create`, as a bearer token.",
)


async def known_key(
    runtime: OpenRuntime,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> ApiKey:
    """The key that the request names; 401 without a valid one."""
    secret = credentials.credentials if credentials else ""
    key = await find_api_key(runtime.sessions, secret) if secret else None
    # The look-up by hash tells nothing about the key by its time; the comparison does not either.
    if key is None or not hmac.compare_digest(key.key_hash, hash_of(secret)):
        raise HTTPException(
            401,
            "Send a valid API key: Authorization: Bearer od_...",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if key.last_used_at is None or key.last_used_at < datetime.now(UTC) - _MINUTE:
        async with runtime.sessions.begin() as session:
            await api_keys.touch(session, key.id)
    return key


KnownKey = Annotated[ApiKey, Depends(known_key)]


class Requires:
    """A dependency that lets keys of at least this role through."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, key: KnownKey) -> ApiKey:
        """The key, if its role reaches; else 403."""
        if _RANK[key.role] < _RANK[self.role]:
            raise HTTPException(403, f"This needs the role {self.role}; the key is a {key.role}.")
        return key


Viewer = Annotated[ApiKey, Depends(Requires("viewer"))]
Operator = Annotated[ApiKey, Depends(Requires("operator"))]
Admin = Annotated[ApiKey, Depends(Requires("admin"))]
