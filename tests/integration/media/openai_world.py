"""OpenAI's speech over HTTP, for tests: real voices and real recognition, in OpenAI's protocol."""

import asyncio
import io
import wave
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Header, Request, Response

from outdial_sandbox.people.voice import synthesise
from outdial_sandbox.providers.recognition import Recogniser
from polling import until

KEY = "test-openai-key"
RATE = 24000  # OpenAI's PCM


@dataclass
class OpenAI:
    """What was asked, and what is to fail."""

    port: int
    asked: Counter[str] = field(default_factory=Counter)
    heard: list[str] = field(default_factory=list)
    rates: set[int] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The base URL of its API."""
        return f"http://127.0.0.1:{self.port}/v1"


@asynccontextmanager
async def openai_speech(port: int) -> AsyncIterator[OpenAI]:
    """Serve until the end of the block."""
    world = OpenAI(port)
    ears = await asyncio.to_thread(Recogniser)
    app = FastAPI()

    @app.post("/v1/audio/speech")
    async def speech(request: Request, authorization: str = Header("")) -> Response:
        world.asked["speech"] += 1
        world.keys.add(authorization.removeprefix("Bearer "))
        if "speech" in world.fails:
            return Response(status_code=500)
        asked: dict[str, Any] = await request.json()
        assert asked["response_format"] == "pcm"
        samples = await asyncio.to_thread(synthesise, asked["input"], "en-us+f3", 150, RATE)
        return Response(samples.tobytes(), media_type="audio/pcm")

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> dict[str, str]:
        world.asked["transcriptions"] += 1
        async with request.form() as form:
            upload: Any = form["file"]
            recorded = await upload.read()
        with wave.open(io.BytesIO(recorded)) as audio:
            rate = audio.getframerate()
            samples = np.frombuffer(audio.readframes(audio.getnframes()), np.int16)
        world.rates.add(rate)
        found = await asyncio.to_thread(ears.recognise, samples, rate)
        text = " ".join(word.punctuated for word in found.words)
        world.heard.append(text)
        return {"text": text}

    server = uvicorn.Server(
        uvicorn.Config(app, port=port, lifespan="off", log_config=None, access_log=False)
    )
    server.config.load()
    serving = asyncio.create_task(server._serve())
    try:
        await until(lambda: server.started, 20)
        yield world
    finally:
        server.should_exit = True
        await serving
