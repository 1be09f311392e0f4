"""Equal entropy: the temperature at which one policy is as random as another.

A smaller member at the same temperature is also a flatter distribution. Whether "small" adds anything to "flat" is
read by giving the other policy the temperature at which their entropies agree, in both directions. The entropy is that
of a policy's own rollouts at each temperature, before truncation, pooled over tokens: sum H / sum T; the mean of
per-rollout means would weight short rollouts too much. Temperatures are found on validation problems and used on test
problems. The same bisection matches any other increasing statistic, such as KL(b || pi_L).

What would surprise: nothing is extrapolated. A target outside what the bracket reaches gives a temperature of NaN,
and the achieved value of the nearer end is reported beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PooledEntropy:
    """Entropies of a policy's rollouts, in nats. NaN for no rollouts."""

    per_token: float
    """sum H / sum T over all tokens of all rollouts, EOS positions included."""
    per_sequence: float
    """Mean over rollouts of the sum of their tokens' entropies."""
    n_rollouts: int
    n_tokens: int


def pooled_entropy(entropies: Sequence[NDArray[np.floating]]) -> PooledEntropy:
    """Pool the token entropies (T,) of rollouts: nats, of softmax(logits / temperature) before truncation."""
    tokens = sum(entropy_T.size for entropy_T in entropies)
    total = float(sum(entropy_T.astype(np.float64).sum() for entropy_T in entropies))
    if tokens == 0:
        return PooledEntropy(float("nan"), float("nan"), len(entropies), 0)
    return PooledEntropy(total / tokens, total / len(entropies), len(entropies), tokens)


@dataclass(frozen=True, slots=True)
class TemperatureMatch:
    """A temperature at which a policy's entropy meets a target."""

    temperature: float
    """NaN where the target lies outside what the bracket reaches."""
    target: float
    achieved: float
    """The entropy at `temperature`; of the bracket's nearer end where the target is out of reach."""
    evaluations: int
    """How often the entropy was measured."""


def match_temperature(
    entropy: Callable[[float], float],
    target: float,
    *,
    lowest: float = 0.1,
    highest: float = 3.0,
    tolerance: float = 0.005,
) -> TemperatureMatch:
    """Bisect for the temperature in [lowest, highest] at which entropy(temperature) is within tolerance * target.

    `entropy` must increase with temperature but for its sampling noise; measure it with the same draws at each
    temperature. Where noise keeps it from the tolerance, the nearest of all measured temperatures is returned.
    UsageError for an empty bracket.
    """
    if not 0 < lowest < highest:
        raise UsageError(f"temperatures {lowest:g} to {highest:g} were given; a bracket needs 0 < lowest < highest.")
    seen = {temperature: entropy(temperature) for temperature in (lowest, highest)}
    if not seen[lowest] <= target <= seen[highest]:
        nearer = min(seen.values(), key=lambda value: abs(value - target))
        return TemperatureMatch(float("nan"), target, nearer, len(seen))
    low, high = lowest, highest
    while high - low > 1e-4 * high:
        middle = (low * high) ** 0.5
        seen[middle] = entropy(middle)
        if abs(seen[middle] - target) <= tolerance * abs(target):
            break
        low, high = (middle, high) if seen[middle] < target else (low, middle)
    best = min(seen, key=lambda temperature: abs(seen[temperature] - target))
    return TemperatureMatch(best, target, seen[best], len(seen))


@dataclass(frozen=True, slots=True)
class EqualEntropy:
    """Both directions of a match between policies a and b."""

    a_as_b: TemperatureMatch
    """a's temperature at which it has the entropy of b at b's own temperature."""
    b_as_a: TemperatureMatch
    """b's temperature at which it has the entropy of a at a's own temperature."""


def match_both(
    entropy_a: Callable[[float], float],
    entropy_b: Callable[[float], float],
    temperature_a: float,
    temperature_b: float,
    *,
    lowest: float = 0.1,
    highest: float = 3.0,
    tolerance: float = 0.005,
) -> EqualEntropy:
    """Match a to b at `temperature_b`, and b to a at `temperature_a`; the rest as in `match_temperature`."""
    return EqualEntropy(
        match_temperature(entropy_a, entropy_b(temperature_b), lowest=lowest, highest=highest, tolerance=tolerance),
        match_temperature(entropy_b, entropy_a(temperature_a), lowest=lowest, highest=highest, tolerance=tolerance),
    )
