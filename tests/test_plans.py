"""Reading plans: what every plan model says of every field, what files and settings can be, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from s2l_lab.errors import DataError, UsageError
from s2l_lab.figures.experiment import Experiment
from s2l_lab.passk import PasskRequest
from s2l_lab.plans import plan_of, read_plan, read_values
from s2l_lab.policies.families import Family
from s2l_lab.studies.contrast_plan import ContrastPlan
from s2l_lab.studies.metric_validity import ValidityPlan
from s2l_lab.studies.table3 import TablePlan
from s2l_lab.training.claims import TrainingFigure
from s2l_lab.training.plan import COUNTS, MAX_COMPLETION_LENGTH, TrainingPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

FIGURE = {
    "kind": "curves",
    "title": "?",
    "baseline": "a",
    "benchmarks": ["countdown"],
    "curve_k": [1],
    "end_k": [1],
    "margin": 0.01,
    "panel": [{"title": "p", "arms": ["a"], "paper": ["s"], "baseline": "a"}],
    "claim": [{"text": "t", "arm": "a", "against": "a", "k": 1, "step": 0, "benchmark": "countdown"}],
}
TRAINING = {
    "learner": {"member": "tiny-2m", "lora": {"r": 4, "target_modules": ["q"]}},
    "explorer": {"kind": "bank", "member": "tiny-60k", "rollouts": 8, "seed": 1},
    "problems": {"count": 3},
    "evaluation": [{"benchmark": "countdown", "every": 2, "between": 4, "k": [1, 8], "temperature": 0.5}],
    "training": {"max_steps": 3, "seed": 1},
    "budget": {"flops": 1e9},
    "model_root": "here",
}
SOUND: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (TrainingPlan, TRAINING),
    (TrainingFigure, FIGURE),
    (
        Experiment,
        {
            "family": "tiny",
            "problems": 3,
            "sampling": {"top_p": 0.5, "stop": ["a"], "seed": 3},
            "templates": {"think": "raw"},
            "panel": [{"name": "a", "pair": ["a", "b"], "benchmark": "countdown", "preset": "think", "n": 4}],
        },
    ),
    (ContrastPlan, {"explorers": ["tiny-60k"], "seeds": [1], "temperature": 1.5, "data_root": "there"}),
    (TablePlan, {"problems": 5, "preset": "think", "sampling": {"max_tokens": 9}, "template": "raw"}),
    (ValidityPlan, {"items": 4, "embedder": "none"}),
    (Family, {"name": "mine", "default": ["a"], "members": [{"name": "a", "source": "org/a", "parameters": 5}]}),
    (PasskRequest, {"members": ["a"], "problems": 4, "sampling": {"temperature": 0.2}, "verifier_timeout": 2.0}),
]
"""Every plan model, with values in which each kind of field stands at least once."""
FREE = {"training"}
"""Tables whose keys the plan model leaves to others."""

Path_ = tuple[str | int, ...]


def places(values: Any, above: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every value inside, tables and lists as well."""
    inside = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in inside:
        yield (*above, key), value
        if key not in FREE:
            yield from places(value, (*above, key))


EVERY = [(kind, values, place, value) for kind, values in SOUND for place, value in places(values)]


def changed(values: Any, place: Path_, value: Any) -> Any:
    copy = json.loads(json.dumps(values))
    at = copy
    for part in place[:-1]:
        at = at[part]
    at[place[-1]] = value
    return copy


def refusal(kind: type[BaseModel], values: Any, *settings: str) -> str:
    with pytest.raises(UsageError) as caught:
        plan_of(kind, values, "plan.toml", settings)
    said = str(caught.value)
    assert "\n" not in said
    assert "pydantic" not in said
    return said


def wrong_types(value: Any) -> list[Any]:
    """One value of every kind that TOML has, but for the kinds that the given one is."""
    others: list[Any] = [True, "text", {"inside": 1}, [[1]], 0.5]
    if isinstance(value, bool):
        return others[1:]
    if isinstance(value, int):
        return others
    if isinstance(value, float):
        return others[:-1]
    return [other for other in others if type(other) is not type(value)]


@pytest.mark.parametrize(("kind", "values"), SOUND, ids=lambda given: getattr(given, "__name__", ""))
def test_the_sound_values_are_sound(kind: type[BaseModel], values: dict[str, Any]) -> None:
    assert plan_of(kind, values, "here") == kind.model_validate(values)


@given(st.sampled_from(EVERY), st.data())
def test_a_value_of_another_type_is_named_with_what_is_allowed(
    case: tuple[type[BaseModel], dict[str, Any], Path_, Any], data: st.DataObject
) -> None:
    kind, values, place, value = case
    other = data.draw(st.sampled_from(wrong_types(value)))
    dotted = ".".join(map(str, place))
    if place[-1] == "target_modules" and other == "text":
        return  # one name or a list of them
    said = refusal(kind, changed(values, place, other))
    assert said.startswith(f"plan.toml: {dotted}"), said
    if not isinstance(other, dict | list):
        assert f"{dotted} is {other!r}; it is " in said


