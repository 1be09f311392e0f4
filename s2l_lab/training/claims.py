"""The `[figure]` table of a sweep: which arms stand in which panel, at which k, and what the paper claims of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from s2l_lab.errors import unknown_name
from s2l_lab.estimators.decisions import Expectation
from s2l_lab.plans import plan_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PanelPlan(_Table):
    """A row of the figure: some arms, and the paper's series or rows beside them."""

    title: str
    arms: tuple[str, ...] = Field(min_length=1)
    paper: tuple[str, ...] = ()
    """Names in figures/reference: series of a figure, each in the place of the arm that is its counterpart, or
    learners of a table."""
    baseline: str | None = None
    """The arm that this panel's are compared with, where its learner is another; None is the figure's."""


class ClaimPlan(_Table):
    """A claim about `arm` minus `against`, in the paper's sense or in ours (the text says which)."""

    text: str
    arm: str
    against: str
    expects: Expectation = "above"
    k: int = Field(default=1, ge=1)
    step: int | None = Field(default=None, ge=0)
    """Optimiser step; None is the end of training."""
    benchmark: str | None = None
    """One of the figure's; None is all of them together."""


class TrainingFigure(_Table):
    """How a sweep is drawn."""

    kind: Literal["curves", "table"]
    title: str
    """Question that the figure asks."""
    baseline: str
    """The arm that every other is compared with, but for panels with one of their own."""
    benchmarks: tuple[str, ...] = Field(min_length=1)
    """Curves pool their problems, as the paper averages AIME 2024 and 2025; a table has a column for each."""
    curve_k: tuple[int, ...] = ()
    """k of the curves over steps: 1, and the largest that the evaluations between allow."""
    end_k: tuple[int, ...] = Field(min_length=1)
    """Values of k for pass@k after training."""
    margin: float = Field(gt=0, lt=1)
    """Set before the runs: a difference inside it is a small one, whatever its sign."""
    note: str = ""
    """Remark that the reader needs first."""
    panel: tuple[PanelPlan, ...] = Field(min_length=1)
    claim: tuple[ClaimPlan, ...] = ()

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if (self.kind == "curves") != bool(self.curve_k):
            raise ValueError("curves need curve_k, and a table has none")
        if self.kind == "curves" and any(len(panel.paper) > len(panel.arms) for panel in self.panel):
            raise ValueError("a series of the paper needs an arm of ours in its place: its counterpart")
        for claim in self.claim:
            if claim.benchmark is not None and claim.benchmark not in self.benchmarks:
                raise ValueError(f"claim {claim.text!r} is about {claim.benchmark}, which is none of benchmarks")
        return self

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Benchmarks whose problems are evaluated together."""
        return (self.benchmarks,) if self.kind == "curves" else tuple((name,) for name in self.benchmarks)

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms drawn, the baseline first, else in order of the panels."""
        return tuple(dict.fromkeys([self.baseline, *(name for panel in self.panel for name in panel.arms)]))

    def baseline_of(self, arm: str) -> str:
        """What an arm is compared with: the baseline of the first panel that it stands in."""
        return next((panel.baseline or self.baseline for panel in self.panel if arm in panel.arms), self.baseline)


def figure_plan(values: Mapping[str, Any], arms: Iterable[str], where: str) -> TrainingFigure:
    """The `[figure]` of a sweep with these arms. Raises UsageError for one that is none, or has an arm that the sweep
    does not have."""
    plan = plan_of(TrainingFigure, values, f"[figure] of {where}")
    known = list(dict.fromkeys(arms))
    baselines = [panel.baseline for panel in plan.panel if panel.baseline]
    for name in [*plan.arms, *baselines, *(name for claim in plan.claim for name in (claim.arm, claim.against))]:
        if name not in known:
            raise unknown_name("arm", name, known, f"(in [figure] of {where})")
    return plan
