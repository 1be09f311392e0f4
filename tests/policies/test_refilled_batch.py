"""One batch of mixed lengths, refilled as rollouts finish, draws what every problem draws alone, but for rounding."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sampler_cases import ARCHITECTURES, INCONSISTENT, model, tokenizer
from transformers import Qwen3ForCausalLM
from warping_reference import probabilities

from s2l_lab.errors import PolicyError
from s2l_lab.policies import Completion, SamplingParams, StopReason
from s2l_lab.policies.draw_keys import rollout_keys, uniforms
from s2l_lab.policies.keyed_sampler import decoding
from s2l_lab.policies.keyed_sampler.sampler import Sampler
from s2l_lab.policies.waves import Prompted

DIGITS = "0123456789"
SPELL = tokenizer(DIGITS)
ROUNDING = 1e-5
NAMES = [name for name in ARCHITECTURES if name != INCONSISTENT]
SUBJECTS = {name: model(DIGITS, name, peak=0.8) for name in NAMES}
PLAIN = SamplingParams(max_tokens=24, stop=("77", "31"))
WARPED = SamplingParams(max_tokens=20, temperature=0.8, top_p=0.95, presence_penalty=0.4)
Drawn = dict[tuple[str, int], Completion]


def prompt(seed: int, length: int) -> tuple[int, ...]:
    return tuple(5 + (seed * 7 + j * j) % 10 for j in range(length))


MIXED = [Prompted(f"p{i}", prompt(i, 2 + (5 * i) % 13), tuple(range(3 + i % 6))) for i in range(9)]


def sampler(name: str, rows: int | None = None, **options: Any) -> Sampler:
    """Not exact; a batch holds about `rows` rollouts of the longest prompts."""
    made = Sampler(SUBJECTS[name], SPELL, name, exact=False, **options)
    if rows is not None:
        row_bytes, token_bytes = made._cache_bytes
        made._budget = rows * (row_bytes + 2 * token_bytes * 40 + 40 * 15)
    return made


def run(subject: Sampler, requests: list[Prompted], sampling: SamplingParams) -> Drawn:
    drawn: Drawn = {}
    for draw in subject.sample(requests, sampling, "policy"):
        assert (draw.problem_id, draw.index) not in drawn
        drawn[draw.problem_id, draw.index] = draw.completion
    assert drawn.keys() == {(r.problem_id, i) for r in requests for i in r.indices}
    return drawn


@torch.inference_mode()
def law(name: str, prompt_ids: tuple[int, ...], ids: list[int], sampling: SamplingParams) -> np.ndarray:
    """(T, V) probabilities of every token, from one pass without a cache and the definition of the distribution."""
    logits = SUBJECTS[name](input_ids=torch.tensor([[*prompt_ids, *ids]]), use_cache=False).logits[0]
    rows = logits[len(prompt_ids) - 1 : -1].double().tolist()
    return np.array([probabilities(row, sampling, set(ids[:t])) for t, row in enumerate(rows)])


def assert_the_same(name: str, requests: list[Prompted], ours: Drawn, alone: Drawn, sampling: SamplingParams) -> None:
    """Log-probabilities are those of a plain pass. Where tokens part, the uniform lies on the edge between the two."""
    for request in requests:
        keys = rollout_keys(sampling.seed, "policy", sampling.digest, request.problem_id, request.indices)
        for key, index in zip(keys, request.indices, strict=True):
            mine, theirs = ours[request.problem_id, index], alone[request.problem_id, index]
            ids = mine.token_ids.tolist()
            p_TV = law(name, request.prompt_ids, ids, sampling)
            np.testing.assert_allclose(mine.logprobs, np.log(p_TV[range(len(ids)), ids]), atol=ROUNDING)
            assert mine.prompt_tokens == len(request.prompt_ids)
            if ids == theirs.token_ids.tolist():
                assert (mine.text, mine.stop_reason) == (theirs.text, theirs.stop_reason)
                continue
            t = next(t for t, (a, b) in enumerate(zip(ids, theirs.token_ids.tolist(), strict=False)) if a != b)
            edges = p_TV[t].cumsum()
            assert abs(edges - uniforms(key[None], t)[0]).min() < ROUNDING


@pytest.mark.parametrize("sampling", [PLAIN, WARPED], ids=["plain", "warped"])
@pytest.mark.parametrize("name", NAMES)
def test_a_refilled_batch_draws_what_every_problem_draws_alone(name: str, sampling: SamplingParams) -> None:
    """Full, sliding-window, linear and convolutional attention; prompts shorter and longer than those in flight."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no architecture here falls back to waves
        ours = run(sampler(name, rows=7), MIXED, sampling)
    exact = Sampler(SUBJECTS[name], SPELL, name, exact=True)
    alone = {key: c for request in MIXED for key, c in run(exact, [request], sampling).items()}
    assert_the_same(name, MIXED, ours, alone, sampling)


