"""`load_benchmark`: any benchmark by name or file, with where it came from and what it is.

Three kinds of source: procedural (Countdown's splits, `reasoning-gym:SET`), the named sets of `catalog` (a local file
below `data_root`, else the hub at its pinned revision), and any file with questions and answers (JSONL, a JSON list,
Parquet or CSV). `n` takes the first problems, so a larger benchmark begins with a smaller one and a run can be topped
up.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from s2l_lab.errors import DataError, UsageError, unknown_name
from s2l_lab.problems.catalog import BENCHMARKS, Source, content_hash
from s2l_lab.problems.countdown import Split, countdown_benchmark
from s2l_lab.problems.files import ENDINGS, counted_in, read_rows
from s2l_lab.problems.gym import PREFIX, gym_benchmark
from s2l_lab.problems.hub import fetch_rows
from s2l_lab.problems.problem import Benchmark, Problem
from s2l_lab.problems.rows import Columns, FileRow, problems_of, read_jsonl

PROCEDURAL_DEFAULT = 100
"""Problems of a procedural set when no number is asked for."""
_ENDINGS = ", ".join(ENDINGS)
COUNTDOWN_SPLITS: dict[str, Split] = {
    "countdown": "test",
    "countdown-validation": "validation",
    "countdown-train": "train",
}
"""Names of Countdown's splits; what is chosen by looking (a temperature, a recipe) is chosen on validation."""


def load_benchmark(
    name_or_path: str | os.PathLike[str],
    *,
    n: int | None = None,
    seed: int = 0,
    data_root: Path | None = None,
    question: str | None = None,
    answer: str | None = None,
) -> Benchmark:
    """The first `n` problems of a benchmark (None: all; procedural sets, which never end: 100).

    `name_or_path` is `countdown`, `reasoning-gym:SET`, a name of `catalog.BENCHMARKS`, or the path of a problem file.
    `question` and `answer` name the columns of a file where they are not the usual ones (`rows`); dots lead into one.
    `seed` chooses the items of procedural sets; fixed sets have none, so any other than 0 is refused there.
    `data_root` holds local files NAME.jsonl, which then must exist: the hub is not asked. `provenance["content"]` says
    whether the items are a known version.

    Raises UsageError for an unknown name, n out of range or a seed or column that cannot matter, and DataError for
    files that are missing or damaged, naming lines.
    """
    name = os.fspath(name_or_path)
    columns = Columns(question, answer)
    if columns != Columns() and _is_name(name) and (data_root is None or name in BENCHMARKS):
        raise UsageError(f"--question and --answer name columns of a file; {name!r} is a known set. Leave them out.")
    if name in COUNTDOWN_SPLITS:
        return countdown_benchmark(PROCEDURAL_DEFAULT if n is None else n, seed=seed, split=COUNTDOWN_SPLITS[name])
    if name.startswith(PREFIX):
        return gym_benchmark(name.removeprefix(PREFIX), PROCEDURAL_DEFAULT if n is None else n, seed)
    if seed != 0:
        raise UsageError(
            f"benchmark {name!r} has fixed problems: the problem seed {seed} would change nothing. Leave it out."
        )
    if data_root is not None and _is_name(name):
        return _take(_from_root(name, data_root, columns), n)
    if name in BENCHMARKS:
        return _take(_named(name, BENCHMARKS[name], None), n)
    if _is_name(name):
        known = [*COUNTDOWN_SPLITS, "reasoning-gym:SET", *BENCHMARKS]
        raise unknown_name("benchmark", name, known, f"A problem file is given by its path, ending in {_ENDINGS}.")
    return _take(_from_file(Path(name), columns), n)


def as_benchmark(given: object, *, n: int | None = None) -> Benchmark:
    """The first `n` problems of what a caller has: a name or file of `load_benchmark`, a Benchmark, a list of Problem,
    or a list of questions with answers, as pairs (question, answer) or as mappings with the keys of a problem file.

    Raises as `load_benchmark`, and UsageError for anything else.
    """
    if isinstance(given, str | os.PathLike):
        return load_benchmark(given, n=n)
    if isinstance(given, Benchmark):
        return _take(given, n)
    entries = list(given) if isinstance(given, Sequence) else []
    if not entries or isinstance(given, bytes):
        raise UsageError(
            f"problems is a {type(given).__name__} without entries; give a benchmark's name, or a list of Problem, of "
            "(question, answer) or of mappings with question and answer."
        )
    if all(isinstance(entry, Problem) for entry in entries):
        problems = entries
        if len({p.id for p in problems}) < len(problems):
            raise UsageError("a problem stands twice in the list; give each once, and more rollouts of it by n.")
    else:
        problems = problems_of(
            [_row(i, entry) for i, entry in enumerate(entries, start=1)], name="list", where="problems"
        )
    return _take(_benchmark("list", problems, "the list", provenance={"problems": "a list"}), n)


