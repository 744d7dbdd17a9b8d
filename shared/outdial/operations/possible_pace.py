"""How many calls a second a campaign can make: the narrowest of all that limits it."""

from dataclasses import dataclass, field

from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.runtime import Runtime
from outdial.routing.pod_registry import list_pods
from outdial.storage.tables import Campaign

ASSUMED_CALL_SECONDS = 60.0
"""How long a call holds its line, ringing and all, until a campaign has calls of its own."""

LEAST_CALLS = 20


@dataclass(frozen=True)
class Pace:
    """Calls a second; what keeps it from being more; how long one call holds its line."""

    calls_per_second: float
    limited_by: str
    call_seconds: float
    measured_calls: int  # 0: the length is assumed
    warnings: list[str] = field(default_factory=list)


async def possible_pace(
    runtime: Runtime, campaign: Campaign, callers: int, length: tuple[int, float | None]
) -> Pace:
    """The pace of a campaign that runs alone. `length`: (calls measured, mean seconds)."""
    settings = runtime.settings
    measured, mean = length
    if measured < LEAST_CALLS or not mean:
        measured, mean = 0, ASSUMED_CALL_SECONDS
    paces = [
        (settings.calls_per_second, "the account's calls per second (OUTDIAL_CALLS_PER_SECOND)"),
        (settings.max_live_calls / mean, "live calls in all (OUTDIAL_MAX_LIVE_CALLS)"),
    ]
    if campaign.max_live_calls is not None:
        paces.append((campaign.max_live_calls / mean, "the campaign's live calls"))
    if callers and settings.max_live_per_caller_number:
        live = callers * settings.max_live_per_caller_number
        paces.append((live / mean, "live calls per caller number"))
    if callers and settings.caller_number_rest_seconds:
        paces.append((callers / settings.caller_number_rest_seconds, "the rest of caller numbers"))
    slots, warnings = await _slots(runtime)
    if slots:
        paces.append((slots / mean, "room on the media pods"))
    slowest, why = min(paces)
    return Pace(slowest, why, mean, measured, warnings)


async def _slots(runtime: Runtime) -> tuple[int, list[str]]:
    """Room on the pods when nothing is going on, and what is to be said about it."""
    if runtime.settings.routing == "static":
        return 0, []
    try:
        pods = await list_pods(runtime.redis)
    except STORE_ERRORS:
        return 0, ["Redis does not answer: nobody is called until it does."]
    slots = sum(pod.slots for pod in pods if pod.state == "ready" and not pod.is_out)
    return slots, [] if slots else ["No media pod is ready: nobody is called until one is."]
