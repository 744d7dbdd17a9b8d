"""The first admin key: made once, kept beside the data that it opens."""

import asyncio
import os
from pathlib import Path

from outdial.operations.api_keys import create_api_key, find_api_key
from outdial.storage.engine import open_sessions


def admin_key(database_url: str, file: Path) -> str:
    """The key in `file` if the database knows it, else a new one, written there."""
    kept = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    secret = asyncio.run(_known_or_new(database_url, kept))
    if secret != kept:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(f"{secret}\n")
    return secret


async def _known_or_new(database_url: str, kept: str) -> str:
    async with open_sessions(database_url, connections=1) as sessions:
        if kept and await find_api_key(sessions, kept):
            return kept
        return (await create_api_key(sessions, "first admin", "admin")).secret
