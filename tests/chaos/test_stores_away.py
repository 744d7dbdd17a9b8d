"""Redis and Postgres emptied, gone and back, under a campaign and a live call (DESIGN.md 3).

While a store is away nobody is dialed, what the carrier tells is kept or asked for again, and who
talks goes on talking. Ten seconds after it is back, all is as before.
"""

import os
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from twilio.request_validator import RequestValidator

from outdial_cli.api_client import ApiClient, Json
from parts.watched_house import TEMPLATE, WatchedHouse
from polling import wait_until

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.usefixtures("beside_calls"),
    pytest.mark.timeout(300),
]

LEADS = 50  # five seconds of dialing: the outage comes in the middle
AS_BEFORE = float(os.environ.get("OUTDIAL_AS_BEFORE_SECONDS", "40"))
"""Ten seconds are promised; a machine that runs tests side by side may be slower than that."""

REDIS_AWAY = float(os.environ.get("OUTDIAL_REDIS_AWAY_SECONDS", "0"))
"""How long Redis is away beyond what the test needs; a minute is promised to be survived."""

TALK = 7.0  # the live call, where no store is away for longer

_EVENT = "SELECT 1 FROM call_events WHERE attempt_id = %s AND "
TALKS = f"{_EVENT} kind = 'stream_started'"
CLOSED = f"{_EVENT} kind = 'conversation_closed'"
COMPLETED = f"{_EVENT} payload->>'CallStatus' = 'completed'"
BROKEN = """
    SELECT 'a lead and its live attempt' FROM leads l
    LEFT JOIN attempts a ON a.lead_id = l.id AND a.state <> 'ended'
    WHERE l.live_attempt_id IS DISTINCT FROM a.id
    UNION ALL SELECT 'an unread event' FROM unsettled
    UNION ALL SELECT 'a call that nobody ended' FROM attempts WHERE state <> 'ended'
    UNION ALL SELECT 'a lead without an end: ' || state FROM leads WHERE state <> 'finished'"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedHouse]:
    with WatchedHouse(tmp_path_factory.mktemp("stores-away")) as running:
        with ApiClient(running.info.api_url, running.info.api_key) as api:
            api.post("/v1/templates", TEMPLATE)
        yield running


CARRIER_WAITS_SECONDS = 1.5
"""For TwiML: what `rt` in our URLs asks it to."""


def phones(area: str) -> list[str]:
    """People who talk (docs/sandbox.md)."""
    return [f"+1{area}555{n:02}00" for n in range(LEADS)]


def begin(house: WatchedHouse, name: str, area: str, talk: float = TALK) -> str:
    """Somebody talks for some seconds, and a campaign dials; the id of that call."""
    house.calls_last(talk, talk)
    with ApiClient(house.info.api_url, house.info.api_key) as api:
        call = api.post("/v1/calls", {"to_number": f"+1{area}5559900", "template": "outage"})[
            "call_id"
        ]
    attempt = "SELECT live_attempt_id FROM leads WHERE id = %s AND live_attempt_id IS NOT NULL"
    wait_until(lambda: house.rows(attempt, call), 20, "the call was claimed")
    attempt_id = str(house.rows(attempt, call)[0][0])
    wait_until(lambda: house.rows(TALKS, attempt_id), 20, "somebody talks")
    house.calls_last(0.2, 1.0)
    before = house.posts()
    house.start_campaign(name, phones(area))
    wait_until(lambda: house.posts() > before + 10, 30, "the campaign dials")
    return attempt_id


def nobody_is_dialed(house: WatchedHouse) -> int:
    """POSTs that were under way come out; then there are no more. How many there were."""
    seen: list[int] = []

    def quiet() -> bool:
        seen.append(house.posts())
        return len(seen) > 30 and len(set(seen[-30:])) == 1

    wait_until(quiet, 20, "dialing has stopped")
    return seen[-1]


def all_is_as_before(house: WatchedHouse, posts: int) -> None:
    def dialed() -> bool:
        ledger = house.carrier("GET", "ledger/summary")
        return bool(ledger["posts"] > posts)

    wait_until(dialed, AS_BEFORE, "people are dialed again")


def everything_ends_well(house: WatchedHouse, area: str) -> None:
    wait_until(
        lambda: not house.rows(BROKEN), 120, lambda: f"all is done: {Counter(house.rows(BROKEN))}"
    )
    ledger = house.carrier("GET", "ledger")
    assert ledger["overlapping"] == []
    named = Counter(post["named"] for post in ledger["posts"])
    assert [name for name, count in named.items() if count > 1] == []
    talked = {call["to"] for call in ledger["calls"] if call["answered_at"]}
    assert talked >= set(phones(area))


def the_live_call_went_on(house: WatchedHouse, attempt_id: str, talk: float = TALK) -> Json:
    (sid,) = house.rows("SELECT call_sid FROM attempts WHERE id = %s", attempt_id)[0]
    (call,) = [c for c in house.carrier("GET", "ledger")["calls"] if c["sid"] == sid]
    assert call["ended_by"] == "person"
    assert len(call["streams"]) == 1
    assert call["ended_at"] - call["answered_at"] >= talk - 0.5
    found: Json = call
    return found


def signed(house: WatchedHouse, path: str, form: dict[str, str]) -> httpx.Response:
    """A request as Twilio makes it."""
    url = f"{house.info.api_url}{path}"
    signature = RequestValidator(house.auth_token).compute_signature(url, form)
    return httpx.post(
        url, data=form, headers={"X-Twilio-Signature": signature}, trust_env=False, timeout=20
    )


def test_redis_is_emptied(house: WatchedHouse) -> None:
    live = begin(house, "emptied", "212")
    with house.redis() as redis:
        redis.flushall()
    all_is_as_before(house, house.posts())
    everything_ends_well(house, "212")
    the_live_call_went_on(house, live)


@pytest.mark.parametrize(("empty", "area"), [(False, "213"), (True, "214")], ids=["kept", "empty"])
def test_redis_is_away(house: WatchedHouse, empty: bool, area: str) -> None:
    talk = TALK + REDIS_AWAY  # it goes on as long as Redis is away
    live = begin(house, f"away-{empty}", area, talk)
    house.kill_now("redis")
    try:
        posts = nobody_is_dialed(house)
        # The call of before ends in peace, and the carrier's word of it is kept.
        wait_until(
            lambda: house.rows(COMPLETED, live), 20 + talk, "the end of the live call is stored"
        )
        wait_until(lambda: house.rows(CLOSED, live), 20, "the pod has had its last word")
        assert house.posts() == posts
        told = signed(
            house,
            f"/twilio/callback/amd/{live}",
            {"CallSid": "CA" + "1" * 32, "AnsweredBy": "unknown"},
        )
        assert told.status_code == 204
    finally:
        house.start_again("redis", empty=empty)
    all_is_as_before(house, posts)
    everything_ends_well(house, area)
    the_live_call_went_on(house, live, talk)


def test_postgres_is_away(house: WatchedHouse) -> None:
    live = begin(house, "postgres", "215")
    callback = f"/twilio/callback/amd/{live}"
    form = {"CallSid": "CA" + "2" * 32, "AnsweredBy": "unknown"}
    (sid,) = house.rows("SELECT call_sid FROM attempts WHERE id = %s", live)[0]
    (url,) = [p["url"] for p in house.carrier("GET", "ledger")["posts"] if p["sid"] == sid]
    house.kill_now("postgres")
    try:
        posts = nobody_is_dialed(house)
        assert signed(house, callback, form).status_code == 503
        path = str(url).partition("#")[0].removeprefix(house.info.api_url)
        answer = signed(house, path, {"CallSid": str(sid), "CallStatus": "in-progress"})
        assert (answer.status_code, "<Response>" in answer.text) == (200, True)
        assert house.posts() == posts
    finally:
        house.start_again("postgres")
    all_is_as_before(house, posts)
    stored = "SELECT count(*) FROM call_events WHERE attempt_id = %s AND source = 'amd'"
    before = house.rows(stored, live)
    assert signed(house, callback, form).status_code == 204
    assert house.rows(stored, live) == [(before[0][0] + 1,)]
    everything_ends_well(house, "215")
    the_live_call_went_on(house, live)
    nobody_hears_an_error(house)


def nobody_hears_an_error(house: WatchedHouse) -> None:
    """Each question of the carrier was answered with TwiML; a late answer, by the fallback.

    Who hung up meanwhile waits for nothing.
    """
    for call in house.carrier("GET", "ledger")["calls"]:
        asked = [w for w in call["webhooks"] if w["purpose"] in {"twiml", "action"}]
        assert {w["result"] for w in asked} <= {200, None}, call["webhooks"]
        late = [w for w in asked if w["result"] is None]
        left_waiting = [w for w in late if call["ended_at"] - w["at"] > CARRIER_WAITS_SECONDS]
        helped = [w for w in call["webhooks"] if (w["purpose"], w["result"]) == ("fallback", 200)]
        assert len(helped) >= len(left_waiting), call["webhooks"]
