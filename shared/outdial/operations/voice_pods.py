"""Whether any media pod can do what a template's `voice` asks, and what the others lack."""

from outdial.domain.call_template import Pods
from outdial.domain.voice_services import LABEL_PREFIX, READY
from outdial.operations.runtime import Runtime
from outdial.routing.pod_registry import list_pods


async def lacking(runtime: Runtime, wanted: Pods) -> list[str]:
    """What each pod lacks (`pod-1: voice.tts: ...`); empty if one has all of it.

    Raises:
        RedisError: the registry does not answer.

    """
    label = next((name for name in wanted.labels if name.startswith(LABEL_PREFIX)), None)
    if label is None or runtime.settings.routing == "static":
        return []
    pods = [pod for pod in await list_pods(runtime.redis) if not pod.is_out]
    if any(pod.labels.get(label) == READY for pod in pods):
        return []
    unknown = "it has not looked at this template yet"
    found = [f"{pod.pod_id}: {pod.labels.get(label, unknown)}" for pod in pods]
    return found or ["no media pod is running"]
