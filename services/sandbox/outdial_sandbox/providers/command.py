"""`python -m outdial_sandbox providers`: flags, or the environment variables that they name."""

import argparse
import logging
import os

import uvicorn

from outdial_sandbox.providers.app import create_app
from outdial_sandbox.providers.settings import ProviderSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this process."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8085)
    _setting(parser, "--deepgram-key", "", "the only key that Deepgram takes; empty takes any")
    _setting(parser, "--groq-key", "", "the only key that Groq takes; empty takes any")
    _setting(parser, "--first-token-ms", 120, "the model thinks so long before its first token")
    _setting(parser, "--token-ms", 4, "and so long between two")
    _setting(parser, "--first-audio-ms", 60, "a voice takes so long before its first audio")
    _setting(parser, "--transcript-ms", 0, "a transcript is held back so long")


def _setting(parser: argparse.ArgumentParser, flag: str, default: str | int, meaning: str) -> None:
    """A flag whose default an environment variable may change: SANDBOX_FIRST_TOKEN_MS."""
    variable = "SANDBOX_" + flag.strip("-").upper().replace("-", "_")
    kind = type(default)
    parser.add_argument(
        flag,
        type=kind,
        default=kind(os.environ.get(variable, default)),
        help=f"{meaning} (default {default!r}; {variable})",
    )


def run(options: argparse.Namespace) -> None:
    """Serve until asked to stop."""
    settings = ProviderSettings(
        deepgram_key=options.deepgram_key,
        groq_key=options.groq_key,
        first_token_ms=options.first_token_ms,
        token_ms=options.token_ms,
        first_audio_ms=options.first_audio_ms,
        transcript_ms=options.transcript_ms,
    )
    # uvicorn 0.54 says this of every handshake that a fault leaves without an answer.
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: "completing handshake" not in record.getMessage()
    )
    uvicorn.run(
        create_app(settings),
        host=options.host,
        port=options.port,
        log_level="warning",
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
