"""Make and recognise keys of the REST API. A key is shown once; only its hash is stored.

The keys are long random texts, so one round of SHA-256 is enough: there is nothing to guess.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

from outdial.storage import api_keys
from outdial.storage.engine import Sessions
from outdial.storage.tables import ApiKey

Role = Literal["viewer", "operator", "admin"]

_PREFIX = "od_"
_SHOWN = len(_PREFIX) + 6


@dataclass(frozen=True)
class CreatedKey:
    """A new key; `secret` is told to its owner and then forgotten."""

    key: ApiKey
    secret: str


def hash_of(secret: str) -> str:
    """What is stored of a key, and looked up when one comes in."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def create_api_key(sessions: Sessions, name: str, role: Role) -> CreatedKey:
    """Make a key and write its hash."""
    secret = _PREFIX + secrets.token_urlsafe(30)
    async with sessions.begin() as session:
        key = await api_keys.add(
            session, name=name, role=role, prefix=secret[:_SHOWN], key_hash=hash_of(secret)
        )
    return CreatedKey(key, secret)


async def find_api_key(sessions: Sessions, secret: str) -> ApiKey | None:
    """The key that `secret` is, unless it was revoked."""
    async with sessions() as session:
        return await api_keys.by_hash(session, hash_of(secret))
