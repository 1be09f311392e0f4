"""The alternate runner: its phases against the paper's table and the released runs, and that phases are one run."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_training import (
    Overheard,
    Recorder,
    config,
    dataset,
    explorer,
    flat,
    grpo,
    learner,
    losses,
    reward,
    tokenizer,
    trained,
)
from transformers import TrainerCallback

from s2l_lab.errors import UsageError
from s2l_lab.training import LearnerCopy, WeightNoise
from s2l_lab.training.alternate import AlternateResult, OneExplorer, OneRun, train_alternate
from s2l_lab.training.explorer import Request
from s2l_lab.training.phases import Phase, phase_config, phases_of
from s2l_lab.training.recording import RecordedRollout

MIX = {"slot_rounding": "released", "mix_steps": 3}
"""With G = 4, two prompts and one update a round, three rounds: explorer 4 (4 updates); explorer 2 (2), learner 2 (1);
learner 4 (1)."""


def alternate(
    output_dir: Path, given: Any = None, model: Any = None, more: dict[str, Any] | None = None, **changes: Any
) -> AlternateResult:
    options = config(output_dir, **{**MIX, **changes})
    return train_alternate(options, model or learner(), tokenizer(), reward, dataset(), given, **(more or {}))


def released(G: int, mix_steps: int, per_update: int, tmp_path: Path) -> tuple[Phase, ...]:
    """A released run: 16 rounds of 1024 prompts, `per_update` of them in an update of GRPO."""
    updates = 1024 // per_update
    return phases_of(
        config(
            tmp_path,
            num_generations=G,
            per_device_train_batch_size=per_update * G,
            steps_per_generation=updates,
            max_steps=16 * updates,
            mix_steps=mix_steps,
            slot_rounding="released",
        )
    )


def halves(phases: tuple[Phase, ...], source: str) -> dict[int, int]:
    """Rollouts of a prompt by round."""
    return {p.round + i: p.num_generations for p in phases if p.source == source for i in range(p.rounds)}


def test_the_phases_of_the_8b_script(tmp_path: Path) -> None:
    """PAPER: 16 slots, T_mix 8, 32 updates a round; 22 physical steps; 2144 + 480 updates, GRPO 512."""
    phases = released(16, 8, 32, tmp_path)
    assert halves(phases, "explorer") == {1: 16, 2: 14, 3: 12, 4: 10, 5: 7, 6: 5, 7: 3}
    assert halves(phases, "learner") == {2: 3, 3: 5, 4: 7, 5: 10, 6: 12, 7: 14} | dict.fromkeys(range(8, 17), 16)
    assert [p.source for p in phases] == ["explorer", *["explorer", "learner"] * 6, "learner"]
    assert sum(p.rounds for p in phases) == 22
    assert {p.prompts for p in phases} == {1024}
    assert phases[0].updates == 512, "as many as the whole of GRPO"
    assert sum(p.updates for p in phases if p.source == "explorer") == 32 * (16 + 14 + 12 + 10 + 7 + 5 + 3) == 2144
    assert sum(p.updates for p in phases if p.source == "learner") == 32 * 15 == 480


@pytest.mark.parametrize(
    ("G", "mix_steps", "per_update", "steps", "updates", "overshoot"),
    [(8, 4, 16, 18, 2048, True), (16, 5, 32, 19, 32 * (16 + 12 + 8 + 4) + 15 * 32, False)],
)
def test_the_other_released_runs(
    G: int, mix_steps: int, per_update: int, steps: int, updates: int, overshoot: bool, tmp_path: Path
) -> None:
    phases = released(G, mix_steps, per_update, tmp_path)
    assert sum(p.rounds for p in phases) == steps
    assert sum(p.updates for p in phases) == updates
    explorers, learners = halves(phases, "explorer"), halves(phases, "learner")
    sums = {explorers.get(i, 0) + learners.get(i, 0) for i in range(1, 17)}
    assert sums == ({G, G + 1} if overshoot else {G})


def test_exact_rounding_gives_the_learner_the_rest_of_the_group(tmp_path: Path) -> None:
    phases = phases_of(config(tmp_path, num_generations=8, mix_steps=4, max_steps=4))
    assert halves(phases, "explorer") == {1: 8, 2: 6, 3: 3}
    assert halves(phases, "learner") == {2: 2, 3: 5, 4: 8}


def test_every_phase_splits_its_rollouts_into_its_updates(tmp_path: Path) -> None:
    """16 prompts x 7 = 112 rollouts a round in 4 micro-batches of 28, two of them in an update: 8 prompts an update."""
    options = config(
        tmp_path,
        num_generations=7,
        per_device_train_batch_size=28,
        steps_per_generation=4,
        gradient_accumulation_steps=2,
        num_iterations=2,
        max_steps=12,
        mix_steps=3,
        slot_rounding="released",
    )
    for phase in phases_of(options):
        own = phase_config(options, phase, seed=0)
        an_update = own.per_device_train_batch_size * own.gradient_accumulation_steps
        assert own.generation_batch_size == 16 * phase.num_generations
        assert an_update == (8 if phase.source == "explorer" else 8 * phase.num_generations)
        assert own.max_steps == phase.rounds * 4 * (phase.num_generations if phase.source == "explorer" else 1)
        assert own.per_device_train_batch_size <= 28
    assert (own.per_device_train_batch_size, own.gradient_accumulation_steps, own.steps_per_generation) == (28, 2, 4)


def test_without_explorer_phases_it_is_grpo_to_the_bit(tmp_path: Path) -> None:
    """Losses, parameters and generators, into the second epoch (four rounds each)."""
    changes = {"max_steps": 6, "slot_rounding": "exact", "mix_steps": None, "beta": 1e-3, "explorer_fraction": 0.0}
    seen = Recorder()
    found = alternate(tmp_path, None, more={"callbacks": [seen]}, **changes)
    plain = grpo(tmp_path, max_steps=6, beta=1e-3)
    expected = trained(plain)
    assert [entry["loss"] for entry in found.log_history] == losses(plain)
    assert found.phases == (Phase("learner", 1, 6, 4, 2, 1),)
    for mine, its in zip(seen.parameters, expected.parameters, strict=True):
        assert torch.equal(mine, its)
    for (mine, *_), (its, *_) in zip(seen.states, expected.states, strict=True):
        assert torch.equal(mine, its)


class Steps(TrainerCallback):
    """What a callback of the run hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.parameters: list[torch.Tensor] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.heard.append(("begin", state.global_step, state.max_steps))

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.parameters.append(flat(model))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self.heard.append((state.global_step, logs["round"]))

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.heard.append(("end", state.global_step, state.max_steps))


