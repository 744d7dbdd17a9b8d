"""Groq's OpenAI-compatible API: chat completions, streamed and whole, and the list of models."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Scope

from outdial_sandbox.carrier.hang_up import hang_up, reset
from outdial_sandbox.providers.chat_history import read_history
from outdial_sandbox.providers.provider_faults import FaultDesk
from outdial_sandbox.providers.scripted_model import Reply, ToolCall, reply_to
from outdial_sandbox.providers.settings import ProviderSettings

_MODELS = (
    "openai/gpt-oss-120b",
    "openai/gpt-oss-20b",
    "llama-3.3-70b-versatile",
    "llama-3.1-8b-instant",
)
_EVENTS_BEFORE_BREAKING = 2  # the role, and the first word or call
_FINGERPRINT = "fp_sandbox"


def is_authorised(request: Request, key: str) -> bool:
    """`Bearer KEY`; any key at all when none is configured."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(given.strip()) and (not key or given.strip() == key)


def _error(status: int, message: str, kind: str, code: str | None = None) -> Response:
    error = {"message": message, "type": kind}
    return JSONResponse({"error": error | ({"code": code} if code else {})}, status)


def unauthorised() -> Response:
    """401, as Groq answers a missing or wrong key."""
    return _error(401, "Invalid API Key", "invalid_request_error", "invalid_api_key")


def models(request: Request, settings: ProviderSettings) -> Response:
    """`GET /openai/v1/models`."""
    if not is_authorised(request, settings.groq_key):
        return unauthorised()
    listed = [
        {
            "id": name,
            "object": "model",
            "created": 1700000000,
            "owned_by": "sandbox",
            "active": True,
            "context_window": 131072,
        }
        for name in _MODELS
    ]
    return JSONResponse({"object": "list", "data": listed})


async def chat_completions(
    request: Request, settings: ProviderSettings, desk: FaultDesk
) -> Response:
    """`POST /openai/v1/chat/completions`."""
    if not is_authorised(request, settings.groq_key):
        return unauthorised()
    try:
        body = await request.json()
    except ValueError:
        return _error(400, "request body is not valid JSON", "invalid_request_error")
    problem = _problem(body)
    if problem:
        return _error(400, problem, "invalid_request_error")
    reply = reply_to(read_history(body))
    fault = desk.completion(calls_tool=bool(reply.calls))
    if fault == "model_refused":
        await hang_up(request)
        return Response()
    if fault is not None and (refused := _refusal(fault, reply, desk)) is not None:
        return refused
    if fault == "model_hang":
        await asyncio.Event().wait()
    if fault == "model_slow":
        await asyncio.sleep(desk.faults.model_slow_seconds)
    answer = _Answer(body, reply, settings, bad_arguments=fault == "model_bad_arguments")
    if body.get("stream"):
        events = _broken(answer.events(), fault, request.scope)
        return StreamingResponse(events, media_type="text/event-stream")
    await asyncio.sleep(settings.first_token_ms / 1000)
    return JSONResponse(answer.whole())


def _refusal(fault: str, reply: Reply, desk: FaultDesk) -> Response | None:
    """The error that a fault is answered with, in Groq's words; None if it is none."""
    if fault == "model_429":
        response = _error(
            429,
            "Rate limit reached for model in organization on tokens per minute (TPM). "
            "Please try again later.",
            "tokens",
            "rate_limit_exceeded",
        )
        response.headers["retry-after"] = f"{desk.faults.model_retry_after_seconds:g}"
        return response
    if fault == "model_500":
        return _error(500, "Internal Server Error", "internal_server_error")
    if fault == "model_tool_use_failed":
        call = reply.calls[0]
        error = {
            "message": "Failed to call a function. Please adjust your prompt. See "
            "'failed_generation' for more details.",
            "type": "invalid_request_error",
            "code": "tool_use_failed",
            "failed_generation": f"<function={call.name}>{json.dumps(call.arguments)}",
        }
        return JSONResponse({"error": error}, 400)
    return None


