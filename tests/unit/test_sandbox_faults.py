"""The sandbox's faults, pacing and double dials: rules without a socket."""

from array import array
from collections import Counter
from typing import Any

import pytest

from outdial_sandbox.carrier.call import Call, End
from outdial_sandbox.carrier.call_request import CallRequest
from outdial_sandbox.carrier.config import NetworkSettings
from outdial_sandbox.carrier.faults import (
    Faults,
    callback_fate,
    chance,
    post_fault,
    stream_fate,
)
from outdial_sandbox.carrier.ledger import Ledger
from outdial_sandbox.carrier.pacing import busiest, pacing
from outdial_sandbox.carrier.quiet_line import scripted_verdict
from outdial_sandbox.carrier.tally import named_in
from outdial_sandbox.people.behaviour import Answer
from outdial_sandbox.people.people import TABLE, who_answers

pytestmark = pytest.mark.unit

CALLS = [f"+1212555{number:04d}/0" for number in range(4000)]
ATTEMPT = "0190b0c0-1111-7222-8333-444455556666"
OTHER = "0190b0c0-1111-7222-8333-444455557777"


def test_the_same_names_are_decided_alike_and_others_apart() -> None:
    assert chance(1, "post", "a") == chance(1, "post", "a")
    drawn = {chance(seed, *names) for seed in (1, 2) for names in (("ab", "c"), ("a", "bc"))}
    assert len(drawn) == 4
    assert all(0 <= chance(1, name) < 1 for name in CALLS)


def test_shares_come_out_as_asked() -> None:
    faults = Faults(post_429=0.1, post_dropped=0.2, post_500_placed=0.05)
    counts = Counter(post_fault(faults, 7, call) for call in CALLS)
    assert counts["post_429"] == pytest.approx(400, abs=60)
    assert counts["post_dropped"] == pytest.approx(800, abs=80)
    assert counts["post_500_placed"] == pytest.approx(200, abs=45)
    assert set(counts) == {"post_429", "post_dropped", "post_500_placed", None}
    assert [post_fault(faults, 7, call) for call in CALLS] != [
        post_fault(faults, 8, call) for call in CALLS
    ]


def test_callbacks_are_doubled_delayed_and_reordered_apart() -> None:
    faults = Faults(
        callback_lost=0.1,
        callback_doubled=0.5,
        callback_delayed=0.5,
        callback_delay_seconds=120,
        callback_reordered=0.5,
    )
    fates = [callback_fate(faults, 1, call, "status", 0) for call in CALLS]
    assert sum(fate.lost for fate in fates) == pytest.approx(400, abs=60)
    sent = [fate for fate in fates if not fate.lost]
    assert sum(len(fate.delays) == 2 for fate in sent) == pytest.approx(1800, abs=120)
    assert sum(fate.reordered for fate in sent) == pytest.approx(1800, abs=120)
    # The second copy's delay is its own.
    assert any(fate.delays[0] == 0 < fate.delays[-1] for fate in sent)
    delays = [delay for fate in sent for delay in fate.delays if delay]
    assert 0 < min(delays) < 2
    assert 118 < max(delays) <= 120


def test_nothing_is_done_when_nothing_is_asked_for() -> None:
    none = Faults()
    assert {post_fault(none, 1, call) for call in CALLS} == {None}
    assert {stream_fate(none, 1, call, 1) for call in CALLS} == {None}
    assert {callback_fate(none, 1, call).delays for call in CALLS} == {(0.0,)}


def test_each_stream_of_a_call_has_its_own_fate() -> None:
    faults = Faults(stream_cut=0.5, stream_cut_seconds=3)
    fates = [stream_fate(faults, 1, "+12125550100/0", number) for number in range(50)]
    assert 10 < sum(fate is None for fate in fates) < 40
    assert all(fate is None or 0 <= fate.seconds <= 3 for fate in fates)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"faults": {"callback_lots": 1}}, "known: action_doubled, callback_delay"),
        ({"faults": {"callback_lost": 1.5}}, "faults.callback_lost is a number from 0 to 1"),
        ({"faults": {"callback_lost": True}}, "faults.callback_lost"),
        ({"faults": {"callback_lost": "0.1"}}, "faults.callback_lost"),
        ({"faults": {"callback_lost": float("nan")}}, "faults.callback_lost"),
        ({"faults": {"callback_delay_seconds": 4000}}, "from 0 to 3600"),
        ({"faults": {"post_429": 0.6, "post_dropped": 0.6}}, "may be 1 in all, not 1.2"),
        ({"faults": [1]}, "faults is an object"),
        ({"talk_seconds": [3, 1]}, "talk_seconds is [least, most]"),
        ({"talk_seconds": 3}, "talk_seconds is [least, most]"),
        ({"audio": 0}, "audio is true or false"),
        ({"seed": "x"}, "seed is a whole number"),
        ({"after_refused_stream": "dance"}, "continue, hangup, action"),
        ({"longest_ring_seconds": -1}, "longest_ring_seconds"),
        ({"calls_per_second": 0}, "above 0"),
        ({"calls_per_second": float("nan")}, "above 0"),
    ],
)
def test_settings_that_do_not_fit_are_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what counts
        NetworkSettings().changed(values)
    assert said in str(caught.value)


