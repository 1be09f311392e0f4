"""Repeated rollouts: whether the completions of a problem can be independent draws at all.

Rollouts are distinct by key, never by text: equal texts are honest where answers are short or a policy is sure. But an
engine that ignores seeds, or begins its random numbers again, gives N rollouts that are one, or N/2 twice, and every
interval over them is too narrow. What tells the two apart, at temperatures above 0:

- `LIKELIHOOD`, where log-probabilities are known. Given the earlier draws, the next one repeats one of them with
  probability q, the sum of their probabilities. Whoever bets a share of his money at the fair odds 1/q on each repeat
  wins nothing on average, so honest draws make him BOUND times richer with probability 1/BOUND at most (Ville).
- `EQUAL`: no problem has two different completions, and those that repeat have LONG tokens or more. No proof, since a
  policy may be sure of itself; asked only where log-probabilities do not answer.
- `COPIES`: the completions of a problem come in copies, all of them in multiples of two (or three, five ...). Whatever
  its probability, a completion that occurs does so an even number of times with probability 1/2 at most, so D different
  ones do together with 2^(1 - D) at most (the last one's parity follows from N); multiples of three are rarer still.
  A few of another number are allowed, at their price.
- `BLOCKS`: no completion repeats before some sample index nor from it on, yet later ones repeat earlier ones. Given
  which completions came, every order of them is equally likely, which makes this a permutation test.

The last two need no log-probabilities and assume nothing of the policy. Scores are in bits, less what the choice of
problems, of the multiple or of the index is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s2l_lab.errors import PolicyError
from s2l_lab.policies import Completion, Draw, SamplingParams
from s2l_lab.rollouts.rollout import Origin

if TYPE_CHECKING:
    from s2l_lab.rollouts.store import RolloutStore

LONG = 20
"""Tokens from which two equal completions are not a matter of course."""
CHARACTERS, MOST_CHARACTERS = 6, 16
"""A text of more characters to a token is taken to have more tokens; of as many, to be another than was counted."""
BOUND = 1e8
"""Honest draws are taken for repeated ones once in so many runs, at most, by LIKELIHOOD, COPIES and BLOCKS each."""
MANY_BITS, LONG_BITS = math.log2(BOUND), 8.0
"""What COPIES and BLOCKS must reach; less where all that repeats is LONG and log-probabilities are not known."""
FEWEST_REPEATS = 4
"""Repeats below which EQUAL says nothing."""
EARLY_ROLLOUTS = 4096
"""A first batch ends here at the latest."""

EQUAL = f"all rollouts of a problem are one completion of {LONG} tokens or more, for every problem"
LIKELIHOOD = "completions repeat more often than their own log-probabilities allow"
COPIES = "each problem's completions come in copies, as if every draw had been given several times"
BLOCKS = "later rollouts repeat earlier ones, as if the random numbers had begun again"
DOUBT = (
    f"half or more of the completions of {LONG} tokens or more repeat another one of their problem; without "
    "log-probabilities nobody can tell whether the draws are independent"
)

_MULTIPLES = {2: 1 / 2, 3: 1 / 10, 5: 1 / 10, 7: 1 / 10, 11: 1 / 10, 13: 1 / 10}
"""Multiples that COPIES looks for, with the share of its chance of error that each may use."""
_TOLERANCES = {0.0: 1 / 2, 1 / 8: 1 / 4, 1 / 4: 1 / 4}
"""Shares of a problem's different completions that may be of another number (a copy is lost, or went elsewhere), each
with its share of the chance of error."""
_SHARES = (1e-4, 1e-2, 0.1, 0.5, 0.9, 0.999)
"""Shares of the money that are bet; the winnings are averaged, so no share need be right."""
_ROUNDING = 0.97
"""Stored log-probabilities are rounded: q is taken a little larger than they say."""
_LEAST_LOGPROB = -600.0
"""exp of less is no longer a number above 0."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What was drawn, without the texts. Arrays have shape (R,), R rollouts."""

    problem: NDArray[np.uint64]
    """Equal for rollouts of one problem."""
    index: NDArray[np.int64]
    """Sample index of each rollout."""
    content: NDArray[np.uint64]
    """Equal for equal completions: text, token ids and stop reason."""
    length: NDArray[np.int64]
    """Tokens: as counted, or guessed by CHARACTERS where that is more or nobody counted."""
    logprob: NDArray[np.float64]
    """Nats, of the whole completion under the distribution that it was drawn from; NaN where unknown."""

    def of(self, some: NDArray[np.bool_]) -> Contents:
        """Some of the rollouts."""
        return Contents(self.problem[some], self.index[some], self.content[some], self.length[some], self.logprob[some])


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different completions there are of each problem. Arrays have shape (P,)."""

    rollouts_P: NDArray[np.int64]
    texts_P: NDArray[np.int64]
    """(P,) number of different texts per problem."""
    draws_P: NDArray[np.int64]
    """Different draws: text, token ids and stop reason; a text can be written in several ways."""


class RepeatedRolloutsError(PolicyError):
    """Rollouts that cannot be independent draws; they are stored, and not to be counted on."""


def is_greedy(sampling: SamplingParams) -> bool:
    """True where every rollout of a problem is the same by intent."""
    return sampling.temperature == 0 or sampling.top_k == 1


def contents_of(draws: Sequence[Draw]) -> Contents:
    """Draws that are not stored yet."""
    done = [draw.completion for draw in draws]
    contents = [(c.text, None if c.token_ids is None else c.token_ids.tobytes(), c.stop_reason) for c in done]
    return Contents(
        problem=_codes([draw.problem_id for draw in draws]),
        index=np.array([draw.index for draw in draws], dtype=np.int64),
        content=_codes(contents),
        length=np.array([max(c.tokens or 0, len(c.text) // CHARACTERS) for c in done], dtype=np.int64),
        logprob=np.array([_logprob(c) for c in done], dtype=np.float64),
    )


def fault(contents: Contents, problems: int) -> str | None:
    """Why these cannot be independent draws, one of EQUAL, LIKELIHOOD, COPIES, BLOCKS; None if they can. `problems` is
    the number of problems that were asked for, of which some may have nothing yet."""
    copies = _Copies.of(contents)
    if not copies.repeats:
        return None
    known = bool(np.isfinite(contents.logprob).all())
    if _likelihood(contents):
        return LIKELIHOOD
    if not known and copies.all_equal(problems):
        return EQUAL
    enough = LONG_BITS if not known and copies.all_long() else MANY_BITS
    if copies.equal_copies() >= enough:
        return COPIES
    return BLOCKS if copies.blocks() >= enough else None


def doubt(contents: Contents) -> str | None:
    """DOUBT, where long completions repeat and nothing says how likely that is; else None."""
    unknown = np.isnan(contents.logprob) & (contents.length >= LONG)
    repeats = _Copies.of(contents.of(unknown)).repeats
    return DOUBT if repeats and 2 * repeats >= unknown.sum() else None


def two_differ(contents: Contents) -> bool:
    """True once some problem has two different completions."""
    return bool((np.diff(_Copies.of(contents).problem) == 0).any())


def accepted(why: str) -> str:
    """The remark that stands beside rollouts that were accepted in spite of a fault."""
    return f"repeats were accepted: {why}"


def unsettled(
    store: RolloutStore, origin: Origin, problem_ids: Sequence[str], n: int, sampling: SamplingParams
) -> str | None:
    """The fault of what is stored, unless sampling is greedy or somebody has accepted it."""
    if is_greedy(sampling):
        return None
    why = fault(store.contents(origin, problem_ids, n), len(problem_ids))
    return None if why is None or accepted(why) in store.remarks(origin) else why


def settle(
    store: RolloutStore,
    origin: Origin,
    problem_ids: Sequence[str],
    n: int,
    sampling: SamplingParams,
    *,
    accept: bool = False,
) -> None:
    """Refuse what is stored of an origin where it cannot be independent draws (RepeatedRolloutsError); or, with
    `accept`, keep it with a remark. The store must be open for writing then."""
    why = unsettled(store, origin, problem_ids, n, sampling)
    if why is not None and accept:
        store.remark(origin, accepted(why))
    elif why is not None:
        raise refusal(store, origin, why, sampling)


class FirstBatch:
    """Looks at draws as they come, until two completions of one problem differ or EARLY_ROLLOUTS are there: nobody
    should wait for the end to learn that his server ignores seeds."""

    def __init__(self, store: RolloutStore, origin: Origin, problems: int, sampling: SamplingParams) -> None:
        self._store, self._origin, self._problems, self._sampling = store, origin, problems, sampling
        self._draws: list[Draw] = []
        self._settled = False

    def see(self, draws: Sequence[Draw]) -> None:
        """Raises RepeatedRolloutsError where what came so far cannot be independent draws."""
        if self._settled:
            return
        self._draws += draws
        contents = contents_of(self._draws)
        if (why := fault(contents, self._problems)) is not None:
            raise refusal(self._store, self._origin, why, self._sampling)
        self._settled = len(self._draws) >= EARLY_ROLLOUTS or two_differ(contents)


def refusal(store: RolloutStore, origin: Origin, why: str, sampling: SamplingParams) -> RepeatedRolloutsError:
    """The error in words."""
    return RepeatedRolloutsError(
        f"{origin.policy}: {why}. Independent draws at temperature {sampling.temperature:g} do not do that: the engine "
        "or server ignores seeds, or repeats its random numbers, and every interval would be too narrow (32 rollouts "
        f"twice are no 64). They are kept in {store.path} to be looked at. Let it draw anew for every seed and give "
        "--fresh, or another --out; or accept them as they are with --accept-repeats, and captions will say so."
    )


@dataclass(frozen=True, slots=True)
class _Copies:
    """Different completions, problem by problem: how often each came, where first and second, how long it is."""

    problem: NDArray[np.int64]
    """Number of the completion's problem, from 0."""
    count: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    """Sample indices; of no meaning where count is 1."""
    length: NDArray[np.int64]
    rollouts_P: list[NDArray[np.int64]]
    """Sample indices of each problem's rollouts, rising."""

    @classmethod
    def of(cls, c: Contents) -> _Copies:
        order = np.lexsort((c.index, c.content, c.problem))
        problem, content, index = c.problem[order], c.content[order], c.index[order]
        new_problem = problem[1:] != problem[:-1]
        starts = np.r_[True, new_problem | (content[1:] != content[:-1])][: len(order)]
        start = np.flatnonzero(starts)
        return cls(
            problem=np.r_[0, np.cumsum(new_problem)][: len(order)][start],
            count=np.diff(np.r_[start, len(order)]),
            first=index[start],
            second=index[np.minimum(start + 1, len(order) - 1)],
            length=c.length[order][start],
            rollouts_P=[np.sort(part) for part in np.split(index, np.flatnonzero(new_problem) + 1)],
        )

    @property
    def repeats(self) -> int:
        """Rollouts that repeat an earlier one."""
        return int((self.count - 1).sum())

    def all_long(self) -> bool:
        return bool((self.length[self.count > 1] >= LONG).all())

    def all_equal(self, problems: int) -> bool:
        """EQUAL, from two problems on (or the only one); up to half of the problems may have a short completion."""
        several_P = np.array([len(indices) > 1 for indices in self.rollouts_P])
        one_P = np.bincount(self.problem) == 1
        if self.repeats < FEWEST_REPEATS or several_P.sum() < min(2, problems) or not one_P[several_P].all():
            return False
        long = self.length[self.count > 1] >= LONG
        return bool(2 * long.sum() >= len(long))

    def equal_copies(self) -> float:
        """Bits of COPIES, for the multiple and the tolerance that have most."""
        starts = np.flatnonzero(np.r_[True, np.diff(self.problem) != 0])
        different_P = np.bincount(self.problem)
        eligible_P = different_P > 1
        scores = []
        for multiple, share in _MULTIPLES.items():
            odd_P = np.add.reduceat(self.count % multiple != 0, starts, dtype=np.int64)
            for tolerance, part in _TOLERANCES.items():
                allowed_P = (different_P * tolerance).astype(np.int64)
                found_P = eligible_P & (odd_P <= allowed_P)
                found = zip(different_P[found_P].tolist(), allowed_P[found_P].tolist(), strict=True)
                bits = sum(_copies_bits(different, odd) for different, odd in found)
                chosen = _log2_choose(int(eligible_P.sum()), int(found_P.sum()))
                scores.append(bits - chosen + math.log2(share * part))
        return max(scores)

    def blocks(self) -> float:
        """Bits of BLOCKS, at the index where they are most."""
        again = self.count > 1
        low, high = int(self.first[again].max()), int(self.second[again].min())
        if (self.count > 2).any() or low >= high:
            return 0.0
        pairs_P = np.bincount(self.problem[again], minlength=len(self.rollouts_P))
        longest = max(map(len, self.rollouts_P))
        cuts = np.unique(np.linspace(low + 1, high, 64).astype(np.int64))
        scores = [
            sum(
                _log2_choose(len(indices), before := int(np.searchsorted(indices, cut)))
                - pairs
                - _log2_choose(len(indices) - 2 * int(pairs), before - int(pairs))
                for indices, pairs in zip(self.rollouts_P, pairs_P, strict=True)
                if pairs
            )
            for cut in cuts
        ]
        return float(max(scores)) - math.log2(longest)


