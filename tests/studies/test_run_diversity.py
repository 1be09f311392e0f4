"""The diversity of a run: what is said of a policy does not depend on who stands beside it."""

from __future__ import annotations

from s2l_lab.browse.catalog import bundled_runs
from s2l_lab.figures.numbers import plain
from s2l_lab.studies.diversity import diversity_of_run


def test_a_policy_that_joins_moves_no_other_policys_share() -> None:
    """Permutations were seeded by the place in the list of policies."""
    runs = bundled_runs()
    assert runs is not None
    path = runs / "passk-tiny-countdown"
    three, two = (
        diversity_of_run(path, policies=names, problems=8, n=8, embedder="none")
        for names in (("tiny-60k", "tiny-360k", "tiny-2m"), ("tiny-360k", "tiny-2m"))
    )
    assert [one.policy for one in two.between] == ["tiny-360k"]
    assert plain(three.between[1]) == plain(two.between[0])
    assert plain(three.split_halves) == plain(two.split_halves)
    # The condition of correct rollouts is on other problems; that of all is on the same.
    for one, other in zip(three.within.policies[1:], two.within.policies, strict=True):
        assert plain(one.cells["all"]) == plain(other.cells["all"])
