"""What is asked of the carrier for one attempt: the template's wishes in Twilio's words."""

import math
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_template import CallTemplate
from outdial.operations.connect_call import connect
from outdial.operations.known_templates import known_template
from outdial.operations.runtime import Runtime
from outdial.routing.pod_registry import list_pods
from outdial.routing.slot_reservation import Slot
from outdial.settings import Settings
from outdial.storage.tables import Attempt
from outdial.telephony.callbacks import AnswerHint
from outdial.telephony.twilio_client import PlaceCall

STATIC_POD = "static"


async def compose_call(
    runtime: Runtime, session: AsyncSession, attempt: Attempt, slot: Slot | None
) -> tuple[PlaceCall, Slot]:
    """The call to POST, and the pod that it is meant for.

    Without a slot (static routing) the TwiML goes along, with the one fixed address.
    """
    template = await known_template(session, attempt.template_id)
    if template is None:
        raise LookupError(f"the template of attempt {attempt.id} is gone")
    where = slot or await _static_slot(runtime)
    hint = AnswerHint(
        where.pod_id,
        where.boot_id,
        where.url,
        attempt.template_id,
        attempt.lead_id,
        language=template.language,
    )
    settings = runtime.settings
    call = PlaceCall(
        attempt_id=attempt.id,
        to=attempt.phone,
        caller=attempt.caller_number,
        hint=hint,
        ring_timeout=settings.ring_timeout_seconds,
        time_limit=time_limit(template, settings),
        record=template.recording,
        detection=detection(template),
        detection_timeout=template.amd.timeout_seconds,
        twiml=None if slot else _inline(settings, attempt, hint, where),
    )
    return call, where


def _inline(settings: Settings, attempt: Attempt, hint: AnswerHint, where: Slot) -> str:
    return connect(settings, attempt.id, attempt.stream_no, hint, where, rings_first=True)


def time_limit(template: CallTemplate, settings: Settings) -> int:
    """Seconds after which the carrier ends the call, whatever we do: always set."""
    return math.ceil(template.agent.max_minutes * 60) + settings.time_limit_margin_seconds


def detection(template: CallTemplate) -> Literal["Enable", "DetectMessageEnd"] | None:
    """Waiting for the beep takes longer, so it is asked for only where a message is left."""
    if not template.amd.enabled:
        return None
    return "DetectMessageEnd" if template.voicemail.mode == "leave_message" else "Enable"


async def _static_slot(runtime: Runtime) -> Slot:
    """The fixed address; the boot id of the pod that is heard there, which its tokens must name."""
    url = runtime.settings.static_stream_url
    for pod in await list_pods(runtime.redis):
        if pod.url == url and not pod.is_out:
            return Slot(pod.pod_id, pod.boot_id, url)
    return Slot(STATIC_POD, STATIC_POD, url)
