"""Sound goes straight to who needs it: recogniser and voice activity, past the pipeline's queues.

pipecat 1.14 carries each 20 ms of a person's line as a frame through a queue and a task of every
processor, with two f-strings and an observation for each of them: half of what a call costs. Here a
processor is handed the sound by a call. It goes through its queue only while that matters: until
the processor has started, and behind sound that already waits there.
"""

from abc import abstractmethod

from pipecat.frames.frames import Frame, InputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from outdial_media.twilio_frames import SAMPLE_RATE


class QueuedSound(InputAudioRawFrame):
    """Sound that waits in the queue of the one processor which it is for."""


class TakesSound(FrameProcessor):
    """Put before a FrameProcessor among a class's bases; the class says what `take_sound` does."""

    _has_started = False
    _sound_in_queue = 0

    @abstractmethod
    async def take_sound(self, pcm: bytes) -> None:
        """16-bit PCM, in order."""

    def takes_it_now(self) -> bool:
        """Whether nothing stands before the next sound."""
        return self._has_started and not self._sound_in_queue

    async def hear(self, pcm: bytes) -> None:
        """Take what the person says; never raises."""
        if self._cancelling:
            return
        if not self.takes_it_now():
            self._sound_in_queue += 1
            await self.queue_frame(QueuedSound(pcm, SAMPLE_RATE, 1))
            return
        try:
            await self.take_sound(pcm)
        except Exception as error:  # noqa: BLE001 - the reader of the line must go on
            await self.push_error(f"Error processing sound: {error}", exception=error)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """See what ends the waiting."""
        try:
            await super().process_frame(frame, direction)
        finally:
            if isinstance(frame, QueuedSound):
                self._sound_in_queue -= 1
            elif isinstance(frame, StartFrame):
                self._has_started = True
