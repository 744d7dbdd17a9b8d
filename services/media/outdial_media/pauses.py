"""Where speech pauses: the places at which it can be taken up again. 16-bit PCM at 8 kHz."""

import audioop

from outdial_media.twilio_frames import SAMPLE_RATE

_PAUSE_BYTES = 2 * SAMPLE_RATE // 20
_QUIET = 200


def from_pause(pcm: bytes, position: int) -> bytes:
    """The sound from the last pause before `position` (bytes): no word begins in its middle.

    Two voices read a text at about the same pace, and one voice always at the same.
    """
    at = min(position, len(pcm)) // _PAUSE_BYTES * _PAUSE_BYTES
    while at > 0 and audioop.rms(pcm[at : at + _PAUSE_BYTES], 2) > _QUIET:
        at -= _PAUSE_BYTES
    return pcm[at:] if position < len(pcm) else b""
