"""The plans of figures: experiments/FIGURE/SCALE.toml, read and checked; and the one that compares pairs of members.

Panels that share benchmark, preset and N share one run over all their members: each member is sampled once, and the
simultaneous band covers every pair of the run, so a figure with many pairs pays for looking at many pairs.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

import s2l_lab
from s2l_lab.errors import DataError, UsageError
from s2l_lab.figures.registry import Scale
from s2l_lab.passk.request import PasskRequest
from s2l_lab.plans import Plan, read_plan
from s2l_lab.policies import SamplingParams
from s2l_lab.policies.presets import sampling_params


class PairPanel(BaseModel):
    """One panel: two members on one benchmark."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name of the paper's panel to compare with."""
    pair: tuple[str, str]
    """Names of the two members, the smaller first."""
    benchmark: str
    preset: Literal["think", "nothink"]
    n: int = Field(ge=1)
    """Number N of rollouts per problem."""


class Experiment(BaseModel):
    """A figure at one scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    problems: int = Field(ge=1)
    """Number of problems of each benchmark to use, from the first."""
    sampling: SamplingParams = SamplingParams()
    """What differs from the presets, and the seed and max_tokens that they leave open."""
    templates: dict[Literal["think", "nothink"], str] = Field(default_factory=dict)
    """Prompt template of each preset; the member's own where none is given."""
    panel: tuple[PairPanel, ...] = Field(min_length=1)

    @property
    def members(self) -> tuple[str, ...]:
        """Every member of any pair, small to large. Raises DataError where the pairs contradict each other."""
        smaller: dict[str, set[str]] = {}
        for panel in self.panel:
            small, large = panel.pair
            smaller.setdefault(large, set()).add(small)
        try:
            return tuple(TopologicalSorter(smaller).static_order())
        except CycleError as error:
            raise DataError(f"the pairs name no order from small to large: {' < '.join(error.args[1])}.") from None

    def runs(self) -> dict[PasskRequest, tuple[PairPanel, ...]]:
        """The runs that are needed, each with the panels that use it."""
        together: dict[tuple[str, str, int], list[PairPanel]] = {}
        for panel in self.panel:
            together.setdefault((panel.benchmark, panel.preset, panel.n), []).append(panel)
        return {self._request(panels): tuple(panels) for panels in together.values()}

    def _request(self, panels: list[PairPanel]) -> PasskRequest:
        first = panels[0]
        return PasskRequest(
            family=self.family,
            members=tuple(dict.fromkeys(member for panel in panels for member in panel.pair)),
            benchmark=first.benchmark,
            problems=self.problems,
            rollouts=first.n,
            sampling=sampling_params(first.preset, **self.sampling.model_dump(exclude_unset=True)),
            template=self.templates.get(first.preset),
            interval="problems",
        )


def load_plan(figure: str, scale: Scale, kind: type[Plan]) -> Plan:
    """The shipped plan of a figure. Raises UsageError where it cannot be found, DataError for a file that is none."""
    return read_plan(plan_path(figure, scale), kind)


def plan_path(figure: str, scale: Scale) -> Path:
    """The file of a figure's shipped plan. Raises UsageError where it cannot be found."""
    path = _folder(figure) / f"{scale}.toml"
    if not path.is_file():
        raise UsageError(f"{figure} has no plan at scale {scale!r}: {path} does not exist.")
    return path


def _folder(figure: str) -> Path:
    """experiments/FIGURE: in the working directory, in the checkout, or packed into the installed package."""
    package = Path(s2l_lab.__file__).parent
    places = [root / "experiments" / figure for root in (Path.cwd(), package.parent, package)]
    for place in places:
        if place.is_dir():
            return place
    looked = ", ".join(str(place) for place in places)
    raise UsageError(f"the plan of {figure} was not found; looked in {looked}. Run from a checkout of s2l-lab.")