class Phases:
    """The trainers, and the optimiser's state where each begins."""

    def __init__(self) -> None:
        self.trainers: list[Any] = []
        self.begun: list[tuple[torch.Tensor, list[dict[str, Any]]]] = []

    def __call__(self, trainer: Any, phase: Phase) -> None:
        self.trainers.append(trainer)
        states = [{k: v.clone() for k, v in s.items()} for s in trainer.optimizer.state.values()]
        self.begun.append((flat(trainer.model), states))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[AlternateResult, Steps, Phases, Overheard]:
    """One mixed run for the laws that only look."""
    steps, phases, given = Steps(), Phases(), Overheard(explorer())
    more = {"callbacks": [steps], "on_phase": phases}
    # a phase of one update, logged every fourth: its end is logged all the same
    changes = {"beta": 0.1, "lr_scheduler_type": "linear", "logging_steps": 4}
    with redirect_stdout(io.StringIO()) as said:
        found = alternate(tmp_path_factory.mktemp("run"), given, more=more, **changes)
    assert said.getvalue().count("rollout compute relative to GRPO") == 1, "once, not in every phase"
    return found, steps, phases, given


def test_a_run_by_hand(run: Any) -> None:
    found, steps, phases, _ = run
    assert found.phases == (
        Phase("explorer", 1, 1, 4, 2, 4),
        Phase("explorer", 2, 1, 2, 2, 2),
        Phase("learner", 2, 1, 2, 2, 1),
        Phase("learner", 3, 1, 4, 2, 1),
    )
    assert found.updates == len(steps.parameters) == 8
    assert steps.heard == [("begin", 0, 8), (4, 1), (6, 2), (7, 2), (8, 3), ("end", 8, 8)]
    assert [(e["step"], e["phase"]) for e in found.log_history] == [
        (4, "explorer"),
        (6, "explorer"),
        (7, "learner"),
        (8, "learner"),
    ]
    assert [e["explorer/slots"] for e in found.log_history] == [4, 2, 0, 0]
    assert len({trainer.args.seed for trainer in phases.trainers}) == 4, "each phase with noise of its own"


def test_parameters_move_in_both_kinds_of_phase(run: Any) -> None:
    _, steps, _, _ = run
    at = [flat(learner()), *steps.parameters]
    assert all(not torch.equal(a, b) for a, b in pairwise(at))


