"""Table 3: how diverse are the members of a family? The paper's table on our runs, in both conditions, with intervals.

The members are sampled as `s2l-lab passk` does, and measured as `s2l-lab diversity` measures any run (`diversity`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from s2l_lab.passk import PasskRequest, complete_run
from s2l_lab.policies import SamplingParams
from s2l_lab.policies.presets import sampling_params
from s2l_lab.studies.diversity import diversity_of_run
from s2l_lab.studies.study import Measured, Watch
from s2l_lab.verifiers import VerifierPool


class TablePlan(BaseModel):
    """The diversity table of a family's members on one benchmark."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = "tiny"
    benchmark: str = "countdown"
    problems: int = Field(default=100, ge=2)
    rollouts: int = Field(default=256, ge=2)
    """N, the number of rollouts per problem and policy."""
    preset: Literal["default", "think", "nothink"] = "default"
    sampling: SamplingParams = SamplingParams()
    """Sampling parameters that differ from the preset, and the seed and max_tokens that it leaves open."""
    template: str | None = None
    embedder: str = "minilm"
    model_root: Path | None = None
    data_root: Path | None = None

    def describe(self) -> str:
        """A summary of what the plan samples and measures, in a few lines."""
        return (
            f"{self.rollouts} rollouts of each of {self.problems} problems of {self.benchmark} from every member of "
            f"{self.family} (preset {self.preset}); what `s2l-lab passk` has stored counts. Then every metric, "
            f"embedder {self.embedder}."
        )

    def request(self) -> PasskRequest:
        """The run that the table reads."""
        return PasskRequest(
            family=self.family,
            benchmark=self.benchmark,
            problems=self.problems,
            rollouts=self.rollouts,
            sampling=sampling_params(self.preset, **self.sampling.model_dump(exclude_unset=True)),
            template=self.template,
            model_root=self.model_root,
            data_root=self.data_root,
        )


def measure(plan: TablePlan, command: str, watch: Watch) -> Measured:
    """Sample what is owed, then every metric of every member; the result is a DiversityReport."""
    request = plan.request()
    with VerifierPool(extraction=request.extraction, seconds=request.verifier_timeout) as pool:
        done = complete_run(request, pool=pool, announce=watch.announce, show=watch.show, progress=watch.progress)
    report = diversity_of_run(
        request.run_directory,
        policies=[task.member.name for task in done.plan.tasks],
        problems=len(done.plan.benchmark.problems),
        n=request.rollouts,
        embedder=plan.embedder,
        command=command,
        announce=watch.announce,
    )
    return Measured(report)
