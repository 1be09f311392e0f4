"""numbers.json: the schema of the design page, full precision, null for what is undefined."""

import json
import math

import numpy as np
import pytest
from synthetic_reports import synthetic_report

from s2l_lab.figures.numbers import as_json, numbers, plain


def test_curves_have_the_promised_keys_and_every_digit() -> None:
    report = synthetic_report(problems=30, rollouts=16, interval="problems")
    read = json.loads(as_json(numbers(report)))
    assert read["schema"] == 1
    promised = {"policy", "benchmark", "sampling", "k", "value", "lower", "upper", "interval", "level"}
    promised |= {"n_problems", "n_rollouts"}
    for curve, policy in zip(read["curves"], report.policies, strict=True):
        assert promised <= curve.keys()
        assert curve["policy"] == policy.name
        assert curve["interval"] == "problems"
        for key in ("k", "value", "lower", "upper", "band_lower", "band_upper"):
            assert curve[key] == getattr(policy.curve_problems, key).tolist()
        assert (curve["n_problems"], curve["n_rollouts"], curve["level"]) == (30, 16, 0.95)


def test_the_chosen_interval_is_the_one_written() -> None:
    report = synthetic_report(problems=30, rollouts=8, interval="rollouts")
    curve = json.loads(as_json(numbers(report)))["curves"][0]
    assert curve["lower"] == report.policies[0].curve_rollouts.lower.tolist()
    assert curve["band_lower"] == [None] * 8  # a band is about problems only


def test_crossings_have_the_promised_keys() -> None:
    report = synthetic_report()
    for written, comparison in zip(numbers(report)["crossings"], report.comparisons, strict=True):
        assert {"a", "b", "outcome", "k", "k_set", "sign_changes", "resampled"} <= written.keys()
        c = comparison.crossing
        assert (written["a"], written["b"], written["outcome"], written["k"]) == (
            comparison.a,
            comparison.b,
            c.outcome,
            c.k,
        )
        assert written["k_set"] == (None if c.k_set is None else list(c.k_set))


def test_undefined_is_null_beside_its_counts() -> None:
    report = synthetic_report([("api", 0, 0.5, 1.5), ("b", 10**6, 0.5, 1.5)], problems=20, rollouts=4, unknown=1)
    text = as_json(numbers(report))
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    api = read["policies"][0]
    assert api["shape"] is None
    assert api["cost"]["flops_per_rollout"] is None
    assert api["outcomes"]["verifier_error"] == 1
    assert sum(api["outcomes"].values()) == 80
    assert None in read["curves"][0]["value"]
    assert None not in read["curves"][0]["bound_low"]


def test_everything_else_of_the_report_is_there() -> None:
    report = synthetic_report(problems=30, rollouts=8, guessers=1000)
    read = json.loads(as_json(numbers(report)))
    policy, written = report.policies[0], read["policies"][0]
    assert written["cover"]["smoothed_lower"][:7] == policy.cover.smoothed_lower.tolist()[:7]
    assert written["cover"]["npmle"] == policy.cover.npmle.tolist()
    assert written["cover"]["bounds_upper"] == policy.cover.bounds_upper.tolist()
    assert [(m["k"], m["value"], m["lower"]) for m in written["maj"]] == [(k, e.value, e.lower) for k, e in policy.maj]
    assert written["pass_hat"]["lower"] == policy.pass_hat_rollouts.lower.tolist()
    assert policy.guess_uniform is not None
    assert written["guess"]["uniform"] == policy.guess_uniform.tolist()
    assert written["cost"]["completion_tokens"] == policy.completion_tokens
    assert written["mean_entropy"] == policy.mean_entropy
    assert read["benchmark"]["digest"] == report.benchmark_digest
    assert read["benchmark"]["provenance"] == report.provenance
    assert read["sampling"] == report.sampling.model_dump(mode="json")
    assert (read["verifier_version"], read["command"]) == (report.verifier_version, report.command)
    assert read["differences"][0]["band_upper"] == report.comparisons[0].band_upper.tolist()


def test_plain_maps_values_and_nothing_else() -> None:
    value = {"a": np.float64(0.1), "b": np.array([[1, 2]]), "c": (math.nan, -math.inf), 3: np.True_, "d": None, "e": ""}
    assert plain(value) == {"a": 0.1, "b": [[1, 2]], "c": [None, None], "3": True, "d": None, "e": ""}


def test_a_nan_that_escapes_is_an_error() -> None:
    with pytest.raises(ValueError, match="JSON"):
        as_json({"value": math.nan})
