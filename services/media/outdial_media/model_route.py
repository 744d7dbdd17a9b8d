"""One answer from whichever model gives it: the first, the second, the first once more.

Stands where pipecat expects an OpenAI client. Pipecat 1.14's own switcher does not switch on 429,
500 or refused connections, and never replays the turn that failed. A tool is called only when an
answer is whole: what broke off in the middle has run nothing, so the next model may begin anew.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from openai.types.chat import ChatCompletionChunk

from outdial_media.model_answer import FAILURES, Endpoint, ModelAnswer, ask

REST_SECONDS = 20.0
"""How long a model that failed is asked last, by every call of the pod."""


class NoModelAnswers(Exception):
    """None of a call's models has answered; the message says what each did."""


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
            attempt = ModelAnswer(endpoint, request, said, self._patience)
            try:
                # Closed at once when the person interrupts: the request must not go on unheard.
                async with aclosing(attempt.chunks()) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except FAILURES as error:
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
                return await ask(endpoint, request)
            except FAILURES as error:
                errors.append(self._note(endpoint, error))
        raise NoModelAnswers("; ".join(errors))

    def _note(self, endpoint: Endpoint, error: BaseException) -> str:
        self._health.failed(endpoint)
        what = f"{type(error).__name__}: {error}"[:300]
        self.on_failure(endpoint.name, what)
        return f"{endpoint.name}: {what}"