def test_the_case_is_rich() -> None:
    """Else the test above would show little."""
    drawn = run(sampler(NAMES[0], rows=7), MIXED, PLAIN)
    reasons = Counter(c.stop_reason for c in drawn.values())
    assert min(reasons[r] for r in StopReason) >= 3


requests = st.lists(
    st.tuples(st.integers(1, 20), st.sets(st.integers(0, 12), min_size=1, max_size=6)), min_size=1, max_size=7
)


@given(asked=requests, name=st.sampled_from(NAMES), rows=st.integers(1, 12), data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_requests_in_any_order_and_batch_draw_the_same(
    asked: list[tuple[int, set[int]]], name: str, rows: int, data: st.DataObject
) -> None:
    """Whatever is asked for together, in whatever order, resumed at any point, in a batch of any size."""
    wanted = [Prompted(f"q{i}", prompt(i, n), tuple(sorted(found))) for i, (n, found) in enumerate(asked)]
    alone = run(sampler(name), wanted, PLAIN)
    assert_the_same(name, wanted, alone, alone, PLAIN)
    shuffled = data.draw(st.permutations(wanted))
    owed = [Prompted(r.problem_id, r.prompt_ids, r.indices[data.draw(st.integers(0, 2)) :]) for r in shuffled]
    owed = [r for r in owed if r.indices]
    assert_the_same(name, owed, run(sampler(name, rows, merge=data.draw(st.booleans())), owed, PLAIN), alone, PLAIN)


@pytest.mark.parametrize("sampling", [PLAIN, WARPED], ids=["plain", "warped"])
@pytest.mark.parametrize("entries", [15, 50])
def test_rows_shaped_a_few_at_a_time_draw_the_same_to_the_bit(
    sampling: SamplingParams, entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row or three of this vocabulary, as a vocabulary of many thousands has it."""
    whole = run(sampler(NAMES[0]), MIXED, sampling)
    monkeypatch.setattr(decoding, "_BLOCK_ENTRIES", entries)
    for key, completion in run(sampler(NAMES[0]), MIXED, sampling).items():
        for name in ("token_ids", "logprobs", "logprobs_t1", "entropies"):
            ours, theirs = getattr(completion, name), getattr(whole[key], name)
            assert ours is theirs is None or np.array_equal(ours, theirs)


def test_the_context_cuts_every_completion_at_its_own_length() -> None:
    subject = model(DIGITS, peak=0.0, max_position_embeddings=20)
    asked = [Prompted(f"p{n}", prompt(0, n), (0, 1, 2)) for n in (4, 9, 15)]
    drawn = run(Sampler(subject, SPELL, "m", exact=False), asked, SamplingParams())
    for (problem, _), completion in drawn.items():
        room = 20 - int(problem[1:])
        assert len(completion.token_ids) <= room
        assert (len(completion.token_ids) == room) or completion.stop_reason is StopReason.EOS
    assert any(c.stop_reason is StopReason.LENGTH for c in drawn.values())


class Watch:
    """Rows and tokens of every pass of a model."""

    def __init__(self, subject: Any) -> None:
        self.shapes: list[tuple[int, int]] = []
        self.handle = subject.register_forward_pre_hook(self._note, with_kwargs=True)

    def _note(self, _module: Any, _args: Any, kwargs: Any) -> None:
        assert torch.is_inference_mode_enabled()
        self.shapes.append(tuple(kwargs["input_ids"].shape))


def watched(name: str, subject: Sampler, asked: list[Prompted], sampling: SamplingParams) -> list[tuple[int, int]]:
    """Shapes of the passes of a run, those that try the cache left out."""
    run(subject, asked[:1], sampling.model_copy(update={"max_tokens": 1}))
    watch = Watch(SUBJECTS[name])
    run(subject, asked, sampling)
    watch.handle.remove()
    return watch.shapes


def test_every_prompt_is_read_once_and_unpadded() -> None:
    """However often its request is cut."""
    name = NAMES[0]
    asked = [Prompted(f"p{n}", prompt(n, n), tuple(range(20))) for n in (3, 5, 5, 8)]
    asked[2] = Prompted("other", prompt(1, 5), tuple(range(20)))
    shapes = watched(name, sampler(name, rows=6), asked, PLAIN)
    read = Counter()
    for rows, tokens in shapes:
        if tokens > 1:
            read[tokens] += rows
    assert read == {3: 1, 5: 2, 8: 1}


def test_finished_rows_are_replaced_at_once() -> None:
    """Rows of every step are those of the schedule that starts the next rollout at the step after one has ended."""
    name, rows = NAMES[0], 6
    asked = [Prompted(f"p{i}", prompt(i, 4), (0,)) for i in range(40)]
    subject = sampler(name, rows)
    steps = [r for r, tokens in watched(name, subject, asked, PLAIN) if tokens == 1]
    drawn = run(subject, asked, PLAIN)
    waiting = [len(drawn[r.problem_id, 0].token_ids) for r in asked]
    places = max(steps)
    assert places >= rows
    owed: list[int] = []
    expected = []
    while waiting or owed:
        owed += [waiting.pop(0) for _ in range(min(places - len(owed), len(waiting)))]
        owed = [n - 1 for n in owed if n > 1]
        expected += [len(owed)] * bool(owed)
    assert steps == expected


def test_the_memory_budget_bounds_the_rollouts_in_flight() -> None:
    name = NAMES[0]
    asked = [Prompted(f"p{i}", prompt(i, 4), tuple(range(12))) for i in range(4)]
    subject = sampler(name)
    row_bytes, token_bytes = subject._cache_bytes
    per_row = row_bytes + int(1.5 * token_bytes * 28) + 12 * 15
    subject._budget = 5 * per_row + per_row // 2
    assert max(rows for rows, _ in watched(name, subject, asked, PLAIN)) <= 5


def test_a_model_that_takes_no_positions_keeps_waves_and_says_so() -> None:
    subject = SUBJECTS[NAMES[0]]
    made = Sampler(subject, SPELL, "old", exact=False)
    made._takes = made._takes - {"position_ids"}
    with pytest.warns(UserWarning, match="old: prompts of different lengths .* takes no mask and positions"):
        drawn = run(made, MIXED, PLAIN)
    alone = run(Sampler(subject, SPELL, "old", exact=True), MIXED, PLAIN)
    assert_the_same(NAMES[0], MIXED, drawn, alone, PLAIN)


def test_a_model_that_ignores_positions_keeps_waves_and_says_so() -> None:
    """It takes them, so only a trial can tell."""

    class Deaf(Qwen3ForCausalLM):
        def forward(self, *args: Any, attention_mask: Any = None, position_ids: Any = None, **kwargs: Any) -> Any:
            return super().forward(*args, **kwargs)

    subject = Deaf(SUBJECTS[NAMES[0]].config).eval()
    subject.load_state_dict(SUBJECTS[NAMES[0]].state_dict())
    with pytest.warns(UserWarning, match=r"gives other log-probabilities beside a longer prompt \(by"):
        drawn = run(Sampler(subject, SPELL, "deaf", exact=False), MIXED, PLAIN)
    alone = run(Sampler(SUBJECTS[NAMES[0]], SPELL, "deaf", exact=True), MIXED, PLAIN)
    assert_the_same(NAMES[0], MIXED, drawn, alone, PLAIN)


def test_bits_cannot_be_promised_off_the_cpu() -> None:
    with pytest.raises(PolicyError, match="draws can be promised to the bit on a CPU only, and the model is on meta"):
        Sampler(model(DIGITS).to("meta"), SPELL, "m", exact=True)
