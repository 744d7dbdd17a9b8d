"""What libraries do only the first time is done before there are calls.

deepgram-sdk 7.17, openai 2 and anyio load modules and build validators with their first answer: 5
to 30 ms each, in which no other call's sound would go on.
"""

import importlib
import json
from collections.abc import Sequence
from typing import Any

import httpx
from deepgram.core.unchecked_base_model import construct_type
from deepgram.listen.v1.socket_client import V1SocketClientResponse
from openai import AsyncOpenAI

from outdial.domain.call_template import Agent, CallTemplate
from outdial_media.model_answer import Endpoint
from outdial_media.model_route import ModelHealth, ModelRoute
from outdial_media.pipeline import build_pipeline
from outdial_media.shared_models import SharedModels
from outdial_media.shared_tls import shared_tls
from outdial_media.speech_services import SpeechServices
from outdial_media.taken_apart import take_apart
from outdial_media.telephone_line import TelephoneLine

_TEMPLATE = CallTemplate("warm-up", Agent("Ada", "Hello.", "Talk."))

_HEARD = {
    "type": "Results",
    "channel_index": [0, 1],
    "duration": 1.0,
    "start": 0.0,
    "is_final": True,
    "speech_final": True,
    "channel": {
        "alternatives": [
            {
                "transcript": "yes",
                "confidence": 0.9,
                "words": [{"word": "yes", "start": 0.1, "end": 0.4, "confidence": 0.9}],
            }
        ]
    },
    "metadata": {
        "request_id": "0",
        "model_uuid": "0",
        "model_info": {"name": "0", "version": "0", "arch": "0"},
    },
}
"""As Deepgram tells what it has heard (its API reference, "Live Audio")."""

_CALL = {"index": 0, "id": "0", "type": "function", "function": {"name": "x", "arguments": "{}"}}
_Said = Sequence[tuple[dict[str, Any], str | None]]
_SAID: _Said = (
    ({"role": "assistant", "content": "Yes"}, None),
    ({"content": "."}, None),
    ({"tool_calls": [_CALL]}, None),
    ({}, "stop"),
)
"""As Groq answers (OpenAI's API reference, "Chat completion chunk")."""


async def warm_up(models: SharedModels, services: SpeechServices) -> None:
    """Do all of it; asks nobody anything."""
    shared_tls()
    importlib.import_module("anyio._backends._asyncio")
    for _ in range(2):  # some is put off until the second time
        construct_type(type_=V1SocketClientResponse, object_=_HEARD)  # type: ignore[arg-type]
        await _answer(_SAID)
    pipeline = await build_pipeline(
        TelephoneLine(), _TEMPLATE, models, services, instruction="", muted=lambda: True
    )
    take_apart((pipeline.worker, pipeline.worker.pipeline))


async def _answer(said: _Said) -> None:
    transport = httpx.MockTransport(lambda _: _streamed(said))
    http: Any = httpx.AsyncClient(transport=transport)
    async with AsyncOpenAI(api_key="none", http_client=http, max_retries=0) as client:
        route = ModelRoute([Endpoint(client, "none")], ModelHealth(), patience=5.0)
        messages = [{"role": "user", "content": "yes"}]
        async for _ in await route.create(messages=messages, stream=True):
            pass


def _streamed(said: _Said) -> httpx.Response:
    chunk = {"id": "0", "object": "chat.completion.chunk", "created": 0, "model": "none"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choices = [
        {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        for delta, reason in said
    ]
    events: list[dict[str, Any]] = [{"choices": [choice]} for choice in choices]
    events.append({"choices": [], "usage": usage})
    lines = [f"data: {json.dumps(chunk | event)}\n\n" for event in events]
    headers = {"content-type": "text/event-stream"}
    return httpx.Response(200, headers=headers, text="".join([*lines, "data: [DONE]\n\n"]))
