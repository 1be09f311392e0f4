"""`s2l-lab verify`: what a verifier says of gold answers, and of a stored run instead of its own verifier.

A model's text is printed as text: no markup and no escape sequence in it takes effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from s2l_lab.errors import DataError, UsageError, unknown_name
from s2l_lab.figures.markup import printable, shortened

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from s2l_lab.estimators import Curve
    from s2l_lab.problems import Benchmark
    from s2l_lab.regrade import FlipReport, PolicyFlips
    from s2l_lab.verifiers import Extraction, GoldReport, Kind

_MOST_REFUSED = 20
_MOST_SHOWN = 10
_KS = (1, 4, 16, 64, 256, 1024)


def run(
    *,
    benchmark: str | None,
    data_root: Path | None,
    run_directory: Path | None,
    compare: str | None,
    question: str | None = None,
    answer: str | None = None,
    extraction: Extraction | None = None,
    regrade_errors: bool = False,
    verifier_timeout: float = 5.0,
) -> None:
    """Check a benchmark's gold answers, or grade a run anew. Raises UsageError unless one of both is asked, and
    for a time limit that is not positive; DataError where a gold answer cannot be read."""
    from rich.console import Console

    from s2l_lab.problems import load_benchmark
    from s2l_lab.verifiers.verifier_pool import known_seconds

    known_seconds(verifier_timeout)
    if (benchmark is None) == (run_directory is None):
        raise UsageError(
            "give either a file or --benchmark NAME (grade its gold answers against themselves) or --run DIR with "
            "--compare VERIFIER (grade a stored run anew)."
        )
    if run_directory is not None and (question is not None or answer is not None):
        raise UsageError("--question and --answer name columns of a problem file; a stored run has its problems.")
    console = Console(highlight=False)
    if run_directory is None:
        if extraction is not None or regrade_errors:
            raise UsageError("--extraction and --regrade-errors are about a stored run; give --run DIR.")
        kind = None if compare is None else known_kind(compare)
        found = load_benchmark(str(benchmark), data_root=data_root, question=question, answer=answer)
        _check_gold(found, kind, verifier_timeout, console)
    elif compare is not None:
        if extraction is not None or regrade_errors:
            raise UsageError("--compare stores nothing; leave out --extraction and --regrade-errors, or --compare.")
        _compare(run_directory, compare, verifier_timeout, console)
    elif regrade_errors:
        _regrade_errors(run_directory, extraction or "strict", verifier_timeout, console)
    elif extraction is not None:
        _store(run_directory, extraction, verifier_timeout, console)
    else:
        raise UsageError(
            "--run DIR needs --compare VERIFIER (as --compare official), --extraction NAME or --regrade-errors."
        )


def known_kind(name: str, *others: str) -> Kind:
    """A verifier's name as a Kind. Raises UsageError naming the nearest ones, `others` that are allowed included."""
    from s2l_lab.verifiers import Kind

    kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    if name not in kinds:
        raise unknown_name("verifier", name, {*kinds, *others})
    return kinds[name]


def _check_gold(benchmark: Benchmark, other: Kind | None, verifier_timeout: float, console: Console) -> None:
    from s2l_lab.verifiers import VerifierPool, check_gold

    console.print(
        f"{benchmark.name}: {len(benchmark.problems):,} problems, {_provenance(benchmark.provenance)}", soft_wrap=True
    )
    print_questions(benchmark, console)
    with VerifierPool(seconds=verifier_timeout) as pool:
        own = check_gold(benchmark, pool)
        print_gold(own, console)
        if other is not None:
            print_gold(check_gold(benchmark, pool, other), console)
    if own.refused:
        raise DataError(
            f"{benchmark.name}: {len(own.refused):,} of {own.total:,} gold answers cannot be read by {own.verifier}, "
            "so these problems cannot be solved. Mend or delete them, or name the right columns by --question and "
            "--answer."
        )


