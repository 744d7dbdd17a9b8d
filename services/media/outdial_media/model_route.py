"""One answer from whichever model gives it: the first, the second, the first once more.

Stands where pipecat expects an OpenAI client. Pipecat 1.14's own switcher does not switch on 429,
500 or refused connections, and never replays the turn that failed. A tool is called only when an
answer is whole: what broke off in the middle has run nothing, so the next model may begin anew.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from openai import AsyncOpenAI, OpenAIError
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)

REST_SECONDS = 20.0
"""How long a model that failed is asked last, by every call of the pod."""

GO_ON = (
    "The connection broke while you were speaking. The person has heard the words above. Go on "
    "exactly where they stop, and repeat nothing."
)


class BadAnswer(Exception):
    """It broke off, calls a tool with arguments that are no JSON, or nobody could be asked."""


class NoModelAnswers(Exception):
    """None of a call's models has answered; the message says what each did."""


_FAILURES = (OpenAIError, httpx.HTTPError, OSError, TimeoutError, BadAnswer)


@dataclass(frozen=True)
class Endpoint:
    """A model, and the API that it is asked at.

    The client must not try again by itself (`max_retries`): it would wait as long as a 429's
    Retry-After says. It is used as it is: a copy by `with_options` asks a thread for the
    platform's name before each request.
    """

    client: AsyncOpenAI | Any | None  # or what answers as one does (`foreign_model.py`)
    model: str
    problem: str = ""  # why it cannot be asked
    at: str = ""  # empty: the client's host

    @property
    def name(self) -> str:
        """As it is told in records."""
        host = self.at or (self.client.base_url.host if self.client else "nowhere")
        return f"{self.model} at {host}"


