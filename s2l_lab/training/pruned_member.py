"""A family of two from one checkpoint: the source, and a member with some of its layers, healed on its samples.

The result is an ordinary checkpoint directory: pruned weights, the source's tokenizer files byte for byte, a card that
says what it is, and `family.toml`, which names both members. It is written beside its place and renamed at the end, so
it is whole or absent.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoConfig
from transformers.utils import logging

from s2l_lab.errors import DataError, PolicyError, UsageError
from s2l_lab.policies import Draws, sampling_params
from s2l_lab.policies.checkpoint import HASHED, Checkpoint, fingerprint, locate
from s2l_lab.policies.device import has_gpu
from s2l_lab.policies.families import default_max_tokens, load_family, named_member
from s2l_lab.policies.opening import choose_engine, choose_template, open_policy
from s2l_lab.policies.pruning import kept_layers, prune
from s2l_lab.policies.templates import encode_prompt
from s2l_lab.policies.transformers_engine import load_causal_lm, loaded_shape
from s2l_lab.problems import load_benchmark
from s2l_lab.training.healing import Healing, SourceCompletion, divergence, heal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s2l_lab.policies import SamplingParams
    from s2l_lab.policies.families import Family, Member
    from s2l_lab.problems import Benchmark, Problem

HELD_OUT = 16
"""Problems whose completions are not trained on: a tenth of all, this many at most."""
_REPORTS = 10
_WEIGHTS = ("config.json", "*.safetensors", "*.safetensors.index.json")
_COPIED = ("*.json", "*.txt", "*.jinja", "*.model", "tokenizer*")
"""Files of the source that are copied, but for the weights and their configuration."""


@dataclass(frozen=True, slots=True)
class HealingPlan:
    """What a member is healed on, and how."""

    healing: Healing
    benchmarks: tuple[str, ...]
    """Names or files of `load_benchmark`: the prompts. Their gold answers are not used."""
    problems: int | None = None
    """So many of each benchmark; None is all (100 of sets without end)."""
    rollouts: int = 4
    """Completions of the source per problem."""
    max_tokens: int | None = None
    """Length at which they are cut; None is the family's."""

    def __post_init__(self) -> None:
        if not self.benchmarks:
            raise UsageError(
                "healing needs prompts: name a benchmark or a JSONL file with --heal-benchmark, or leave out "
                "--heal-steps."
            )
        if self.rollouts < 1:
            raise UsageError(f"healing needs 1 completion per problem at least, {self.rollouts} were asked for.")


