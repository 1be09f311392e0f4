"""From the counts in results.json: the figure, the result in README.md, and the measured part of the model card.

No number in either text is typed by hand: everything between the two `measured` marks is replaced by this script.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.estimators import Comparison, Counts, Curve, compare_all, pass_at_k_curve
from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import crossing_words
from s2l_lab.figures.palette import member_colours
from s2l_lab.figures.panel import log2_axis
from s2l_lab.figures.passk import curve_axis, draw_passk, label_curves
from s2l_lab.figures.write import write_figure

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
PACKAGE = Path(str(resources.files("s2l_lab.policies.tiny")))
PROBLEMS = {"tiny": "10,000", "tiny-rich": "50,000"}
"""Training problems of each family."""
SAMPLINGS = ("T=1", "T=.7, top-p .8", "T=.6, top-p .95")
SPLITS = ("test", "validation")
SHOWN = (1, 4, 16, 64, 256)
KS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BEGIN, END = "<!-- measured: begin (written by experiments/tiny-regime/report.py) -->", "<!-- measured: end -->"


class Results:
    """The counts, looked up by cell."""

    def __init__(self, path: Path) -> None:
        self.raw = json.loads(path.read_text(encoding="utf-8"))

    def run(self, policy: str, split: str, sampling: str) -> dict[str, Any]:
        found = [r for r in self.raw["runs"] if (r["policy"], r["split"], r["sampling"]) == (policy, split, sampling)]
        if len(found) != 1:
            raise SystemExit(f"results.json has no counts of {policy}, {split}, {sampling}: run measure.py first.")
        return found[0]  # type: ignore[no-any-return]  # JSON

    def counts(self, policy: str, split: str, sampling: str) -> Counts:
        run = self.run(policy, split, sampling)
        correct_P = np.array(run["correct"])
        total_P = np.full(len(correct_P), run["rollouts"])
        unknown_P = np.zeros_like(correct_P)
        return Counts(tuple(self.raw["problems"][split]), correct_P, total_P, unknown_P)

    def curve(self, policy: str, split: str, sampling: str) -> Curve:
        """With intervals for other problems of this kind."""
        counts = self.counts(policy, split, sampling)
        return pass_at_k_curve(counts.correct_P, counts.total_P, KS, interval="problems", rng=np.random.default_rng(0))

    @staticmethod
    def members(family: str) -> tuple[str, ...]:
        """Smallest first."""
        return tuple(f"{family}-{size}" for size in ("60k", "360k", "2m"))

    def comparisons(self, family: str, split: str, sampling: str) -> list[Comparison]:
        members = {policy: self.counts(policy, split, sampling) for policy in self.members(family)}
        return compare_all(members, KS, rng=np.random.default_rng(0))


def curve_cells(results: Results, policy: str, split: str, sampling: str) -> list[str]:
    curve = results.curve(policy, split, sampling)
    places = [int(np.flatnonzero(curve.k == k)[0]) for k in SHOWN]
    return [f"{curve.value[i]:.3f} [{curve.lower[i]:.3f}, {curve.upper[i]:.3f}]" for i in places]


def curve_row(results: Results, policy: str, split: str, sampling: str) -> str:
    cells = curve_cells(results, policy, split, sampling)
    strategies = np.mean(results.run(policy, split, sampling)["correct_strategies"])
    return f"| {policy} | {sampling} | {' | '.join(cells)} | {strategies:.2f} |"


def curve_table(results: Results, split: str, families: Iterable[str]) -> list[str]:
    head = ["policy", "sampling", *(f"pass@{k}" for k in SHOWN), "correct strategies found"]
    policies = [policy for family in families for policy in results.members(family)]
    rows = [curve_row(results, policy, split, sampling) for policy in policies for sampling in SAMPLINGS]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *rows]


def difference(comparison: Comparison, k: int) -> str:
    (i,) = np.flatnonzero(comparison.k == k)
    return f"{comparison.value[i]:+.3f} [{comparison.band_lower[i]:+.3f}, {comparison.band_upper[i]:+.3f}]"


def crossing_table(results: Results, split: str) -> list[str]:
    rows = ["| family | sampling | pair | difference at k = 1 | at k = 256 | verdict |", "|---|---|---|---|---|---|"]
    for family in PROBLEMS:
        for sampling in SAMPLINGS:
            for c in results.comparisons(family, split, sampling):
                ends = f"{difference(c, KS[0])} | {difference(c, KS[-1])}"
                rows.append(f"| {family} | {sampling} | {c.b} minus {c.a} | {ends} | {crossing_words(c)} |")
    return rows


def fresh_tables(results: Results) -> list[str]:
    """The second step: 360k and 2m alone, T = 1, on problems that the first step did not touch."""
    pairs = {family: results.members(family)[1:] for family in PROBLEMS}
    head = ["policy", *(f"pass@{k}" for k in SHOWN)]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for policy in (policy for pair in pairs.values() for policy in pair):
        rows.append(f"| {policy} | {' | '.join(curve_cells(results, policy, 'fresh', 'T=1'))} |")
    rows += ["", f"| pair | {' | '.join(f'k = {k}' for k in SHOWN)} | verdict |", "|" + "---|" * (len(SHOWN) + 2)]
    for pair in pairs.values():
        members = {policy: results.counts(policy, "fresh", "T=1") for policy in pair}
        (c,) = compare_all(members, KS, rng=np.random.default_rng(0))
        cells = " | ".join(difference(c, k) for k in SHOWN)
        rows.append(f"| {c.b} minus {c.a} | {cells} | {crossing_words(c)} |")
    return rows


def figure(results: Results, split: str) -> Any:
    n, rollouts = len(results.raw["problems"][split]), KS[-1]
    canvas = Canvas(
        1180, "pass@k of the embedded families", f"{n} {split} problems, N = {rollouts} rollouts per problem"
    )
    for row, (family, problems) in enumerate(PROBLEMS.items()):
        members = results.members(family)
        colours = member_colours(members)
        for column, sampling in enumerate(SAMPLINGS):
            curves = {policy: results.curve(policy, split, sampling) for policy in members}
            box = (64 + 375 * column, 120 + 360 * row, 240, 250)
            axis = curve_axis([np.array([0.0, 1.0])])
            panel = canvas.panel(
                box, f"{family}, {sampling}", f"{problems} training problems", log2_axis(rollouts), axis
            )
            draw_passk(panel, curves, colours)
            label_curves(panel, curves, colours)
    return canvas.finish(
        [
            "Rows differ in the number of distinct training problems alone; every member saw 128,000 traces.",
            "Ribbons: 95 % intervals for other problems of this kind. One training run per member.",
        ]
    )


def replace_measured(path: Path, lines: list[str]) -> None:
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{path} has lost its marks: {BEGIN} ... {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    path.write_text("\n".join([before + BEGIN, "", *lines, "", END + after]), encoding="utf-8")


def training_table() -> list[str]:
    head = [
        "member",
        "parameters",
        "training problems",
        "steps x batch",
        "epochs",
        "seed",
        "final loss",
        "sha256 (first 12)",
    ]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for family in PROBLEMS:
        for size, facts in json.loads((PACKAGE / family / "family.json").read_text(encoding="utf-8")).items():
            recipe = facts["recipe"]
            steps, batch, problems = recipe["steps"], recipe["batch"], recipe["problems"]
            cells = [f"{family}-{size}", f"{facts['parameters']:,}", f"{problems:,}", f"{steps:,} x {batch}"]
            cells += [f"{steps * batch / problems:.1f}", f"{facts['seed']}", f"{facts['final_loss']:.3f}"]
            rows.append(f"| {' | '.join(cells)} | `{facts['sha256'][:12]}` |")
    return rows


def main() -> None:
    results = Results(HERE / "results.json")
    about = (
        "pass@k with 95 % intervals for other problems of this kind (studentised bootstrap of problems); last column: "
        "distinct solution classes among the correct rollouts, mean over problems."
    )
    lines = []
    for split in SPLITS:
        n = len(results.raw["problems"][split])
        lines += [f"### {n} {split} problems, N = 256", "", about, ""]
        lines += [*curve_table(results, split, PROBLEMS), ""]
        lines += ["Differences with bands that are simultaneous over k and the three pairs of a family:", ""]
        lines += [*crossing_table(results, split), ""]
    n = len(results.raw["problems"]["fresh"])
    lines += [f"### Second step: {n} fresh test problems, N = 256, T = 1", "", *fresh_tables(results)]
    replace_measured(HERE / "README.md", lines)
    card = [*training_table(), "", about, "", *curve_table(results, "test", PROBLEMS)]
    replace_measured(PACKAGE / "MODEL_CARD.md", card)
    written = write_figure(figure(results, "test"), HERE / "figure")
    print(*written.paths, written.note, sep="\n")


if __name__ == "__main__":
    main()
