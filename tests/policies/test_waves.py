"""The queue of a refilled batch gives everything out once, within its room, and keeps a problem's rollouts together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.policies.waves import Prompted, Queue

FIELDS = (0, "policy", "sampling")
asked = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 12)), max_size=8)


@given(asked=asked, places=st.integers(1, 60), data=st.data())
def test_everything_is_given_out_once_and_within_the_room(
    asked: list[tuple[int, int]], places: int, data: st.DataObject
) -> None:
    """Long prompts leave fewer places. Any number of rollouts finish between one look and the next."""

    def capacity(length: int) -> int:
        return max(1, places // length)

    requests = [Prompted(f"p{i}", (7,) * length, tuple(range(n))) for i, (length, n) in enumerate(asked)]
    queue = Queue(requests, capacity, FIELDS)
    live: list[int] = []  # prompt lengths of the rollouts in flight
    given_out = []
    owed = {r.problem_id: len(r.indices) for r in requests}
    while any(owed.values()):
        wave = queue.take(len(live), max(live, default=0))
        assert wave is not None or live  # an empty batch always takes something
        if wave is not None:
            for p, problem in enumerate(wave.problem_ids):
                part, places_now = int((wave.prompt_W == p).sum()), capacity(max([*live, len(wave.prompts[p])]))
                assert part == owed[problem] or places_now - len(live) == part >= places_now / 2
                owed[problem] -= part
                live += [len(wave.prompts[p])] * part
            given_out += [(wave.problem_ids[p], i) for p, i in zip(wave.prompt_W, wave.indices_W, strict=True)]
            assert len(live) <= capacity(max(live))
        live = live[data.draw(st.integers(1, len(live))) :]
    assert sorted(given_out) == sorted((r.problem_id, i) for r in requests for i in r.indices)
    assert queue.take(0, 0) is None