def make_pruned_member(
    source: str,
    layers: str,
    out: Path,
    plan: HealingPlan | None = None,
    *,
    template: str | None = None,
    seed: int = 0,
    model_root: Path | None = None,
    data_root: Path | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> Family:
    """Write the member to `out`, which must not exist, and return the family of two that `out/family.toml` names.

    source: as `open_policy` takes it, but a checkpoint. layers: those that are kept, as `0-9,20-29`. plan None heals
    nothing. seed: of the completions and the weights' training. `announce` gets one line per stage.

    The same arguments give the same bytes on one kind of machine. Raises UsageError, DataError or PolicyError for what
    cannot be done, before anything is sampled wherever that can be known.
    """
    member = named_member(source)
    choose_engine(member, "transformers")
    name = _name_of(out, member)
    (checkpoint,) = locate([member], model_root)
    kept = kept_layers(layers, _number_of_layers(checkpoint))
    sampling = sampling_params("default", max_tokens=_length(plan, member), seed=seed)
    prompts = _problems(plan, data_root, seed) if plan is not None else None
    chosen = choose_template(member, checkpoint, template)
    tokenizer, model = load_causal_lm(member.name, checkpoint.directory, "float32")
    if any(not weight.is_floating_point() for weight in model.parameters()):
        raise PolicyError(f"{member.name}: its weights are quantised; prune the checkpoint that they were made from.")
    pruned = prune(model.eval(), kept)
    facts = {"layers": kept, "of": loaded_shape(model).layers, "template": chosen, "seed": seed}
    dtype = _stored_dtype(checkpoint)
    if plan is not None and prompts is not None:
        sampled = _sample(checkpoint, tokenizer, prompts, plan.rollouts, chosen, sampling, announce)
        device = "cuda" if has_gpu() else "cpu"
        model, pruned = model.to(device), pruned.to(device)
        facts |= _healed(pruned, model, sampled, plan, dtype, announce)
    pruned = pruned.to(device="cpu", dtype=dtype)
    family = _family(name, checkpoint, loaded_shape(model).parameters, loaded_shape(pruned).parameters, chosen)
    _write(out, pruned, checkpoint, family, _card(family, checkpoint, facts, plan))
    return load_family(out / "family.toml")


def _name_of(out: Path, member: Member) -> str:
    """The new member's name: the directory's. Raises UsageError where it cannot be made or is no name."""
    if out.exists() or out.is_symlink():
        raise UsageError(f"--out {out} exists already. Name a directory that does not, or move it aside.")
    name = out.absolute().name
    try:
        member.model_validate({"name": name, "source": str(out)})
    except ValueError:
        raise UsageError(
            f"--out {out}: the directory's name is the new member's, and {name!r} is none (letters, digits, '.', '_' "
            "and '-')."
        ) from None
    if name == member.name:
        raise UsageError(f"--out {out}: the source is called {name} already. Give the directory another name.")
    return name


def _number_of_layers(checkpoint: Checkpoint) -> int:
    try:
        config = AutoConfig.from_pretrained(checkpoint.directory, local_files_only=True)
        return int(config.get_text_config(decoder=True).num_hidden_layers)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise PolicyError(
            f"{checkpoint.member.name}: {checkpoint.directory}/config.json does not say how many layers there are "
            f"({' '.join(str(error).split())[:200]}), so none can be pruned."
        ) from error


def _length(plan: HealingPlan | None, member: Member) -> int:
    """Where the source's completions are cut."""
    given = None if plan is None else plan.max_tokens
    return default_max_tokens(member.name) if given is None else given


def _stored_dtype(checkpoint: Checkpoint) -> torch.dtype:
    """The precision of the source's files; float32 where they name none."""
    dtype = getattr(torch, checkpoint.dtype or "float32", None)
    return dtype if isinstance(dtype, torch.dtype) and dtype.is_floating_point else torch.float32


@dataclass(frozen=True, slots=True)
class _Prompts:
    """What healing samples: problems to train on, and problems to measure on."""

    trained: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    benchmarks: tuple[Benchmark, ...]


def _problems(plan: HealingPlan, data_root: Path | None, seed: int) -> _Prompts:
    benchmarks = tuple(load_benchmark(name, n=plan.problems, data_root=data_root) for name in plan.benchmarks)
    problems = list({p.id: p for benchmark in benchmarks for p in benchmark.problems}.values())
    if len(problems) < 2:
        raise UsageError("healing needs 2 problems at least: one to train on, and one to measure on.")
    order = [problems[i] for i in np.random.default_rng(seed).permutation(len(problems))]
    held_out = max(1, min(HELD_OUT, len(problems) // 10))
    return _Prompts(tuple(order[held_out:]), tuple(order[:held_out]), benchmarks)


@dataclass(frozen=True, slots=True)
class _Sampled:
    """Completions of the source."""

    trained: list[SourceCompletion]
    held_out: list[SourceCompletion]
    prompts: _Prompts


def _sample(
    checkpoint: Checkpoint,
    tokenizer: Any,
    prompts: _Prompts,
    rollouts: int,
    template: str,
    sampling: SamplingParams,
    announce: Callable[[str], None],
) -> _Sampled:
    """The source's completions at temperature 1, in the order of problem and index."""
    member = checkpoint.member
    wanted = [Draws(problem, tuple(range(rollouts))) for problem in prompts.trained]
    wanted += [Draws(problem, (0,)) for problem in prompts.held_out]
    total = sum(len(draws.indices) for draws in wanted)
    announce(f"sampling {total:,} completions of {member.name}")
    here = member.model_copy(update={"source": str(checkpoint.directory), "revision": None})
    policy = open_policy(here, engine="transformers", template=template)
    try:
        prompt_ids = {draws.problem.id: encode_prompt(tokenizer, policy.prompt(draws.problem)) for draws in wanted}
        drawn = {}
        for draw in policy.sample(wanted, sampling):
            drawn[draw.problem_id, draw.index] = draw.completion.token_ids
            if len(drawn) % math.ceil(total / _REPORTS) == 0:
                announce(f"{len(drawn):,} of {total:,} completions")
    finally:
        policy.close()

    def samples(problems: Sequence[Problem], n: int) -> list[SourceCompletion]:
        keys = [(problem.id, index) for problem in problems for index in range(n)]
        ids = [(key[0], drawn[key]) for key in keys]
        return [SourceCompletion(prompt_ids[id], tuple(map(int, found))) for id, found in ids if found is not None]

    return _Sampled(samples(prompts.trained, rollouts), samples(prompts.held_out, 1), prompts)


def _healed(
    pruned: Any,
    source: Any,
    sampled: _Sampled,
    plan: HealingPlan,
    dtype: torch.dtype,
    announce: Callable[[str], None],
) -> dict[str, Any]:
    """Heal in place, rounded at the end to the precision that is stored; what the card says of it."""
    healing = plan.healing
    start = divergence(pruned, source, sampled.held_out, healing.batch)
    announce(f"held-out loss before healing: {start:.4f} nats a token from the source")
    every = max(1, healing.steps // _REPORTS)
    losses: list[float] = []

    def report(step: int, loss: float) -> None:
        losses.append(loss)
        if step % every == 0 or step == healing.steps:
            recent = losses[-every:]
            announce(f"step {step:,} of {healing.steps:,}: {sum(recent) / len(recent):.4f} nats a token")

    heal(pruned, source, sampled.trained, healing, report)
    pruned.to(dtype).to(torch.float32)
    end = divergence(pruned, source, sampled.held_out, healing.batch)
    announce(f"held-out loss after healing: {end:.4f} nats a token from the source")
    held_out = f"{len(sampled.held_out)} completions of {len(sampled.prompts.held_out)} problems"
    tokens = sum(len(sample.completion) for sample in sampled.trained)
    return {
        "completions": len(sampled.trained),
        "tokens": tokens,
        "data": [f"{b.name} ({len(b.problems)} problems, {b.digest})" for b in sampled.prompts.benchmarks],
        "held_out": held_out,
        "before": start,
        "after": end,
    }


def _family(name: str, checkpoint: Checkpoint, large: int, small: int, template: str) -> dict[str, Any]:
    """The family file's table, without the pruned member's revision."""
    member = checkpoint.member
    local = not member.embedded and checkpoint.revision.startswith(HASHED)
    source = str(checkpoint.directory.resolve()) if local else member.source
    return {
        "name": f"{name}-and-source",
        "description": f"{member.name}, and {name}, the same with layers pruned",
        "kind": member.kind,
        "template": template,
        "max_tokens": default_max_tokens(member.name),
        "members": [
            {"name": name, "source": ".", "parameters": small},
            {"name": member.name, "source": source, "revision": checkpoint.revision, "parameters": large},
        ],
    }


def _write(out: Path, pruned: Any, checkpoint: Checkpoint, family: dict[str, Any], card: str) -> None:
    """The whole directory, or none."""
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}.") as place:
            directory = Path(place) / out.name
            _save(pruned, directory)
            ours = {path for pattern in _WEIGHTS for path in checkpoint.directory.glob(pattern)}
            copied = {path for pattern in _COPIED for path in checkpoint.directory.glob(pattern)} - ours
            for path in sorted(path for path in copied if path.is_file()):
                shutil.copyfile(path, directory / path.name)
            (directory / "README.md").write_text(card, encoding="utf-8")
            family["members"][0]["revision"] = f"{HASHED}{fingerprint(directory)}"
            (directory / "family.toml").write_text(_toml(family), encoding="utf-8")
            directory.rename(out)
    except OSError as error:
        raise DataError(f"{out} cannot be written ({error.strerror or error}); nothing is left of it.") from error


def _save(model: Any, directory: Path) -> None:
    """Weights and configuration, without a progress bar."""
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model.save_pretrained(directory)
    finally:
        if bars:
            logging.enable_progress_bar()


def _toml(family: Mapping[str, Any]) -> str:
    """One [[family]] table with its members. A JSON string or number is one of TOML too."""
    lines = ["[[family]]", *_pairs({key: value for key, value in family.items() if key != "members"})]
    for member in family["members"]:
        lines += ["", "[[family.members]]", *_pairs(member)]
    return "\n".join(lines) + "\n"


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]


def _card(family: Mapping[str, Any], checkpoint: Checkpoint, facts: Mapping[str, Any], plan: HealingPlan | None) -> str:
    """The model card: what this is, from what, and what it is not."""
    small, large = family["members"]
    kept, of = facts["layers"], facts["of"]
    dropped = [layer for layer in range(of) if layer not in kept]
    hub = not checkpoint.revision.startswith(HASHED)
    lines = [
        "---",
        "library_name: transformers",
        *([f"base_model: {checkpoint.member.source}"] if hub else []),
        "tags: [s2l-lab, layer-pruned]",
        "---",
        "",
        f"# {small['name']}",
        "",
        f"This is {large['name']} with {len(kept)} of its {of} layers. It is not a released model: it was made on this "
        "machine by `s2l-lab families prune`, to have a smaller member with the same tokenizer. It was not trained "
        "from scratch, and it says nothing about a released model of its size.",
        "",
        f"- Source: `{checkpoint.member.source}`, revision `{checkpoint.revision}`",
        f"- Layers kept, from 0: {_ranges(kept)}; left out: {_ranges(dropped)}",
        f"- Parameters: {small['parameters']:,} of {large['parameters']:,}",
    ]
    if plan is None:
        lines.append("- Healing: none; every kept weight is the source's")
    else:
        healing = plan.healing
        lines += [
            f"- Healing: {healing.steps:,} steps of {healing.batch} completions, AdamW with a peak learning rate of "
            f"{healing.rate:g}; loss KL(source || this) per token; embedding and head not trained",
            f"- Data: {facts['completions']:,} completions ({facts['tokens']:,} tokens) that the source sampled at "
            f"temperature 1 with template {facts['template']}, from prompts of {'; '.join(facts['data'])}",
            f"- Held out ({facts['held_out']}): {facts['before']:.4f} nats a token from the source before healing, "
            f"{facts['after']:.4f} after",
            f"- Seed: {facts['seed']}; torch {torch.__version__}",
        ]
    lines += [
        "- Licence: the source's",
        "",
        "`family.toml` in this directory names both models: `s2l-lab passk --family family.toml`.",
    ]
    return "\n".join(lines) + "\n"


def _ranges(layers: Sequence[int]) -> str:
    """0, 1, 2, 5 as `0-2, 5`."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
