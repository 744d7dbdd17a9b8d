"""A request's body on disk: however large it is, memory stays flat.

It is read to its end before anything is done with it, so that a slow sender holds no transaction.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from fastapi import Request

from outdial_api.body_limit import too_large

_IN_MEMORY = 1024 * 1024
_BLOCK = 256 * 1024


@dataclass(frozen=True)
class Upload:
    """A body, from its beginning, and the SHA-256 of it."""

    file: BinaryIO
    digest: str
    size: int


@asynccontextmanager
async def spooled(request: Request, limit: int) -> AsyncIterator[Upload]:
    """The body of `request`, which may be at most `limit` bytes; gone on the way out."""
    # Not a SpooledTemporaryFile: on Python 3.11 a TextIOWrapper cannot read one.
    file: BinaryIO = await asyncio.to_thread(_temporary_file)
    try:
        digest, size = hashlib.sha256(), 0
        async for block in _blocks(request):
            size += len(block)
            if size > limit:
                raise too_large(limit)
            digest.update(block)
            await asyncio.to_thread(file.write, block)
        file.seek(0)
        yield Upload(file, digest.hexdigest(), size)
    finally:
        await asyncio.to_thread(file.close)


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces worth a write."""
    pending = bytearray()
    async for chunk in request.stream():
        pending += chunk
        if len(pending) >= _BLOCK:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)


def _temporary_file() -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile(buffering=_IN_MEMORY))
