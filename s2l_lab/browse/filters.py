"""RolloutFilter: which rollouts are shown, in what order, and which page of them; to and from a URL without loss.

A URL outlives the version that made it and may be typed by hand, so reading one never fails: a parameter that is not
known, or that holds a value that cannot be, is reported in words and left out, and the rest counts. Writing leaves out
what is at its default, so that an unfiltered view has a bare address.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from s2l_lab.plans import faults

OutcomeName = Literal["correct", "incorrect", "no_answer", "truncated", "verifier_error", "unverified"]
"""A verdict's outcome, or that the rollout has no verdict of this verifier version."""
OUTCOMES: tuple[OutcomeName, ...] = get_args(OutcomeName)
Source = Literal["explorer", "learner"]
Sort = Literal["key", "shortest", "longest", "most surprising", "least surprising"]
"""`key` is policy, problem, sample index. Surprisal is the mean over a rollout's tokens; unknown ones come last."""
SORTS: tuple[Sort, ...] = get_args(Sort)
PageSize = Literal[10, 20, 50, 100]
PAGE_SIZES: tuple[PageSize, ...] = get_args(PageSize)
MOST = 2**31 - 1
"""Of a number in a filter: columns hold 32 bits."""


Text = Annotated[str, Field(max_length=1000)]
Name = TypeVar("Name")
Number = Annotated[int, Field(ge=0, le=MOST)]


def _each_once(names: tuple[Name, ...]) -> tuple[Name, ...]:
    return tuple(dict.fromkeys(names))


class RolloutFilter(BaseModel):
    """Which rollouts, how sorted, which page. Every default is "no filter"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policies: Annotated[tuple[Text, ...], AfterValidator(_each_once)] = ()
    problem: Text | None = None
    """Id of the problem."""
    outcomes: Annotated[tuple[OutcomeName, ...], AfterValidator(_each_once)] = ()
    source: Source | None = None
    """Who sampled the rollout in training; a pass@k run has no sources."""
    min_tokens: Number | None = None
    max_tokens: Number | None = None
    """Completion length, both ends included. Rollouts of unknown length match neither."""
    answer: Text | None = None
    """Equal to the extracted answer or to its canonical form; the empty text means rollouts without an answer."""
    min_step: Number | None = None
    max_step: Number | None = None
    """Optimiser steps, both ends included: of training, or of the evaluated learner."""
    text: Text | None = None
    """Stands in the completion, whatever the case; no pattern."""
    version: Text | None = None
    """Verifier version; None is the newest."""
    sort: Sort = "key"
    page: Annotated[int, Field(ge=1, le=MOST)] = 1
    page_size: PageSize = 20

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name in ("tokens", "step"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"from {low} to {high} {name} holds nothing")
        return self


PARAMETERS: dict[str, str] = {
    "policies": "policy",
    "problem": "problem",
    "outcomes": "outcome",
    "source": "source",
    "min_tokens": "min-tokens",
    "max_tokens": "max-tokens",
    "answer": "answer",
    "min_step": "min-step",
    "max_step": "max-step",
    "text": "text",
    "version": "verifier",
    "sort": "sort",
    "page": "page",
    "page_size": "page-size",
}
"""Field -> name in the URL; several policies and outcomes are the parameter given several times."""
_FIELDS = {parameter: field for field, parameter in PARAMETERS.items()}
_SEVERAL = ("policies", "outcomes")
_NUMBERS = ("min_tokens", "max_tokens", "min_step", "max_step", "page", "page_size")
_DIGITS = 12
"""Of the longest number that is read; a longer one is no number of ours."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The result of reading a URL."""

    filter: RolloutFilter
    problems: tuple[str, ...]
    """One sentence for each parameter that was left out."""


def to_query(filter: RolloutFilter) -> dict[str, list[str]]:
    """The URL parameters, each with its values in order. Parameters at their defaults are left out."""
    found: dict[str, list[str]] = {}
    for field, parameter in PARAMETERS.items():
        value = getattr(filter, field)
        if value != RolloutFilter.model_fields[field].default:
            found[parameter] = [str(item) for item in value] if field in _SEVERAL else [str(value)]
    return found


def from_query(params: Mapping[str, str | Sequence[str]], others: Collection[str] = ()) -> Parsed:
    """The filter that URL parameters say. Never raises.

    `others` are parameters of the page that are no part of a filter. A parameter that cannot be read is reported and
    left out; where two contradict each other (a range's ends), both are.
    """
    values: dict[str, Any] = {}
    problems = []
    for parameter, given in params.items():
        if parameter in others:
            continue
        field = _FIELDS.get(parameter)
        if field is None:
            problems.append(f"The address has a parameter {parameter!r} that is not known here; it was left out.")
            continue
        listed = [given] if isinstance(given, str) else list(given)
        try:
            values[field] = _read(field, listed)
        except ValueError as error:
            problems.append(f"{parameter} = {', '.join(map(repr, listed))[:120]} was left out: {error}.")
    return _together(values, problems)


def _read(field: str, listed: list[str]) -> Any:
    """The values of one parameter as its field holds them, checked alone. Raises ValueError in words."""
    if field in _SEVERAL:
        value: Any = tuple(listed)
    elif len(listed) != 1:
        raise ValueError("it can be given once only")
    elif field in _NUMBERS:
        if not re.fullmatch(rf"[0-9]{{1,{_DIGITS}}}", listed[0]):
            raise ValueError("a whole number is wanted")
        value = int(listed[0])
    else:
        value = listed[0]
    try:
        RolloutFilter(**{field: value})
    except ValidationError as error:
        raise ValueError("; ".join(words for _, words in faults(error, RolloutFilter, {field: value}))) from error
    return value


def _together(values: dict[str, Any], problems: list[str]) -> Parsed:
    """The filter of values that are each allowed; ends of a range that are out of order are left out."""
    for name in ("tokens", "step"):
        low, high = values.get(f"min_{name}"), values.get(f"max_{name}")
        if low is not None and high is not None and low > high:
            del values[f"min_{name}"], values[f"max_{name}"]
            problems.append(f"A range of {name} from {low} to {high} holds nothing; it was left out.")
    return Parsed(RolloutFilter(**values), tuple(problems))
