"""Every figure, table and study, once: what it is, and how it is made.

The command, the app, the benchmarks, the docs and their tests read this table and keep no list of their own. A figure
that is made has its plans in experiments/NAME: a sweep where its kind is `training`, else a model that `plan` names. A
study names its parts too (`Study`), each as `module:name`, imported when it is made; `cli.figures` runs any of them.

What belongs to the paper (arXiv 2605.30789) also says what it shows, where its numbers are (CSV files of
`s2l_lab.figures.reference`), what the paper does not give, and what follows for a comparison.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from typing import Any, Literal

from s2l_lab.errors import unknown_name

Kind = Literal["passk", "diversity", "study", "training", "cost"]
"""Its runs: of pass@k, the diversity of one, of a study of our own, training runs, or what these spent (no figure)."""
Scale = Literal["mini", "paper"]
SCALES: tuple[Scale, ...] = ("mini", "paper")
"""`mini` runs on the embedded family on a CPU, `paper` on the paper's models."""


@dataclass(frozen=True, slots=True)
class Study:
    """The parts of a study, each as `module:name`. `result` is what it found, `about` lines for the caption."""

    measure: str
    """(plan, command, watch) -> Measured."""
    figure: str
    """(result, about) -> a plotly Figure."""
    numbers: str
    """(result, about) -> numbers.json."""
    printed: str
    """(result, numbers) -> Printed, for the terminal."""
    more: str = ""
    """(result, folder) -> the paths of what else is written there; empty where nothing is."""

    def part(self, name: str) -> Any:
        """A part by name, imported."""
        return pkgutil.resolve_name(getattr(self, name))


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, table or study. All texts are plain."""

    name: str
    """Name in the command, in URLs and in experiments/."""
    title: str
    kind: Kind
    plan: str = ""
    """`module:class` of its plan files; empty for sweeps."""
    study: Study | None = None
    """The parts of a study; None for figures that are no study."""

    def plan_type(self) -> Any:
        """The class of its plan files, imported."""
        return pkgutil.resolve_name(self.plan)


@dataclass(frozen=True, slots=True)
class PaperItem(Figure):
    """A figure or table of the paper."""

    shows: str = ""
    not_given: str = ""
    """What the paper does not give, and what follows for a comparison."""
    files: tuple[str, ...] = ()
    """Names of the files in figures/reference."""
    only: str = ""
    """The value of the column `figure` that rows of a shared file have."""


_ALL: tuple[Figure, ...] = (
    PaperItem(
        "fig2",
        "Figure 2: pass@k of small and large members",
        "passk",
        plan="s2l_lab.figures.experiment:Experiment",
        shows=(
            "Six panels, pass@k of two Qwen3-Base models on AIME24 or AIME25, k to 64 (no thinking) or 256 (thinking)."
        ),
        not_given=(
            "No interval, no counts of correct rollouts, no seed, no verifier version; no panel of 1.7B against 8B, "
            "its main pair. On 30 problems the standard error between problems is .06 to .09, more than any gap "
            "that is drawn."
        ),
        files=("fig2_passk.csv", "fig2_crossings.csv"),
    ),
    PaperItem(
        "table3",
        "Table 3: diversity by model size",
        "diversity",
        plan="s2l_lab.studies.table3:TablePlan",
        study=Study(
            measure="s2l_lab.studies.table3:measure",
            figure="s2l_lab.figures.table3:table3_figure",
            numbers="s2l_lab.figures.table3:report_numbers",
            printed="s2l_lab.figures.study_tables:diversity_printed",
            more="s2l_lab.figures.table3:write_more",
        ),
        shows="Self-BLEU, edit diversity and unique answers of four Qwen3-Base models on AIME24, K = 64.",
        not_given=(
            "No interval, no definition of any metric, no sampler, no code; nothing on correct rollouts alone, so "
            "accuracy and diversity cannot be told apart."
        ),
        files=("table3.csv",),
    ),
    PaperItem(
        "fig4",
        "Figure 4: S2L-PO against GRPO while training",
        "training",
        shows=(
            "pass@1 averaged over AIME24 and AIME25 after every thousand prompts, three pairs of explorer and learner."
        ),
        not_given=(
            "One run each: no seed, no interval, pass@1 alone; which pair a panel shows is inferred from its end "
            "points. Data count logical steps: the released script consumes 22 batches against GRPO's 16."
        ),
        files=("training_curves.csv",),
        only="fig4",
    ),
    PaperItem(
        "table1",
        "Table 1: pass@1 after training",
        "training",
        shows="Qwen3 8B and 14B and InternLM2.5 7B on AIME24, AIME25, MATH-500 and OlympiadBench, GRPO and S2L-PO.",
        not_given=(
            "No seeds and no interval. Some values do not lie on the grid of 30 problems with 16 rollouts that is "
            "stated."
        ),
        files=("table1.csv",),
    ),
    PaperItem(
        "table2",
        "Table 2: CommonsenseQA after training on mathematics",
        "training",
        shows="Accuracy of GRPO and S2L-PO learners outside their training domain.",
        not_given="No seeds, no interval, no number of items.",
        files=("table2.csv",),
    ),
    PaperItem(
        "table4",
        "Table 4: the explorer without its diversity",
        "training",
        shows=(
            "S2L-PO, S2L-PO whose explorer's rollouts were filtered to the large model's diversity, and GRPO, on AIME."
        ),
        not_given=(
            "No seeds, no interval; not how rollouts were filtered, how many were left, or whether the share of "
            "correct ones was held, without which the control also changes the rewards' variance."
        ),
        files=("table4.csv",),
    ),
    PaperItem(
        "fig7",
        "Figure 7: length of the transition",
        "training",
        shows="pass@1 while training with the explorer annealed over 8 and over 5 steps, and GRPO.",
        not_given="One run each. It is Figure 4's 4B-for-8B run, and differs from it at 15 and 16 thousand prompts.",
        files=("training_curves.csv",),
        only="fig7",
    ),
    PaperItem(
        "fig3c",
        "Figure 3c: a higher temperature instead",
        "training",
        shows=(
            "GRPO, GRPO at temperature 1.5 and S2L-PO while training: the higher temperature is said to gain little "
            "and fall late."
        ),
        not_given="The picture could not be recovered from any source: there are no numbers to stand beside.",
    ),
    PaperItem(
        "fig5",
        "Figure 5: small rollouts alone are not enough",
        "training",
        shows=(
            "Training on the explorer's rollouts throughout, said to rise first, then stall and fall back; panels "
            "are labelled N = 16, N = 8 and n = 12."
        ),
        not_given="The picture could not be recovered from any source: there are no numbers to stand beside.",
    ),
    PaperItem(
        "fig6",
        "Figure 6: progressive or abrupt",
        "training",
        shows="Annealing against an abrupt switch and GRPO, 16 thousand prompts, pass@1 from .10 to .18.",
        not_given="The picture could not be recovered from any source; its range of values fits the pair 4B for 8B.",
    ),
    PaperItem(
        "teaser",
        "Teaser of the project page",
        "cost",
        shows=(
            "Relative rollout compute and time, and accuracy, of the baseline, token-level and trajectory-level noise."
        ),
        not_given=(
            "Not in the paper's text. Relative rollout compute of .75 leaves the explorer's rollouts out; with "
            "them, in proportion to parameters, Algorithm 1 comes to .79 (1.7B for 8B) up to .87 (4B for 8B)."
        ),
        files=("teaser.csv",),
    ),
    Figure(
        "policy-share",
        "What an explorer adds to the learner: policy, token or strategy",
        "study",
        plan="s2l_lab.studies.contrast_plan:ContrastPlan",
        study=Study(
            measure="s2l_lab.studies.policy_share:measure",
            figure="s2l_lab.figures.policy_share:policy_share_figure",
            numbers="s2l_lab.figures.policy_share:policy_share_numbers",
            printed="s2l_lab.figures.study_tables:policy_share_printed",
        ),
    ),
    Figure(
        "persistence",
        "Whether an explorer's deviations last along a trajectory",
        "study",
        plan="s2l_lab.studies.contrast_plan:ContrastPlan",
        study=Study(
            measure="s2l_lab.studies.persistence:measure",
            figure="s2l_lab.figures.persistence:persistence_figure",
            numbers="s2l_lab.figures.persistence:persistence_numbers",
            printed="s2l_lab.figures.study_tables:persistence_printed",
        ),
    ),
    Figure(
        "smollm2",
        "A pretrained model and its pruned sibling: pass@k, policy share, persistence",
        "study",
        plan="s2l_lab.studies.pretrained_pair:PretrainedPlan",
        study=Study(
            measure="s2l_lab.studies.pretrained_pair:measure",
            figure="s2l_lab.figures.pretrained_pair:pretrained_pair_figure",
            numbers="s2l_lab.figures.pretrained_pair:pretrained_pair_numbers",
            printed="s2l_lab.figures.pretrained_pair:pretrained_pair_printed",
            more="s2l_lab.figures.pretrained_pair:write_more",
        ),
    ),
    Figure(
        "metric-validity",
        "What each diversity metric follows: strategies or phrasing",
        "study",
        plan="s2l_lab.studies.metric_validity:ValidityPlan",
        study=Study(
            measure="s2l_lab.studies.metric_validity:measure",
            figure="s2l_lab.figures.metric_validity:metric_validity_figure",
            numbers="s2l_lab.figures.metric_validity:metric_validity_numbers",
            printed="s2l_lab.figures.study_tables:validity_printed",
        ),
    ),
)
ITEMS: tuple[PaperItem, ...] = tuple(figure for figure in _ALL if isinstance(figure, PaperItem))
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _ALL if figure.kind != "cost"}
"""Those that `s2l-lab figures` makes."""


def find_figure(name: str) -> Figure:
    """The figure with this name, if it can be made. Raises UsageError with the nearest names."""
    if name not in FIGURES:
        raise unknown_name("figure", name, FIGURES)
    return FIGURES[name]
