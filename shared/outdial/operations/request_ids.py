"""Ids of what a request makes: a request that is sent again makes the same things.

With an Idempotency-Key, ids follow from the key, its owner and the moment it was first seen. A
request that died between its commit and its answer is run again under the same ids, finds its own
rows, and doubles nothing.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from outdial.storage.ids import new_id


@dataclass(frozen=True)
class RequestIds:
    """The source of ids for one request; without a key they are fresh."""

    owner: uuid.UUID | None = None
    key: str = ""
    first_seen: datetime | None = None

    @property
    def repeatable(self) -> bool:
        """Whether an earlier run of the same request may have made these ids before."""
        return self.first_seen is not None

    @cached_property
    def _hashed(self) -> "hashlib._Hash":
        """What the ids of one request have in common."""
        return hashlib.sha256(f"{self.owner}\n{self.key}\n".encode())

    def at(self, number: int = 0) -> uuid.UUID:
        """The id of the `number`th thing. They sort by number, and by when the key was seen."""
        if self.first_seen is None:
            return new_id()
        hashed = self._hashed.copy()
        hashed.update(str(number).encode())
        digest = hashed.digest()
        random = int.from_bytes(digest[:8]) & (1 << 62) - 1
        ticks = (int(self.first_seen.timestamp() * 1000) << 12) + number
        return uuid.UUID(
            int=(ticks >> 12) << 80 | 7 << 76 | (ticks & 0xFFF) << 64 | 2 << 62 | random
        )
