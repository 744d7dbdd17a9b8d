"""What an error of the pipeline means for the call: by then, every remedy has been tried.

The services of a call mend what can be mended (`model_route.py`, `spare_voice.py`,
`phone_stt.py`); an error that they push after all ends the call, in words.
"""

from dataclasses import dataclass

from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory

from outdial_media import metrics
from outdial_media.pipeline import CallPipeline


@dataclass(frozen=True)
class Trouble:
    """Whose error it is (`hearing`, `thinking`, `speaking`, `pipeline`), and what it says."""

    provider: str
    error: str


class ProviderTrouble:
    """Tells the errors that end a call from those that do not."""

    def __init__(self, pipeline: CallPipeline) -> None:
        self._names = {
            id(pipeline.hearing): "hearing",
            id(pipeline.thinking): "thinking",
            id(pipeline.speaking): "speaking",
        }

    def weigh(self, frame: ErrorFrame) -> Trouble | None:
        """The trouble that the call ends with; None if it can go on."""
        provider = self._names.get(id(frame.processor))
        if provider is None or frame.processor is None:
            return None
        metrics.provider_errors.labels(provider).inc()
        if frame.category is ErrorCategory.APPLICATION:  # a tool of ours, not the provider
            return None
        # The model's route has asked everybody; the other two say so when they have given up.
        if provider == "thinking" or not frame.processor.is_usable:
            return Trouble(provider, frame.error)
        return None
