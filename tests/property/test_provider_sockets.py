"""Sockets to Deepgram: live calls first, whatever rings, moves or ends in between."""

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial_media.provider_sockets import OF_A_CALL, ProviderSockets

pytestmark = pytest.mark.prop

CALLS = [uuid5(UUID(int=0), str(number)) for number in range(12)]
STEPS = st.lists(
    st.tuples(st.sampled_from(["ring", "answer", "give up", "hang up"]), st.sampled_from(CALLS)),
    max_size=80,
)


@given(limit=st.integers(2, 30), slots=st.integers(1, 20), steps=STEPS)
def test_live_calls_have_their_sockets_and_the_limit_holds(
    limit: int, slots: int, steps: list[tuple[str, UUID]]
) -> None:
    sockets = ProviderSockets(limit)
    live: set[UUID] = set()
    ringing: set[UUID] = set()
    for step, call in steps:
        if step == "ring" and call not in live | ringing:
            before = sockets.taken
            if sockets.prepare(call, OF_A_CALL):
                ringing.add(call)
                assert before + OF_A_CALL + sockets.reserve <= limit
        elif step == "answer" and call not in live and len(live) < sockets.slots(slots):
            evicted = sockets.go_live(call, OF_A_CALL)
            assert live.isdisjoint(evicted)
            assert set(evicted) <= ringing
            live.add(call)
            ringing -= {call, *evicted}
        elif step == "give up":
            sockets.forget_prepared(call)
            ringing.discard(call)
        elif step == "hang up":
            sockets.end(call)
            live.discard(call)
        assert sockets.taken == OF_A_CALL * (len(live) + len(ringing))
        assert sockets.taken <= limit


@given(slots=st.integers(1, 500), rings=st.integers(0, 40))
def test_without_a_limit_everybody_connects_ahead(slots: int, rings: int) -> None:
    sockets = ProviderSockets(0)
    assert sockets.slots(slots) == slots
    assert all(sockets.prepare(uuid5(UUID(int=1), str(n)), OF_A_CALL) for n in range(rings))
    assert sockets.go_live(CALLS[0], OF_A_CALL) == []


def test_a_reserve_stays_for_calls_that_come_unprepared() -> None:
    sockets = ProviderSockets(40)
    prepared = [call for call in CALLS if sockets.prepare(call, OF_A_CALL)]
    more = [uuid5(UUID(int=2), str(n)) for n in range(20)]
    prepared += [call for call in more if sockets.prepare(call, OF_A_CALL)]
    assert len(prepared) == 18
    assert sockets.taken == 36
    assert sockets.go_live(uuid5(UUID(int=3), "moved"), OF_A_CALL) == []
    assert sockets.go_live(uuid5(UUID(int=3), "moved too"), OF_A_CALL) == []
    assert sockets.go_live(uuid5(UUID(int=3), "and one more"), OF_A_CALL) == [prepared[-1]]
