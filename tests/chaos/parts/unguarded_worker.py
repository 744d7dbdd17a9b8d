"""Celery's worker with what keeps an attempt from being placed twice taken out. Only for a test.

Two guards cover for each other: the state read under the lock, and the compare-and-set from queued
to dialing. Without both, a hint that comes again dials again, and the judge must say so.
"""

import uuid
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState
from outdial.operations import place_attempt
from outdial.operations.settle_attempt import Locked
from outdial.storage import attempts
from outdial_workers.worker_app import app

__all__ = ["app"]

_begin_dialing = attempts.begin_dialing
_lock = place_attempt.lock_for_settling


class _SaidToBeQueued:
    """An attempt that has forgotten how far it is."""

    state = AttemptState.QUEUED

    def __init__(self, attempt: Any) -> None:
        self._attempt = attempt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._attempt, name)


async def _without_state(session: AsyncSession, attempt_id: uuid.UUID) -> Locked | None:
    locked = await _lock(session, attempt_id)
    return locked and Locked(_SaidToBeQueued(locked.attempt), locked.lead)  # type: ignore[arg-type]


async def _without_comparing(session: AsyncSession, attempt_id: uuid.UUID, *pod: str) -> bool:
    await _begin_dialing(session, attempt_id, *pod)
    return True


place_attempt.lock_for_settling = _without_state  # type: ignore[assignment]
attempts.begin_dialing = _without_comparing
