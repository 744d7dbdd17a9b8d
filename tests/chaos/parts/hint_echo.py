"""Hints come again and again: a message that a worker had when it died, a broker that repeats."""

import random
from contextlib import suppress

import psycopg

from outdial.queueing.celery_app import make_celery
from outdial.queueing.task_names import PLACE_ATTEMPTS
from outdial.settings import Settings

AT_ONCE = 8

_LIVE = "SELECT id::text FROM attempts WHERE state = 'queued' ORDER BY random() LIMIT %s"
_ANY = "SELECT id::text FROM attempts ORDER BY queued_at DESC LIMIT 200"


class HintEcho:
    """Sends `place_attempts` once more for attempts that wait for it, and for some that do not."""

    def __init__(self, postgres: str, redis: str, seed: int) -> None:
        self._postgres = postgres
        self._celery = make_celery(Settings(_env_file=None, redis_url=redis))
        self._rng = random.Random(seed)
        self.sent = 0

    def send(self, *, waiting: int = AT_ONCE) -> None:
        """One message; a store that is away is let alone."""
        with suppress(Exception):
            with psycopg.connect(self._postgres, connect_timeout=2) as database:
                ids = [row[0] for row in database.execute(_LIVE, (waiting,))]
                past = [row[0] for row in database.execute(_ANY)]
            ids += self._rng.sample(past, min(4, len(past)))
            if ids:
                self._celery.send_task(PLACE_ATTEMPTS, args=[ids])
                self.sent += len(ids)

    def close(self) -> None:
        """Let the broker go."""
        self._celery.close()
