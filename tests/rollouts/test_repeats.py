"""Repeated rollouts are told from honest repeats: by enumeration, by simulation, and collecting from bad engines."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hashed_policy import SAMPLING, VERSION, problems, verify, writer
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.policies import Completion, Draw, Draws, SamplingParams, StopReason, open_policy
from s2l_lab.problems import Problem
from s2l_lab.problems.benchmarks import load_benchmark
from s2l_lab.rollouts import Origin, Progress, RolloutStore, collect, verify_with
from s2l_lab.rollouts.repeats import (
    BLOCKS,
    COPIES,
    DOUBT,
    EQUAL,
    LIKELIHOOD,
    LONG,
    Contents,
    RepeatedRolloutsError,
    _Copies,
    contents_of,
    doubt,
    fault,
    two_differ,
)
from s2l_lab.verifiers import VerifierPool, verifier_version

NAN = math.nan
Pick = Callable[[int, int], int]
"""(problem, sample index) to the number of the completion."""


def contents(
    drawn_PN: Sequence[Sequence[int]], *, length: int = 5, logprob: Callable[[int, int], float] = lambda _p, _c: NAN
) -> Contents:
    """Completions by number, problem by problem."""
    rows = [(p, i, c) for p, drawn_N in enumerate(drawn_PN) for i, c in enumerate(drawn_N)]
    return Contents(
        problem=np.array([p for p, _, _ in rows], dtype=np.uint64),
        index=np.array([i for _, i, _ in rows], dtype=np.int64),
        content=np.array([c for _, _, c in rows], dtype=np.uint64),
        length=np.full(len(rows), length, dtype=np.int64),
        logprob=np.array([logprob(p, c) for p, _, c in rows], dtype=np.float64),
    )


# What honest draws do.


def laws(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Laws of one problem's completions: sure, two-sided, flat over few and many, long-tailed, random."""
    yield np.array([1.0])
    yield np.array([0.5, 0.5])
    yield np.array([0.97, 0.02, 0.01])
    for size in (3, 8, 32, 45, 128, 2000):
        yield np.full(size, 1 / size)
    for power in (0.7, 1.0, 2.0):
        weights = np.arange(1.0, 500) ** -power
        yield weights / weights.sum()
    for concentration in (0.02, 0.3):
        yield rng.dirichlet(np.full(60, concentration))


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("length", [5, 200])
@pytest.mark.parametrize("runs", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_honest_draws_are_never_refused_whatever_their_law(known: bool, length: int, runs: int) -> None:
    """Runs of every shape. Long completions of a policy that is sure of itself are judged where log-probabilities say
    how sure it is."""
    rng = np.random.default_rng(0)
    for n, p in ((2, 40), (4, 10), (8, 3), (16, 5), (64, 1), (64, 6)):
        for law in itertools.islice(itertools.cycle(laws(rng)), runs):
            if length >= LONG and not known and len(law) < 20:
                continue
            drawn = [rng.choice(len(law), n, p=law) for _ in range(p)]
            table = contents(
                drawn, length=length, logprob=lambda _p, c, law=law: float(np.log(law[c])) if known else NAN
            )
            assert fault(table, p) is None


@pytest.mark.parametrize(
    "law", [[1.0], [0.5, 0.5], [1 / 3] * 3, [0.25] * 4, [0.2] * 5, [0.6, 0.2, 0.2], [0.4, 0.4, 0.1, 0.1]]
)
@pytest.mark.parametrize("n", [4, 5, pytest.param(6, marks=pytest.mark.slow)])
def test_the_bits_of_copies_are_no_more_than_honest_chance(law: list[float], n: int) -> None:
    """Every sequence of n draws, weighed by its probability: b bits or more have probability 2^-b at most."""
    scored = [
        (_Copies.of(contents([drawn])).equal_copies(), math.prod(law[c] for c in drawn))
        for drawn in itertools.product(range(len(law)), repeat=n)
    ]
    assert sum(weight for _, weight in scored) == pytest.approx(1)
    for bits in {score for score, _ in scored if score > 0}:
        assert sum(weight for score, weight in scored if score >= bits) <= 2.0**-bits
    # Without the price of choosing among multiples, and for even numbers alone, the law itself:
    for different in range(2, len(law) + 1):
        even = sum(
            math.prod(law[c] for c in drawn)
            for drawn in itertools.product(range(len(law)), repeat=n)
            if len(set(drawn)) >= different and all(drawn.count(c) % 2 == 0 for c in drawn)
        )
        assert even <= 2.0 ** (1 - different)


@pytest.mark.parametrize("drawn", [[0, 0, 1, 1, 2, 3], [0, 0, 1, 1, 2, 2], [0, 0, 1, 2, 3, 4], [0, 0, 0, 1, 2, 2]])
def test_the_bits_of_blocks_are_no_more_than_chance_over_all_orders(drawn: list[int]) -> None:
    orders = list(itertools.permutations(drawn))
    scores = np.array([_Copies.of(contents([order])).blocks() for order in orders])
    for bits in np.unique(scores[scores > 0]):
        assert (scores >= bits).mean() <= 2.0**-bits


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=9), min_size=1, max_size=4), st.randoms())
def test_the_order_of_rows_and_the_names_of_completions_do_not_matter(drawn: list[list[int]], random: object) -> None:
    table = contents(drawn, length=LONG)
    order = np.random.default_rng(len(drawn)).permutation(len(table.index))
    moved = table.of(order)
    renamed = Contents(moved.problem + 7, moved.index, moved.content * 3 + 1, moved.length, moved.logprob)
    assert fault(table, len(drawn)) == fault(renamed, len(drawn))
    assert two_differ(table) == any(len(set(one)) > 1 for one in drawn)


