"""reasoning-gym's procedural sets as benchmarks (extra `tasks`).

Their item i of seed s is drawn from `Random(s + i)`, so neighbouring seeds share all items but one; here the set's seed
is a hash of (set, seed), and problem i, the i-th different item, depends on (set, seed, i) only. Problems carry their
item's address instead of its metadata, which is often no JSON: whoever grades makes the item again (`gym_entry`), so
the checker sees it whole.

Some sets are refused, each with its reason: scorers that evaluate a model's text as Python, a set that runs code which
it ships, one whose items depend on how many are asked for.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.problems.problem import Benchmark, Problem

PREFIX = "reasoning-gym:"
INSTRUCTION = "Give only the final answer between <answer> and </answer>."
_ITEMS = 20_000
"""Items of a set: as many as every set allows (word_ladder's limit)."""
_LARGEST = 10_000
_PATIENCE = 20
"""Items looked at for each different one that is asked for: small sets repeat themselves."""

_EVALUATES = "its scorer evaluates the answer as Python code, and s2l-lab never runs a model's text"
REFUSED = {
    "acre": "its items depend on how many are asked for, so a larger run would not contain a smaller one",
    "binary_matrix": _EVALUATES,
    "codeio": "it runs program texts that it ships",
    "composite": "it is a container of other sets; name those",
    "countdown": _EVALUATES + " (use the benchmark `countdown`)",
    "intermediate_integration": _EVALUATES,
    "n_queens": _EVALUATES,
    "polynomial_multiplication": _EVALUATES,
    "puzzle24": _EVALUATES,
    "simple_integration": _EVALUATES,
    "spiral_matrix": _EVALUATES,
    "string_insertion": _EVALUATES,
}
"""Sets that cannot be used, with the reason."""


def gym_benchmark(set_name: str, n: int, seed: int = 0) -> Benchmark:
    """The first n different items of a set.

    Raises UsageError for an unknown or refused set, n out of range or more than the set has, and without reasoning-gym.
    """
    installed = gym_version()
    _check_name(set_name)
    if not 1 <= n <= _LARGEST:
        raise UsageError(f"{PREFIX}{set_name} has 1 to {_LARGEST:,} problems here, {n} were asked for. Ask for fewer.")
    name = PREFIX + set_name
    distinct: dict[str, Problem] = {}  # by id: a problem that counted twice would narrow every interval
    looked_at = min(_PATIENCE * n, _ITEMS)
    for i in range(looked_at):
        entry = gym_entry(set_name, seed, i)
        metadata = {"set": set_name, "seed": seed, "index": i, "version": installed}
        prompt = f"{entry['question'].strip()}\n\n{INSTRUCTION}"
        problem = Problem.make(prompt, str(entry["answer"] or ""), "reasoning_gym", name, metadata)
        distinct.setdefault(problem.id, problem)
        if len(distinct) == n:
            break
    else:
        raise UsageError(
            f"{name}: the first {looked_at:,} items of seed {seed} hold only {len(distinct)} different problems, "
            f"{n} were asked for. Ask for at most {len(distinct)}."
        )
    provenance = {"generator": f"reasoning-gym {installed}", "set": set_name, "seed": str(seed)}
    return Benchmark(name, tuple(distinct.values()), "reasoning_gym", None, provenance)


def gym_entry(set_name: str, seed: int, index: int) -> dict[str, Any]:
    """Item `index` as reasoning-gym makes it: question, answer (None where only a checker decides) and metadata."""
    entry: dict[str, Any] = gym_set(set_name, seed)[index]
    return entry


@lru_cache(maxsize=16)
def gym_set(set_name: str, seed: int) -> Any:
    """The reasoning-gym dataset object, whose `score_answer(answer, entry)` grades its items."""
    import reasoning_gym

    words = hashlib.sha256(f"{PREFIX}{set_name} {seed}".encode()).digest()
    return reasoning_gym.create_dataset(set_name, seed=int.from_bytes(words[:3]), size=_ITEMS)


def gym_version() -> str:
    """The installed version. Raises UsageError where the package is missing."""
    try:
        return version("reasoning-gym")
    except PackageNotFoundError as error:
        raise UsageError(
            f"{PREFIX}NAME benchmarks need the package reasoning-gym. Install it with: pip install 's2l-lab[tasks]'"
        ) from error


def _check_name(set_name: str) -> None:
    from reasoning_gym.factory import DATASETS

    if set_name in REFUSED:
        raise UsageError(f"{PREFIX}{set_name} cannot be used: {REFUSED[set_name]}. Choose another set.")
    if set_name not in DATASETS:
        raise unknown_name("reasoning-gym set", set_name, set(DATASETS) - set(REFUSED))
