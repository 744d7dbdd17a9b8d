"""Twilio's side of the routes: a signed client, an attempt that is being dialed, a carrier."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4
from xml.etree import ElementTree as ET

import httpx
from fastapi import FastAPI
from sqlalchemy import select
from twilio.request_validator import RequestValidator

from outdial.domain.call_events import Event, Source
from outdial.domain.call_template import Agent, CallTemplate, Voicemail
from outdial.operations.create_template import create_template
from outdial.operations.runtime import Runtime
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.routing.slot_reservation import rebuild, reserve
from outdial.settings import Settings
from outdial.storage import attempts, call_events, transcripts
from outdial.storage.ids import new_id
from outdial.storage.tables import Attempt, CallEvent, Campaign, Contact, Lead
from outdial.telephony.callbacks import AnswerHint
from outdial.telephony.dial_result import Updated, UpdateResult

SID = "CA" + "1" * 32
TEMPLATE = CallTemplate(
    slug="visit",
    agent=Agent("Ada", "Hello {{name}}, this is Ada, an AI.", "Ask."),
    voicemail=Voicemail("leave_message", "Hello {{name}} & family, call us back."),
)


SLOW_BEATS = Settings.model_construct(pod_out_after_seconds=600.0, live_slot_lease_seconds=601.0)
"""A pod that beats once must not go silent while a busy machine runs the test."""


def swap(app: FastAPI, **stores: Any) -> None:
    """Have the gateway work with other stores, or another carrier."""
    app.state.runtime = replace(app.state.runtime, **stores)
    app.state.gateway = replace(app.state.gateway, runtime=app.state.runtime)


@dataclass
class FakeCarrier:
    """Remembers which calls were ended, and what others were told to do."""

    ended: list[str] = field(default_factory=list)
    updates: list[tuple[str, str]] = field(default_factory=list)
    answer: UpdateResult = field(default_factory=Updated)

    async def end_call(self, sid: str) -> UpdateResult:
        self.ended.append(sid)
        return Updated()

    async def update_twiml(self, sid: str, twiml: str) -> UpdateResult:
        self.updates.append((sid, twiml))
        return self.answer

    def close(self) -> None:
        """Nothing to close."""


class Twilio:
    """Posts forms to the gateway, signed over the public address."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://internal:8000"
        )

    async def post(
        self,
        path: str,
        form: Mapping[str, str] | None = None,
        *,
        signature: str | None = "right",
        signed_for: str = "",
    ) -> httpx.Response:
        """`path` may hold a query; `signature` None sends none, another text is sent as it is."""
        fields = {"CallSid": SID, "CallStatus": "in-progress", "ToCity": "", **(form or {})}
        if signature == "right":
            token = self._settings.twilio_auth_token.get_secret_value()
            url = (signed_for or self._settings.public_url) + path
            signature = str(RequestValidator(token).compute_signature(url, fields))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if signature is not None:
            headers["X-Twilio-Signature"] = signature
        answer = await self._client.post(path, content=urlencode(fields), headers=headers)
        await self._app.state.writing.written()
        return answer

    async def close(self) -> None:
        await self._client.aclose()


