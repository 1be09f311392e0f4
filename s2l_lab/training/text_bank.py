"""Texts that others wrote as explorer: answers of a model that is not here, an SFT set, the preferred side of pairs.

A text is spelled by the learner's tokenizer, apart from the prompt, and gets the learner's EOS where its row does not
say that it was cut (text_rows.py); an EOS that it spells out itself counts as its end. Text that looks like another
special token stays text. There are no log-probabilities, so only the corrections that ask for none are allowed: `none`,
which treats the text as the learner's own, and `luffy`.

A text belongs to the prompt that its row names: the rendered prompt, the question alone, the messages, or the problem's
id. What the run cannot use is left out, counted, and told once: rows of other prompts, rows of a name that several
problems share or whose prompt is another's, rejected ones, empty texts, texts of more than max_completion_length tokens
(a text that was cut here would stand for one that failed), and texts for which the learner has no tokens. A prompt
without a text, or with fewer than a round asks for, is an error before training.

Each prompt's texts come in an order of its own (in_turn.py). A file cannot be sampled further, so when they are used up
they begin anew: every epoch can use the same texts. In one round none comes twice.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import DataError, PolicyError, UsageError
from s2l_lab.problems.gym import INSTRUCTION
from s2l_lab.training.correction import WITHOUT_PROBABILITIES
from s2l_lab.training.explorer import ExplorerRollout, Learner, Request, prompt_id
from s2l_lab.training.in_turn import in_turn
from s2l_lab.training.retokenised import decoded, spelled
from s2l_lab.training.text_rows import NAME_FIELDS, TextRow, read_texts

if TYPE_CHECKING:
    from s2l_lab.policies import SamplingParams
    from s2l_lab.problems import Problem

_NO_PROMPT = "that answer no prompt of the run"
_SHOWN = 160
"""Characters of a prompt that an error shows."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A prompt of the run."""

    id: str
    """Of its token ids (`prompt_id`)."""
    shown: str
    names: frozenset[str]
    """All that a row may call it."""


