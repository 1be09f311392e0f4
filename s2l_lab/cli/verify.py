"""`s2l-lab verify`: what a verifier says of gold answers, and of a stored run instead of its own verifier.

A model's text is printed as text: no markup and no escape sequence in it takes effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.figures.markup import printable, shortened

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from s2l_lab.estimators import Curve
    from s2l_lab.regrade import FlipReport, PolicyFlips
    from s2l_lab.verifiers import GoldReport, Kind

_MOST_REFUSED = 20
_KS = (1, 4, 16, 64, 256, 1024)


def run(*, benchmark: str | None, data_root: Path | None, run_directory: Path | None, compare: str | None) -> None:
    """Check a benchmark's gold answers, or grade a run anew. Raises UsageError unless one of both is asked."""
    from rich.console import Console

    if (benchmark is None) == (run_directory is None):
        raise UsageError(
            "give either --benchmark NAME (grade its gold answers against themselves) or --run DIR with --compare "
            "VERIFIER (grade a stored run anew)."
        )
    kind = None if compare is None else known_kind(compare)
    console = Console(highlight=False)
    if benchmark is not None:
        _check_gold(benchmark, data_root, kind, console)
    elif run_directory is not None and kind is not None:
        _compare(run_directory, kind, console)
    else:
        raise UsageError("--run DIR needs --compare VERIFIER, as --compare official.")


def known_kind(name: str) -> Kind:
    """A verifier's name as a Kind. Raises UsageError naming the nearest ones."""
    from s2l_lab.verifiers import Kind

    kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    if name not in kinds:
        raise unknown_name("verifier", name, kinds)
    return kinds[name]


def _check_gold(name: str, data_root: Path | None, other: Kind | None, console: Console) -> None:
    from s2l_lab.problems import load_benchmark
    from s2l_lab.verifiers import VerifierPool, check_gold

    benchmark = load_benchmark(name, data_root=data_root)
    console.print(
        f"{benchmark.name}: {len(benchmark.problems):,} problems, {_provenance(benchmark.provenance)}", soft_wrap=True
    )
    with VerifierPool() as pool:
        for kind in (None, other) if other else (None,):
            print_gold(check_gold(benchmark, pool, kind), console)


def _provenance(facts: dict[str, str]) -> str:
    return printable(", ".join(f"{name} {value}" for name, value in facts.items()))


def print_gold(report: GoldReport, console: Console) -> None:
    """The figures of a gold check, then what the verifier cannot grade."""
    console.print(f"\n{report.verifier}", style="bold")
    if report.without_gold:
        console.print(f"  {report.without_gold:,} problems store no gold answer: only their checker decides")
    if report.total:
        for form, accepted in ((r"\boxed{gold}", report.boxed), ("Answer: gold", report.marked)):
            share = 100 * accepted / report.total
            console.print(f"  {form} accepted: {accepted:,} of {report.total:,} ({share:.1f} %)", markup=False)
    for problem, verdict in report.refused[:_MOST_REFUSED]:
        line = f"    {problem.id}  {verdict.outcome}  gold {shortened(printable(problem.answer), 60)}  {verdict.detail}"
        console.print(line.rstrip(), markup=False, soft_wrap=True)
    if len(report.refused) > _MOST_REFUSED:
        console.print(f"    and {len(report.refused) - _MOST_REFUSED:,} more")


def _compare(directory: Path, kind: Kind, console: Console) -> None:
    from s2l_lab.regrade import compare_verifiers
    from s2l_lab.rollouts import RolloutStore
    from s2l_lab.verifiers import VerifierPool

    with RolloutStore(directory) as store, VerifierPool() as pool:
        print_flips(compare_verifiers(store, kind, pool), console)


def print_flips(report: FlipReport, console: Console) -> None:
    """Flips and curves, policy by policy."""
    console.print(f"before: {report.before}\nafter:  {report.after}", markup=False)
    if report.unverified:
        console.print(f"{report.unverified:,} rollouts have no verdict yet and are left out")
    for policy in report.policies:
        _print_policy(policy, console)


def _print_policy(policy: PolicyFlips, console: Console) -> None:
    console.print(f"\n{printable(policy.origin.policy)}", style="bold", markup=False)
    console.print(f"  {policy.total:,} rollouts: {policy.gained:,} become correct, {policy.lost:,} no longer are")
    for (before, after), count in sorted(policy.table.items(), key=lambda cell: -cell[1]):
        console.print(f"    {before:>14} -> {after:<14} {count:>9,}")
    if policy.before is not None and policy.after is not None:
        curve = policy.before
        console.print(
            f"    {curve.n_problems:,} problems, N = {curve.n_rollouts:,}; {curve.level:.0%} intervals about these "
            "problems, other rollouts"
        )
        for k in sorted({k for k in _KS if k <= policy.before.k[-1]} | {int(policy.before.k[-1])}):
            console.print(f"    pass@{k:<5} {_at(policy.before, k)} -> {_at(policy.after, k)}")
    for flip in policy.examples:
        answers = " -> ".join(
            f"{outcome} {shortened(printable(answer or '(none)'), 40)}"
            for outcome, answer in ((flip.before, flip.answer_before), (flip.after, flip.answer_after))
        )
        gold = shortened(printable(flip.problem.answer), 40)
        console.print(f"    {flip.problem.id} #{flip.index}  gold {gold}:  {answers}", markup=False, soft_wrap=True)


def _at(curve: Curve, k: int) -> str:
    i = list(curve.k).index(k)
    return f"{curve.value[i]:.3f} [{curve.lower[i]:.3f}, {curve.upper[i]:.3f}]"
