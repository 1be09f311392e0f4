"""Which problems belong together: variants of one template, translations of one text.

Such problems are no independent evidence, so whatever resamples problems resamples their clusters whole. A cluster is
read from the problem's metadata, field `cluster`, and from nothing else: an id or a source never says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2l_lab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.problems.problem import Problem

FIELD = "cluster"


def problem_clusters(problems: Sequence[Problem]) -> tuple[str, ...] | None:
    """A label for every problem, in order; None where no problem names a cluster.

    Where some name one, a problem that names none is a cluster of its own. Raises DataError for a cluster that is no
    text and no whole number.
    """
    if not any(FIELD in problem.metadata for problem in problems):
        return None
    labels = []
    for problem in problems:
        label = problem.metadata.get(FIELD)
        if label is None:
            labels.append(f"problem {problem.id}")
        elif isinstance(label, bool) or not isinstance(label, str | int) or label == "":
            raise DataError(
                f"problem {problem.id} has the cluster {label!r}; a cluster is a name or a whole number, the same for "
                "every problem that was made from one template."
            )
        else:
            labels.append(f"cluster {label}")
    return tuple(labels)