def print_questions(benchmark: Benchmark, console: Console) -> None:
    """The first problems with the gold answers that were read."""
    for problem in benchmark.problems[:_MOST_SHOWN]:
        gold = shortened(printable(problem.answer), 60) if problem.answer else "(none: only its checker decides)"
        words = " ".join(problem.prompt.split())
        console.print(f"  {shortened(printable(words), 100)}  ->  {gold}", markup=False, soft_wrap=True)
    if len(benchmark.problems) > _MOST_SHOWN:
        console.print(f"  and {len(benchmark.problems) - _MOST_SHOWN:,} more")


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


def _compare(directory: Path, other: str, verifier_timeout: float, console: Console) -> None:
    """Flips between the run's own verdicts and those of another verifier or extraction."""
    from s2l_lab.regrade import compare_verifiers
    from s2l_lab.rollouts import RolloutStore
    from s2l_lab.verifiers import Extraction, VerifierPool

    extractions: dict[str, Extraction] = {name: name for name in get_args(Extraction)}
    extraction = extractions.get(other)
    kind = known_kind(other, *extractions) if extraction is None else None
    pool = VerifierPool(extraction=extraction or "strict", seconds=verifier_timeout)
    with RolloutStore(directory) as store, pool:
        print_flips(compare_verifiers(store, kind, pool), console)


def _store(directory: Path, extraction: Extraction, verifier_timeout: float, console: Console) -> None:
    """Verify what has no verdict under an extraction yet, keep it, and set it beside the run's own verdicts."""
    from s2l_lab.cli.tables import silent_line
    from s2l_lab.regrade import compare_verifiers, run_version
    from s2l_lab.rollouts import RolloutStore, verify_unverified, verify_with
    from s2l_lab.verifiers import VerifierPool

    with VerifierPool(extraction=extraction, seconds=verifier_timeout) as pool:
        with RolloutStore(directory) as store:
            version = run_version(store, extraction)
        with RolloutStore.reopen(directory, version) as store:
            new = verify_unverified(store, verify_with(pool), version)
        console.print(f"{new:,} rollouts were verified by {version}; their verdicts are kept.", markup=False)
        with RolloutStore(directory) as store:
            print_flips(compare_verifiers(store, None, pool), console)
            for origin in store.origins():
                outcomes = store.outcomes(origin, version, [problem.id for problem in store.problems()])
                if line := silent_line(origin.policy, outcomes, directory, version):
                    console.print(f"\n{line}", style="bold red", markup=False, soft_wrap=True)


def _regrade_errors(directory: Path, extraction: Extraction, verifier_timeout: float, console: Console) -> None:
    """Ask again for the verdicts that are VERIFIER_ERROR under the current version, and keep what comes."""
    from s2l_lab.regrade import run_version
    from s2l_lab.rollouts import RolloutStore, verify_errors_again, verify_with
    from s2l_lab.verifiers import VerifierPool

    with RolloutStore(directory) as store:
        version = run_version(store, extraction)
        if version not in store.verifier_versions:
            raise DataError(
                f"{directory} has no verdicts of {version} (verifiers there: "
                f"{', '.join(store.verifier_versions) or 'none'}). Give --extraction {extraction} without "
                "--regrade-errors to verify all of it by the current version."
            )
        errors = store.number_of_errors(version)
    if not errors:
        console.print(f"Every verdict of {version} is known; nothing was verified again.", markup=False)
        return
    with (
        VerifierPool(extraction=extraction, seconds=verifier_timeout) as pool,
        RolloutStore.reopen(directory, version) as store,
    ):
        done = verify_errors_again(store, verify_with(pool), version)
    console.print(f"{version}: {done.tried:,} rollouts without a verdict were verified again.", markup=False)
    console.print(f"  {done.settled:>9,} have one now")
    for cause, count in sorted(done.still.items(), key=lambda pair: -pair[1]):
        console.print(f"  {count:>9,} still have none: {printable(cause)}", markup=False, soft_wrap=True)


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