class TextBank:
    """An explorer that draws from texts."""

    shape = None
    """Who wrote the texts is not known, so what they cost is left out of the FLOPs, as NaN."""

    def __init__(self, source: str | Path | Any, problems: Sequence[Problem] = ()) -> None:
        """`source`: a .jsonl or .parquet file, a directory of `datasets.save_to_disk`, or a `datasets.Dataset`.

        `problems` are those of the training dataset's column `problem_id`, if it has one: rows may then give a
        problem's question or the id of its file. Raises DataError for a source that cannot be read.
        """
        texts = read_texts(source)
        self.name, self.digest = texts.name, texts.digest
        self._rows = texts.rows
        self._problems = {problem.id: problem for problem in problems}

    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """Spell the texts and find their prompts. Raises UsageError for a correction that asks for log-probabilities
        and for sampling options that texts cannot follow, DataError where prompts are left without enough texts."""
        if learner.correction not in (None, *WITHOUT_PROBABILITIES):
            raise UsageError(
                f"correction {learner.correction!r} weighs explorer tokens by the probabilities of whoever wrote them, "
                f"and {self.name} have none. Use correction='none' or 'luffy'."
            )
        if learner.tokenizer.eos_token_id is None:
            raise PolicyError("the learner's tokenizer names no EOS, so texts that ended could not be told.")
        if (sampling.temperature, sampling.top_p) != (1, 1):
            raise UsageError(
                f"{self.name} are written already: explorer_temperature and explorer_top_p would be ignored. Leave "
                "them out."
            )
        asked = list(self._asked(learner))
        by_name: dict[str, set[str]] = {}
        for prompt in asked:
            for name in prompt.names:
                by_name.setdefault(name, set()).add(prompt.id)
        held: dict[str, list[ExplorerRollout]] = {prompt.id: [] for prompt in asked}
        left_out: Counter[str] = Counter()
        for row in self._rows:
            known = [by_name[name] for name in _names_of_row(row, learner) if name in by_name]
            named = set.intersection(*known) if known else set()
            if len(named) != 1:
                left_out["that fit several prompts of the run" if known else _NO_PROMPT] += 1
                continue
            rollout = _rollout(row, learner, sampling.max_tokens)
            if isinstance(rollout, str):
                left_out[rollout] += 1
            else:
                held[next(iter(named))].append(rollout)
        self._refuse_unmatched(asked, left_out)
        self._require_enough(asked, held, learner.most, left_out)
        if left_out:
            warnings.warn(f"{self.name}: {_in_words(left_out, len(self._rows))}.", stacklevel=2)
        self._held, self._seed = held, sampling.seed

    def explore(self, requests: Sequence[Request], group_size: int) -> list[list[ExplorerRollout]]:
        """The next texts of every prompt. Raises UsageError where a round asks for one prompt twice, DataError for a
        prompt that was not in the dataset."""
        ids = [prompt_id(request.prompt_ids) for request in requests]
        if len(set(ids)) < len(ids):
            raise UsageError(
                "a round asks for one prompt twice, and both groups would get the same texts. Take duplicate prompts "
                "out of the dataset."
            )
        return [self._draw(request, id) for request, id in zip(requests, ids, strict=True)]

    def _draw(self, request: Request, id: str) -> list[ExplorerRollout]:
        kept = self._held.get(id)
        if kept is None:
            raise DataError(
                f"a prompt ({len(request.prompt_ids)} tokens) is none of the dataset's {len(self._held)}, for which "
                f"{self.name} were looked up."
            )
        assert request.drawn is not None  # the dataset has a length: `bind` read it
        count = request.count
        # A permutation serves whole rounds, so that no text comes twice in one.
        cycle, place = divmod(-(-request.drawn // count), len(kept) // count)
        first = cycle * len(kept) + place * count
        return in_turn(kept, self._seed, id, first, first + count)

    def _asked(self, learner: Learner) -> Iterator[_Asked]:
        if learner.dataset is None or not hasattr(learner.dataset, "__len__"):
            raise UsageError(f"{self.name} need a dataset with a length, to find the prompts that they answer.")
        assert learner.encode is not None
        seen: set[str] = set()
        for row in learner.dataset:
            id = prompt_id(learner.encode(row["prompt"]))
            if id in seen:
                continue
            seen.add(id)
            names = {id, *_names_of_prompt(row["prompt"])}
            names |= {str(row[field]).strip() for field in (*NAME_FIELDS, "id") if row.get(field) is not None}
            if (problem := self._problems.get(str(row.get("problem_id")))) is not None:
                names |= _names_of_problem(problem)
            yield _Asked(id, _shown(row["prompt"]), frozenset(names))

    def _refuse_unmatched(self, asked: Sequence[_Asked], left_out: Mapping[str, int]) -> None:
        if left_out[_NO_PROMPT] < len(self._rows):
            return
        row = self._rows[0]
        answered = row.name if row.prompt is None else row.prompt
        raise DataError(
            f"none of the {len(self._rows)} {self.name} answers a prompt of the run. The first answers "
            f"{_shown(answered)!r}; the run's first prompt is {asked[0].shown!r}. A row names its prompt by the "
            "rendered text, by the question alone, or by problem_id."
        )

    def _require_enough(
        self, asked: Sequence[_Asked], held: Mapping[str, Sequence[Any]], most: int, left_out: Mapping[str, int]
    ) -> None:
        short = [prompt for prompt in asked if len(held[prompt.id]) < max(most, 1)]
        if not short:
            return
        why = f" ({_in_words(left_out, len(self._rows))})" if left_out else ""
        raise DataError(
            f"{self.name}{why} hold fewer than {max(most, 1)}, which a round asks for, for {len(short)} of the run's "
            f"{len(asked)} prompts; {len(held[short[0].id])} for {short[0].shown!r}. Give the explorer fewer slots "
            "(explorer_fraction, with schedule='constant'), train on the problems that have texts, or add texts."
        )


def _names_of_row(row: TextRow, learner: Learner) -> list[str]:
    """By what a row is looked up; those that are known must not disagree."""
    names = [] if row.name is None else [row.name.strip()]
    if row.prompt is None:
        return names
    assert learner.encode is not None
    rendered = isinstance(row.prompt, list) and getattr(learner.tokenizer, "chat_template", None) is not None
    return [*names, *([prompt_id(learner.encode(row.prompt))] if rendered else []), *_names_of_prompt(row.prompt)]


def _names_of_prompt(prompt: Any) -> list[str]:
    """A prompt's text, or what the user says where that is all that is asked (a system message aside)."""
    if isinstance(prompt, str):
        return [prompt.strip()]
    said = [message for message in prompt if message["role"] != "system"]
    return [str(said[0]["content"]).strip()] if len(said) == 1 and said[0]["role"] == "user" else []


def _names_of_problem(problem: Problem) -> set[str]:
    """Its question, with and without what a benchmark writes after it, and the ids that its file has."""
    names = {problem.prompt.strip(), problem.prompt.removesuffix(INSTRUCTION).strip()}
    if labels := problem.metadata.get("labels"):
        names.add(problem.prompt.rpartition(f"\n{labels[0]}. ")[0].strip() or problem.prompt.strip())
    ids = (problem.metadata.get(field) for field in (*NAME_FIELDS, "id"))
    return names | {str(id).strip() for id in ids if id is not None}


def _rollout(row: TextRow, learner: Learner, limit: int) -> ExplorerRollout | str:
    """In the learner's tokens; or why it is left out."""
    if row.rejected:
        return "that their dataset rejects (label false)"
    text, eos = _without_eos(row.text, learner)
    if not text.strip():
        return "without text"
    ids, said = spelled(learner.tokenizer, text)
    if said != text:
        return "with text that the learner has no tokens for"
    if eos is not None or row.ended:
        ids = [*ids, int(learner.tokenizer.eos_token_id) if eos is None else eos]
    if len(ids) > limit:
        return "longer than max_completion_length"
    return ExplorerRollout(tuple(ids), (float("nan"),) * len(ids), logprobs_known=False)


def _without_eos(text: str, learner: Learner) -> tuple[str, int | None]:
    """The text before an EOS that it spells out at its end, and the id of that EOS."""
    bare = text.rstrip()
    for id in sorted(learner.eos_ids):
        spelling = decoded(learner.tokenizer, [id], skip_special_tokens=False)
        if spelling and bare.endswith(spelling):
            return bare.removesuffix(spelling), id
    return text, None


def _shown(prompt: Any) -> str:
    text = prompt if isinstance(prompt, str) else " ".join(str(message["content"]) for message in prompt)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _in_words(left_out: Mapping[str, int], rows: int) -> str:
    return f"left out of {rows} rows: " + ", ".join(f"{count} {why}" for why, count in left_out.items())
