"""The sampler draws from exactly the distribution it says, and a draw depends on its key alone."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from sampler_cases import ARCHITECTURES, EOS, INCONSISTENT, model, tokenizer
from scipy import stats
from warping_reference import probabilities

from s2l_lab.errors import PolicyError
from s2l_lab.policies import Completion, SamplingParams, StopReason
from s2l_lab.policies.keyed_sampler.decoding import ROW_MULTIPLE
from s2l_lab.policies.keyed_sampler.sampler import Sampler
from s2l_lab.policies.waves import Prompted

ABC = "abc"  # a vocabulary of eight
DIGITS = "0123456789"
Drawn = dict[tuple[str, int], Completion]


def run(sampler: Sampler, requests: list[Prompted], sampling: SamplingParams) -> Drawn:
    draws = list(sampler.sample(requests, sampling, "policy"))
    drawn = {(d.problem_id, d.index): d.completion for d in draws}
    assert len(drawn) == len(draws) == sum(len(r.indices) for r in requests)
    return drawn


def assert_equal(a: Drawn, b: Drawn) -> None:
    """Equal to the bit."""
    assert a.keys() <= b.keys()
    for key, ours in a.items():
        theirs = b[key]
        assert (ours.text, ours.stop_reason, ours.prompt_tokens) == (
            theirs.text,
            theirs.stop_reason,
            theirs.prompt_tokens,
        )
        for name in ("token_ids", "logprobs", "logprobs_t1", "entropies"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name)) or getattr(ours, name) is None


@torch.inference_mode()
def plain_logits(subject: Any, prompt: tuple[int, ...], completion: list[int]) -> torch.Tensor:
    """(T, V) logits before every token of the completion: one pass, no cache."""
    logits = subject(input_ids=torch.tensor([[*prompt, *completion]]), use_cache=False).logits[0]
    return logits[len(prompt) - 1 : -1].double()


# The distribution

EVERY_OPTION = [
    SamplingParams(max_tokens=3),
    SamplingParams(max_tokens=3, temperature=0.6),
    SamplingParams(max_tokens=3, temperature=1.7, top_p=0.8),
    SamplingParams(max_tokens=3, top_k=3),
    SamplingParams(max_tokens=3, min_p=0.15),
    SamplingParams(max_tokens=3, presence_penalty=1.5),
    SamplingParams(max_tokens=3, temperature=0.8, top_p=0.9, top_k=6, min_p=0.02, presence_penalty=-1.0),
]


@pytest.fixture(scope="module")
def abc_model() -> Any:
    return model(ABC, peak=0.7)


def enumerate_completions(
    subject: Any, prompt: tuple[int, ...], sampling: SamplingParams
) -> dict[tuple[int, ...], float]:
    """Every completion with its probability, from passes without a cache and the definition of the distribution."""
    law: dict[tuple[int, ...], float] = {}
    vocabulary = subject.config.vocab_size
    with torch.inference_mode():
        texts = {n: list(itertools.product(range(vocabulary), repeat=n)) for n in range(sampling.max_tokens)}
        logits = {
            text: row
            for group in texts.values()
            for text, row in zip(
                group, subject(torch.tensor([[*prompt, *t] for t in group])).logits[:, -1].tolist(), strict=True
            )
        }

    def grow(text: tuple[int, ...], probability: float) -> None:
        if (text and text[-1] == EOS) or len(text) == sampling.max_tokens:
            law[text] = probability
            return
        for token, p in enumerate(probabilities(logits[text], sampling, set(text))):
            if p > 0:
                grow((*text, token), probability * p)

    grow((), 1.0)
    return law


@pytest.mark.parametrize("sampling", EVERY_OPTION, ids=lambda s: str(s.model_dump(exclude_defaults=True)))
def test_completions_have_their_enumerated_probabilities(abc_model: Any, sampling: SamplingParams) -> None:
    prompt, n = (5, 6, 7, 5), 4000
    law = enumerate_completions(abc_model, prompt, sampling)
    assert sum(law.values()) == pytest.approx(1)
    drawn = run(Sampler(abc_model, tokenizer(ABC), "m"), [Prompted("p", prompt, tuple(range(n)))], sampling)
    counts = Counter(tuple(c.token_ids.tolist()) for c in drawn.values())
    assert counts.keys() <= law.keys()
    for completion in drawn.values():
        assert float(completion.logprobs.sum()) == pytest.approx(
            np.log(law[tuple(completion.token_ids.tolist())]), abs=2e-5
        )
    common = [text for text, p in law.items() if n * p >= 5]
    observed = [counts[text] for text in common]
    expected = [n * law[text] for text in common]
    if (rest := n - sum(expected)) > 1e-6:
        observed, expected = [*observed, n - sum(observed)], [*expected, rest]
    assert stats.chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(max_tokens=30),
        SamplingParams(max_tokens=30, temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5),
        SamplingParams(max_tokens=30, temperature=0),
    ],
    ids=["plain", "nothink", "greedy"],
)
@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n != INCONSISTENT])
def test_log_probabilities_equal_a_pass_without_a_cache(name: str, sampling: SamplingParams) -> None:
    """Full, sliding-window, linear and convolutional attention, over branches, drops and more tokens than a window."""
    subject = model(DIGITS, name, peak=0.8)
    requests = [Prompted(f"p{n}", tuple(range(5, 5 + n)), tuple(range(12))) for n in (2, 5, 5)]
    requests[2] = Prompted("q", (9, 9, 8, 7, 6), (3, 1))
    prompts = {r.problem_id: r.prompt_ids for r in requests}
    for (problem, _), completion in run(Sampler(subject, tokenizer(DIGITS), "m"), requests, sampling).items():
        ids = completion.token_ids.tolist()
        logits_TV = plain_logits(subject, prompts[problem], ids)
        expected = [
            np.log(probabilities(row, sampling, set(ids[:t]))[ids[t]]) for t, row in enumerate(logits_TV.tolist())
        ]
        np.testing.assert_allclose(completion.logprobs, expected, atol=1e-5)
        plain = logits_TV.log_softmax(-1)[range(len(ids)), ids]
        given = completion.logprobs if completion.logprobs_t1 is None else completion.logprobs_t1
        np.testing.assert_allclose(given, plain, atol=1e-5)
        assert (completion.logprobs_t1 is None) == (sampling.temperature == 1)


def test_entropies_are_those_before_truncation() -> None:
    subject, prompt = model(DIGITS), (5, 6, 7)
    sampling = SamplingParams(max_tokens=10, temperature=0.7, top_k=2, presence_penalty=1.0)
    for completion in run(Sampler(subject, tokenizer(DIGITS), "m"), [Prompted("p", prompt, (0, 1))], sampling).values():
        ids = completion.token_ids.tolist()
        untruncated = sampling.model_copy(update={"top_k": 0})
        rows = enumerate(plain_logits(subject, prompt, ids).tolist())
        expected = [stats.entropy(probabilities(row, untruncated, set(ids[:t]))) for t, row in rows]
        np.testing.assert_allclose(completion.entropies, expected, atol=2e-3)


def test_greedy_is_generate(abc_model: Any) -> None:
    prompt = (5, 7, 6)
    drawn = run(
        Sampler(abc_model, tokenizer(ABC), "m"),
        [Prompted("p", prompt, (0, 5))],
        SamplingParams(temperature=0, max_tokens=25),
    )
    expected = abc_model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=25)[0, 3:].tolist()
    for completion in drawn.values():
        assert completion.token_ids.tolist() == expected
        assert not completion.logprobs.any()
        assert not completion.entropies.any()


# Independence of everything but the key

PROBLEMS = [
    Prompted(f"p{i}", tuple(5 + (i * 7 + j * j) % 10 for j in range(4 + i % 3)), tuple(range(24))) for i in range(6)
]
MIXED = SamplingParams(max_tokens=24, temperature=0.9, top_p=0.95, presence_penalty=0.4, stop=("77", "31"))


@pytest.fixture(scope="module")
def everything() -> tuple[Any, Drawn]:
    subject = model(DIGITS, peak=0.8)
    return subject, run(Sampler(subject, tokenizer(DIGITS), "m"), PROBLEMS, MIXED)


def test_the_case_is_rich(everything: tuple[Any, Drawn]) -> None:
    """Else the next tests would show little."""
    reasons = Counter(c.stop_reason for c in everything[1].values())
    assert min(reasons[r] for r in StopReason) >= 3
    assert len({c.text for c in everything[1].values()}) > 70


@pytest.mark.parametrize("budget", [1, 200_000])
def test_the_memory_budget_changes_nothing(everything: tuple[Any, Drawn], budget: int) -> None:
    subject, expected = everything
    requests = PROBLEMS[:1] if budget == 1 else PROBLEMS  # a budget of 1 decodes one rollout at a time
    assert_equal(run(Sampler(subject, tokenizer(DIGITS), "m", memory_budget=budget), requests, MIXED), expected)


def test_merging_prefixes_changes_nothing(everything: tuple[Any, Drawn]) -> None:
    subject, expected = everything
    assert_equal(run(Sampler(subject, tokenizer(DIGITS), "m", merge=False), PROBLEMS, MIXED), expected)


@pytest.mark.parametrize("cores", [1, 3])
def test_the_number_of_cores_changes_nothing(everything: tuple[Any, Drawn], cores: int) -> None:
    subject, expected = everything
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        sampler = Sampler(subject, tokenizer(DIGITS), "m", memory_budget=1_000_000)  # several waves
        assert_equal(run(sampler, PROBLEMS, MIXED), expected)
    finally:
        torch.set_num_threads(before)


def test_order_and_company_change_nothing(everything: tuple[Any, Drawn]) -> None:
    """A resumed run asks for what is owed: other problems, other indices, another order."""
    subject, expected = everything
    owed = [Prompted(r.problem_id, r.prompt_ids, r.indices[::-1][i::3]) for i, r in enumerate(PROBLEMS[::-1])]
    assert_equal(run(Sampler(subject, tokenizer(DIGITS), "m"), owed, MIXED), expected)


def test_seed_policy_and_problem_change_everything(everything: tuple[Any, Drawn]) -> None:
    subject, expected = everything
    sampler = Sampler(subject, tokenizer(DIGITS), "m")
    base = [expected["p0", i].text for i in range(24)]
    other_seed = run(sampler, PROBLEMS[:1], MIXED.model_copy(update={"seed": 1}))
    other_name = run(sampler, [Prompted("other", PROBLEMS[0].prompt_ids, PROBLEMS[0].indices)], MIXED)
    other_policy = {d.index: d.completion for d in sampler.sample(PROBLEMS[:1], MIXED, "another policy")}
    for other in (other_seed, other_name, other_policy):
        assert sum(c.text in base for c in other.values()) < 12


class CountRows:
    """Counts the rows of every forward pass, none of which may build a graph."""

    def __init__(self, subject: Any) -> None:
        self.rows: list[int] = []
        self.handle = subject.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, _module: Any, _args: Any, kwargs: Any) -> None:
        assert torch.is_inference_mode_enabled()
        self.rows.append(kwargs["input_ids"].shape[0])


def test_one_forward_per_distinct_prefix(everything: tuple[Any, Drawn]) -> None:
    """Rows per pass are the distinct unfinished texts of the wave, filled up to a multiple of sixteen."""
    subject, expected = everything
    sampler = Sampler(subject, tokenizer(DIGITS), "m")
    requests = [r for r in PROBLEMS if len(r.prompt_ids) == 4]
    counter = CountRows(subject)
    run(sampler, requests, MIXED)
    counter.handle.remove()
    wanted = []
    for t in range(1, MIXED.max_tokens):
        texts = {
            (problem, tuple(c.token_ids[:t].tolist()))
            for (problem, _), c in expected.items()
            if problem in {r.problem_id for r in requests} and len(c.token_ids) > t
        }
        wanted += [-(-len(texts) // ROW_MULTIPLE) * ROW_MULTIPLE] * bool(texts)
    assert counter.rows[3:] == [ROW_MULTIPLE, *wanted]  # three passes try the cache, one is the prefill


# Ends


def test_stop_strings_end_the_text_and_eos_is_no_part_of_it(everything: tuple[Any, Drawn]) -> None:
    spell = tokenizer(DIGITS)
    for completion in everything[1].values():
        ids = completion.token_ids.tolist()
        body = spell.decode(ids, skip_special_tokens=True)
        earlier = spell.decode(ids[:-1], skip_special_tokens=True)
        assert not any(s in earlier for s in MIXED.stop)
        if completion.stop_reason is StopReason.STOP:
            assert completion.text == min((body.split(s)[0] for s in MIXED.stop), key=len) != body
        else:
            assert completion.text == body
            assert (ids[-1] == EOS) == (completion.stop_reason is StopReason.EOS)
            assert completion.stop_reason is StopReason.EOS or len(ids) == MIXED.max_tokens


def test_every_eos_of_the_generation_config_ends_a_completion() -> None:
    subject = model(ABC, peak=0.7)
    subject.generation_config.eos_token_id = [EOS, 6]
    drawn = run(Sampler(subject, tokenizer(ABC), "m"), [Prompted("p", (5, 7), tuple(range(200)))], SamplingParams())
    last = Counter(int(c.token_ids[-1]) for c in drawn.values() if c.stop_reason is StopReason.EOS)
    assert set(last) == {EOS, 6}
    assert all(6 not in c.token_ids[:-1] and "b" not in c.text for c in drawn.values())


def test_the_context_cuts_a_completion() -> None:
    subject = model(ABC, peak=0.7, max_position_embeddings=12)
    drawn = run(Sampler(subject, tokenizer(ABC), "m"), [Prompted("p", (5, 6, 7), tuple(range(50)))], SamplingParams())
    cut = [c for c in drawn.values() if c.stop_reason is StopReason.LENGTH]
    assert cut
    assert {len(c.token_ids) for c in cut} == {9}


def test_draws_stream_as_they_finish_and_leave_no_mode_behind() -> None:
    subject = model(ABC, peak=0.7)
    stream = Sampler(subject, tokenizer(ABC), "m").sample(
        [Prompted("p", (5, 7), tuple(range(100)))], SamplingParams(max_tokens=60), "policy"
    )
    lengths = []
    for drawn in stream:
        assert not torch.is_inference_mode_enabled()
        lengths.append(len(drawn.completion.token_ids))
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


# Faults


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_bad_logits_name_policy_problem_and_position(value: float, temperature: float) -> None:
    subject = model(ABC, peak=0.7, tie_word_embeddings=False)
    with torch.no_grad():
        subject.model.embed_tokens.weight[5:] = value  # any letter that is read spoils what follows
    sampler = Sampler(subject, tokenizer(ABC), "spoiled")
    with pytest.raises(PolicyError, match=r"'spoiled' gave NaN or infinite logits at position \d+ .* problem p-7"):
        run(sampler, [Prompted("p-7", (2, 3), tuple(range(50)))], SamplingParams(temperature=temperature))


def test_masked_ids_are_no_fault() -> None:
    """Some models give -inf to ids that no token has."""
    subject = model(ABC)
    subject.lm_head.register_forward_hook(
        lambda _m, _i, out: out.index_fill(-1, torch.tensor([0, 2, 3, 4]), -torch.inf)
    )
    drawn = run(Sampler(subject, tokenizer(ABC), "m"), [Prompted("p", (5,), tuple(range(50)))], SamplingParams())
    assert {int(t) for c in drawn.values() for t in c.token_ids} == {EOS, 5, 6, 7}


def test_an_architecture_whose_cache_is_wrong_is_refused() -> None:
    sampler = Sampler(model(ABC, INCONSISTENT), tokenizer(ABC), "bamba")
    with pytest.raises(PolicyError, match="other log-probabilities with its cache than without"):
        run(sampler, [Prompted("p", (5,), (0,))], SamplingParams())


@pytest.mark.parametrize("exact", [True, False])
def test_an_architecture_with_a_cache_of_its_own_kind_is_refused(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "MiniMaxConfig", {"num_local_experts": 2, "num_experts_per_tok": 1})
    sampler = Sampler(model(ABC, "MiniMaxConfig"), tokenizer(ABC), "other", exact=exact)
    with pytest.raises(PolicyError, match=r"other: MiniMaxForCausalLM does not run with transformers' DynamicCache \("):
        run(sampler, [Prompted("p", (5,), (0,))], SamplingParams())


@pytest.mark.parametrize("exact", [True, False])
def test_an_architecture_that_keeps_state_outside_of_its_cache_is_refused(
    exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rollouts would go on from each other's state: log-probabilities that are a little wrong, and say nothing."""
    about = {"lru_width": 32, "attention_window_size": 7, "num_hidden_layers": 3}
    monkeypatch.setitem(ARCHITECTURES, "RecurrentGemmaConfig", about)
    sampler = Sampler(model(ABC, "RecurrentGemmaConfig"), tokenizer(ABC), "other", exact=exact)
    with pytest.raises(PolicyError, match=r"gives other log-probabilities with its cache than without|does not run"):
        run(sampler, [Prompted(f"p{i}", (5, 6, 5 + i), (0, 1)) for i in range(3)], SamplingParams())
