"""Groq's model as its own client sees it."""

import json
from typing import Any

import groq
import httpx
import pytest

pytestmark = pytest.mark.integration


TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "record_outcome",
            "parameters": {
                "type": "object",
                "properties": {
                    "status": {"type": "string", "enum": ["confirmed", "declined", "reschedule"]},
                    "note": {"type": "string"},
                },
                "required": ["status"],
            },
        },
    },
    {"type": "function", "function": {"name": "end_call", "parameters": {"type": "object"}}},
]
ASKED: list[Any] = [
    {"role": "system", "content": "You are Ada. Ask whether they come to the appointment."},
    {"role": "assistant", "content": "Can you make it?"},
]


def test_chat_streams_a_tool_call_as_groq_does(host: str) -> None:
    client = groq.Groq(api_key="k", base_url=f"http://{host}")
    said = [*ASKED, {"role": "user", "content": "Yes, that is right."}]
    chunks = list(
        client.chat.completions.create(
            model="openai/gpt-oss-120b",
            messages=said,
            tools=TOOLS,
            stream=True,
            extra_body={"stream_options": {"include_usage": True}},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].x_groq is not None
    calls = [c.choices[0].delta.tool_calls for c in chunks if c.choices]
    (call,) = [call for found in calls if found for call in found]
    assert call.function is not None
    assert call.function.name == "record_outcome"
    assert json.loads(call.function.arguments or "") == {"status": "confirmed"}
    assert chunks[-2].choices[0].finish_reason == "tool_calls"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None


def test_chat_speaks_word_by_word(host: str) -> None:
    client = groq.Groq(api_key="k", base_url=f"http://{host}")
    said = [*ASKED, {"role": "user", "content": "Could you say that again?"}]
    stream = client.chat.completions.create(model="m", messages=said, stream=True)
    pieces = [c.choices[0].delta.content for c in stream if c.choices and c.choices[0].delta]
    words = [piece for piece in pieces if piece]
    assert len(words) > 5
    assert "".join(words).startswith("Of course.")


def test_chat_answers_whole(host: str) -> None:
    client = groq.Groq(api_key="k", base_url=f"http://{host}")
    said = [*ASKED, {"role": "user", "content": "No, I am afraid not."}]
    answer = client.chat.completions.create(model="m", messages=said, tools=TOOLS)
    (call,) = answer.choices[0].message.tool_calls or []
    assert answer.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments)["status"] == "declined"


def test_chat_refuses_what_groq_refuses(host: str) -> None:
    with httpx.Client(base_url=f"http://{host}") as client:
        assert client.get("/openai/v1/models").status_code == 401
        bearer = {"Authorization": "Bearer k"}
        path = "/openai/v1/chat/completions"
        for body in (b"{", b"[]", b'{"model":"m"}', b'{"model":"m","messages":{"a":1}}'):
            answer = client.post(path, content=body, headers=bearer)
            assert answer.status_code == 400, body
            assert answer.json()["error"]["type"] == "invalid_request_error"
