"""Callbacks on their way to the customer: in order, unless a fault is asked for."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from outdial_sandbox.carrier.call_request import Hook
from outdial_sandbox.carrier.faults import callback_fate
from outdial_sandbox.carrier.network import Network
from outdial_sandbox.carrier.webhooks import WebhookLog


@dataclass(frozen=True)
class _Callback:
    """One callback; its copies carry the same token, as Twilio's own repetitions do."""

    hook: Hook
    params: Mapping[str, str]
    purpose: str
    event: str | None
    token: str


class CallbackChain:
    """Callbacks of one kind for one call: each is sent when the one before it is done.

    `key` names the call for the faults: the same in each run with the same seed.
    """

    def __init__(self, network: Network, key: str, log: WebhookLog) -> None:
        self._network = network
        self._key = key
        self._log = log
        self._last: asyncio.Task[None] | None = None
        self._number = 0
        self._held: list[_Callback] = []  # to be overtaken by the next

    def send(
        self, hook: Hook, params: Mapping[str, str], purpose: str, event: str | None = None
    ) -> None:
        """Queue one; returns at once."""
        settings = self._network.settings
        fate = callback_fate(settings.faults, settings.seed, self._key, purpose, self._number)
        self._number += 1
        if fate.lost:
            self._network.injected["callback_lost"] += 1
            self._log.begin(purpose, hook.url, event).result = "lost: a fault of the sandbox's"
            return
        callback = _Callback(hook, params, purpose, event, str(uuid.uuid4()))
        self._network.injected["callback_doubled"] += len(fate.delays) - 1
        for delay in fate.delays:
            if delay:
                self._network.injected["callback_delayed"] += 1
                self._spawn(callback, None, delay)
            elif fate.reordered:
                self._held.append(callback)
            else:
                self._last = self._spawn(callback, self._last)
        if 0.0 in fate.delays and not fate.reordered:
            self._network.injected["callback_reordered"] += len(self._held)
            self.finish()

    def finish(self) -> None:
        """Send what was held back to be overtaken: nothing comes any more."""
        held, self._held = self._held, []
        for callback in held:
            self._last = self._spawn(callback, self._last)

    def _spawn(
        self, callback: _Callback, after: asyncio.Task[None] | None, delay: float = 0.0
    ) -> asyncio.Task[None]:
        self._log.pending += 1
        self._network.callbacks_pending += 1
        name = f"{callback.purpose} {callback.event}"
        return self._network.spawn(self._deliver(callback, after, delay), name)

    async def _deliver(
        self, callback: _Callback, after: asyncio.Task[None] | None, delay: float
    ) -> None:
        try:
            if after is not None:
                await asyncio.wait([after])
            await asyncio.sleep(delay)
            await self._network.webhooks.send(
                callback.hook,
                callback.params,
                self._log,
                callback.purpose,
                callback.event,
                callback.token,
            )
        finally:
            self._log.pending -= 1
            self._network.callbacks_pending -= 1
