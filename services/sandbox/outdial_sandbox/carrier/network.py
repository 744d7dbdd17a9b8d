"""What all calls share: the clock, the queue, the way to the customer."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from outdial_sandbox.carrier.config import CarrierConfig, NetworkSettings
from outdial_sandbox.carrier.departures import Departures
from outdial_sandbox.carrier.pacer import Pacer
from outdial_sandbox.carrier.webhooks import WebhookClient
from outdial_sandbox.people.behaviour import Person


@dataclass
class Network:
    """The parts of the carrier that outlive a call."""

    config: CarrierConfig
    settings: NetworkSettings
    who_answers: Callable[[str, int], Person]
    pacer: Pacer = field(default_factory=Pacer)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    injected: Counter[str] = field(default_factory=Counter)  # faults, by name
    callbacks_pending: int = 0  # fired and not yet delivered

    def __post_init__(self) -> None:
        self.webhooks = WebhookClient(self.config.auth_token)
        self.departures = Departures(lambda: self.settings.calls_per_second)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run `work` beside everything else; the network keeps it alive and stops it at its end."""
        task = asyncio.create_task(work, name=name)
        self.keep(task)
        return task

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Take over a task that somebody else began."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def close(self) -> None:
        """Stop everything that is under way."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.pacer.close()
