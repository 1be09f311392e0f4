"""Prompts of a run: what is added by default is said and recorded, and a run goes on with what it was begun with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_checkpoints import CHAT_TEMPLATE, write_checkpoint

from s2l_lab.cli.passk import build_request
from s2l_lab.errors import DataError, PolicyError, UsageError
from s2l_lab.passk import PasskRequest, make_plan
from s2l_lab.passk.prompted import prompt_notes
from s2l_lab.passk.run import complete_run
from s2l_lab.policies.checkpoint import locate
from s2l_lab.policies.families import Member
from s2l_lab.policies.instructions import BOXED
from s2l_lab.policies.opening import member_here
from s2l_lab.policies.templates import bind_template
from s2l_lab.policies.tokenizers import load_tokenizer
from s2l_lab.rollouts import RolloutStore
from s2l_lab.rollouts.run import open_run
from s2l_lab.verifiers import VerifierPool

ROWS = [{"question": "1+1?", "answer": "2"}, {"question": "2+2? (answer: a number)", "answer": "4"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model, a base model, and problems."""
    home = tmp_path_factory.mktemp("prompts")
    write_checkpoint(home / "chat")
    write_checkpoint(home / "base", chat_template=None)
    (home / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    (home / "mine.jinja").write_text("Q: {{ question }}\nA:", encoding="utf-8")
    return home


def request(home: Path, out: Path, model: str = "chat", preset: str = "default", **changes: object) -> PasskRequest:
    fields: dict[str, object] = {
        "family": None,
        "policies": (f"m={home / model}",),
        "benchmark": str(home / "sums.jsonl"),
        "rollouts": 2,
        "out": out,
        "instruction": "auto",
    }
    return build_request(fields | changes, preset, {"max_tokens": 2})


def run(asked: PasskRequest) -> list[str]:
    """Complete the run; what was shown before the first policy was opened, and its prompts."""
    shown: list[str] = []
    with VerifierPool(1) as pool:
        complete_run(asked, pool=pool, show=shown.append)
    return shown


def prompts(path: Path) -> list[str]:
    return list(dict.fromkeys(open_run(path).to_frame(["prompt"])["prompt"]))


def chat(*contents: str) -> list[str]:
    return [f"<|start|>user\n{content}<|end|>\n<|start|>assistant\n" for content in contents]


@pytest.fixture(scope="module")
def by_default(home: Path) -> tuple[Path, list[str]]:
    path = home / "by-default"
    return path, run(request(home, path))


def test_the_default_is_said_recorded_and_stored(by_default: tuple[Path, list[str]]) -> None:
    path, shown = by_default
    assert "m: prompts that do not say how to answer get" in shown[0]
    assert repr(BOXED) in shown[0]
    assert prompts(path) == chat(f"1+1?\n\n{BOXED}", ROWS[1]["question"])
    with RolloutStore(path) as store:
        assert store.identity["instruction"] == "auto"
        (session,) = store.sessions
    assert session.config["instruction_text"] == BOXED
    assert session.config["policies"]["m"]["instruction"] == "auto"


def test_a_run_that_was_begun_without_an_instruction_goes_on_without(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    run(request(home, path, instruction="none"))
    assert prompts(path) == chat(*(row["question"] for row in ROWS))
    more = request(home, path, rollouts=3)
    assert request(home, None).run_directory != request(home, None, instruction="none").run_directory  # type: ignore[arg-type]
    plan = make_plan(more)
    assert (plan.owed, prompt_notes(plan.benchmark.kind, plan.prompted, plan.tasks)) == (
        2,
        ["this run was begun without an instruction on how to answer, and goes on without"],
    )
    run(more)
    assert prompts(path) == chat(*(row["question"] for row in ROWS))


@pytest.mark.parametrize("changes", [{"instruction": "boxed"}, {"instruction": "none"}, {"system": "s"}])
def test_other_prompts_are_another_run(by_default: tuple[Path, list[str]], home: Path, changes: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(changes))):
        run(request(home, by_default[0], **changes))


def test_a_file_s_content_is_recorded_and_another_content_is_another_policy(home: Path, tmp_path: Path) -> None:
    template = Path(shutil.copy(home / "mine.jinja", tmp_path / "mine.jinja"))
    asked = request(home, tmp_path / "run", template=str(template), instruction="none")
    run(asked)
    assert prompts(tmp_path / "run") == [f"Q: {row['question']}\nA:" for row in ROWS]
    with RolloutStore(tmp_path / "run") as store:
        config = store.config
    assert config["policies"]["m"]["template_text"] == template.read_text(encoding="utf-8")
    template.write_text("Problem: {{ question }}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"another policy called m \(template_text: another content\)"):
        make_plan(asked)
    member = member_here(config, "m")  # what scores the run later reads what the run has kept
    assert isinstance(member, Member)
    (checkpoint,) = locate([member])
    bound = bind_template(str(member.template), load_tokenizer(checkpoint), "m", member.prompting)
    with RolloutStore(tmp_path / "run") as store:
        assert [bound.render(problem) for problem in store.problems()] == prompts(tmp_path / "run")
    template.write_text("{{ question", encoding="utf-8")
    with pytest.raises(DataError, match="line 1"):
        make_plan(asked)


def test_a_preset_brings_its_template_unless_one_is_asked_for(home: Path, tmp_path: Path) -> None:
    def template_of(**changes: object) -> str | None:
        (task,) = make_plan(request(home, tmp_path / "none", **changes)).tasks  # type: ignore[arg-type]
        assert ("instruction" in task.record) == (task.prompting.template == "chat")
        return task.prompting.template

    assert template_of() == "chat"
    assert template_of(preset="think") == "chat-think"
    assert template_of(preset="nothink") == "chat-no-think"
    assert template_of(preset="think", template="chat") == "chat"
    assert template_of(preset="think", policies=("m=scripted:point(0.5)",)) == "raw"
    with pytest.raises(UsageError, match=r"the preset brings the template chat-think, and .* no chat template"):
        template_of(preset="think", model="base")
    tiny = make_plan(
        request(home, tmp_path / "none", preset="think", family="tiny", policies=(), benchmark="countdown")
    )
    assert {task.record["template"] for task in tiny.tasks} == {"countdown-compact"}
    assert set(tiny.identity) == set(tiny.request.identity())  # such runs are what they were


def test_a_run_that_was_begun_without_the_preset_s_template_goes_on_without(home: Path, tmp_path: Path) -> None:
    asked = request(home, tmp_path / "run", preset="think")
    before = asked.model_copy(update={"preset_template": None, "instruction": "none"})
    assert before.model_copy(update={"out": None, "instruction": "auto"}).run_directory == (
        asked.model_copy(update={"out": None}).run_directory
    )
    run(before)
    plan = make_plan(asked)
    assert plan.owed == 0
    assert "this run was begun without the preset's template, and goes on without" in prompt_notes(
        plan.benchmark.kind, plan.prompted, plan.tasks
    )


def test_runs_on_countdown_and_their_directories_are_what_they_were(home: Path) -> None:
    asked = PasskRequest(problems=3)
    assert str(asked.run_directory) == "runs/passk-tiny-countdown-" + asked.run_directory.name[-8:]
    assert set(asked.identity()) == {"benchmark", "sampling", "template", "engine", "dtype", "max_model_len"}
    assert make_plan(asked).identity == asked.identity()


def test_what_no_template_has_a_place_for_is_said_before_a_model_is_loaded(home: Path, tmp_path: Path) -> None:
    asked = request(home, tmp_path / "run", template_args=["enable_thinking=False"])
    assert asked.template_args == {"enable_thinking": False}
    with pytest.raises(UsageError, match="does not read 'enable_thinking'"):
        run(asked)
    listed = [{"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}], "answer": "4"}]
    (tmp_path / "listed.jsonl").write_text(json.dumps(listed[0]), encoding="utf-8")
    for changes in ({"template": "raw"}, {"system": "s"}):
        with pytest.raises(UsageError, match=r"list of chat messages|system message of its own"):
            run(request(home, tmp_path / "run", benchmark=str(tmp_path / "listed.jsonl"), **changes))
    (tmp_path / "t.jinja").write_text("{{ question }}\n{{ problem.a.b }}", encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        run(request(home, tmp_path / "run", template=str(tmp_path / "t.jinja")))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"system": "prompts/none.txt"}, "there is no such file"),
        ({"system": " "}, "--system is empty"),
        ({"template_args": ["enable_thinking"]}, "is not NAME=VALUE"),
        ({"template_args": ["a=1", "a=2"]}, "gives a twice"),
    ],
)
def test_flags_that_say_nothing(home: Path, tmp_path: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        request(home, tmp_path / "run", **changes)


def test_a_system_message_is_a_text_or_a_file(home: Path, tmp_path: Path) -> None:
    (tmp_path / "sys.txt").write_text("Be kind.\n", encoding="utf-8")
    for given in ("Be kind.", str(tmp_path / "sys.txt")):
        assert request(home, tmp_path / "run", system=given).system == "Be kind."
    assert request(home, tmp_path / "run", system="x" * 9999).system == "x" * 9999


def test_the_template_of_a_chat_model_is_the_tokenizer_s(by_default: tuple[Path, list[str]]) -> None:
    assert CHAT_TEMPLATE.startswith("{% for message in messages %}<|start|>")
    assert open_run(by_default[0]).to_frame(["prompt", "problem"])["problem"].nunique() == len(ROWS)


def test_a_run_that_could_not_sample_holds_nobody_to_its_choices(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    nobody = request(home, path, policies=("m=http://127.0.0.1:9/v1",), instruction="none", template="raw")
    with pytest.raises(PolicyError, match="nobody answers"):
        run(nobody)
    mended = request(home, path)
    assert make_plan(mended).prompted.instruction == "auto"
    run(mended)
    assert prompts(path) == chat(f"1+1?\n\n{BOXED}", ROWS[1]["question"])


@pytest.mark.parametrize(("begun", "given"), [("true", "1"), ("1", "true"), ("1", "1.0"), ("0", "false")])
def test_equal_numbers_that_read_differently_are_other_prompts(
    home: Path, tmp_path: Path, begun: str, given: str
) -> None:
    (tmp_path / "flag.jinja").write_text("{{ question }} {{ flag }}", encoding="utf-8")
    asked = {"template": str(tmp_path / "flag.jinja"), "instruction": "none"}
    for value in (begun, given):
        run(request(home, tmp_path / value, template_args=(f"flag={value}",), **asked))
    assert set(prompts(tmp_path / begun)).isdisjoint(prompts(tmp_path / given))
    with pytest.raises(UsageError, match="template_args"):
        make_plan(request(home, tmp_path / begun, template_args=(f"flag={given}",), **asked))
