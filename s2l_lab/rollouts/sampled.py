"""Sampling from a notebook: verified rollouts as a frame, by the very path that `s2l-lab passk` takes.

The draws are keyed as there (seed, policy, sampling parameters, problem, sample index), so the same call gives the
same rollouts, and `passk` with these parameters would give them too. They are kept in the frame alone; what is large is
sampled by `s2l-lab passk`, which stores, resumes and tops up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from s2l_lab.errors import UsageError
from s2l_lab.plans import faults
from s2l_lab.policies import SamplingParams, sampling_params
from s2l_lab.policies.device import device_name
from s2l_lab.policies.families import default_max_tokens
from s2l_lab.policies.instructions import NEEDED
from s2l_lab.policies.opening import opened_policy
from s2l_lab.policies.templates import Prompting
from s2l_lab.problems.benchmarks import as_benchmark
from s2l_lab.rollouts.loop import collect
from s2l_lab.rollouts.manifest import RunManifest
from s2l_lab.rollouts.run import Run
from s2l_lab.rollouts.store import RolloutStore
from s2l_lab.rollouts.verifying import verify_with
from s2l_lab.verifiers import VerifierPool

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from s2l_lab.policies import Policy
    from s2l_lab.problems import Benchmark, Problem


def sample(
    policy: str | Policy,
    problems: str | Path | Benchmark | Sequence[Problem | tuple[str, str] | Mapping[str, Any]],
    n: int = 8,
    *,
    first: int | None = None,
    sampling: SamplingParams | Mapping[str, Any] | None = None,
    template: str | None = None,
    system: str | None = None,
    instruction: str = "auto",
    template_args: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Draw and verify `n` rollouts of every problem: a frame with the columns of `open_run(...).to_frame()`.

    `policy`: a known name ("tiny-2m", "qwen3-8b"), a directory, a hub id, NAME=SOURCE, or an open Policy, which stays
    open. `problems`: a benchmark's name or JSONL file (100 Countdown problems for "countdown"), a list of
    `s2l_lab.problems.Problem`, or a list of (question, answer) or mappings, whose answers are compared as maths unless
    a mapping says `kind`. `first` takes the first so many. `sampling`: SamplingParams, or some of them by name
    (temperature, top_p, top_k, min_p, max_tokens, seed, ...); the others are temperature 1, no truncation, seed 0, and
    the family's length.

    `template` (a name or a Jinja file), `system` (a text), `instruction` (boxed, answer, none or a text; auto adds what
    the verifier needs where the prompt does not say it) and `template_args` (variables of the chat template, as
    {"enable_thinking": False}) are those of `passk`; an open policy has its prompts already.

    One row a rollout, by problem and sample index 0 to n - 1; outcome is correct, incorrect, no_answer, truncated or
    verifier_error. UsageError for a name, a number or a parameter that is not allowed, PolicyError where the model
    cannot be opened or its template does not fit the problems.

    >>> import s2l_lab as s2l
    >>> rollouts = s2l.sample("tiny-60k", "countdown", n=4, first=3)
    >>> rollouts[["problem", "policy", "sample", "outcome", "tokens"]].shape
    (12, 5)
    >>> solved = rollouts["outcome"].eq("correct").groupby(rollouts["problem"], sort=False).sum()
    >>> s2l.pass_at_k_curve(solved, 4, [1, 4])
    <Curve: k = 1: ...>
    """
    if n < 1:
        raise UsageError(f"n = {n} rollouts were asked; give 1 or more.")
    benchmark = as_benchmark(problems, n=first)
    prompting = _prompting(policy, benchmark, template, system, instruction, template_args)
    with opened_policy(policy, prompting=prompting) as opened:
        if not isinstance(sampling, SamplingParams):
            asked = {"max_tokens": default_max_tokens(opened.name), **(sampling or {})}
            sampling = sampling_params("default", **asked)
        with TemporaryDirectory(prefix="s2l-lab-") as folder, VerifierPool() as pool:
            path = Path(folder) / "run"
            _collect(path, opened, benchmark, n, sampling, pool)
            return Run(path).to_frame()


def _prompting(
    policy: str | Policy,
    benchmark: Benchmark,
    template: str | None,
    system: str | None,
    instruction: str,
    template_args: Mapping[str, Any] | None,
) -> Prompting | None:
    """How a named policy is prompted; None for an open one."""
    if template_args is not None and not isinstance(template_args, Mapping):
        raise UsageError(f"template_args is {template_args!r}; give a mapping, as {{'enable_thinking': False}}.")
    args = dict(template_args or {})
    if not isinstance(policy, str | Path):
        if template is not None or system is not None or args or instruction != "auto":
            raise UsageError(
                f"{policy.name} is open and has its prompts already; give template, system, instruction and "
                "template_args where it is opened, or the policy's name here."
            )
        return None
    default = None if instruction == "auto" else instruction
    if default is None and benchmark.kind in NEEDED:
        default = "auto"
    values = {"template": template, "system": system, "instruction": default, "template_args": args}
    try:
        return Prompting.model_validate(values)
    except ValidationError as error:
        raise UsageError("; ".join(words for _, words in faults(error, Prompting, values)) + ".") from error


def _collect(
    path: Path, policy: Policy, benchmark: Benchmark, n: int, sampling: SamplingParams, pool: VerifierPool
) -> None:
    """Fill a new run directory."""
    version = pool.version(benchmark.kind)
    config = {"benchmark": benchmark.name, "sampling": sampling.model_dump(mode="json"), "policies": {policy.name: {}}}
    manifest = RunManifest.of_this_process(
        config, device=device_name(), seeds={"run": sampling.seed}, verifier_version=version
    )
    with RolloutStore.open(path, manifest, {}) as store:
        collect(store, policy, benchmark.problems, n, sampling, verify=verify_with(pool), verifier_version=version)