def _likelihood(c: Contents) -> bool:
    """LIKELIHOOD over the draws whose log-probabilities are known."""
    known = np.isfinite(c.logprob)
    order = np.flatnonzero(known)[np.lexsort((c.index[known], c.problem[known]))]
    gain_S = np.zeros(len(_SHARES))
    shares_S = np.array(_SHARES)[:, None]
    for rows in np.split(order, np.flatnonzero(np.diff(c.problem[order])) + 1):
        _, first, which = np.unique(c.content[rows], return_index=True, return_inverse=True)
        new = first[which] == np.arange(len(rows))
        probability = np.exp(np.clip(_ROUNDING * c.logprob[rows], _LEAST_LOGPROB, 0.0))
        seen = np.cumsum(np.where(new, probability, 0.0))
        q = np.minimum(np.r_[0.0, seen[:-1]], 1.0)
        bet = q > 0  # not on a problem's first draw
        won = np.where(new, np.log1p(-shares_S), np.log1p(shares_S * (1.0 / np.where(bet, q, 1.0) - 1.0)))
        gain_S += np.where(bet, won, 0.0).sum(axis=1)
    highest = gain_S.max()
    return bool(highest + math.log(np.exp(gain_S - highest).mean()) >= math.log(BOUND))


@lru_cache(maxsize=4096)
def _copies_bits(different: int, odd: int) -> float:
    """Of at most so many odd ones among different completions, each odd with probability 1/2 at least."""
    chances = different - 1
    return chances - math.log2(sum(math.comb(chances, i) for i in range(odd + 1)))


def _logprob(completion: Completion) -> float:
    """Of the whole completion; NaN where too few values are there to be of this text."""
    values = completion.logprobs
    known = values is not None and len(values) > 0 and MOST_CHARACTERS * len(values) >= len(completion.text)
    return float(values.sum(dtype=np.float64)) if values is not None and known else math.nan


def _log2_choose(n: int, k: int) -> float:
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


def _codes(values: Sequence[object]) -> NDArray[np.uint64]:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.uint64)