def _row(number: int, entry: object) -> FileRow:
    """One entry of a list as a row of a problem file."""
    if isinstance(entry, Mapping):
        return FileRow(number, _listed(dict(entry)))
    if isinstance(entry, tuple | list) and len(entry) == 2:
        return FileRow(number, _listed(dict(zip(("question", "answer"), entry, strict=True))))
    raise UsageError(
        f"entry {number} of problems is a {type(entry).__name__}; give (question, answer), a mapping with question and "
        "answer, or only entries of type Problem."
    )


def _listed(value: Any) -> Any:
    """As a file would give it: tuples and arrays (what pandas makes of a Parquet file) as lists, NumPy's numbers as
    Python's."""
    if isinstance(value, Mapping):
        return {name: _listed(one) for name, one in value.items()}
    if isinstance(value, np.floating):
        return float(str(value))  # a float32 as it was written
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [_listed(one) for one in value] if isinstance(value, list | tuple) else value


def _is_name(text: str) -> bool:
    return os.sep not in text and not text.endswith(ENDINGS)


def _take(benchmark: Benchmark, n: int | None) -> Benchmark:
    """The first n problems."""
    have = len(benchmark.problems)
    if n is None:
        return benchmark
    if not 1 <= n <= have:
        raise UsageError(f"benchmark {benchmark.name!r} has {have} problems, {n} were asked for. Ask for 1 to {have}.")
    return Benchmark(
        benchmark.name, benchmark.problems[:n], benchmark.kind, benchmark.answer_space, benchmark.provenance
    )


def _from_root(name: str, root: Path, columns: Columns) -> Benchmark:
    """A named set, or a file of the user's own, from below `data_root`."""
    source = BENCHMARKS.get(name)
    path = root / f"{(source.local if source else '') or name}.jsonl"
    if not path.is_file():
        found = sorted(p.name for p in root.glob("*.jsonl")) if root.is_dir() else []
        raise DataError(
            f"benchmark {name!r}: there is no {path.name} in the data root {root} "
            f"(JSONL files there: {', '.join(found) or 'none'}). Put it there, or leave --data-root out to use the hub."
        )
    return _named(name, source, path) if source else _from_file(path, columns)


def _named(name: str, source: Source, path: Path | None) -> Benchmark:
    """A set of the catalog, from a local file or (None) from the hub."""
    if path is None:
        rows = fetch_rows(name, source)
        where = f"{source.repository}@{source.revision[:8]}/{source.file}"
        provenance = {"repository": source.repository, "revision": source.revision, "file": source.file}
    else:
        rows = [row for row in read_jsonl(path) if source.keep(row)]
        where = str(path)
        provenance = {"file": path.name}
    problems = problems_of(
        rows, name=name, where=where, merge_duplicates=source.merge_duplicates, known=True, proofs=source.proofs
    )
    if source.proofs:
        problems = [p.model_copy(update={"metadata": {**p.metadata, "proof": True}}) for p in problems]
    if source.merge_duplicates:
        provenance["merged_duplicates"] = str(len(rows) - len(problems))
    return _benchmark(
        name,
        problems,
        where,
        provenance=provenance,
        answer_space=source.answer_space,
        known_contents=source.known_contents,
    )


def _from_file(path: Path, columns: Columns) -> Benchmark:
    """A user's own file."""
    path = path.expanduser()
    if path.suffix not in ENDINGS or not path.is_file():
        raise DataError(
            f"there is no problem file {path}. Give the path of a file (ending in {_ENDINGS}) whose entries have a "
            "question and an answer."
        )
    forms: Counter[str] = Counter()
    problems = problems_of(
        read_rows(path), name=path.stem, where=str(path), columns=columns, unit=counted_in(path), forms=forms
    )
    read = ", ".join(form if len(forms) == 1 else f"{form} ({count})" for form, count in forms.most_common())
    return _benchmark(path.stem, problems, str(path), provenance={"file": path.name, "answers": read})


def _benchmark(
    name: str,
    problems: Sequence[Problem],
    where: str,
    *,
    provenance: dict[str, str],
    answer_space: int | None = None,
    known_contents: Mapping[str, str] = MappingProxyType({}),
) -> Benchmark:
    """Put together what was read; the items' hash goes into the provenance."""
    kinds = sorted({p.kind for p in problems})
    if not problems:
        raise DataError(f"{where} holds no problem of benchmark {name!r}. Check that this is the right file.")
    if len(kinds) > 1:
        raise DataError(
            f"{where} mixes problems checked by {' and '.join(kinds)}. Put each kind into a file of its own."
        )
    sha256 = content_hash(problems)
    content = known_contents.get(sha256, "not a known version" if known_contents else "no version is known here")
    provenance = {**provenance, "sha256": sha256, "content": content}
    return Benchmark(name, tuple(problems), kinds[0], answer_space, provenance)
