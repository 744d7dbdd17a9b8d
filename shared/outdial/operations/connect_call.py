"""TwiML for a call that somebody has picked up: to a pod, or a moment's hold, or goodbye."""

import time
from uuid import UUID

from outdial.domain.call_template import Pods
from outdial.domain.phrases import phrases_for
from outdial.operations.gateway import Gateway
from outdial.routing.router import Router
from outdial.routing.slot_reservation import NoRoom, Slot, reserve
from outdial.routing.stream_token import LIFETIME_SECONDS, StreamClaims, sign
from outdial.settings import Settings
from outdial.telephony import twiml
from outdial.telephony.callbacks import AnswerHint, CallbackUrls, stream_url


def connect(
    settings: Settings,
    attempt_id: UUID,
    stream_no: int,
    hint: AnswerHint,
    slot: Slot,
    *,
    rings_first: bool = False,
) -> str:
    """Connect the call with the pod that holds `slot`; the token opens that stream there, once.

    `rings_first`: the TwiML goes along with the POST, and is executed when somebody picks up.
    """
    urls = CallbackUrls(settings)
    expires_at = time.time() + LIFETIME_SECONDS
    if rings_first:
        expires_at += settings.reserved_slot_lease_seconds
    claims = StreamClaims(attempt_id, stream_no, slot.boot_id, expires_at)
    return twiml.connect_stream(
        stream_url(slot.url, hint.template_id, sign(settings.stream_secret, claims)),
        action=urls.stream_ended(attempt_id, stream_no, language=hint.language),
        status_callback=urls.stream_status(attempt_id),
        parameters={
            "lead_id": str(hint.lead_id or ""),
            "attempt_id": str(attempt_id),
            "stream_no": str(stream_no),
        },
    )


def hold_or_goodbye(settings: Settings, again: str, holds: int, language: str) -> str:
    """Ask to wait and come back to `again`, but not for ever: a person is listening."""
    if holds >= settings.hold_times:
        return unable(language)
    # The words take about a second of the hold; the rest is silence, two seconds at most.
    pause = min(2, max(1, round(settings.hold_seconds) - 1))
    return twiml.hold_and_redirect(phrases_for(language).hold, again, language, pause)


def unable(language: str) -> str:
    """Goodbye to somebody to whom nobody can talk."""
    return twiml.say_goodbye(phrases_for(language).unable, language)


async def slot_for(
    gateway: Gateway,
    attempt_id: UUID,
    hint: AnswerHint,
    wanted: Pods,
    *,
    avoid: tuple[str, str] | None = None,
) -> tuple[Slot | None, bool]:
    """The slot that this call goes to (None: no room), and whether Redis could not say it."""
    runtime, lease = gateway.runtime, answer_lease(gateway.runtime.settings)
    found = await gateway.redis.ask(
        lambda: reserve(runtime.redis, attempt_id, lease, avoid=avoid, wanted=wanted)
    )
    if isinstance(found, Slot):
        return found, False
    if isinstance(found, NoRoom):
        return None, False
    return slot_without_redis(gateway.router, hint, wanted, avoid), True


def answer_lease(settings: Settings) -> float:
    """Seconds until the pod's own heartbeat takes over; a slot that is not used is soon free."""
    return settings.live_slot_lease_seconds + settings.pod_out_after_seconds


def slot_without_redis(
    router: Router, hint: AnswerHint, wanted: Pods, avoid: tuple[str, str] | None = None
) -> Slot | None:
    """The pod in the URL if it is thought to live, else the best known; at worst the URL's word."""
    lost = avoid[0] if avoid else ""
    pod = router.choose(hint.pod_id, without=lost, kind=wanted)
    if pod is not None:
        return Slot(pod.pod_id, pod.boot_id, pod.url)
    if router.pods or not hint.pod_url or hint.pod_id == lost:
        return None
    return Slot(hint.pod_id, hint.boot_id, hint.pod_url)