def test_the_optimiser_goes_from_phase_to_phase(run: Any) -> None:
    _, steps, phases, _ = run
    assert phases.begun[0][1] == []
    for (parameters, states), done in zip(phases.begun[1:], (4, 6, 7), strict=True):
        assert torch.equal(parameters, steps.parameters[done - 1])
        assert {int(state["step"]) for state in states} == {done}
        assert any(bool(state["exp_avg"].any()) for state in states)
    assert {int(s["step"]) for s in phases.trainers[-1].optimizer.state.values()} == {8}


def test_the_learning_rate_falls_over_all_phases(run: Any) -> None:
    """Linearly over 8 updates from 1e-3. TRL logs what the update that was made last had."""
    found, *_ = run
    rates = [entry["learning_rate"] for entry in found.log_history]
    assert rates == pytest.approx([1e-3 * (1 - (done - 1) / 8) for done in (4, 6, 7, 8)])


def test_the_reference_stays_the_learner_before_training(run: Any) -> None:
    found, _, phases, _ = run
    (reference,) = {id(trainer.ref_model): trainer.ref_model for trainer in phases.trainers}.values()
    assert torch.equal(flat(reference), flat(learner()))
    assert all(trainer.beta == trainer.args.beta == 0.1 for trainer in phases.trainers)
    assert found.log_history[-1]["kl"] > 0


def test_the_halves_have_their_own_prompts_in_their_own_order(run: Any, tmp_path: Path) -> None:
    _, _, phases, given = run
    explorers = [row for trainer in phases.trainers[:2] for row in trainer.train_dataset["prompt"]]
    learners = [row for trainer in phases.trainers[2:] for row in trainer.train_dataset["prompt"]]
    sampler = grpo(tmp_path)._get_train_sampler()
    plain = [dataset()["prompt"][i] for i in list(sampler)[::4]]
    assert learners == plain[:4], "the learner's are those of GRPO"
    assert explorers != learners
    asked = [tokenizer().decode(request.prompt_ids) for requests, _ in given.heard for request in requests]
    assert asked == explorers


def test_the_explorer_is_asked_under_the_runs_numbers(run: Any) -> None:
    *_, given = run
    asked = [(r.group, r.round, r.count, r.drawn) for requests, _ in given.heard for r in requests]
    assert asked == [(0, 1, 4, 0), (1, 1, 4, 0), (2, 2, 2, 0), (3, 2, 2, 0)]


def test_costs_add_up_over_phases(run: Any) -> None:
    found, _, phases, given = run
    drawn = [rollout for _, answers in given.heard for group in answers for rollout in group]
    assert len(drawn) == 12
    assert found.cost.explorer.tokens == sum(len(rollout.token_ids) for rollout in drawn)
    assert found.cost.learner.tokens > 0
    assert 0 < found.cost.explorer_share < 1
    assert found.cost.relative_rollout_compute == pytest.approx(1), "an explorer of the learner's size saves nothing"
    explorers = [trainer.cost.explorer.tokens for trainer in phases.trainers]
    assert explorers[0] < explorers[1] == explorers[2] == explorers[3], "running totals"
    assert found.log_history[-1]["cost/explorer/tokens"] == found.cost.explorer.tokens


def test_a_perturbed_copy_is_one_of_the_learner_before_training(tmp_path: Path) -> None:
    given = LearnerCopy(WeightNoise(0.1))
    seen: list[torch.Tensor] = []
    alternate(
        tmp_path,
        given,
        more={"on_phase": lambda trainer, phase: seen.append(flat(given.model))},
        beta=0.0,
    )
    assert all(torch.equal(seen[0], later) for later in seen[1:])


