"""Which problems only one of two policies solves, under a stated meaning of "solves".

"At least one of N correct" is what pass@N counts; it depends on N, so the statement says both, and that the lists mean
little where they differ. "Rate at least tau" is what Cover@tau counts. Neither list is a test: with few rollouts a
problem of small rate is solved by chance on one side, which is why every entry carries its counts and the ends of both
rates' intervals (see `solve_rates`).
"""

from __future__ import annotations

from dataclasses import dataclass

from s2l_lab.browse.provenance import spanned
from s2l_lab.browse.solve_rates import LEVEL, SolveRates
from s2l_lab.errors import UsageError


@dataclass(frozen=True, slots=True)
class SolveRule:
    """What "solves" means. Raises UsageError for a tau outside (0, 1]."""

    tau: float | None = None
    """Minimum share of correct rollouts; None asks for at least one correct rollout."""

    def __post_init__(self) -> None:
        if self.tau is not None and not 0 < self.tau <= 1:
            raise UsageError(f"tau is a solve rate above 0 and at most 1; {self.tau:g} was given.")

    @property
    def words(self) -> str:
        """The rule in words."""
        return "at least one rollout is correct" if self.tau is None else f"a share of at least {self.tau:g} is correct"

    def holds(self, correct: int, total: int) -> bool:
        """Whether `correct` of `total` rollouts (at least 1) count as solved."""
        return correct > 0 if self.tau is None else correct / total >= self.tau


@dataclass(frozen=True, slots=True)
class SolvedCell:
    """One problem under both policies. The ends are of Jeffreys' 95 % interval, about other draws on this problem."""

    problem_id: str
    correct_a: int
    total_a: int
    lower_a: float
    upper_a: float
    correct_b: int
    total_b: int
    lower_b: float
    upper_b: float


@dataclass(frozen=True, slots=True)
class OnlySolved:
    """The problems, each in exactly one of five lists, sorted by the gap between the two rates, largest first."""

    a_only: tuple[SolvedCell, ...]
    b_only: tuple[SolvedCell, ...]
    both: tuple[SolvedCell, ...]
    neither: tuple[SolvedCell, ...]
    unpaired: tuple[str, ...]
    """Ids of problems for which one of the two policies has no verified rollouts."""
    statement: str
    """What the lists mean: the rule, n, N of each, and what to beware of."""
    rollouts_per_problem: str
    """N of the problems in the first four lists, over both policies."""

    @property
    def n_problems(self) -> int:
        """Problems that both have verified rollouts of."""
        return sum(map(len, (self.a_only, self.b_only, self.both, self.neither)))


def only_solved(rates: SolveRates, a: str, b: str, rule: SolveRule | None = None) -> OnlySolved:
    """Sort the problems by who solves them. Raises UsageError for a policy that is not in `rates`."""
    rule = SolveRule() if rule is None else rule
    both_P = zip(_side(rates, a), _side(rates, b), strict=True)
    lists: dict[tuple[bool, bool], list[SolvedCell]] = {(x, y): [] for x in (True, False) for y in (True, False)}
    unpaired = []
    for problem_id, (in_a, in_b) in zip(rates.problem_ids, both_P, strict=True):
        if not (in_a[1] and in_b[1]):
            unpaired.append(problem_id)
            continue
        lists[rule.holds(*in_a[:2]), rule.holds(*in_b[:2])].append(SolvedCell(problem_id, *in_a, *in_b))
    sorted_ = {key: tuple(sorted(cells, key=_gap, reverse=True)) for key, cells in lists.items()}
    paired = [cell for cells in sorted_.values() for cell in cells]
    return OnlySolved(
        a_only=sorted_[True, False],
        b_only=sorted_[False, True],
        both=sorted_[True, True],
        neither=sorted_[False, False],
        unpaired=tuple(unpaired),
        statement=_statement(rule, a, b, paired, len(unpaired)),
        rollouts_per_problem=spanned([n for cell in paired for n in (cell.total_a, cell.total_b)]),
    )


def _side(rates: SolveRates, policy: str) -> list[tuple[int, int, float, float]]:
    """(correct, total, lower, upper) of a policy on each of the P problems."""
    m = rates.column(policy)
    columns = (rates.correct_PM, rates.total_PM, rates.lower_PM, rates.upper_PM)
    return list(zip(*(column[:, m].tolist() for column in columns), strict=True))


def _gap(cell: SolvedCell) -> float:
    return abs(cell.correct_a / cell.total_a - cell.correct_b / cell.total_b)


def _statement(rule: SolveRule, a: str, b: str, paired: list[SolvedCell], unpaired: int) -> str:
    many_a, many_b = spanned([cell.total_a for cell in paired]), spanned([cell.total_b for cell in paired])
    parts = [
        f"A policy solves a problem if {rule.words}. n = {len(paired)} problems, N = {many_a} of {a}, {many_b} of {b}."
    ]
    if rule.tau is None and many_a != many_b:
        parts.append("The policies have different N, and more draws solve more: compare them at a rate instead.")
    if unpaired:
        parts.append(f"{unpaired} problems are left out: one of the two has no verified rollouts of them.")
    parts.append(
        f"Intervals: {LEVEL:.0%} (Jeffreys), each about one rate under other draws on that problem. "
        "Counts of chance are in these lists: look at the numbers, not at the list alone."
    )
    return " ".join(parts)
