"""Where two pass@k curves change places, read from a simultaneous band of b minus a.

At each k the band lies wholly above 0 (b is shown ahead), wholly below (a is shown ahead), or holds 0. The **leader**
is the first side that the band shows. The crossing k* is 1 + the last k at which the leader is ahead, and "none by N"
if that k is N; its estimate reads the estimated curves. Its confidence set runs

- from 1 + the last k where the band is wholly on the leader's side, which is "none by N" if that k is N,
- to the first k from which the band stays wholly on the other side to N, and to "none by N" if there is no such k.

Without a leader nothing is known of k*: the set is [1, none by N]. Where a band holds 0 at first (curves that touch at
k = 1), neither end of it comes from there.

Then the outcome is

- `at`: the band excludes 0 with the leader's sign at some k and with the other sign at a larger k. Only this is a
  supported crossing.
- `ahead`: b is shown ahead at every k, from k = 1 on. No crossing by N.
- `none`: a is shown ahead at every k. No crossing by N.
- `undetermined`: everything else; the band allows a crossing and does not show one.

So with a the smaller member and b the larger, `ahead` means that the larger one leads throughout, `none` that the
smaller one does, and the paper's claim (arXiv 2605.30789, Figure 2) is `at` with leader b.

What would surprise: the bootstrap law of the crossing point is no test. Two identical policies show a "crossing" in
more than a third of its mass; the band supports one in under 5 % of runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from s2l_lab.estimators.estimate import Crossing, Floats, Ints, Shown

if TYPE_CHECKING:
    from s2l_lab.estimators.estimate import Comparison

_ROUNDING = 1e-12
"""Differences nearer to 0 than this are ties."""


def find_crossing(ks_K: Ints, value_K: Floats, band_lower_K: Floats, band_upper_K: Floats) -> Crossing:
    """The crossing of two curves, from the difference b - a and its simultaneous band at increasing ks, shape (K,).

    NaN values (unknown rollouts) are ahead for nobody and behind for nobody: k* is not before them. NaN bands (one
    problem) support nothing.
    """
    side_K = np.where(band_lower_K > 0, 1, np.where(band_upper_K < 0, -1, 0))
    known_K = value_K[np.isfinite(value_K) & (np.abs(value_K) > _ROUNDING)]
    sign_changes = int((np.sign(known_K[1:]) != np.sign(known_K[:-1])).sum())
    shown = _ranges(ks_K, side_K)
    if not shown:
        return Crossing("undetermined", None, (int(ks_K[0]), None), None, sign_changes, shown)

    leader: Literal["a", "b"] = shown[0].ahead
    sign = 1 if leader == "b" else -1
    last = int(np.flatnonzero(side_K == sign)[-1])
    if last == ks_K.size - 1:
        k_set = None
    else:
        open_ = np.flatnonzero(side_K != -sign)
        closed_from = int(open_[-1]) + 1
        k_set = int(ks_K[last]) + 1, int(ks_K[closed_from]) if closed_from < ks_K.size else None

    if (side_K == 1).all():
        return Crossing("ahead", None, k_set, leader, sign_changes, shown)
    if (side_K == -1).all():
        return Crossing("none", None, k_set, leader, sign_changes, shown)
    if not any(one.ahead != leader for one in shown):
        return Crossing("undetermined", None, k_set, leader, sign_changes, shown)
    not_behind = np.flatnonzero(~(sign * value_K <= _ROUNDING))
    last_ahead = int(not_behind[-1])  # the leader is shown ahead somewhere
    k = int(ks_K[last_ahead]) + 1 if last_ahead < ks_K.size - 1 else None
    return Crossing("at", k, k_set, leader, sign_changes, shown)


def _ranges(ks_K: Ints, side_K: Ints) -> tuple[Shown, ...]:
    """Maximal runs of ks at which the band shows the same side ahead, in order."""
    starts = np.flatnonzero(np.diff(side_K, prepend=2))  # 2 is no side: the first run starts at 0
    ends = np.append(starts[1:], side_K.size) - 1
    return tuple(
        Shown("b" if side_K[first] > 0 else "a", int(ks_K[first]), int(ks_K[last]))
        for first, last in zip(starts.tolist(), ends.tolist(), strict=True)
        if side_K[first]
    )


def band_words(comparison: Comparison) -> str:
    """The outcome for a pair, as "tiny-60k overtakes at k = 12 (set: 6 to 20)".

    Who is ahead where is said of the ranges of k that the band excludes, and of nothing else.
    """
    c = comparison.crossing
    first, last = int(comparison.k[0]), int(comparison.k[-1])
    names = {"a": comparison.a, "b": comparison.b}
    ranges = [
        f"{names[one.ahead]} ahead at k = {one.first_k}" + (f" to {one.last_k}" if one.last_k > one.first_k else "")
        for one in c.shown
    ]
    if c.outcome == "at":
        behind = names["a" if c.leader == "b" else "b"]
        if c.k is None or c.k_set is None:
            return f"{behind} overtakes for some k only: {', '.join(ranges)}"
        low, high = c.k_set
        crossing = f"{behind} overtakes at k = {c.k} (set: {low} to {high or f'none by {last}'})"
        # Two ranges that reach both ends are what the set says already.
        plain = len(c.shown) == 2 and c.shown[0].first_k == first and high
        return crossing if plain else f"{crossing}: {', '.join(ranges)}"
    if len(c.shown) == 1:
        ahead, low, high = names[c.shown[0].ahead], c.shown[0].first_k, c.shown[0].last_k
        below = "" if low == first else f" from k = {low}, below: cannot tell"
        beyond = "" if high == last else f" to k = {high}, beyond: cannot tell"
        if not (below and beyond):
            return f"{ahead} ahead" + (below or beyond or f" at every k to {last}")
    return f"{', '.join(ranges)}; elsewhere: cannot tell" if ranges else f"cannot tell who is ahead at any k to {last}"