def test_nothing_is_no_fault() -> None:
    assert fault(contents([]), 3) is None
    assert doubt(contents([])) is None
    assert not two_differ(contents([]))


# What repeated draws do.

TWICE: dict[str, Callable[[int, int], int]] = {
    "the second half repeats the first": lambda i, n: i % (n // 2),
    "neighbours": lambda i, n: i // 2,
    "mirrored": lambda i, n: min(i, n - 1 - i),
    "four times": lambda i, n: i % (n // 4),
}


@pytest.mark.parametrize("how", TWICE)
@pytest.mark.parametrize(("n", "p"), [(64, 1), (64, 10), (16, 8)])
def test_rollouts_that_are_half_as_many_twice_are_refused_without_log_probabilities(how: str, n: int, p: int) -> None:
    drawn = [[TWICE[how](i, n) for i in range(n)]] * p
    if how == "four times":
        drawn = drawn * 3  # a quarter of the completions, a quarter of the bits
    assert fault(contents(drawn), len(drawn)) == COPIES


@pytest.mark.parametrize("how", TWICE)
@pytest.mark.parametrize(("n", "p"), [(8, 2), (16, 1)])
def test_log_probabilities_tell_it_from_few(how: str, n: int, p: int) -> None:
    drawn = [[TWICE[how](i, n) for i in range(n)]] * p
    assert fault(contents(drawn, logprob=lambda _p, _c: -12.0), p) == LIKELIHOOD
    assert fault(contents([range(n)] * p, logprob=lambda _p, _c: -12.0), p) is None


@pytest.mark.parametrize(("n", "p"), [(8, 4), (16, 2)])
def test_long_copies_are_refused_sooner_than_short_ones(n: int, p: int) -> None:
    drawn = [[i // 2 for i in range(n)]] * p
    assert fault(contents(drawn, length=LONG), p) == COPIES
    assert fault(contents(drawn, length=LONG - 1), p) is None


def test_a_multiple_of_three_is_found_and_half_of_the_problems_are_enough() -> None:
    three = [[i // 3 for i in range(48)]] * 3
    assert fault(contents(three), 3) == COPIES
    honest = [[*range(40), *range(24)], list(range(64)), [*range(63), 0]]
    doubled = [[i // 2 for i in range(64)]] * 3
    assert fault(contents(honest + doubled), 6) == COPIES
    assert fault(contents(honest), 3) is None or fault(contents(honest), 3) == BLOCKS


@pytest.mark.parametrize("n", [32, 64])
def test_copies_of_which_a_few_are_lost_or_went_elsewhere_are_still_found(n: int) -> None:
    """As where many requests are under way, and a pair falls to two problems or one answer was tried again."""
    drawn = [[i // 2 for i in range(n)] for _ in range(8)]
    for problem, one in enumerate(drawn):
        one[5 * problem % n] = 1000
        one[(7 * problem + 3) % n] = 2000
    assert fault(contents(drawn), 8) == COPIES


@pytest.mark.parametrize("more", [16, 32])
def test_a_top_up_that_begins_its_random_numbers_again_is_refused(more: int) -> None:
    """64 rollouts, then more that repeat the first of them, in any order."""
    rng = np.random.default_rng(1)
    drawn = [[*range(64), *rng.permutation(more)] for _ in range(5)]
    assert fault(contents(drawn), 5) == BLOCKS


def test_a_long_completion_counts_though_its_probability_is_no_number() -> None:
    drawn = [[0, 1, 2, 0]]
    assert fault(contents(drawn, length=5000, logprob=lambda _p, _c: -9000.0), 1) == LIKELIHOOD


def test_one_text_a_problem_is_refused_where_it_is_long_and_nothing_says_that_it_is_likely() -> None:
    same = [[0] * 16] * 4
    assert fault(contents(same, length=LONG), 4) == EQUAL
    assert fault(contents(same, length=LONG - 1), 4) is None
    assert fault(contents(same, length=LONG, logprob=lambda _p, _c: -0.001), 4) is None
    assert fault(contents(same, length=LONG, logprob=lambda _p, _c: -20.0), 4) == LIKELIHOOD
    assert fault(contents([*same, [0, 1, 0, 0]], length=LONG), 5) is None
    # In the middle of a run one problem alone does not decide, at its end it does.
    assert fault(contents(same[:1], length=LONG), 4) is None
    assert fault(contents(same[:1], length=LONG), 1) == EQUAL


def test_long_repeats_that_nothing_explains_are_remarked_and_not_refused() -> None:
    drawn = [[0, 0, 0, 1, 0, 2, 0, 0], [5, 5, 5, 5, 5, 5, 6, 5]]
    assert fault(contents(drawn, length=LONG), 2) is None
    assert doubt(contents(drawn, length=LONG)) == DOUBT
    assert doubt(contents(drawn, length=LONG - 1)) is None
    assert doubt(contents(drawn, length=LONG, logprob=lambda _p, _c: -0.1)) is None


# Collecting.

WORDS = " ".join(["so"] * 24)


@dataclass(frozen=True)
class Engine:
    """Gives the text that `pick` says, with or without token ids and log-probabilities."""

    pick: Pick
    words: str = WORDS
    name: str = "engine"
    digest: str = "0123"
    engine: str = "endpoint"
    shape: None = None
    asked: list[int] = field(default_factory=list)

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        for request in requests:
            for index in request.indices:
                self.asked.append(index)
                text = f"{request.problem.answer} {self.words} {self.pick(int(request.problem.answer), index)}"
                yield Draw(
                    request.problem.id,
                    index,
                    Completion(text, None, None, None, None, StopReason.EOS, 0, counted_tokens=len(text.split())),
                )

    def prompt(self, problem: Problem) -> str:
        return problem.prompt

    def close(self) -> None:
        """Nothing to free."""


def gather(path: Path, engine: Engine, n: int = 16, sampling: SamplingParams = SAMPLING, **options: object) -> Progress:
    options = {"verify": verify, "verifier_version": VERSION, **options}
    with writer(path) as store:
        return collect(store, engine, problems(6), n, sampling, **options)  # type: ignore[arg-type]


def stored(path: Path) -> int:
    with RolloutStore(path) as store:
        return store.sizes()[0]


def test_an_engine_that_ignores_seeds_is_stopped_at_its_first_batch_and_what_it_gave_is_kept(tmp_path: Path) -> None:
    deaf = Engine(lambda _problem, _index: 0)
    with pytest.raises(RepeatedRolloutsError, match=rf"engine: {EQUAL}.*--fresh.*--accept-repeats"):
        gather(tmp_path / "run", deaf, n=200, flush_rollouts=100)
    assert 0 < stored(tmp_path / "run") < 1200
    deaf.asked.clear()
    with pytest.raises(RepeatedRolloutsError, match=EQUAL):  # at once: what is stored is looked at first
        gather(tmp_path / "run", deaf, n=200)
    assert deaf.asked == []


def test_what_was_accepted_is_remarked_and_need_not_be_accepted_again(tmp_path: Path) -> None:
    deaf = Engine(lambda _problem, _index: 0)
    origin = Origin.of(deaf, SAMPLING)
    gather(tmp_path / "run", deaf, accept_repeats=True)
    assert stored(tmp_path / "run") == 96
    gather(tmp_path / "run", deaf, n=16)
    with RolloutStore(tmp_path / "run") as store:
        assert store.remarks(origin) == (f"repeats were accepted: {EQUAL}",)


@pytest.mark.parametrize(
    "how", ["neighbours", *(pytest.param(h, marks=pytest.mark.slow) for h in TWICE if h != "neighbours")]
)
def test_an_engine_that_gives_every_text_twice_is_refused_at_the_end(tmp_path: Path, how: str) -> None:
    """Its first batch, of ten rollouts, shows nothing."""
    with pytest.raises(RepeatedRolloutsError, match=COPIES):
        gather(tmp_path / "run", Engine(lambda problem, index: TWICE[how](index, 64)), n=64, flush_rollouts=10)
    assert stored(tmp_path / "run") == 384


def test_greedy_decoding_and_short_answers_may_repeat(tmp_path: Path) -> None:
    deaf = Engine(lambda _problem, _index: 0)
    gather(tmp_path / "greedy", deaf, sampling=SamplingParams(temperature=0))
    gather(tmp_path / "first", deaf, sampling=SamplingParams(top_k=1))
    short = Engine(lambda problem, index: (problem + index * index) % 3, words="")
    gather(tmp_path / "short", short, n=64)
    with RolloutStore(tmp_path / "short") as store:
        found = store.distinct(Origin.of(short, SAMPLING), [p.id for p in problems(6)], 64)
    assert found.rollouts_P.tolist() == [64] * 6
    assert found.texts_P.tolist() == found.draws_P.tolist() == [2] * 6


def test_texts_are_told_from_the_ways_to_write_them(tmp_path: Path) -> None:
    item, origin = problems(1)[0], Origin("p", "d", "s")
    ids = [[1, 2], [1, 2], [3], [1, 2]]
    ends = [StopReason.EOS, StopReason.EOS, StopReason.EOS, StopReason.LENGTH]
    draws = [
        Draw(item.id, i, Completion("12", np.array(one, np.int32), None, None, None, end, 1))
        for i, (one, end) in enumerate(zip(ids, ends, strict=True))
    ]
    with writer(tmp_path / "run") as store:
        store.append(draws, origin)
        found = store.distinct(origin, [item.id, "none"])
    assert (found.rollouts_P.tolist(), found.texts_P.tolist(), found.draws_P.tolist()) == ([4, 0], [1, 0], [3, 0])


@pytest.mark.parametrize("temperature", [pytest.param(1.0, marks=pytest.mark.slow), 0.3])
def test_the_embedded_family_is_never_refused(tmp_path: Path, temperature: float) -> None:
    """A real sampler with log-probabilities; at T .3 many of its completions repeat."""
    benchmark = load_benchmark("countdown", n=6)
    sampling = SamplingParams(temperature=temperature, max_tokens=160)
    policy = open_policy("tiny-60k")
    origin, ids = Origin.of(policy, sampling), [problem.id for problem in benchmark.problems]
    version = verifier_version("countdown")
    with VerifierPool() as pool, writer(tmp_path / "run") as store:
        collect(store, policy, benchmark.problems, 48, sampling, verify=verify_with(pool), verifier_version=version)
        seen = store.contents(origin, ids)
        assert store.remarks(origin) == ()
        assert np.isfinite(seen.logprob).all()
        if temperature < 1:
            assert store.distinct(origin, ids).texts_P.min() < 48
        # The very rollouts, half of them told twice, would be refused.
        first = seen.index < 24
        twice = [np.concatenate([x[first], x[first]]) for x in (seen.problem, seen.content, seen.length, seen.logprob)]
        again = np.concatenate([seen.index[first], seen.index[first] + 24])
        assert fault(Contents(twice[0], again, twice[1], twice[2], twice[3]), 6) == LIKELIHOOD


def test_contents_are_the_same_before_and_after_they_are_stored(tmp_path: Path) -> None:
    item, rng = problems(1)[0], np.random.default_rng(0)
    draws = []
    for index in range(48):
        n, known = int(rng.integers(1, 4)), index % 3 > 0
        text = "x" * int(rng.choice([0, 9 * n, 40 * n]))
        ids = rng.integers(0, 2, n).astype(np.int32) if known else None
        logprobs = -rng.random(n).astype(np.float32) if known else None
        done = Completion(text, ids, logprobs, None, None, StopReason.EOS, 1, None if known else n)
        draws.append(Draw(item.id, index, done))
    with writer(tmp_path / "run") as store:
        store.append(draws, Origin("p", "d", "s"))
        read = store.contents(Origin("p", "d", "s"), [item.id])
    made, order = contents_of(draws), np.argsort(read.index)
    np.testing.assert_array_equal(read.index[order], made.index)
    np.testing.assert_array_equal(read.length[order], made.length)
    np.testing.assert_allclose(read.logprob[order], made.logprob, rtol=1e-6)
    stored_again = read.content[order]
    np.testing.assert_array_equal(
        stored_again[:, None] == stored_again[None], made.content[:, None] == made.content[None]
    )
    assert 1 < len(np.unique(made.content)) < 48
