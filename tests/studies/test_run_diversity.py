"""The diversity of a run: what is said of a policy does not depend on who stands beside it."""

from __future__ import annotations

import json
from pathlib import Path

from s2l_lab.browse.catalog import bundled_runs
from s2l_lab.figures.diversity import diversity_caption
from s2l_lab.figures.numbers import plain
from s2l_lab.passk import PasskRequest, run_passk
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


def test_accuracy_is_the_first_point_of_the_policys_curve(tmp_path: Path) -> None:
    """pass@1 of the same rollouts had one interval in `s2l-lab passk` and another in `s2l-lab diversity`."""
    policies = ("low=scripted:beta(0.3,1)", "high=scripted:point(0.6)")
    report = run_passk(PasskRequest(family=None, policies=policies, problems=9, rollouts=6, out=tmp_path))
    found = diversity_of_run(tmp_path, embedder="none").within.policies
    for one, policy in zip(found, report.policies, strict=True):
        curve = policy.curve_problems
        assert one.name == policy.name
        accuracy = (one.accuracy.value, one.accuracy.lower, one.accuracy.upper)
        assert accuracy == (curve.value[0], curve.lower[0], curve.upper[0])
        assert one.accuracy.n_rollouts == 9 * 6


def test_clusters_are_read_from_the_problems_and_named(tmp_path: Path) -> None:
    """Nine problems of three templates: every metric, and pass@1 as `s2l-lab passk` has it, rests on three clusters."""
    rows = [{"question": f"name {i}", "answer": f"a{i}", "kind": "exact", "cluster": i // 3} for i in range(9)]
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    policies = ("low=scripted:beta(0.3,1)", "high=scripted:point(0.6)")
    run = tmp_path / "run"
    report = run_passk(PasskRequest(family=None, policies=policies, benchmark=str(path), rollouts=6, out=run))
    found = diversity_of_run(run, embedder="none")
    assert found.within.n_clusters == 3
    low = found.within.policies[0]
    assert low.accuracy.upper == report.policies[0].curve_problems.upper[0]
    assert "of 3 clusters" in low.cells["all"]["unique_answers"].value.method
    assert "of 3 clusters" in found.between[0].features["answers"].between.method
    assert any(
        "95 % CI over 3 clusters of problems (each resampled whole)" in line for line in diversity_caption(found)
    )