@given(st.sampled_from(EVERY), st.sampled_from([lambda key: key + "x", lambda key: key[:-1], lambda key: "x" + key]))
def test_a_misspelt_key_gets_the_key_that_was_meant(case: tuple[Any, Any, Path_, Any], misspell: Any) -> None:
    kind, values, place, value = case
    if not isinstance(place[-1], str) or len(place[-1]) < 3 or (kind is Experiment and place[0] == "templates"):
        return
    name = misspell(place[-1])
    if f'"{name}":' in json.dumps(kind.model_json_schema()):
        return  # a misspelling that is another key, as seed is of seeds
    said = refusal(kind, changed(values, (*place[:-1], name), value))
    assert f"unknown key {name!r}. Did you mean" in said
    assert place[-1] in said.partition("Did you mean")[2].partition("?")[0]
    assert len(place) == 1 or ".".join(map(str, (*place[:-1], name))) + ": unknown" in said


NUMBERS = [case for case in EVERY if type(case[-1]) in (int, float) and case[2][0] != "training"]


@given(st.sampled_from(NUMBERS), st.sampled_from([-(2**70), -1, -0.5, 1e30]))
def test_a_number_out_of_range_is_named_with_the_range(case: tuple[Any, Any, Path_, Any], number: float) -> None:
    """Whatever the model refuses alone is refused in words that hold the number and an end of the range."""
    kind, values, place, _ = case
    given = changed(values, place, number)
    try:
        kind.model_validate(given)
    except ValueError:
        said = refusal(kind, given)
        dotted = ".".join(map(str, place))
        assert f"{dotted} is {number!r}; it is a" in said
        assert "number" in said


def test_a_required_key_that_is_left_out_is_named() -> None:
    for kind, values, place, _ in EVERY:
        model: Any = kind
        if len(place) > 1 or not model.model_fields[place[0]].is_required():
            continue
        said = refusal(kind, {key: value for key, value in values.items() if key != place[0]})
        assert f"plan.toml: {place[0]} is missing; it is " in said


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = Field(default=1, ge=1, lt=9)
    choice: Literal["left", "right"] = "left"


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner | None = None
    either: str | tuple[int, ...] = ""
    pair: tuple[str, int] = ("", 0)
    several: tuple[Inner, ...] = ()
    named: dict[Literal["a", "b"], float] = Field(default_factory=dict, description="as a = 0.5")
    on: bool = False
    place: Path | None = None
    options: dict[str, Any] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("inner.size=0", "inner.size is 0; it is a whole number from 1, below 9."),
        ("inner.size=2.5", "inner.size is 2.5; it is a whole number from 1, below 9."),
        ("inner.size='2'", "inner.size is '2'; it is a whole number from 1, below 9."),
        ("inner.size=true", "inner.size is True; it is a whole number from 1, below 9."),
        ("inner.choice=lef", "inner.choice is 'lef'; it is one of left, right."),
        ("inner=3", "inner is 3; it is a table with the keys size, choice."),
        ("either=2.5", "either is 2.5; it is text or a list, each a whole number."),
        ("either=[1, 'x']", "either.1 is 'x'; it is a whole number."),
        ("pair=['a']", "pair is ['a']; it is a list of 2: text, a whole number."),
        ("pair=['a', 'b']", "pair.1 is 'b'; it is a whole number."),
        ("several.0.size=3", "several is {'0': {'size': 3}}; it is a list, each a table with the keys size, choice."),
        ("several=[{size = 0}]", "several.0.size is 0; it is a whole number from 1, below 9."),
        ("named.c=1", "named.c: unknown key 'c'. Known: a, b."),
        ("named.a=x", "named.a is 'x'; it is a number: as a = 0.5."),
        ("on=yes", "on is 'yes'; it is true or false."),
        ("place=3", "place is 3; it is a path."),
        ("insde.size=1", "unknown key 'insde'. Did you mean inner"),
    ],
)
def test_the_words_of_a_fault(setting: str, said: str) -> None:
    assert refusal(Whole, {}, setting).startswith(f"setting {setting!r}: {said}")


