"""Which problems belong together: variants of one template, translations of one text.

Such problems are no independent evidence, so whatever resamples problems resamples their clusters whole. A cluster is
read from the problem's metadata, field `cluster`, and from nothing else: an id or a source never says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2l_lab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from s2l_lab.problems.problem import Problem

FIELD = "cluster"


def named_clusters(problems: Iterable[Problem]) -> dict[str, str]:
    """The label of every problem that names a cluster, by problem id.

    Raises DataError for a cluster that is no text and no whole number.
    """
    return named_in_metadata({problem.id: problem.metadata for problem in problems})


def named_in_metadata(metadata: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """`named_clusters` of problems whose metadata is at hand by id."""
    named = {}
    for id, about in metadata.items():
        label = about.get(FIELD)
        if label is None:
            continue
        if isinstance(label, bool) or not isinstance(label, str | int) or label == "":
            raise DataError(
                f"problem {id} has the cluster {label!r}; a cluster is a name or a whole number, the same for every "
                "problem that was made from one template."
            )
        named[id] = f"cluster {label}"
    return named


def cluster_labels(problem_ids: Sequence[str], named: Mapping[str, str]) -> tuple[str, ...] | None:
    """A label for each of these problems; None where none of them names a cluster.

    Where some name one, a problem that names none is a cluster of its own.
    """
    if not any(id in named for id in problem_ids):
        return None
    return tuple(named.get(id, f"problem {id}") for id in problem_ids)


def problem_clusters(problems: Sequence[Problem]) -> tuple[str, ...] | None:
    """`cluster_labels` of problems that are at hand."""
    return cluster_labels([problem.id for problem in problems], named_clusters(problems))
