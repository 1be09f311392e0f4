"""Shipped plans parse and say what the paper says; a wrong plan is refused; runs are shared and complete."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from s2l_lab.errors import DataError, UsageError
from s2l_lab.figures.experiment import Experiment, load_plan
from s2l_lab.figures.paper import fig2_panels
from s2l_lab.figures.registry import FIGURES
from s2l_lab.plans import read_plan
from s2l_lab.policies.families import find_member, load_family
from s2l_lab.studies.contrast_plan import ContrastPlan
from s2l_lab.studies.metric_validity import ValidityPlan
from s2l_lab.studies.pretrained_pair import PretrainedPlan
from s2l_lab.sweeps import SweepPlan, read_sweep
from s2l_lab.training.claims import figure_plan
from s2l_lab.training.plan import read_plan as read_training_plan

PLAN_OF = {name: figure.plan_type() for name, figure in FIGURES.items() if figure.plan}
NAMES = [name for name, figure in FIGURES.items() if figure.kind == "training"]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
EVERY = sorted(EXPERIMENTS.glob("*/*.toml"))
PLANS = [path for path in EVERY if path.parent.name in PLAN_OF]
SWEEPS = [path for path in EVERY if path.parent.name in NAMES]
RECIPES = [path for path in EVERY if path.parent.name == "training"]


@pytest.fixture(scope="module")
def sweeps() -> dict[tuple[str, str], SweepPlan]:
    return {(path.parent.name, path.stem): read_sweep(path) for path in SWEEPS}


def test_every_file_of_a_plan_is_known() -> None:
    assert set(EVERY) == {*PLANS, *SWEEPS, *RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_are_training_plans(path: Path) -> None:
    plan = read_training_plan(path)
    assert plan.explorer is not None
    assert plan.explorer.member is not None
    find_member(plan.learner.member)
    find_member(plan.explorer.member)


def test_sweeps_say_how_they_are_drawn(sweeps: dict[tuple[str, str], SweepPlan]) -> None:
    for (figure, scale), sweep in sweeps.items():
        plan = figure_plan(sweep.figure, (arm.name for arm in sweep.arms()), figure)
        evaluations = {e.benchmark: e for arm in sweep.arms() for e in arm.plan.evaluation}
        assert plan.kind == ("table" if figure.startswith("table") else "curves")
        assert set(plan.benchmarks) <= set(evaluations)
        for benchmark in plan.benchmarks:
            wanted = evaluations[benchmark]
            assert set(plan.end_k) <= set(wanted.k)
            assert set(plan.curve_k) <= {k for k in wanted.k if k <= (wanted.between or wanted.rollouts)}
        assert plan.margin == (0.004 if scale == "mini" else 0.02)
        assert set(plan.arms) == {arm.name for arm in sweep.arms()}, "an arm is trained and not shown"


def test_figures_share_their_arms(sweeps: dict[tuple[str, str], SweepPlan]) -> None:
    """Equal names are equal runs, whichever figure asks; unequal names are not."""
    for scale in ("mini", "paper"):
        arms = [arm for (_, s), sweep in sweeps.items() if s == scale for arm in sweep.arms()]
        runs = {(arm.name, arm.seed, arm.plan.digest) for arm in arms}
        assert len(runs) == len({(name, seed) for name, seed, _ in runs}) == len({digest for *_, digest in runs})


def test_the_main_comparison_has_ten_seeds_and_small_only_is_small_only(
    sweeps: dict[tuple[str, str], SweepPlan],
) -> None:
    for (_, scale), sweep in sweeps.items():
        if scale == "mini":
            for name in ("GRPO", "S2L-PO 360k"):
                assert [arm.seed for arm in sweep.arms() if arm.name == name] == list(range(10))
    small = next(arm.plan for arm in sweeps["fig5", "mini"].arms() if arm.name == "small only")
    schedule = small.config("unused").annealing(rounds=40)
    assert [schedule.slots(16, i) for i in range(1, 41)] == [16] * 40


@pytest.mark.parametrize("path", PLANS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shipped_plan_parses_and_names_known_members(path: Path) -> None:
    plan = load_plan(path.parent.name, path.stem, PLAN_OF[path.parent.name])
    if isinstance(plan, ValidityPlan):
        return
    if plan.family.endswith(".toml"):  # made by the commands of the experiment's README
        made = Path(plan.family).parent
        assert f"--out {made}" in (EXPERIMENTS / path.parent.name / "README.md").read_text(encoding="utf-8")
        assert made.name == plan.explorer
        known = {plan.learner, plan.explorer}
    else:
        known = {member.name for member in load_family(plan.family).members}
    if isinstance(plan, Experiment):
        assert set(plan.members) <= known
        for request, panels in plan.runs().items():
            assert request.rollouts == panels[0].n
    elif isinstance(plan, ContrastPlan):
        assert {plan.learner, *plan.explorers} <= known
        assert plan.request((plan.learner,)).sampling.full_support
    elif isinstance(plan, PretrainedPlan):
        assert {plan.learner, plan.explorer} <= known
        assert all(plan.contrast(benchmark).sampling().full_support for benchmark in plan.benchmarks)
    else:
        assert plan.request().rollouts == plan.rollouts


def test_every_figure_has_both_scales_and_a_readme_that_predicts_first() -> None:
    assert {*PLAN_OF, *NAMES} == set(FIGURES)
    for figure in FIGURES:
        assert {path.stem for path in EVERY if path.parent.name == figure} == {"mini", "paper"}
        readme = (EXPERIMENTS / figure / "README.md").read_text(encoding="utf-8")
        headings = [line for line in readme.splitlines() if line.startswith("## ")]
        assert headings[0] == "## Prediction"


def test_the_persistence_study_has_the_arms_of_the_policy_share_study() -> None:
    for scale in ("mini", "paper"):
        share, persistence = (load_plan(name, scale, ContrastPlan) for name in ("policy-share", "persistence"))
        assert share == persistence


def test_the_paper_scale_is_the_papers() -> None:
    experiment = load_plan("fig2", "paper", Experiment)
    for panel in experiment.panel:
        paper = fig2_panels()[panel.name]
        assert panel.pair == tuple(f"qwen3-{size.lower()}-base" for size in (paper.small, paper.large))
        assert (panel.benchmark.upper(), panel.preset, panel.n) == (paper.benchmark, paper.mode, paper.n_rollouts)
    presets = {panels[0].preset: request for request, panels in experiment.runs().items()}
    nothink, think = presets["nothink"].sampling, presets["think"].sampling
    assert (nothink.temperature, nothink.top_p, nothink.top_k, nothink.presence_penalty) == (0.7, 0.8, 20, 1.5)
    assert (think.temperature, think.top_p, think.top_k, think.presence_penalty) == (0.6, 0.95, 20, 0)
    assert (presets["nothink"].template, presets["think"].template) == ("chat-no-think", "chat-think")


def test_panels_of_one_benchmark_preset_and_n_share_a_run() -> None:
    experiment = load_plan("fig2", "paper", Experiment)
    runs = experiment.runs()
    served = [panel.name for panels in runs.values() for panel in panels]
    assert sorted(served) == sorted(panel.name for panel in experiment.panel)
    members = {tuple(panel.name for panel in panels): request.members for request, panels in runs.items()}
    assert members[("L2", "L3")] == ("qwen3-4b-base", "qwen3-8b-base", "qwen3-14b-base")
    assert len({request.run_directory for request in runs}) == len(runs)


def plan(**changes: object) -> dict[str, object]:
    panel = {"name": "L1", "pair": ["a", "b"], "benchmark": "countdown", "preset": "think", "n": 4}
    return {"family": "tiny", "problems": 5, "panel": [panel]} | changes


def test_members_run_from_small_to_large_over_all_pairs() -> None:
    pairs = [("b", "c"), ("a", "c"), ("a", "b")]
    panels = [{"name": "x", "pair": p, "benchmark": "countdown", "preset": "think", "n": 4} for p in pairs]
    assert Experiment.model_validate(plan(panel=panels)).members == ("a", "b", "c")
    panels.append(panels[0] | {"pair": ("c", "a")})
    with pytest.raises(DataError, match="no order from small to large"):
        _ = Experiment.model_validate(plan(panel=panels)).members


@pytest.mark.parametrize("change", [{"panel": []}, {"problems": 0}, {"seed": 1}, {"templates": {"loud": "x"}}])
def test_a_wrong_plan_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Experiment.model_validate(plan(**change))


def test_a_plan_of_the_users_own_wins_and_a_broken_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_plan("fig2", "mini", Experiment).family == "tiny"
    folder = tmp_path / "experiments" / "fig2"
    folder.mkdir(parents=True)
    (folder / "mini.toml").write_text("family = ")
    with pytest.raises(DataError, match=r"mini\.toml cannot be read as TOML"):
        load_plan("fig2", "mini", Experiment)
    with pytest.raises(UsageError, match="no plan at scale 'paper'"):
        load_plan("fig2", "paper", Experiment)


def test_a_figure_without_plans_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=str(tmp_path / "experiments" / "fig99")):
        load_plan("fig99", "mini", Experiment)


def test_a_misspelt_key_of_a_plan_is_shown_with_its_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('explorrers = ["tiny-60k"]\n', encoding="utf-8")
    with pytest.raises(UsageError, match="Did you mean explorers"):
        read_plan(path, ContrastPlan)
    with pytest.raises(DataError, match="No such file"):
        read_plan(tmp_path / "none.toml", ContrastPlan)