@dataclass
class ModelHealth:
    """Which models have failed a moment ago. One for the process."""

    _rests_until: dict[str, float] = field(default_factory=dict)

    def failed(self, endpoint: Endpoint) -> None:
        """Ask it last for a while."""
        self._rests_until[endpoint.name] = time.monotonic() + REST_SECONDS

    def works(self, endpoint: Endpoint) -> None:
        """It has answered."""
        self._rests_until.pop(endpoint.name, None)

    def in_order(self, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
        """Those that work first, each group in the order in which the template names them."""
        now = time.monotonic()
        return sorted(endpoints, key=lambda e: self._rests_until.get(e.name, 0.0) > now)


class ModelRoute:
    """A call's models behind the one method of a client that is used: `chat.completions.create`."""

    def __init__(self, endpoints: Sequence[Endpoint], health: ModelHealth, patience: float) -> None:
        self._endpoints = endpoints if len(endpoints) > 1 else [*endpoints, *endpoints]
        self._health = health
        self._patience = patience  # seconds to the first token, and between two
        self.chat = self.completions = self  # AsyncOpenAI's path to `create`
        self.on_failure: Callable[[str, str], None] = lambda _model, _error: None
        """A model has not answered: which, and what it did instead."""

    async def create(self, *, stream: bool = False, **request: Any) -> Any:
        """As `AsyncOpenAI.chat.completions.create`, but that `model` is the route's business.

        Raises:
            NoModelAnswers: by a stream, while it is read.

        """
        if stream:
            return self._stream(request | {"stream": True})
        return await self._whole(request)

    async def _stream(self, request: dict[str, Any]) -> AsyncIterator[ChatCompletionChunk]:
        said, errors = "", list[str]()
        for endpoint in self._health.in_order(self._endpoints):
            attempt = _Attempt(endpoint, request, said, self._patience)
            try:
                # Closed at once when the person interrupts: the request must not go on unheard.
                async with aclosing(attempt.chunks()) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except _FAILURES as error:
                said = attempt.said
                errors.append(self._note(endpoint, error))
            else:
                self._health.works(endpoint)
                return
        raise NoModelAnswers("; ".join(errors))

    async def _whole(self, request: dict[str, Any]) -> Any:
        errors = list[str]()
        for endpoint in self._health.in_order(self._endpoints):
            try:
                return await _ask(endpoint, request)
            except _FAILURES as error:
                errors.append(self._note(endpoint, error))
        raise NoModelAnswers("; ".join(errors))

    def _note(self, endpoint: Endpoint, error: BaseException) -> str:
        self._health.failed(endpoint)
        what = f"{type(error).__name__}: {error}"[:300]
        self.on_failure(endpoint.name, what)
        return f"{endpoint.name}: {what}"


async def _ask(endpoint: Endpoint, request: Mapping[str, Any]) -> Any:
    if endpoint.client is None:
        raise BadAnswer(endpoint.problem)
    asked = {**request, "model": endpoint.model}
    if isinstance(endpoint.client, AsyncOpenAI):
        asked = _as_it_is(asked)
    return await endpoint.client.chat.completions.create(**asked)


def _as_it_is(request: dict[str, Any]) -> dict[str, Any]:
    """The same request, with its messages and tools kept from openai 2's `async_maybe_transform`.

    It compares every value in them with the types of the API, and changes none: 3 ms on an idle
    core, in which no other call's sound goes on.
    """
    rest = dict(request)
    plain = {
        name: rest.pop(name) for name in ("messages", "tools") if isinstance(rest.get(name), list)
    }
    return {"messages": [], **rest, "extra_body": {**(rest.get("extra_body") or {}), **plain}}


class _Attempt:
    """One model's answer, told on as it comes; `said` are the words told so far, of all attempts.

    Words that an earlier attempt has said already are left out. Calls of tools come last and
    whole, one a chunk.
    """

    def __init__(
        self, endpoint: Endpoint, request: dict[str, Any], said: str, patience: float
    ) -> None:
        self._endpoint = endpoint
        self._request = _continued(request, said)
        self._patience = patience
        self._repeat = said  # the answer may begin with these words once more
        self._held = ""
        self.said = said
        self._calls: dict[int, ChoiceDeltaToolCallFunction] = {}
        self._ids: dict[int, str] = {}
        self._finished = False

    async def chunks(self) -> AsyncGenerator[ChatCompletionChunk, None]:
        """The answer, or one of `_FAILURES`."""
        deadline = asyncio.get_running_loop().time() + self._patience
        async with asyncio.timeout_at(deadline):
            stream = await _ask(self._endpoint, self._request)
        last: ChatCompletionChunk | None = None
        try:
            chunks = aiter(stream)
            while (chunk := await _next(chunks, deadline)) is not None:
                if _is_token(chunk):
                    deadline = asyncio.get_running_loop().time() + self._patience
                if chunk.choices:
                    last = chunk
                if (told := self._tell(chunk)) is not None:
                    yield told
        finally:
            with suppress(*_FAILURES):
                await stream.close()
        if not self._finished or last is None:
            raise BadAnswer("the answer broke off")
        for call in self._whole_calls():
            yield _with_delta(last, ChoiceDelta(tool_calls=[call]))

    def _tell(self, chunk: ChatCompletionChunk) -> ChatCompletionChunk | None:
        if not chunk.choices:
            return chunk  # the usage
        choice = chunk.choices[0]
        self._finished = self._finished or choice.finish_reason is not None
        if choice.delta and choice.delta.tool_calls:
            self._keep(choice.delta.tool_calls)
        text = self._new_words((choice.delta and choice.delta.content) or "")
        if not text:
            return None
        self.said += text
        return _with_delta(chunk, ChoiceDelta(content=text))

    def _new_words(self, text: str) -> str:
        """Of what comes, the words that were not said before this attempt."""
        if not self._repeat:
            return text
        self._held += text
        if len(self._held) < len(self._repeat) and self._repeat.startswith(self._held):
            return ""
        held, repeat, self._held, self._repeat = self._held, self._repeat, "", ""
        return held.removeprefix(repeat) if held.startswith(repeat) else f" {held.lstrip()}"

    def _keep(self, pieces: Sequence[ChoiceDeltaToolCall]) -> None:
        for piece in pieces:
            call = self._calls.setdefault(
                piece.index, ChoiceDeltaToolCallFunction(name="", arguments="")
            )
            if piece.id:
                self._ids[piece.index] = piece.id
            if piece.function is not None:
                call.name = (call.name or "") + (piece.function.name or "")
                call.arguments = (call.arguments or "") + (piece.function.arguments or "")

    def _whole_calls(self) -> list[ChoiceDeltaToolCall]:
        """The calls, numbered from 0. Pipecat drops one whose arguments are no JSON, silently."""
        for call in self._calls.values():
            try:
                arguments = json.loads(call.arguments or "{}")
            except ValueError as error:
                raise BadAnswer(f"arguments of {call.name} are no JSON: {error}") from None
            if not isinstance(arguments, dict):
                raise BadAnswer(f"arguments of {call.name} are no object")
        return [
            ChoiceDeltaToolCall(
                index=number, id=self._ids.get(index, f"call_{index}"), function=call
            )
            for number, (index, call) in enumerate(sorted(self._calls.items()))
        ]


def _continued(request: dict[str, Any], said: str) -> dict[str, Any]:
    if not said:
        return request
    so_far = [{"role": "assistant", "content": said}, {"role": "system", "content": GO_ON}]
    return request | {"messages": [*request["messages"], *so_far]}


async def _next(
    chunks: AsyncIterator[ChatCompletionChunk], deadline: float
) -> ChatCompletionChunk | None:
    async with asyncio.timeout_at(deadline):
        return await anext(chunks, None)


def _is_token(chunk: ChatCompletionChunk) -> bool:
    """Whether it holds something of the answer. Some models open the stream and then think."""
    delta = chunk.choices[0].delta if chunk.choices else None
    return bool(delta and (delta.content or delta.tool_calls))


def _with_delta(chunk: ChatCompletionChunk, delta: ChoiceDelta) -> ChatCompletionChunk:
    choice = Choice(index=0, delta=delta, finish_reason=None)
    return chunk.model_copy(update={"choices": [choice], "usage": None})