def test_every_fault_is_named_and_each_by_where_it_comes_from() -> None:
    said = refusal(Whole, {"on": 3, "inner": {"size": 0}}, "inner.choice=up", "on=5", "place=4")
    assert said == (
        "plan.toml: inner.size is 0; it is a whole number from 1, below 9; setting 'inner.choice=up': inner.choice is "
        "'up'; it is one of left, right; setting 'on=5': on is 5; it is true or false; setting 'place=4': place is 4; "
        "it is a path."
    )


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("on", "write key=value"),
        ("", "write key=value"),
        ("=3", "write key=value"),
        ("inner.=3", "write key=value"),
        (".inner=3", "write key=value"),
        ("a..b=3", "write key=value"),
        ("on.deep=1", "on is True, a single value with nothing inside; set on itself"),
        ("several.2.size=1", "several has 1 entries, numbered from 0; 2 is none"),
        ("several.-1.size=1", "several has 1 entries, numbered from 0; -1 is none"),
        ("several.size=1", "several has 1 entries, numbered from 0; size is none"),
        ("options.name=\udcff", "is not text in UTF-8"),
    ],
)
def test_a_setting_that_sets_nothing_is_refused(setting: str, said: str) -> None:
    assert said in refusal(Whole, {"on": True, "several": [{"size": 2}]}, setting)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("3", 3),
        (" 3", 3),
        ("1e9", 1e9),
        ("true", True),
        ("'a b'", "a b"),
        ("[1, 2]", [1, 2]),
        ("{a = 1}", {"a": 1}),
        ("a b", "a b"),
        ("a=b", "a=b"),
        ("http://h/v1?x=1#m", "http://h/v1?x=1#m"),
        ("", ""),
        ("1\nother = 2", "1\nother = 2"),
        ("'", "'"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_the_value_of_a_setting_is_toml_or_else_text(value: str, read: object) -> None:
    assert plan_of(Whole, {}, "here", [f"options.x={value}"]).options == {"x": read}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_set_in_quotes(text: str) -> None:
    assert plan_of(Whole, {}, "here", [f"options.x={json.dumps(text)}"]).options["x"] in (text, json.dumps(text))


def test_values_that_are_no_table_are_refused() -> None:
    """As a run's plan.json may hold."""
    assert refusal(Inner, [1]) == "plan.toml: the whole is [1]; it is a table with the keys size, choice."


def test_settings_go_over_the_values_in_their_order_and_leave_them_alone() -> None:
    values = {"several": [{"size": 2}], "inner": None}
    plan = plan_of(Whole, values, "here", ["several.0.size=3", "inner.size=4", "several.0.size=5"])
    assert (plan.several[0].size, plan.inner) == (5, Inner(size=4))
    assert values == {"several": [{"size": 2}], "inner": None}
    assert plan_of(Whole, {}, "here", ["a=1", "on=true"], home="options") == Whole(options={"a": 1}, on=True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("plan.toml", b"on = true\n\nplace = \n", "line 3"),
        ("plan.toml", b"on = true\non = false\n", "line 2"),
        ("plan.toml", b"[inner]\nsize = 1\n[inner]\n", "line 3"),
        ("plan.toml", bytes(range(256)), "utf-8"),
        ("plan.toml", b"on = true\x00", "line 1"),
        ("plan.toml", b"x = " + b"[" * 5000, "cannot be read as TOML"),
        ("plan.toml", None, "cannot be read as TOML: No such file or directory"),
        ("", None, "cannot be read as TOML: Is a directory"),
        ("plan.json", b"{", "cannot be read as JSON"),
        ("plan.json", b"[" * 200_000, "cannot be read as JSON"),
        ("plan.json", b"[1]", "a JSON object is expected"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_plan(path, Whole)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_how_an_editor_writes_a_file_does_not_matter(tmp_path: Path, bom: bytes, end: bytes) -> None:
    path = tmp_path / "plan.toml"
    path.write_bytes(bom + end.join([b"on = true", b"[inner]", b"size = 2", b""]))
    assert read_plan(path, Whole) == Whole(on=True, inner=Inner(size=2))
    path.write_bytes(b"")
    assert read_plan(path, Whole) == Whole()


def test_a_plan_that_was_kept_as_json_is_the_same_plan(tmp_path: Path) -> None:
    for kind, values in SOUND:
        plan = plan_of(kind, values, "here")
        path = tmp_path / "plan.json"
        path.write_text(plan.model_dump_json())
        assert read_plan(path, kind) == plan
        assert read_values(path) == plan.model_dump(mode="json")


def test_what_a_silent_plan_means_is_what_the_options_are() -> None:
    from s2l_lab.training.config import S2LPOConfig

    config = S2LPOConfig(output_dir="unused", use_cpu=True, bf16=False, report_to="none")
    silent = plan_of(TrainingPlan, {"explorer": {"member": "tiny-60k"}}, "here")
    assert config.max_completion_length == MAX_COMPLETION_LENGTH
    assert (config.seed, config.explorer_fraction > 0) == (silent.seed, silent.explores)
    assert all(getattr(config, name) >= least for name, least in COUNTS.items())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("learning_rate=abc", "learning_rate is 'abc'; it is a number"),
        ("max_steps=1.5", "max_steps is 1.5; it is a whole number"),
        ("schedule=3", "schedule is 3; it is one of linear, cosine, step, step_equal_slots, constant"),
        ("lr_scheduler_type=nonsense", "nonsense is not a valid SchedulerType"),
        ("seed=-1", "seed is -1; it is a whole number from 0"),
        ("seed=true", "seed is True; it is a whole number from 0"),
        ("explorer_fraction=half", "explorer_fraction is 'half'; it is a number"),
        *(
            (f"{name}={least - 1}", f"{name} is {least - 1}; it is a whole number from")
            for name, least in COUNTS.items()
        ),
    ],
)
def test_a_training_option_of_another_type_or_range_is_refused_by_name(setting: str, said: str) -> None:
    from s2l_lab.training.plan import plan_of as training_plan

    with pytest.raises(UsageError) as caught:
        training_plan({"explorer": {"member": "tiny-60k"}}, "plan.toml", [setting]).config("unused")
    assert said in str(caught.value)