@dataclass
class World:
    """One attempt whose phone rings, with what surrounds it."""

    runtime: Runtime
    carrier: FakeCarrier
    template_id: UUID
    lead_id: UUID
    attempt_id: UUID

    def voice_path(
        self,
        attempt_id: UUID | None = None,
        holds: int = 0,
        pod: str = "pod-1",
        language: str = "",
    ) -> str:
        url = f"wss://outdial.test/pods/{pod}"
        hint = AnswerHint(pod, "b1", url, self.template_id, self.lead_id, holds, language)
        return f"/twilio/voice/{attempt_id or self.attempt_id}?{hint.query()}"

    async def pods(self, *names: str, slots: int = 2) -> None:
        """Let pods beat, once for the whole test."""
        await rebuild(self.runtime.redis, [])
        for name in names:
            url = f"wss://outdial.test/pods/{name}"
            await beat(self.runtime.redis, Heartbeat(name, "b1", url, slots), SLOW_BEATS)

    async def reserve(self) -> str:
        """Hold the attempt's slot as the dialer does; its pod."""
        slot = await reserve(self.runtime.redis, self.attempt_id, 60)
        pod: str = slot.pod_id  # type: ignore[union-attr]
        async with self.runtime.sessions.begin() as session:
            await attempts.assign_pod(session, self.attempt_id, pod, "b1")
        return pod

    async def attempt(self) -> Attempt:
        async with self.runtime.sessions() as session:
            found = await attempts.get(session, self.attempt_id)
        assert found is not None
        return found

    async def change(self, **columns: object) -> None:
        """Set columns of the attempt."""
        async with self.runtime.sessions.begin() as session:
            row = await attempts.lock(session, self.attempt_id)
            for name, value in columns.items():
                setattr(row, name, value)

    async def end(self, reason: str = "carrier", **columns: object) -> None:
        """End the attempt, and its lead with it."""
        async with self.runtime.sessions.begin() as session:
            lead = await session.get(Lead, self.lead_id)
            assert lead is not None
            lead.state, lead.outcome, lead.live_attempt_id = "finished", "failed", None
        now = datetime.now(UTC)
        ended = {"state": "ended", "ended_at": now, "spent": True, "outcome": "failed"}
        await self.change(**ended, end_reason=reason, **columns)

    async def events(self) -> list[CallEvent]:
        """Everything that is stored, whoever it is about."""
        async with self.runtime.sessions() as session:
            return list(await session.scalars(select(CallEvent).order_by(CallEvent.id)))

    async def pod_says(self, kind: str, **payload: object) -> None:
        async with self.runtime.sessions.begin() as session:
            event = Event(Source.POD, kind, f"{kind}:1", datetime.now(UTC), None, payload)
            await call_events.append(session, self.attempt_id, event)

    async def person_says(self, *texts: str) -> None:
        async with self.runtime.sessions.begin() as session:
            for position, text in enumerate(texts):
                await transcripts.save_turn(
                    session, self.attempt_id, 1, position, role="person", text=text
                )


async def make_world(runtime: Runtime, carrier: FakeCarrier) -> World:
    """Rows of a call that rings."""
    template = await create_template(runtime, TEMPLATE)
    lead_id, attempt_id, contact_id = new_id(), new_id(), new_id()
    now = datetime.now(UTC)
    async with runtime.sessions.begin() as session:
        campaign = Campaign(name=str(uuid4()), template_id=template.id, status="running")
        session.add(campaign)
        await session.flush()
        session.add(
            Lead(
                id=lead_id,
                campaign_id=campaign.id,
                template_id=template.id,
                state="active",
                live_attempt_id=attempt_id,
            )
        )
        await session.flush()
        session.add(
            Contact(id=contact_id, lead_id=lead_id, position=0, phone="+15550000001", name="Bo")
        )
        await session.flush()
        session.add(
            Attempt(
                id=attempt_id,
                lead_id=lead_id,
                contact_id=contact_id,
                campaign_id=campaign.id,
                template_id=template.id,
                phone="+15550000001",
                caller_number="+15005550006",
                state="ringing",
                intent_at=now,
                call_sid=SID,
            )
        )
    return World(runtime, carrier, template.id, lead_id, attempt_id)


def verbs(answer: httpx.Response) -> list[str]:
    """The TwiML's verbs, in order."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/xml")
    return [verb.tag for verb in ET.fromstring(answer.text)]


def element(answer: httpx.Response, name: str) -> ET.Element:
    """The first element of that name."""
    found = ET.fromstring(answer.text).find(f".//{name}")
    assert found is not None, answer.text
    return found


@contextmanager
def silent_server() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said: a frozen store."""
    taken: list[socket.socket] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in taken:
                connection.close()
