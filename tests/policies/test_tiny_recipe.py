"""The embedded family: its data, its loop, and the weights that ship."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from importlib import resources
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from s2l_lab.errors import UsageError
from s2l_lab.policies.tiny.data import examples, tokenised
from s2l_lab.policies.tiny.prompt import compact_prompt, render_compact
from s2l_lab.policies.tiny.recipe import MEMBERS, RECIPES, MemberRecipe, Recipe, recipe_digest
from s2l_lab.policies.tiny.tokenizer import CONTEXT, EOS_ID, PAD_ID, TOKENS
from s2l_lab.policies.tiny.traces import PHRASINGS, draw_trace, parse_trace
from s2l_lab.policies.tiny.training import batches, completion_loss, store, train_family, train_member
from s2l_lab.problems import Problem
from s2l_lab.problems.countdown import countdown_benchmark, countdown_items
from s2l_lab.verifiers import Outcome
from s2l_lab.verifiers.countdown import read_expression, verify_expression

PACKAGE = Path(str(resources.files("s2l_lab.policies.tiny")))
SHIPPED = [(name, member) for name in RECIPES for member in MEMBERS]
SHORT = Recipe(problems=48, steps=2, batch=4, warmup=1)
SMALLEST = MemberRecipe("60k", width=32, layers=1, heads=1, mlp_width=32, peak_learning_rate=1e-2)


# Data


def test_example_i_depends_on_seed_and_i_alone() -> None:
    assert list(islice(examples(3), 5)) == list(islice(examples(3), 20))[:5]
    assert list(islice(examples(3), 5)) != list(islice(examples(4), 5))


def test_every_trace_is_true_step_by_step_and_its_expression_correct() -> None:
    for i, item in enumerate(islice(countdown_items("train"), 300)):
        trace = draw_trace(item.whole_classes, f"0 {i}")
        in_hand = Counter(item.numbers)
        for step in trace.steps:
            exact = {"+": step.a + step.b, "-": step.a - step.b, "*": step.a * step.b, "/": step.a / step.b}[step.op]
            assert step.result == exact > 0
            assert in_hand[step.a] > 0
            assert in_hand[step.b] > (step.a == step.b)
            in_hand = in_hand - Counter([step.a, step.b]) + Counter([step.result])
        assert in_hand == Counter([item.target])
        verdict = verify_expression(trace.expression, item.numbers, item.target)
        assert verdict.outcome is Outcome.CORRECT
        assert verdict.canonical in {c.text for c in item.whole_classes}


def test_traces_cover_all_whole_classes_and_phrasings_and_keep_them_apart() -> None:
    """Drawn independently: the strategy says nothing about the phrasing. Chi-squared by hand for 3 x 4 cells."""
    item = next(i for i in countdown_items("train") if len(i.whole_classes) == 3)
    traces = [draw_trace(item.whole_classes, f"draw {i}") for i in range(1200)]
    cells = Counter((read_expression(t.expression)[0].text, t.steps[0].phrasing) for t in traces)
    assert len(cells) == 3 * len(PHRASINGS)
    chi_squared = sum((n - 100) ** 2 / 100 for n in cells.values())
    assert chi_squared < 31.3  # .999 quantile at 11 degrees of freedom


def test_phrasing_varies_while_the_class_is_fixed() -> None:
    item = next(i for i in countdown_items("train") if len(i.whole_classes) == 1)
    traces = [draw_trace(item.whole_classes, f"draw {i}") for i in range(30)]
    assert len({read_expression(t.expression)[0].text for t in traces}) == 1
    assert len({tuple(step.phrasing for step in t.steps) for t in traces}) > 15


def test_parsing_a_trace_gives_it_back_and_other_text_nothing() -> None:
    for i, item in enumerate(islice(countdown_items("train"), 50)):
        trace = draw_trace(item.whole_classes, f"0 {i}")
        assert parse_trace(str(trace)) == trace
    for text in ("", "#### ", "8*7=56", "8 * 7=56\n#### 8*7", "8 times 7=56\n#### 8*7", "8*7=56\n####8*7"):
        parsed = parse_trace(text)
        assert parsed is None or parsed.steps == ()


# Prompt


def test_the_compact_prompt_is_rendered_from_metadata() -> None:
    problem = Problem.make("x", "y", "countdown", "s", {"numbers": [12, 3, 8, 7], "target": 52})
    assert render_compact(problem) == "3 7 8 12=52\n" == compact_prompt((7, 8, 12, 3), 52)


@pytest.mark.parametrize(
    "metadata",
    [{}, {"numbers": [1, 2]}, {"target": 3}, {"numbers": "1 2", "target": 3}, {"numbers": [1], "target": "3"}],
)
def test_a_problem_without_numbers_or_target_is_refused(metadata: dict[str, object]) -> None:
    problem = Problem.make("What is 1+1?", "2", "math", "mine", metadata)
    with pytest.raises(UsageError, match=r"renders Countdown problems only.*mine"):
        render_compact(problem)


# Loop


def test_an_epoch_sees_every_example_once() -> None:
    recipe = Recipe(problems=64, steps=32, batch=4)
    seen = np.concatenate(list(batches(np.arange(64) % 7, recipe, seed=1)))
    assert Counter(seen.tolist()) == Counter(dict.fromkeys(range(64), 2))


def test_batches_hold_similar_lengths() -> None:
    lengths = np.random.default_rng(0).integers(10, 60, size=512)
    spreads = [np.ptp(lengths[rows]) for rows in batches(lengths, Recipe(problems=512, steps=64, batch=8), seed=0)]
    assert np.mean(spreads) < 15  # 41 on average where batches are drawn at random


def test_the_loss_is_that_of_the_completion_alone() -> None:
    """Recomputed one example at a time, without padding, from the model's own logits."""
    data = tokenised(examples(0), 6)
    model = train_member(replace(SHORT, steps=1), SMALLEST, data, seed=0)
    rows = np.array([0, 3, 5])
    nats = []
    for row in rows:
        ids = torch.from_numpy(data.tokens_ET[row, : data.length_E[row]])[None]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=ids).logits.float()[0]
        logp = logits.log_softmax(-1)
        nats += [-logp[t - 1, ids[0, t]].item() for t in range(data.prompt_length_E[row], data.length_E[row])]
        assert ids[0, -1] == EOS_ID
    assert completion_loss(model, data, rows).item() == pytest.approx(np.mean(nats), abs=2e-3)


