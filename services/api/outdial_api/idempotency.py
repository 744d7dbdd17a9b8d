"""`Idempotency-Key`: a request that is sent again is done once and answered the same, for a week.

A key belongs to its API key. The same key with another body is 422; while the first request is at
work, 409. A request whose process died gives its key up when its lease runs out; what it had
committed is found again by its ids (`operations/request_ids.py`), so nothing is made twice.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from outdial.domain.errors import OutdialError
from outdial.operations.request_ids import RequestIds
from outdial.operations.runtime import Runtime
from outdial.storage import idempotency_keys
from outdial.storage.tables import ApiKey
from outdial_api.dependencies import OpenRuntime
from outdial_api.security import Operator

LEASE = timedelta(seconds=60)
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="Any text of your own, up to 255 characters: sent again within seven days "
        "with the same request, it is done once and answered the same.",
        examples=["order-4711-call-1"],
    ),
]


@dataclass(frozen=True)
class Answer:
    """What a route says: a status, and plain JSON."""

    body: dict[str, Any]
    status: int = 201


@dataclass
class Claim:
    """The right to do the work of one request with a key."""

    runtime: Runtime
    owner: ApiKey
    key: str
    ids: RequestIds
    lease_until: datetime | None

    async def renew(self) -> None:
        """Say that a long request still works; 409 if it was thought dead and taken over."""
        async with self.runtime.sessions.begin() as session:
            self.lease_until = await idempotency_keys.renew(
                session, self.owner.id, self.key, self.lease_until, LEASE
            )
        if self.lease_until is None:
            raise HTTPException(409, "Another request with this Idempotency-Key took over.")

    async def finish(self, answer: Answer) -> None:
        """Keep the answer."""
        async with self.runtime.sessions.begin() as session:
            await idempotency_keys.finish(
                session, self.owner.id, self.key, answer.status, answer.body
            )

    async def forget(self) -> None:
        """Give the key back."""
        async with self.runtime.sessions.begin() as session:
            await idempotency_keys.forget(session, self.owner.id, self.key)


@dataclass(frozen=True)
class Once:
    """What a route that makes something runs its work through."""

    runtime: Runtime
    owner: ApiKey
    key: str | None
    method: str
    target: str  # path and query

    async def run(self, body: bytes, work: Callable[[RequestIds], Awaitable[Answer]]) -> Response:
        """The answer of `work`, or the one that was given to this key before."""
        if self.key is None:
            return _response(await work(RequestIds()))
        claimed = await self.claim(hashlib.sha256(body).hexdigest())
        if isinstance(claimed, Answer):
            return _response(claimed, replayed=True)
        try:
            answer = await work(claimed.ids)
        except (OutdialError, HTTPException):
            await claimed.forget()  # refused: nothing was made
            raise
        await claimed.finish(answer)
        return _response(answer)

    async def claim(self, body_hash: str) -> Claim | Answer:
        """The right to work, or the answer that was given before.

        Raises:
            HTTPException: 422, the key came with another request; 409, the first is at work.

        """
        key = self.key or ""
        what = f"{self.method} {self.target}\n{body_hash}"
        request_hash = hashlib.sha256(what.encode()).hexdigest()
        async with self.runtime.sessions.begin() as session:
            entry, mine = await idempotency_keys.claim(
                session, self.owner.id, key, request_hash, LEASE
            )
        if entry.request_hash != request_hash:
            raise HTTPException(422, "This Idempotency-Key came with another request before.")
        if mine:
            ids = RequestIds(self.owner.id, key, entry.created_at)
            return Claim(self.runtime, self.owner, key, ids, entry.lease_until)
        if entry.status is None:
            raise HTTPException(
                409,
                "The first request with this Idempotency-Key is still at work.",
                headers={"Retry-After": "1"},
            )
        return Answer(entry.body or {}, entry.status)

    async def claim_again(self, body_hash: str) -> Claim:
        """The right to run an answered request once more, under the ids that it had.

        For requests whose answers are too large to keep and that are repeatable by their ids.
        """
        async with self.runtime.sessions.begin() as session:
            await idempotency_keys.reopen(session, self.owner.id, self.key or "")
        claimed = await self.claim(body_hash)
        if isinstance(claimed, Answer):
            raise HTTPException(409, "Another request with this Idempotency-Key is at work.")
        return claimed


def once(
    request: Request, runtime: OpenRuntime, owner: Operator, idempotency_key: KeyHeader = None
) -> Once:
    """A `Once` for this request."""
    target = f"{request.url.path}?{request.url.query}"
    return Once(runtime, owner, idempotency_key, request.method, target)


OnceOnly = Annotated[Once, Depends(once)]


def _response(answer: Answer, *, replayed: bool = False) -> Response:
    headers = {"Idempotency-Replayed": "true"} if replayed else None
    return JSONResponse(answer.body, answer.status, headers)
