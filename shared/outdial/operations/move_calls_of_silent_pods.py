"""Sweep: calls on a pod that froze, or whose machine is lost (PROTOCOL.md 9).

Such a pod closes no socket, so Twilio does not ask what comes next: it is told by REST, and the
plan says what. A conversation goes on elsewhere; a message that was not left to its end is spoken
by the carrier; a call that was to end is ended. It takes three signs, since an outage of Redis
must not move every call: Redis answers, another pod's heartbeat is fresh, and the silent pod does
not answer when it is asked directly, twice.
"""

import asyncio
from collections.abc import Sequence

import httpx
import structlog

from outdial.domain.attempt_state import Plan
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.connect_call import connect
from outdial.operations.move_call import move_call
from outdial.operations.runtime import Runtime
from outdial.operations.speak_voicemail import have_carrier_speak, take_message_over
from outdial.operations.wanted_pods import known_language
from outdial.operations.zombie_calls import OVER
from outdial.routing.pod_registry import PodView, list_pods
from outdial.storage import attempts, lost_work
from outdial.storage.tables import Attempt
from outdial.telephony.callbacks import AnswerHint
from outdial.telephony.dial_result import Updated

_log = structlog.get_logger(__name__)

PROBES = 2
PROBE_SECONDS = 0.7


async def move_calls_of_silent_pods(runtime: Runtime) -> int:
    """How many calls were seen to."""
    silent = await _silent_pods(runtime)
    if not silent:
        return 0
    async with runtime.sessions() as session:
        lives = [(pod.pod_id, pod.boot_id) for pod in silent]
        calls = await lost_work.calls_on_pods(session, lives)
    if not calls:
        return 0
    answers = await asyncio.gather(*(_answers(pod) for pod in silent))
    dead = {(p.pod_id, p.boot_id) for p, alive in zip(silent, answers, strict=True) if not alive}
    lost = [call for call in calls if (call.pod, call.boot_id) in dead]
    return sum(await asyncio.gather(*(_see_to(runtime, call) for call in lost)))


async def _silent_pods(runtime: Runtime) -> Sequence[PodView]:
    """Pods that went silent while another one is heard; none if Redis does not answer."""
    try:
        pods = await list_pods(runtime.redis)
    except STORE_ERRORS:
        return ()
    silent = [pod for pod in pods if pod.is_out and pod.health_url]
    return silent if any(not pod.is_out for pod in pods) else ()


async def _answers(pod: PodView) -> bool:
    """Whether it says anything at all, in one of its tries."""
    async with httpx.AsyncClient(trust_env=False, timeout=PROBE_SECONDS) as client:
        for _ in range(PROBES):
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await client.get(pod.health_url)
            except (httpx.HTTPError, OSError, TimeoutError):
                continue
            return True
    _log.warning("pod_does_not_answer", pod=pod.pod_id, silent_seconds=pod.age_seconds)
    return False


async def _see_to(runtime: Runtime, call: Attempt) -> bool:
    if call.facts.get("carrier_status") in OVER:
        return False
    if call.plan == Plan.CONVERSATION:
        return await _move(runtime, call)
    lost = (call.pod or "", call.boot_id or "")
    if await take_message_over(runtime, call.id, call.stream_no, lost):
        return await have_carrier_speak(runtime, call.id)
    return await _end(runtime, call)


async def _end(runtime: Runtime, call: Attempt) -> bool:
    """Nothing is left to be said, and the pod hangs up no more: the plan first, then the call."""
    async with runtime.sessions.begin() as session:
        attempt = await attempts.lock(session, call.id)
        if attempt is None or (attempt.stream_no, attempt.pod) != (call.stream_no, call.pod):
            return False  # somebody else has it
        if attempt.plan == Plan.VOICEMAIL:
            await attempts.change_plan(session, call.id, Plan.VOICEMAIL, Plan.HANGUP)
        elif attempt.plan != Plan.HANGUP:
            return False
    sid = call.call_sid
    return sid is not None and isinstance(await runtime.carrier.end_call(sid), Updated)


async def _move(runtime: Runtime, call: Attempt) -> bool:
    """Commit the next stream, then update the call. The pod is written last.

    If the carrier cannot be told, the attempt still stands on the silent pod, and the next sweep
    tries again with one stream more.
    """
    lost = (call.pod or "", call.boot_id or "")
    slot = await move_call(runtime, call.id, call.stream_no, lost, "silent_pod")
    if slot is None or call.call_sid is None:
        return False
    hint = AnswerHint(
        slot.pod_id,
        slot.boot_id,
        slot.url,
        call.template_id,
        call.lead_id,
        language=known_language(call.template_id),  # read with its pods, to reserve the slot
    )
    text = connect(runtime.settings, call.id, call.stream_no + 1, hint, slot)
    result = await runtime.carrier.update_twiml(call.call_sid, text)
    if not isinstance(result, Updated):
        _log.warning("call_not_moved", attempt_id=str(call.id), result=type(result).__name__)
        return False
    async with runtime.sessions.begin() as session:
        await attempts.assign_pod(session, call.id, slot.pod_id, slot.boot_id)
    return True
