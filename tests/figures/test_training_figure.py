"""What is drawn is what was found: curves, differences, verdicts, the paper beside; owed arms are named."""

import io
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from synthetic_training import FIGURE, STEPS, report, reports
from test_palette import MACHADO, linear, luminance, oklab

from s2l_lab.browse.made_figures import by_old_rules, made_figures
from s2l_lab.cli import figures
from s2l_lab.cli.tables import in_terminal
from s2l_lab.cli.training_figures import write_training
from s2l_lab.errors import UsageError
from s2l_lab.figures.claim_tables import claim_numbers, claims_table, signed, signed_reading
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.palette import ARM_COLOURS, SOURCE_COLOURS, arm_looks
from s2l_lab.figures.paper import paper_curve
from s2l_lab.figures.training_blocks import level_words
from s2l_lab.figures.training_figure import training_figure, training_numbers
from s2l_lab.sweeps import read_sweep
from s2l_lab.sweeps import reports as sweep_reports
from s2l_lab.training.claims import TrainingFigure, figure_plan
from s2l_lab.training.results import TrainingResults, training_results

ARMS = ("GRPO", "8-step", "5-step", "<b>owed</b>")
SEEDS = {"GRPO": range(10), "8-step": range(10), "5-step": range(5), "<b>owed</b>": range(5)}
FOUND = reports({"GRPO": (range(10), 0.03), "8-step": (range(10), 0.06), "5-step": (range(4), 0.05)}) | {ARMS[3]: {}}


def plan(**changes: Any) -> TrainingFigure:
    values: dict[str, Any] = FIGURE | {
        "title": "how long?",
        "panel": [{"title": "all <i>arms</i>", "arms": list(ARMS), "paper": ["GRPO", "8-step"]}],
        "claim": [
            {"text": "8 above GRPO", "arm": "8-step", "against": "GRPO"},
            {"text": "5 above GRPO", "arm": "5-step", "against": "GRPO", "k": 64},
        ],
    }
    return figure_plan(values | changes, ARMS, "here")


TABLE = {"kind": "table", "curve_k": [], "panel": [{"title": "", "arms": list(ARMS), "paper": ["8B"]}]}


@pytest.fixture(scope="module")
def results() -> TrainingResults:
    return training_results(plan(), SEEDS, FOUND)


@pytest.fixture(scope="module")
def figure(results: TrainingResults) -> Any:
    return training_figure("fig7", plan(), results, ["data here"], scale="mini")


def traces(figure: Any, axis: int) -> dict[str, Any]:
    return {t.name: t for t in figure.data if (t.xaxis or "x") == ("x" if axis == 1 else f"x{axis}")}


def texts(figure: Any) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_the_papers_curves_stand_first_without_an_interval(figure: Any) -> None:
    drawn = traces(figure, 1)
    assert list(drawn) == ["GRPO", "8-step"]
    for name, trace in drawn.items():
        assert list(trace.y) == paper_curve("fig7", name).value.tolist()


def test_a_series_of_the_paper_looks_like_the_arm_in_its_place(results: TrainingResults) -> None:
    """Figure 4's second panel had the paper's S2L-PO in another colour than ours beside it."""
    swapped = plan(panel=[{"title": "", "arms": ["GRPO", "5-step"], "paper": ["GRPO", "8-step"]}])
    figure = training_figure("fig7", swapped, results, ["data here"], scale="mini")
    theirs, ours = traces(figure, 1), traces(figure, 2)
    for series, arm in (("GRPO", "GRPO"), ("8-step", "5-step")):
        assert theirs[series].line.color == ours[arm].line.color
        assert theirs[series].marker.symbol == ours[arm].marker.symbol


