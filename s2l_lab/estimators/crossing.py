"""Where two pass@k curves change places, read from a simultaneous band of b minus a.

At each k the band lies wholly above 0 (b is ahead), wholly below (a is ahead), or holds 0. Then the outcome is

- `at`: the band excludes 0 with one sign at some k and with the other sign at a larger k. Only this is a supported
  crossing. `leader` was ahead first, the other one is ahead later, and `k` is where the estimates change places.
- `ahead`: b is ahead at every k, from k = 1 on. No crossing by N.
- `none`: a is ahead at every k, or the two are equal at every k with a band of width 0. No crossing by N.
- `undetermined`: everything else; the band allows a crossing and does not show one.

So with a the smaller member and b the larger, `ahead` means that the larger one leads throughout, `none` that the
smaller one does, and the paper's claim (arXiv 2605.30789, Figure 2) is `at` with leader b.

The confidence set of the crossing runs from the first k where the band reaches 0 (after it has excluded 0, if it does
so at the first k) to the first later k where it is wholly on the other side; its high end is None, "none by N", if
there is no such k. Where the band holds 0 at the first k, either side ends the set.

What would surprise: the bootstrap law of the crossing point is no test. Two identical policies show a "crossing" in
more than a third of its mass; the band supports one in under 5 % of runs.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from s2l_lab.estimators.estimate import Crossing, Floats, Ints


def find_crossing(ks_K: Ints, value_K: Floats, band_lower_K: Floats, band_upper_K: Floats) -> Crossing:
    """The crossing of two curves, from the difference b - a and its simultaneous band at increasing ks, shape (K,).

    NaN values (unknown rollouts) and NaN bands (one problem) support nothing.
    """
    side_K = np.where(band_lower_K > 0, 1, np.where(band_upper_K < 0, -1, 0))
    signs = np.sign(value_K[np.isfinite(value_K) & (value_K != 0)])
    sign_changes = int((signs[1:] != signs[:-1]).sum())
    excluded = np.flatnonzero(side_K)
    leader: Literal["a", "b"] | None = None
    if excluded.size:
        leader = "b" if side_K[excluded[0]] > 0 else "a"

    if (side_K == 1).all():
        return Crossing("ahead", None, None, leader, sign_changes)
    equal = ((band_lower_K == 0) & (band_upper_K == 0)).all()
    if (side_K == -1).all() or equal:
        return Crossing("none", None, None, leader, sign_changes)
    if excluded.size and (side_K == -side_K[excluded[0]]).any():
        first, last = int(excluded[0]), int(np.flatnonzero(side_K == -side_K[excluded[0]])[0])
        reaches = first + int(np.flatnonzero(side_K[first:] != side_K[first])[0])
        before = np.flatnonzero(np.sign(value_K[:last]) != side_K[last])
        changed = int(before[-1]) + 1 if before.size else last
        return Crossing("at", int(ks_K[changed]), (int(ks_K[reaches]), int(ks_K[last])), leader, sign_changes)

    reaches = int(np.flatnonzero(side_K == 0)[0])
    beyond = excluded[excluded > reaches] if side_K[0] == 0 else excluded[:0]
    high = int(ks_K[beyond[0]]) if beyond.size else None
    return Crossing("undetermined", None, (int(ks_K[reaches]), high), leader, sign_changes)
