"""The studies as figures: sample what a plan owes, measure, print the verdicts, write figure and numbers.json.

Each is the function of its name in the registry of figures. `s2l-lab figures NAME` runs it with the plan of
experiments/NAME.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console

from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.write import Written, replace_file, write_figure, write_with_numbers
from s2l_lab.studies.plan import ContrastPlan, TablePlan, ValidityPlan

if TYPE_CHECKING:
    from pathlib import Path

    from s2l_lab.studies.contrast_arms import ContrastArms
    from s2l_lab.studies.metric_validity import MetricValidity


def study_maker(name: str) -> Callable[[Any, Path, str, Console], Written]:
    """The function of a study: it runs a plan and writes into a folder; `command` is what re-makes it."""
    maker: Callable[[Any, Path, str, Console], Written] = globals()[name.replace("-", "_")]
    return maker


def table3(plan: TablePlan, folder: Path, command: str, console: Console) -> Written:
    """The diversity table, its page, and the paper's Table 3 beside ours."""
    import dataclasses

    from s2l_lab.cli.diversity import measure, paper_table, write_diversity
    from s2l_lab.cli.passk import run_with_progress
    from s2l_lab.cli.tables import print_diversity
    from s2l_lab.figures.paper import table3 as paper_table3
    from s2l_lab.figures.table3 import table3_figure, table3_numbers

    request = plan.request()
    run = run_with_progress(request, False, console)
    names = [policy.name for policy in run.policies]
    found = measure(request.run_directory, names, run.n_problems, run.n_rollouts, plan.embedder, console)
    report = dataclasses.replace(found, command=command)
    print_diversity(report, paper_table(report.benchmark), console)
    paths, _ = write_diversity(report, folder)
    figure = write_figure(table3_figure(report, paper_table3()), folder / "table3")
    numbers = replace_file(folder / "table3.json", as_json(table3_numbers(report, paper_table3())).encode())
    return Written((*figure.paths, numbers, *paths), figure.note)


def policy_share(plan: ContrastPlan, folder: Path, command: str, console: Console) -> Written:
    """Every arm decomposed against the learner, with nulls and the size effect."""
    from s2l_lab.cli.tables import policy_share_text
    from s2l_lab.figures.policy_share import policy_share_figure, policy_share_numbers
    from s2l_lab.studies.policy_share import policy_share as study
    from s2l_lab.studies.vectors import embed_texts
    from s2l_lab.studies.within import texts_to_embed

    arms = _arms(plan, console)
    _say(console)(f"embedding the rollouts with {plan.embedder}")
    vectors, facts = embed_texts(texts_to_embed(s for arm in arms.all for s in arm.arm.rollout_sets()), plan.embedder)
    result = study(arms, vectors, lambda name: _say(console)(f"decomposed: {name}"))
    about = [*_about(arms), *_embedded(facts), f"Made by: {command}"]
    numbers = policy_share_numbers(result, about) | _provenance(arms, command)
    console.print(policy_share_text(numbers))
    return _write(policy_share_figure(result, about), numbers, folder, "policy-share")


def persistence(plan: ContrastPlan, folder: Path, command: str, console: Console) -> Written:
    """Every arm scored by the learner, token by token."""
    from s2l_lab.cli.tables import persistence_text
    from s2l_lab.figures.persistence import persistence_figure, persistence_numbers
    from s2l_lab.studies.persistence import persistence as study

    arms = _arms(plan, console)
    result = study(arms, announce=_say(console))
    about = [*_about(arms), f"Made by: {command}"]
    numbers = persistence_numbers(result, about) | _provenance(arms, command)
    console.print(persistence_text(numbers))
    return _write(persistence_figure(result, about), numbers, folder, "persistence")


def metric_validity(plan: ValidityPlan, folder: Path, command: str, console: Console) -> Written:
    """What every metric follows."""
    from s2l_lab.cli.tables import validity_text
    from s2l_lab.figures.metric_validity import metric_validity_figure, metric_validity_numbers

    result = measure_validity(plan, console)
    about = [
        f"Designed sets of {result.rollouts_per_cell} correct Countdown solutions: n = {result.n_items} items, "
        f"{result.replicates} replicates of 18 cells each; seed {plan.seed}.",
        "95% intervals about other items (resampled: items).",
        *_embedded(result.embedding),
        f"Made by: {command}",
    ]
    numbers = metric_validity_numbers(result, about) | {"command": command}
    console.print(validity_text(numbers))
    return _write(metric_validity_figure(result, about), numbers, folder, "metric-validity")


def measure_validity(plan: ValidityPlan, console: Console) -> MetricValidity:
    """The designed experiment of a plan."""
    from s2l_lab.studies.metric_validity import metric_validity as study

    return study(plan.items, replicates=plan.replicates, seed=plan.seed, embedder=plan.embedder, announce=_say(console))


def _arms(plan: ContrastPlan, console: Console) -> ContrastArms:
    from s2l_lab.studies.contrast_arms import contrast_arms

    return contrast_arms(plan, announce=_say(console))


def _say(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(f"{line} ...", style="dim", highlight=False, soft_wrap=True)


def _about(arms: ContrastArms) -> list[str]:
    """The data, sampling and provenance lines of a study of arms."""
    plan, learner = arms.plan, arms.learner.arm
    return [
        f"{learner.benchmark.name}: n = {len(learner.benchmark.problems)} problems, N = {plan.rollouts} rollouts per "
        f"problem and arm; top-p 1, top-k off, at most {plan.max_tokens} tokens, seed {plan.seed}; T = 1 unless said.",
        f"Matched temperatures were found on {plan.validation_problems} problems of {plan.validation}, "
        f"{plan.validation_rollouts} rollouts each.",
        "95% intervals about other problems of this kind (resampled: problems); size effects about other pretrained "
        "models (resampled: models).",
        f"Verifier {learner.verifier_version}; data {learner.benchmark.digest}.",
    ]


def _embedded(facts: Any) -> list[str]:
    if facts is None:
        return ["Embedding metrics were left out."]
    return [f"Embedder {facts.embedder}: {facts.share:.1%} of all tokens embedded; {facts.texts:,} distinct texts."]


def _provenance(arms: ContrastArms, command: str) -> dict[str, Any]:
    return {
        "command": command,
        "plan": arms.plan.model_dump(mode="json", exclude={"model_root", "data_root"}),
        "data": arms.learner.arm.benchmark.digest,
        "verifier_version": arms.learner.arm.verifier_version,
        "policies": {a.arm.name: a.arm.origin.policy_digest for a in arms.all},
    }


def _write(figure: Any, numbers: dict[str, Any], folder: Path, stem: str) -> Written:
    return write_with_numbers(figure, as_json(numbers), folder / stem)