def test_our_curves_are_the_levels_with_their_bands(figure: Any, results: TrainingResults) -> None:
    for axis, k in ((2, 1), (3, 16)):
        drawn = traces(figure, axis)
        assert set(drawn) == {f"{n}{s}" for n in ARMS[:3] for s in ("", ": interval")}
        for name in ARMS[:3]:
            found = [level.estimate for level in results.arm(name).levels["countdown",] if level.k == k]
            assert list(drawn[name].x) == list(STEPS)
            assert list(drawn[name].y) == [e.value for e in found]
            assert drawn[f"{name}: interval"].y[: len(STEPS)] == tuple(e.lower for e in found)
            assert "10 seeds" in drawn["GRPO"].hovertext[0]


def test_differences_and_cost_stand_below(figure: Any, results: TrainingResults) -> None:
    for axis, k in ((4, 1), (5, 64)):
        drawn = traces(figure, axis)
        for name in ("8-step", "5-step"):
            found = results.arm(name).differences[("countdown",), k]
            assert drawn[name].x == (found.value,)
            assert drawn[f"{name}: interval"].x == (found.lower, found.upper)
        assert "GRPO" not in drawn  # the baseline has no difference to itself
    assert traces(figure, 6)["8-step"].x == (1.0,)


def test_owed_arms_and_seeds_are_named_and_nothing_is_markup(figure: Any) -> None:
    shown = " ".join(texts(figure))
    assert "no finished run, 5 owed" in shown
    for mark, name in zip("\u25cf\u25a0\u25c6\u25b3", ARMS, strict=True):  # the last has no run: hollow
        assert f"{mark}</span> {markup(name)} <span" in shown
    assert "4 of 5 seeds" in shown
    assert "&lt;b&gt;owed&lt;/b&gt;" in shown
    assert "all &lt;i&gt;arms&lt;/i&gt;" in shown
    assert sum("owed" in text and text.startswith("<span") for text in texts(figure)) >= 3  # a dash in every column


def reading_of(found: Any) -> str:
    return signed_reading(found.value, found.lower, found.upper)


def test_figure_terminal_app_and_readme_decide_in_the_same_words(
    figure: Any, results: TrainingResults, tmp_path: Path
) -> None:
    """The app wrote +0.012 where figure and terminal had +.012, and each put claims into words of its own."""
    values = training_numbers("fig7", plan(), results, [], scale="mini", command="made")
    assert values["claims"] == claim_numbers(results.claims)
    made = claims_table(values["claims"])
    assert len(made.rows) == len(results.claims) > 1
    folder = tmp_path / "figures" / "fig7-mini"
    folder.mkdir(parents=True)
    (folder / "numbers.json").write_text(as_json(values))
    in_app = made_figures(tmp_path, "fig7")[0].verdicts
    console = Console(file=(said := io.StringIO()), width=400)
    console.print(in_terminal(made))
    printed = said.getvalue()
    for row, shown in zip(made.rows, in_app, strict=True):
        claim, difference, decision = map(str, row.cells)
        word, *why = decision.split("\n")
        assert (shown["claim"], shown["difference"]) == (claim, difference)
        assert shown["verdict"] == word + "".join(f" ({one})" for one in why)
        assert {markup(claim), markup(difference)} <= set(texts(figure))
        assert all(one in printed for one in (claim, difference, word, *why))


def test_five_seeds_are_starred_and_cannot_tell(figure: Any, results: TrainingResults) -> None:
    five = results.arm("5-step").differences[("countdown",), 1]
    words = reading_of(five)
    assert f"{words} *" in texts(figure)
    ten = reading_of(results.arm("8-step").differences[("countdown",), 1])
    assert ten in texts(figure)
    verdicts = [text for text in texts(figure) if text.startswith(("<b>supported", "<b>cannot tell", "<b>contra"))]
    assert verdicts[0] == "<b>supported</b>"
    assert "4 of the 10 seeds" in verdicts[1]


