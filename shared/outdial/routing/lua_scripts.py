"""Runs our Lua in Redis.

Each script begins with `prelude.lua`: the keys, the clock, and how load is counted.
"""

import hashlib
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from outdial.routing.keys import POD_PREFIX, SCRIPT_KEYS

_FOLDER = Path(__file__).parent / "lua"


class LuaScript:
    """One script, sent by its hash, and whole when Redis does not know it (it was emptied)."""

    def __init__(self, name: str) -> None:
        self._text = "\n".join(
            (_FOLDER / f"{part}.lua").read_text("utf-8") for part in ("prelude", name)
        )
        self._hash = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Redis, *arguments: str | float) -> Any:
        """Run it. Arguments come after the prefix of pods' keys."""
        rest = [*SCRIPT_KEYS, POD_PREFIX, *map(str, arguments)]
        try:
            return await redis.evalsha(self._hash, len(SCRIPT_KEYS), *rest)
        except NoScriptError:
            return await redis.eval(self._text, len(SCRIPT_KEYS), *rest)
