"""Sweep: messages that no pod has begun, where the gateway that was to see to it died first."""

import asyncio
from datetime import timedelta

from outdial.operations.runtime import Runtime
from outdial.operations.speak_voicemail import have_carrier_speak, take_message_over
from outdial.storage import lost_work
from outdial.storage.tables import Attempt

PATIENCE = timedelta(seconds=5)
"""The gateway gives the pod a second, then tells the carrier: longer than both is too long."""


async def speak_unbegun_messages(runtime: Runtime) -> int:
    """How many the carrier speaks now."""
    async with runtime.sessions() as session:
        quiet = await lost_work.messages_on_pods(session, PATIENCE)
    return sum(await asyncio.gather(*(_speak(runtime, call) for call in quiet)))


async def _speak(runtime: Runtime, call: Attempt) -> bool:
    """A pod that has begun keeps its call; it may wait half a minute for the beep."""
    taken = await take_message_over(runtime, call.id, call.stream_no)
    return taken and await have_carrier_speak(runtime, call.id)