def test_the_caption_says_what_intervals_are_about_and_which_hold_for_a_bank_alone(figure: Any) -> None:
    caption = " ".join(texts(figure))
    assert "over training seeds and problems (crossed)" in caption
    assert "smaller than the margin" in caption
    assert "for this bank" not in caption
    drawn = {"explorer": {"kind": "bank", "member": "tiny-360k", "rollouts": 64}}
    banked = FOUND | {"8-step": {seed: report(seed, 0.06, plan=drawn) for seed in range(10)}}
    results = training_results(plan(), SEEDS, banked)
    shown = texts(training_figure("fig7", plan(), results, [], scale="mini"))
    words = reading_of(results.arm("8-step").differences[("countdown",), 1])
    assert f"{words} \u2020" in shown
    assert "\u2020: for this bank" in " ".join(shown)
    assert any(text.startswith("<b>supported</b>") and "for this bank" in text for text in shown)
    hovers = [
        text
        for trace in traces(training_figure("fig7", plan(), results, [], scale="mini"), 4).values()
        for text in trace.hovertext or ()
    ]
    assert [("this kind, for this bank" in text) for text in hovers if "8-step" in text] == [True]


def test_a_table_has_the_papers_cells_and_ours_by_k() -> None:
    table = plan(**TABLE)
    results = training_results(table, SEEDS, FOUND)
    figure = training_figure("table4", table, results, [], scale="mini")
    assert [t.x[0] for t in traces(figure, 1).values()] == pytest.approx([0.238, 0.147, 0.15])
    level = results.arm("8-step").ends["countdown",][1].estimate  # pass@64
    assert traces(figure, 4)["8-step"].x == (level.value,)
    before = traces(figure, 3)["before training"]
    assert before.x == (results.before["GRPO", ("countdown",)][0].estimate.value,)
    assert level_words(level) in texts(figure)


def test_a_figure_without_numbers_of_the_paper_says_so_and_shows_ours_alone(results: TrainingResults) -> None:
    bare = plan(panel=[{"title": "all", "arms": list(ARMS)}])
    figure = training_figure("fig6", bare, results, [], scale="mini")
    assert any("no numbers of the paper could be had" in text for text in texts(figure))
    assert list(traces(figure, 1)["GRPO"].x) == list(STEPS)
    some = plan(panel=[*bare.model_dump()["panel"], plan().model_dump()["panel"][0]])
    assert any("no curve of the paper" in t for t in texts(training_figure("fig7", some, results, [], scale="mini")))


def test_a_note_stands_on_the_figure(results: TrainingResults) -> None:
    noted = plan(note="This is NOT out of distribution.")
    figure = training_figure("fig7", noted, results, [], scale="mini")
    assert "<b>This is NOT out of distribution.</b>" in texts(figure)


def test_numbers_are_json_and_whole(results: TrainingResults) -> None:
    values = json.loads(as_json(training_numbers("fig7", plan(), results, [], scale="mini", command="c")))
    arms = {arm["arm"]: arm for arm in values["arms"]}
    assert arms["5-step"]["owed_seeds"] == [4]
    assert arms[ARMS[3]]["curve"] == []
    assert len(arms["GRPO"]["curve"]) == 2 * len(STEPS)
    assert values["claims"][0]["verdict"]["decision"] == "supported"
    assert set(values["claims"][0]["verdict"]) == {"decision", "p", "level", "why"}, "committed results have these keys"
    assert values["claims"][1]["verdict"]["p"] is None
    assert not by_old_rules(values)
    assert values["claims"][0]["difference"]["se"] == results.claims[0].difference.se
    assert values["paper"][1]["value"][16] == 0.1712


def test_words_by_hand() -> None:
    assert [signed(v) for v in (0.0123, -0.5, 0.0, 1.0, float("nan"))] == [
        "+.012",
        "\u2212.500",
        "+.000",
        "+1.000",
        "\u2013",
    ]
    (single,) = training_results(plan(), SEEDS, FOUND | {"8-step": {0: report(0)}}).arm("8-step").ends["countdown",][:1]
    assert level_words(single.estimate).endswith("(no interval)")


