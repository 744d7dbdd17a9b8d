"""How fast the stand-ins answer, and which keys they take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProviderSettings:
    """Delays are milliseconds, beyond what the work itself takes. An empty key admits any key."""

    deepgram_key: str = ""
    groq_key: str = ""
    first_token_ms: int = 120
    token_ms: int = 4
    first_audio_ms: int = 60
    transcript_ms: int = 0
    listen_timeout_seconds: float = 10.0  # Deepgram's NET-0001: no audio and no KeepAlive
