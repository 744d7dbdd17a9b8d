"""When a provider's errors are worth another try, and when the call has to end."""

from dataclasses import dataclass
from enum import StrEnum

from pipecat.frames.frames import ErrorFrame

from outdial_media import metrics
from outdial_media.pipeline import CallPipeline

MODEL_TRIES = 2
VOICE_TRIES = 3


class Remedy(StrEnum):
    """What to do about an error."""

    NOTHING = "nothing"  # the service mends itself, or it is no provider's error
    ASK_AGAIN = "ask_again"  # the model owes an answer
    APOLOGISE = "apologise"  # and end the call: somebody still hears us
    HANG_UP = "hang_up"  # nothing can be said any more


@dataclass(frozen=True)
class Trouble:
    """An error, whose it is, and what to do."""

    provider: str
    remedy: Remedy
    error: str = ""


class ProviderTrouble:
    """Counts the errors of one call's providers since each last did its work."""

    def __init__(self, pipeline: CallPipeline) -> None:
        self._names = {
            id(pipeline.hearing): "hearing",
            id(pipeline.thinking): "thinking",
            id(pipeline.speaking): "speaking",
        }
        self._count = {"hearing": 0, "thinking": 0, "speaking": 0}

    def works(self, provider: str) -> None:
        """Forget the errors of a provider that has just done its work."""
        self._count[provider] = 0

    def weigh(self, frame: ErrorFrame) -> Trouble:
        """What follows from an error of the pipeline."""
        provider = self._names.get(id(frame.processor))
        if provider is None or frame.processor is None:
            return Trouble("", Remedy.NOTHING)
        metrics.provider_errors.labels(provider).inc()
        self._count[provider] += 1
        remedy = self._remedy(provider, usable=frame.processor.is_usable)
        return Trouble(provider, remedy, frame.error)

    def _remedy(self, provider: str, *, usable: bool) -> Remedy:
        if provider == "hearing":  # it reconnects by itself, and says so when it gives up
            return Remedy.NOTHING if usable else Remedy.APOLOGISE
        if provider == "thinking":
            if usable and self._count[provider] < MODEL_TRIES:
                return Remedy.ASK_AGAIN
            return Remedy.APOLOGISE
        if usable and self._count[provider] < VOICE_TRIES:
            return Remedy.NOTHING
        return Remedy.HANG_UP
