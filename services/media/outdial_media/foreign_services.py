"""The services of pipecat that templates name, as this pod makes them: classes found, keys read.

A service that cannot be had is told by `problem_of`, before anybody is called (`voice_check.py`).
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import aiohttp
from pipecat.services.llm_service import LLMService

from outdial.domain.call_template import CallTemplate, ServiceChoice
from outdial.domain.voice_services import KINDS, Kind, chosen
from outdial_media.foreign_hearing import HearsOn, hearing_class
from outdial_media.foreign_model import ForeignModel
from outdial_media.foreign_voice import ForeignVoice, once_class, speak_once, speaking_class
from outdial_media.model_answer import Endpoint
from outdial_media.noise_filter import noise_filter_problem
from outdial_media.pipecat_classes import ServiceProblem
from outdial_media.pipecat_services import arguments, close_client, takes_session

ANSWER_SECONDS = 8.0
"""The longest wait for an answer over a shared HTTP session."""


class ForeignServices:
    """Makes services of any kind; holds what they share. One for the process."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._session: aiohttp.ClientSession | None = None
        self._models: dict[str, ForeignModel] = {}

    async def close(self) -> None:
        """Close the shared connections."""
        for model in self._models.values():
            await model.close()
        if self._session is not None:
            await self._session.close()

    def problem_of(self, template: CallTemplate) -> str:
        """Why this pod cannot hold the template's calls; empty if it can.

        Loads the services' modules, which takes a while the first time.
        """
        for key, choice in chosen(template.voice).items():
            try:
                arguments(KINDS[key], choice, template.language, self._environment)
            except ServiceProblem as error:
                return f"voice.{key}: {error}"
        problem = noise_filter_problem(template.voice.noise_filter)
        return f"voice.noise_filter: {problem}" if problem else ""

    async def problem_of_making(self, template: CallTemplate) -> str:
        """Why a service cannot be made although all of it is there; asked once a version."""
        for key, choice in chosen(template.voice).items():
            try:
                cls, given = self._arguments(KINDS[key], choice, template.language)
                await close_client(cls(**given))
            except Exception as error:  # noqa: BLE001 - whatever its constructor minds
                return f"voice.{key}: {type(error).__name__}: {error}"
        return ""

    def hearing(self, choice: ServiceChoice, language: str) -> HearsOn:
        """A recogniser."""
        cls, given = self._arguments("stt", choice, language)
        made: HearsOn = hearing_class(cls)(**given)
        return made

    def speaking(self, choice: ServiceChoice, language: str) -> ForeignVoice:
        """A voice."""
        cls, given = self._arguments("tts", choice, language)
        made: ForeignVoice = speaking_class(cls)(**given)
        return made

    async def speak_once(self, choice: ServiceChoice, language: str, text: str) -> bytes:
        """16-bit PCM of `text` at 8 kHz.

        Raises:
            VoiceLost: it does not speak.

        """
        cls, given = self._arguments("tts", choice, language)
        return await speak_once(lambda: once_class(cls)(**given), text)

    def endpoint(self, choice: ServiceChoice) -> Endpoint:
        """A language model as one of a route's; the connections are the process's."""
        key = json.dumps(asdict(choice), sort_keys=True)
        name = str(choice.settings.get("model") or "its default model")
        if key not in self._models:
            try:
                cls, given = self._arguments("llm", choice, "multi")
            except ServiceProblem as problem:
                return Endpoint(None, name, problem=str(problem), at=choice.service)

            def make(asked: type[Any]) -> LLMService[Any]:
                service: LLMService[Any] = asked(**given)
                return service

            self._models[key] = ForeignModel(make, cls)
        return Endpoint(self._models[key], name, at=choice.service)

    def _arguments(
        self, kind: Kind, choice: ServiceChoice, language: str
    ) -> tuple[type[Any], dict[str, Any]]:
        cls, given = arguments(kind, choice, language, self._environment)
        if takes_session(cls):
            if self._session is None:
                timeout = aiohttp.ClientTimeout(total=None, sock_read=ANSWER_SECONDS)
                self._session = aiohttp.ClientSession(timeout=timeout)
            given["aiohttp_session"] = self._session
        return cls, given
