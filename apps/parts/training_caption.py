"""What numbers of training runs rest on, in words for captions."""

from __future__ import annotations

from collections.abc import Sequence

from s2l_lab.browse.training_runs import Arm, evaluations


def arms_caption(arms: Sequence[Arm], interval: str, more: Sequence[str] = ()) -> tuple[str, ...]:
    """Plain lines: arms with their seeds and digests, sampling, evaluation, what the interval is about, commands."""
    lines = [f"Intervals: {interval}."]
    for arm in arms:
        first = arm.runs[0]
        seeds = ", ".join(str(run.seed) for run in arm.runs)
        digests = ", ".join(run.plan.digest for run in arm.runs)
        options = first.plan.training
        lines.append(
            f"{arm.name}: learner {first.plan.learner.member} on {first.plan.problems.benchmark}, G = "
            f"{options.get('num_generations', 16)}, T {options.get('temperature', 1.0):g}, top-p "
            f"{options.get('top_p', 1.0):g}; seeds {seeds}; plans {digests}."
        )
    for benchmark, words in _evaluated(arms).items():
        lines.append(f"{benchmark}: {words}.")
    commands = dict.fromkeys(run.report.command for arm in arms for run in arm.runs if run.report is not None)
    made = list(commands)[:2]
    rest = f" and {len(commands) - len(made)} more" if len(commands) > len(made) else ""
    return (*lines, *more, f"Made by: {'; '.join(made)}{rest}" if made else "No run is finished yet.")


def _evaluated(arms: Sequence[Arm]) -> dict[str, str]:
    found: dict[str, str] = {}
    for arm in arms:
        for one in evaluations(arm.runs[0]):
            wanted = next((e for e in arm.runs[0].plan.evaluation if e.benchmark == one.benchmark), None)
            sampling = f"; T {wanted.temperature:g}, top-p {wanted.top_p:g}, seed {wanted.seed}" if wanted else ""
            words = f"n = {len(one.problem_ids)} problems, N = {min(one.total, default=0)} at the least{sampling}"
            found.setdefault(one.benchmark, words)
    return found
