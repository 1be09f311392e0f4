"""Threads hand over everything once, stop when they should, and leave PyTorch's setting as it was."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import torch

from s2l_lab.policies.keyed_sampler import wave_threads
from s2l_lab.policies.keyed_sampler.wave_threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator


def count_up(item: int) -> Iterator[tuple[int, int]]:
    for i in range(item):
        yield item, i


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("items", [0, 1, 40])
def test_every_result_once(threads: int, items: int) -> None:
    results = list(side_by_side(iter(range(items)), count_up, threads))
    assert sorted(results) == [(item, i) for item in range(items) for i in range(item)]


def test_a_slow_reader_gets_everything_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wave_threads, "_WAITING", 1)
    monkeypatch.setattr(wave_threads, "_PATIENCE", 1e-3)
    assert len(list(side_by_side(iter(range(20)), count_up, 2))) == 190


def test_workers_have_one_torch_thread_and_the_caller_keeps_its_own() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = set(side_by_side(iter(range(8)), lambda _: iter([torch.get_num_threads()]), 2))
        assert seen == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_an_exception_stops_all_and_is_raised() -> None:
    taken = []

    def work(item: int) -> Iterator[int]:
        taken.append(item)
        yield item
        if item == 5:
            raise ValueError("five")

    running = threading.active_count()
    with pytest.raises(ValueError, match="five"):
        list(side_by_side(iter(range(10**9)), work, 2))
    assert threading.active_count() == running
    assert len(taken) < 10**6


def test_a_reader_who_leaves_stops_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wave_threads, "_WAITING", 2)
    running = threading.active_count()
    results = side_by_side(iter(range(1, 10**9)), count_up, 2)
    next(results)
    assert threading.active_count() == running + 2
    results.close()  # type: ignore[attr-defined]  # a generator, as every caller's is
    assert threading.active_count() == running