def test_adapters_go_from_phase_to_phase_and_their_reference_stays(tmp_path: Path) -> None:
    """At the first loss the adapters are the reference; later the reference must still be what they were then."""
    torch.manual_seed(0)
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(learner(), lora)
    base = {name: p.clone() for name, p in model.named_parameters() if "lora" not in name}
    start = {name: p.clone() for name, p in model.named_parameters() if "lora" in name}
    found = alternate(tmp_path, explorer(), model=model, beta=0.1)
    now = dict(model.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in base.items())
    assert not all(torch.equal(now[name], value) for name, value in start.items())
    assert all(torch.equal(now[name.replace(".default.", ".ref.")], value) for name, value in start.items())
    assert found.log_history[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert found.log_history[-1]["kl"] > 1e-6


def test_autocast_stays_on_in_later_phases(tmp_path: Path) -> None:
    """TRL hangs a forward on the model that accelerate's autocast must go around; twice hung, the inner one is lost."""
    model, seen = learner(), []

    def watch(module: Any, given: Any, output: torch.Tensor) -> None:
        if output.requires_grad:
            seen.append(output.dtype)

    model.model.layers[0].mlp.down_proj.register_forward_hook(watch)
    alternate(tmp_path, explorer(), model=model, bf16=True, beta=0.0)
    assert len(seen) == 8
    assert set(seen) == {torch.bfloat16}
    assert "forward" not in vars(model)


def test_drawn_goes_on_over_epochs(tmp_path: Path) -> None:
    """8 prompts, 4 a round: 2 explorer rounds an epoch. G = 8, T_mix = 6: 8 7 | 5 4 | 2; an epoch's first bounds it."""
    options = config(
        tmp_path, num_generations=8, per_device_train_batch_size=32, mix_steps=6, max_steps=6, slot_rounding="released"
    )
    phases = phases_of(options)
    assert list(halves(phases, "explorer").values()) == [8, 7, 5, 4, 2]
    asked: list[Request] = []

    class Asked:
        def explore(self, requests: Any, group_size: int) -> list[Any]:
            asked.extend(requests)
            return []

    one = OneExplorer(Asked(), options, phases, range(8))
    for one.phase in [phase for phase in phases if phase.source == "explorer"]:
        one.explore([Request((1,), one.phase.num_generations, 3, round=1, drawn=0)], one.phase.num_generations)
    assert [(r.round, r.group, r.drawn) for r in asked] == [(1, 3, 0), (2, 7, 0), (3, 11, 8), (4, 15, 8), (5, 19, 13)]


def test_recorded_rows_get_the_runs_indices(tmp_path: Path) -> None:
    """Round 2, learner half with 2 of G = 4 and 2 prompts a round: groups 2 and 3 of the run, slots 0 and 1."""
    options = config(tmp_path, **MIX)
    run = OneRun(options, phases_of(options), (), None)
    rows = [RecordedRollout("a", i, "learner", (1,), (), 1) for i in range(4)]
    assert [row.index for row in run.recorded(run.phases[2], rows)] == [8, 9, 12, 13]


def test_a_half_with_one_rollout_is_left_out_and_said(tmp_path: Path) -> None:
    """G = 4, T_mix = 6: explorer 4 4 3 2 1 0, learner 0 1 2 3 4 4."""
    phases = phases_of(config(tmp_path, slot_rounding="released", mix_steps=6, max_steps=6))
    assert halves(phases, "explorer") == {1: 4, 2: 4, 3: 3, 4: 2}
    assert halves(phases, "learner") == {3: 2, 4: 3, 5: 4, 6: 4}
    assert phases[0].rounds == 2, "two like rounds that follow one another are one phase"
    two_rounds = {"max_steps": 2, "mix_steps": 6, "beta": 0.0}
    with pytest.warns(UserWarning, match="1 half-steps with one rollout"):
        found = alternate(tmp_path, explorer(), **two_rounds)
    assert found.updates == found.log_history[-1]["step"] == 8
    with pytest.raises(UsageError, match=r"round 2 has a half-step with one rollout .* lone_rollout='zero'"):
        alternate(tmp_path, explorer(), grouping="split", lone_rollout="released", **two_rounds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        phases_of(config(tmp_path, **MIX))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"save_strategy": "steps", "save_steps": 1}, "save_strategy=.* no checkpoints to resume from"),
        ({"resume_from_checkpoint": "there"}, "begin the run anew"),
        ({"sync_ref_model": True}, "reference is the learner before training"),
        ({"max_steps": -1}, "counts rounds by max_steps"),
        ({"num_iterations": 2, "max_steps": 3}, "multiple of 2"),
        ({"gradient_accumulation_steps": 2, "steps_per_generation": 1}, "must be a multiple of gradient_accum"),
        (
            {"steps_per_generation": 3, "per_device_train_batch_size": 4, "max_steps": 6, "num_generations": 6},
            "2 prompts",
        ),
        ({"per_device_train_batch_size": 64}, "16 prompts"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        alternate(tmp_path, explorer(), **changes)


def test_vllm_for_the_learner_is_refused(tmp_path: Path) -> None:
    options = config(tmp_path, **MIX)
    options.use_vllm = True
    with pytest.raises(UsageError, match="an engine of its own"):
        train_alternate(options, learner(), tokenizer(), reward, dataset(), explorer())


def test_an_explorer_phase_needs_an_explorer(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs explorer="):
        alternate(tmp_path)
    assert replace(Phase("learner", 1, 1, 4, 2, 1), rounds=3).updates == 3
