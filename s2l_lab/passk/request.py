"""PasskRequest: everything that a pass@k run is asked for, resolved and typed.

Two parts are kept apart. The *identity* decides what a rollout is (sampling parameters with the seed, benchmark,
template, precision, engine) and may not change within a run directory. The *extent* (members, problems, rollouts per
problem) may grow: asking for more samples only what is owed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from s2l_lab.digest import content_digest
from s2l_lab.policies import SamplingParams
from s2l_lab.verifiers import Extraction
from s2l_lab.verifiers.maths_pool import SECONDS


class PasskRequest(BaseModel):
    """One pass@k run over a model family."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str | None = "tiny"
    """Registry name or path of a family file; None when only `policies` are run."""
    members: tuple[str, ...] | None = None
    """Subset of the family's member names; None runs all of them."""
    policies: tuple[str, ...] = ()
    """More policies as NAME=SOURCE: a directory, a hub id, an endpoint's address or a script of known solve rates."""
    benchmark: str = "countdown"
    data_root: Path | None = None
    """Directory with local copies of benchmark files, looked into before the hub."""
    problems: int | None = Field(default=None, ge=1)
    """The first so many problems; None takes all (Countdown, which never ends: 100)."""
    rollouts: int = Field(default=64, ge=1)
    """Number N of rollouts per problem."""
    sampling: SamplingParams = SamplingParams()
    template: str | None = None
    """Prompt template; None takes the member's own, or `chat` where its tokenizer has a chat template, else `raw`."""
    engine: Literal["auto", "transformers", "vllm", "endpoint", "scripted"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    tensor_parallel: int = Field(default=1, ge=1)
    max_model_len: int | None = Field(default=None, ge=1)
    model_root: Path | None = None
    """Directory looked into for checkpoints before the hub."""
    trust_remote_code: bool = False
    tokenizer: Path | None = None
    """Directory with the tokenizer's files of the served models, with which prompts go as token ids."""
    extraction: Extraction = "strict"
    """The rule by which answers are found; verdicts under another one are kept beside the others."""
    verifier_timeout: float = Field(default=SECONDS, gt=0, allow_inf_nan=False)
    """Seconds of processor time for one verdict; by the wall clock it may take six times as long."""
    interval: Literal["rollouts", "problems"] = "rollouts"
    """The interval drawn around every curve; numbers.json holds the chosen one, comparisons always use `problems`."""
    accept_repeats: bool = False
    """Report rollouts that cannot be independent draws all the same, with a remark; else they are refused."""
    unknown: Literal["bounds", "missing-at-random"] = "bounds"
    """Rollouts without a verdict: bounds between all wrong and all right, or left out as missing at random."""
    out: Path | None = None
    """Run directory; None makes one below `runs/` whose name carries the identity."""

    @field_validator("out", "model_root", "data_root", mode="before")
    @classmethod
    def _expand_home(cls, value: object) -> object:
        return Path(value).expanduser() if isinstance(value, (str, Path)) else value

    @model_validator(mode="after")
    def _something_to_run(self) -> PasskRequest:
        if self.family is None and not self.policies:
            raise ValueError("nothing to run: name a family (--family tiny) or a policy (--policy NAME=PATH)")
        return self

    def identity(self) -> dict[str, Any]:
        """What must be equal for two calls to share a run directory."""
        return {
            "benchmark": self.benchmark,
            "sampling": self.sampling.model_dump(mode="json"),
            "template": self.template,
            "engine": self.engine,
            "dtype": self.dtype,
            "max_model_len": self.max_model_len,
        }

    @property
    def run_directory(self) -> Path:
        """Where the run lives: `out`, or runs/passk-FAMILY-BENCHMARK-IDENTITY."""
        if self.out is not None:
            return self.out
        family = Path(self.family).stem if self.family else "policies"
        benchmark = Path(self.benchmark).stem.replace(":", "-")
        return Path("runs") / f"passk-{family}-{benchmark}-{content_digest(self.identity())[:8]}"