async def _broken(
    events: AsyncIterator[str], fault: str | None, scope: Scope
) -> AsyncIterator[str]:
    """The events until `fault` stops them: after the first words, or before a tool is called."""
    sent = 0
    async for event in events:
        if sent == _EVENTS_BEFORE_BREAKING and fault == "model_hang_in_stream":
            await asyncio.Event().wait()
        if sent == _EVENTS_BEFORE_BREAKING and fault == "model_cut":
            reset(scope)
            return
        yield event
        sent += 1


def _problem(body: Any) -> str | None:
    if not isinstance(body, Mapping):
        return "request body is not an object"
    for name in ("model", "messages"):
        if not body.get(name):
            return f"'{name}' : property '{name}' is missing"
    if not isinstance(body["messages"], list):
        return "'messages' : value must be an array"
    return None


class _Answer:
    """One completion, ready to be sent in either form."""

    def __init__(
        self,
        body: Mapping[str, Any],
        reply: Reply,
        settings: ProviderSettings,
        *,
        bad_arguments: bool = False,
    ) -> None:
        self._reply = reply
        self._settings = settings
        self._id = f"chatcmpl-{uuid4()}"
        self._groq_id = f"req_{uuid4().hex[:26]}"
        self._created = int(time.time())
        self._model = str(body["model"])
        self._stream_options = body.get("stream_options") or {}
        self._usage = _usage(body, reply, settings)
        self._finish = "tool_calls" if reply.calls else "stop"
        self._calls = [_call_body(call, bad_arguments=bad_arguments) for call in reply.calls]

    def whole(self) -> dict[str, Any]:
        """The answer to a request without `stream`."""
        message: dict[str, Any] = {"role": "assistant", "content": self._reply.say or None}
        if self._calls:
            message["tool_calls"] = self._calls
        elif not self._reply.say:
            message["content"] = ""
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish}
        return self._frame("chat.completion", [choice]) | {
            "usage": self._usage,
            "x_groq": {"id": self._groq_id},
        }

    async def events(self) -> AsyncIterator[str]:
        """The answer as server-sent events, with a model's pauses."""
        await asyncio.sleep(self._settings.first_token_ms / 1000)
        first = self._delta({"role": "assistant", "content": ""})
        yield _event(first | {"x_groq": {"id": self._groq_id}})
        for piece in _tokens(self._reply.say):
            yield _event(self._delta({"content": piece}))
            await asyncio.sleep(self._settings.token_ms / 1000)
        for index, call in enumerate(self._calls):
            yield _event(self._delta({"tool_calls": [{"index": index} | call]}))
        last = self._delta({}, self._finish)
        yield _event(last | {"x_groq": {"id": self._groq_id, "usage": self._usage}})
        if self._stream_options.get("include_usage"):
            yield _event(self._frame("chat.completion.chunk", []) | {"usage": self._usage})
        yield "data: [DONE]\n\n"

    def _delta(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._frame("chat.completion.chunk", [choice])

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "system_fingerprint": _FINGERPRINT,
            "choices": choices,
        }


def _call_body(call: ToolCall, *, bad_arguments: bool) -> dict[str, Any]:
    arguments = json.dumps(call.arguments)
    return {
        "id": f"call_{uuid4().hex[:24]}",
        "type": "function",
        "function": {
            "name": call.name,
            "arguments": arguments.rstrip("}") + ', "' if bad_arguments else arguments,
        },
    }


def _tokens(text: str) -> list[str]:
    words = text.split(" ")
    return [word if index == 0 else f" {word}" for index, word in enumerate(words) if text]


def _event(body: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


def _usage(body: Mapping[str, Any], reply: Reply, settings: ProviderSettings) -> dict[str, Any]:
    prompt = max(1, len(json.dumps(body["messages"])) // 4)
    arguments = sum(len(json.dumps(call.arguments)) for call in reply.calls)
    completion = max(1, (len(reply.say) + arguments) // 4)
    seconds = settings.first_token_ms / 1000
    return {
        "queue_time": 0.0,
        "prompt_tokens": prompt,
        "prompt_time": seconds,
        "completion_tokens": completion,
        "completion_time": 0.0,
        "total_tokens": prompt + completion,
        "total_time": seconds,
    }
