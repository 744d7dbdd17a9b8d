"""Machine detection's verdict, beside the conversation: one plan wins, and pods hear of it."""

import asyncio

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from outdial.domain.attempt_state import Plan
from outdial.operations.leave_voicemail import hang_up_on_machine, leave_voicemail
from outdial.storage import attempts, plan_changes, transcripts
from polling import until
from twilio_world import SID, Twilio, World

pytestmark = pytest.mark.integration


async def verdict(twilio: Twilio, world: World, answered_by: str) -> None:
    form = {"AnsweredBy": answered_by, "MachineDetectionDuration": "3120"}
    answer = await twilio.post(f"/twilio/callback/amd/{world.attempt_id}", form)
    assert answer.status_code == 204


async def test_a_machine_has_the_pod_leave_the_message(twilio: Twilio, world: World) -> None:
    heard = plan_changes.listen(world.runtime.settings.database_url)
    first = asyncio.ensure_future(anext(heard))
    async with asyncio.timeout(10):
        async with world.runtime.sessions() as session:
            await until(lambda: _listening(session))
        told = asyncio.create_task(verdict(twilio, world, "machine_end_beep"))
        assert await first == world.attempt_id
        await world.pod_says("voicemail_begun", stream_no=1)
        await told
    await heard.aclose()
    assert (await world.attempt()).plan == Plan.VOICEMAIL
    assert (world.carrier.ended, world.carrier.updates) == ([], [])
    event, _ = await world.events()
    assert (event.source, event.payload["AnsweredBy"]) == ("amd", "machine_end_beep")


async def _listening(session) -> bool:  # type: ignore[no-untyped-def]
    from sqlalchemy import text

    found = await session.scalar(
        text(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' "
            "AND datname = current_database() AND state = 'idle'"
        )
    )
    await session.rollback()
    return bool(found)


async def test_a_verdict_that_could_not_be_acted_on_is_asked_for_again(
    twilio: Twilio, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def postgres_goes_away(*_: object) -> bool:
        raise OperationalError("UPDATE", {}, psycopg.OperationalError("connection is lost"))

    form = {"AnsweredBy": "fax"}
    with monkeypatch.context() as away:
        away.setattr(attempts, "change_plan", postgres_goes_away)
        answer = await twilio.post(f"/twilio/callback/amd/{world.attempt_id}", form)
    assert answer.status_code == 503
    await verdict(twilio, world, "fax")  # told again: the fact is stored already
    assert (await world.attempt()).plan == Plan.HANGUP
    assert world.carrier.ended == [SID]


async def test_a_fax_is_hung_up(twilio: Twilio, world: World) -> None:
    await verdict(twilio, world, "fax")
    assert (await world.attempt()).plan == Plan.HANGUP
    assert world.carrier.ended == [SID]


@pytest.mark.parametrize("answered_by", ["human", "unknown", ""])
async def test_what_is_no_machine_changes_nothing(
    twilio: Twilio, world: World, answered_by: str
) -> None:
    await verdict(twilio, world, answered_by)
    assert (await world.attempt()).plan == Plan.CONVERSATION
    assert len(await world.events()) == 1


async def test_who_has_talked_is_no_machine(twilio: Twilio, world: World) -> None:
    await world.person_says("Hello?", "Yes, that's me.")
    await verdict(twilio, world, "machine_start")
    assert (await world.attempt()).plan == Plan.CONVERSATION


async def test_who_has_answered_is_no_machine(twilio: Twilio, world: World) -> None:
    async with world.runtime.sessions.begin() as session:
        await transcripts.save_tool_call(
            session, world.attempt_id, 1, call_id="1", name="record_outcome", arguments={}
        )
    await verdict(twilio, world, "machine_start")
    assert (await world.attempt()).plan == Plan.CONVERSATION


async def test_carrier_and_model_notice_at_once_and_one_wins(world: World) -> None:
    won = await asyncio.gather(
        *(leave_voicemail(world.runtime, world.attempt_id) for _ in range(4)),
        *(hang_up_on_machine(world.runtime, world.attempt_id) for _ in range(4)),
    )
    assert sum(won) == 1
    plan = (await world.attempt()).plan
    assert plan == (Plan.VOICEMAIL if any(won[:4]) else Plan.HANGUP)
    assert world.carrier.ended == ([] if any(won[:4]) else [SID])


async def test_a_verdict_on_a_call_that_ended_changes_nothing(twilio: Twilio, world: World) -> None:
    await world.end("carrier")
    await verdict(twilio, world, "machine_end_beep")
    assert (await world.attempt()).plan == Plan.CONVERSATION
    assert len(await world.events()) == 1