def test_two_runs_of_two_steps_are_equal_bit_for_bit_and_leave_the_callers_rng_alone() -> None:
    data = tokenised(examples(0), SHORT.problems)
    before = torch.get_rng_state()
    runs = [train_member(SHORT, SMALLEST, data, seed=7).state_dict()]
    other = train_member(SHORT, SMALLEST, data, seed=8).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)  # nothing of the caller's RNG reaches the weights
    runs.append(train_member(SHORT, SMALLEST, data, seed=7).state_dict())
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert not all(torch.equal(runs[0][name], other[name]) for name in other)


def test_training_learns() -> None:
    data = tokenised(examples(0), 16)
    losses: list[float] = []
    train_member(replace(SHORT, steps=40, batch=16), SMALLEST, data, 0, progress=lambda p: losses.append(p.loss))
    assert losses[-1] < 0.8 * losses[0]


def test_train_family_writes_checkpoints_and_keeps_other_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "tiny", SHORT)  # the recipe's data, not our code, is shortened
    for sizes in (["60k"], ["360k"]):
        train_family("tiny", tmp_path, seed=0, members=sizes)
    facts = json.loads((tmp_path / "tiny" / "family.json").read_text(encoding="utf-8"))
    assert list(facts) == ["60k", "360k"]
    for size in facts:
        weights = (tmp_path / "tiny" / size / "model.safetensors").read_bytes()
        assert hashlib.sha256(weights).hexdigest() == facts[size]["sha256"]


@pytest.mark.parametrize(("name", "members"), [("tinny", None), ("tiny", ["2M"])])
def test_unknown_names_are_refused_before_anything_is_trained(
    name: str, members: list[str] | None, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="Did you mean"):
        train_family(name, tmp_path, members=members)
    assert not any(tmp_path.iterdir())


def test_stored_weights_are_the_trained_ones_to_float16(tmp_path: Path) -> None:
    data = tokenised(examples(0), SHORT.problems)
    model = train_member(SHORT, SMALLEST, data, seed=0)
    trained = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    store(model, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).state_dict()
    for name, tensor in trained.items():
        assert torch.equal(loaded[name], tensor.half().float())


# What ships


@pytest.mark.parametrize(("family", "member"), SHIPPED, ids=lambda x: getattr(x, "size", x))
def test_shipped_weights_are_those_of_the_recipe_in_the_source(family: str, member: MemberRecipe) -> None:
    facts = json.loads((PACKAGE / family / "family.json").read_text(encoding="utf-8"))[member.size]
    weights = PACKAGE / family / member.size / "model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == facts["sha256"]
    assert facts["recipe_digest"] == recipe_digest(RECIPES[family], member)
    with safe_open(weights, "pt") as stored:
        assert {stored.get_tensor(name).dtype for name in stored.keys()} == {torch.float16}  # noqa: SIM118 (no dict)
        sizes = [stored.get_tensor(name).numel() for name in stored.keys()]  # noqa: SIM118
    assert sum(sizes) == facts["parameters"]


@pytest.mark.parametrize(("family", "member"), SHIPPED, ids=lambda x: getattr(x, "size", x))
def test_shipped_weights_load_in_float32_and_write_traces(family: str, member: MemberRecipe) -> None:
    directory = PACKAGE / family / member.size
    assert AutoConfig.from_pretrained(directory).dtype == torch.float32
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    problems = countdown_benchmark(12, split="validation").problems
    written = 0
    for problem in problems:
        inputs = tokenizer(render_compact(problem), return_tensors="pt")
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=100)[0, inputs["input_ids"].shape[1] :]
        trace = parse_trace(tokenizer.decode(ids, skip_special_tokens=True))
        written += trace is not None and len(trace.steps) == 3
    assert written >= 10


def test_the_tokenizer_gives_every_trace_back_and_stops_at_its_own_eos() -> None:
    tokenizer = AutoTokenizer.from_pretrained(PACKAGE / "tiny" / "60k")
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.bos_token_id) == (EOS_ID, PAD_ID, None)
    assert len(tokenizer) == len(TOKENS)
    for prompt, completion in islice(examples(0), 100):
        ids = tokenizer(prompt + completion)["input_ids"]
        assert tokenizer.decode(ids) == prompt + completion
        assert ids == tokenizer(prompt)["input_ids"] + tokenizer(completion)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert len(ids) < CONTEXT // 3
    assert tokenizer("#### 8 times 7")["input_ids"] == [TOKENS.index(t) for t in ("#### ", "8", " times ", "7")]
    assert tokenizer("é")["input_ids"] == [tokenizer.unk_token_id]


def test_all_members_share_one_tokenizer() -> None:
    texts = {(PACKAGE / family / member.size / "tokenizer.json").read_bytes() for family, member in SHIPPED}
    assert len(texts) == 1


def test_the_package_stays_small() -> None:
    assert sum(f.stat().st_size for f in PACKAGE.rglob("*.safetensors")) < 12e6
