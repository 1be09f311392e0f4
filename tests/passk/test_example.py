"""What is shown before a long run: one prompt and one completion, whatever they hold."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s2l_lab.errors import UsageError
from s2l_lab.passk import PasskRequest, make_plan, run_passk
from s2l_lab.passk.example import shortened
from s2l_lab.policies import SamplingParams
from s2l_lab.policies.families import load_family


@given(st.text(st.characters(codec=None), max_size=2000))
@example("\x1b[2J\x07\u202e\r\n" * 200)
def test_a_shown_text_is_one_line_that_moves_no_cursor(text: str) -> None:
    shown = shortened(text)
    assert shown.isprintable()
    if len(text) <= 480:
        assert ast.literal_eval(shown) == text
    else:
        assert shown == f"{text[:320]!r} ... {len(text) - 480:,} characters ... {text[-160:]!r}"


def request(out: Path, **changes: object) -> PasskRequest:
    fields: dict[str, object] = {
        "family": None,
        "policies": ("a=scripted:point(0.5)", "b=scripted:point(0.1)"),
        "problems": 3,
        "rollouts": 2,
        "out": out,
    }
    return PasskRequest.model_validate(fields | changes)


def test_each_policy_that_is_sampled_is_shown_once(tmp_path: Path) -> None:
    lines: list[str] = []
    run_passk(request(tmp_path / "run"), show=lines.append)
    assert [line.split(" of ")[0] for line in lines] == [
        "a, prompt",
        "a, a completion",
        "b, prompt",
        "b, a completion",
    ]
    lines.clear()
    run_passk(request(tmp_path / "run"), show=lines.append)
    assert lines == []
    run_passk(request(tmp_path / "run", policies=("c=scripted:point(0.1)",)), show=lines.append)
    assert [line.split(",")[0] for line in lines] == ["c", "c"]


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest embedded member, as if it were a chat model."""

    from s2l_lab.policies import tiny

    source = Path(tiny.__file__).parent / "tiny" / "60k"
    directory = Path(shutil.copytree(source, tmp_path_factory.mktemp("chatty") / "m"))
    (directory / "chat_template.jinja").write_text("{{ messages[0]['content'][:4] }}=24\n")
    return directory


def test_what_was_chosen_is_recorded_shown_and_part_of_the_identity(tmp_path: Path, chatty: Path) -> None:
    lines: list[str] = []
    sampling = SamplingParams(max_tokens=8)
    asked = request(tmp_path / "run", policies=(f"m={chatty}",), sampling=sampling)
    (task,) = make_plan(asked).tasks
    assert task.record["template"] == "chat"
    run_passk(asked, show=lines.append)
    assert "(template chat): " in lines[0]
    assert lines[0].endswith("=24'")
    (done,) = make_plan(asked).tasks
    assert done.owed == 0
    (chatty / "chat_template.jinja").rename(tmp_path / "kept.jinja")
    try:
        with pytest.raises(UsageError, match=r"another policy called m .*template: chat -> raw"):
            make_plan(asked)
        raw = request(tmp_path / "raw", policies=(f"m={chatty}",), sampling=sampling)
        assert make_plan(raw).tasks[0].record["template"] == "raw"
    finally:
        (tmp_path / "kept.jinja").rename(chatty / "chat_template.jinja")
    explicit = request(tmp_path / "named", policies=(f"m={chatty}",), template="raw", sampling=sampling)
    assert make_plan(explicit).tasks[0].record["template"] == "raw"


def test_the_registrys_templates_are_kept() -> None:
    tasks = make_plan(PasskRequest(family="tiny", problems=2)).tasks
    assert [task.record["template"] for task in tasks] == ["countdown-compact"] * 3
    assert load_family("qwen3").template == "chat"