def test_looks_differ_also_where_colours_begin_again() -> None:
    looks = arm_looks([f"arm {i}" for i in range(9)])
    assert [look.colour for look in looks.values()] == [*ARM_COLOURS, *ARM_COLOURS[:3]]
    assert len(set(looks.values())) == 9


@pytest.mark.parametrize("source", SOURCE_COLOURS)
def test_no_arm_has_the_colour_of_a_source(source: str) -> None:
    """S2L-PO's learner had the explorer's orange once. A colour that is only nearly a source's would be as bad."""
    assert SOURCE_COLOURS[source] not in ARM_COLOURS
    for sight in MACHADO:
        assert min(np.linalg.norm(seen(SOURCE_COLOURS[source], sight) - seen(arm, sight)) for arm in ARM_COLOURS) > 0.05


def test_no_mark_of_the_figure_has_the_colour_of_a_source(figure: Any) -> None:
    drawn = {str(part.color).lower() for trace in figure.data for part in (trace.line, trace.marker) if part.color}
    assert set(ARM_COLOURS[:3]) <= drawn
    assert not drawn & set(SOURCE_COLOURS.values())


@pytest.mark.parametrize("colour", ARM_COLOURS)
def test_colours_have_three_to_one_on_white_and_on_near_black(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 3
    assert (luminance(colour) + 0.05) / (luminance("#111111") + 0.05) >= 3


@pytest.mark.parametrize("sight", MACHADO)
def test_arms_stay_apart_without_red_or_green(sight: str) -> None:
    arms = [seen(colour, sight) for colour in ARM_COLOURS]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(arms, 2)) > 0.1


def seen(colour: str, sight: str) -> np.ndarray:
    return oklab(np.clip(np.array(MACHADO[sight]) @ linear(colour), 0, 1))


SWEEP = """
seeds = [0, 1]
[base.learner]
member = "tiny-60k"
[[base.evaluation]]
benchmark = "countdown"
problems = 40
rollouts = 64
[base.training]
explorer_fraction = 0
[[arm]]
name = "GRPO"
[[arm]]
name = "hot"
change = { training = { temperature = 1.5 } }
[figure]
kind = "curves"
title = "hot?"
baseline = "GRPO"
benchmarks = ["countdown"]
curve_k = [1, 16]
end_k = [1, 64]
margin = 0.004
[[figure.panel]]
title = "both"
arms = ["GRPO", "hot"]
"""


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "experiments" / "fig3c" / "mini.toml"
    path.parent.mkdir(parents=True)
    path.write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "kaleido", None)  # images are tested beside write_figure
    return path


def finish(root: Path, sweep_path: Path) -> None:
    """Every run of the sweep as finished on disk."""
    for digest, arms in read_sweep(sweep_path).runs.items():
        folder = root / digest
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(report(arms[0].seed).model_dump_json())


def test_the_command_draws_what_is_finished(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures.run("fig3c", scale="mini", dry_run=True)
    assert "4 runs: 4 owed" in capsys.readouterr().out
    assert not Path("runs").exists()
    finish(Path("runs/training"), workplace)
    figures.run("fig3c", scale="mini", dry_run=False, model_root=workplace.parent)
    assert "4 of them done" in capsys.readouterr().out
    folder = Path("runs/figures/fig3c-mini")
    assert sorted(path.name for path in folder.iterdir()) == ["fig3c.html", "numbers.json"]
    values = json.loads((folder / "numbers.json").read_text())
    assert [arm["finished_seeds"] for arm in values["arms"]] == [[0, 1], [0, 1]]
    assert "n = 40 problems, N = 64 rollouts" in values["about"][0]


def test_without_a_single_run_there_is_nothing_to_draw(workplace: Path, tmp_path: Path) -> None:
    sweep = read_sweep(workplace)
    drawn = figure_plan(sweep.figure, ["GRPO", "hot"], "here")
    with pytest.raises(UsageError, match="nothing to draw"):
        write_training("fig3c", "mini", sweep, drawn, sweep_reports(sweep, tmp_path), tmp_path / "f", Console())