def test_settings_are_changed_one_by_one_and_faults_ended_by_null() -> None:
    settings = NetworkSettings().changed({"faults": {"callback_lost": 0.5}, "seed": 9})
    settings = settings.changed({"faults": {"post_429": 0.25}})
    assert (settings.seed, settings.faults.callback_lost, settings.faults.post_429) == (
        9,
        0.5,
        0.25,
    )
    assert settings.changed({"faults": None}).faults == Faults()


def test_the_busiest_stretch_leaves_out_what_is_just_as_long_away() -> None:
    assert busiest([], 1.0) == 0
    assert busiest([0.0, 0.5, 0.99, 1.0, 1.2], 1.0) == 4
    assert busiest([number / 4 for number in range(100)], 1.0) == 4
    assert busiest([number / 4 for number in range(100)], 10.0) == 40


def test_a_pace_is_compared_with_its_limit_once_a_minute_has_passed() -> None:
    steady = array("d", [number * 0.25 for number in range(400)])
    seen = pacing(steady, 4.0)
    assert (seen["worst_second"], seen["worst_10_seconds"], seen["best_minute"]) == (4, 40, 240)
    assert seen["minute_share"] == 1.0
    assert pacing(steady[:100], 4.0)["minute_share"] is None
    assert pacing([], 4.0)["posts"] == 0


def test_the_id_is_the_last_one_in_a_path() -> None:
    tenant = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
    assert named_in([f"https://a.test/t/{tenant}/voice/{ATTEMPT.upper()}?x={OTHER}"]) == ATTEMPT
    assert named_in(["https://a.test/voice", f"https://a.test/status/{OTHER}#rc=3"]) == OTHER
    assert named_in([f"https://a.test/voice?call={ATTEMPT}"]) is None


class Posts:
    """POSTs of calls to a ledger."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def post(self, to: str, name: str, result: str | int = "accepted") -> Call:
        request = CallRequest(to, "+15005550006", None, "<Response/>")
        call = Call("AC", request, who_answers(to, 0))
        form = {"To": to, "From": request.caller, "Url": f"https://a.test/voice/{name}"}
        self.ledger.posted(form, result, call if result == "accepted" else None)
        return call

    def end(self, call: Call) -> None:
        call.end(End("completed", "person", 200))
        self.ledger.ended(call)


def test_a_double_dial_is_one_id_posted_again_or_two_calls_at_one_number() -> None:
    posts = Posts()
    first = posts.post("+12125550100", ATTEMPT)
    posts.end(first)
    assert posts.ledger.tally.summary()["double_dials"] == 0
    again = posts.post("+12125550100", ATTEMPT)  # the same attempt, though the first is over
    beside = posts.post("+12125550100", OTHER)  # another, while it lives
    posts.post("+12125550101", OTHER, 20429)  # refused, and the same attempt as before
    summary = posts.ledger.tally.summary()
    assert summary["double_dials"] == 3
    assert summary["examples"]["repeated_ids"] == {ATTEMPT: 2, OTHER: 2}
    assert summary["examples"]["overlapping_calls"] == [[again.sid, beside.sid]]
    assert posts.ledger.content()["overlapping"] == [[again.sid, beside.sid]]
    assert summary["results"] == {"accepted": 3, "20429": 1}
    assert (summary["live"], summary["ended"]) == (2, {"completed": 1})


def test_a_dial_that_is_both_is_counted_once() -> None:
    posts = Posts()
    posts.post("+12125550100", ATTEMPT)
    posts.post("+12125550100", ATTEMPT)
    assert posts.ledger.tally.summary()["double_dials"] == 1


def test_a_cleared_ledger_still_knows_who_is_on_the_line() -> None:
    posts = Posts()
    posts.end(posts.post("+12125550101", OTHER))
    lives = posts.post("+12125550100", ATTEMPT)
    posts.ledger.clear()
    assert [call["sid"] for call in posts.ledger.content()["calls"]] == [lives.sid]
    assert posts.ledger.posts_to("+12125550101") == 0
    posts.post("+12125550100", OTHER)
    assert posts.ledger.tally.summary()["double_dials"] == 1


def test_verdicts_follow_from_who_answers() -> None:
    def verdicts(ending: str) -> tuple[str, str]:
        person = who_answers("+121255501" + ending, 1)
        return (
            scripted_verdict(person, message_end=True),
            scripted_verdict(person, message_end=False),
        )

    assert verdicts("00") == ("human", "human")
    assert verdicts("04") == ("machine_end_beep", "machine_start")
    assert verdicts("06") == ("fax", "fax")
    assert verdicts("11") == ("unknown", "unknown")
    assert all(verdicts(ending) for ending in TABLE)


def test_a_machine_that_does_not_record_ends_without_a_beep() -> None:
    class Full:
        key = "full"
        answer = Answer("machine")
        records = False

    assert scripted_verdict(Full(), message_end=True) == "machine_end_other"  # type: ignore[arg-type]
