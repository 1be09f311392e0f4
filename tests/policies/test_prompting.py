"""Prompts of one's own: a Jinja file, a system message, an instruction, variables by name, and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_checkpoints import CHAT_TEMPLATE, write_tokenizer

from s2l_lab.errors import DataError, PolicyError, UsageError
from s2l_lab.policies.families import load_family
from s2l_lab.policies.instructions import ANSWER, BOXED, NEEDED, names_a_form
from s2l_lab.policies.templates import SUFFIXES, Prompting, bind_template, read_template_file
from s2l_lab.problems import Problem
from s2l_lab.problems.benchmarks import as_benchmark
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.problems.rows import FileRow, problems_of
from s2l_lab.verifiers import Outcome, VerifierPool, VerifyItem

if TYPE_CHECKING:
    from pathlib import Path

MATHS = Problem.make("what is 3*4?", "12", "math", "test", {})
EXACT = Problem.make("say a word", "word", "exact", "test", {})
MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2+2?"}]
LISTED = problems_of([FileRow(1, {"messages": MESSAGES, "answer": "4"})], name="x", where="x")[0]
THINKING = CHAT_TEMPLATE + "{% if enable_thinking is defined and not enable_thinking %}(off){% endif %}"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return made(tmp_path_factory.mktemp("tokenizer"))


def made(directory: Path, **how: Any) -> Any:
    from transformers import AutoTokenizer

    write_tokenizer(directory, **how)
    return AutoTokenizer.from_pretrained(directory)


def rendered(name: str, tokenizer: Any, problem: Problem = MATHS, **chosen: Any) -> str:
    return bind_template(name, tokenizer, "p", Prompting(**chosen)).render(problem)


@pytest.mark.parametrize("name", ["raw", *SUFFIXES])
def test_nothing_chosen_is_what_a_template_was_before(tokenizer: Any, name: str) -> None:
    bare = bind_template(name, tokenizer, "p")
    for chosen in (Prompting(), Prompting(instruction="none")):
        again = bind_template(name, tokenizer, "p", chosen)
        assert (again.digest, again.render(MATHS)) == (bare.digest, bare.render(MATHS))


def test_a_system_message_and_an_instruction_have_their_places(tokenizer: Any) -> None:
    text = rendered("chat-think", tokenizer, system="be kind", instruction="boxed")
    assert text == (
        f"<|start|>system\nbe kind<|end|>\n<|start|>user\nwhat is 3*4?\n\n{BOXED} /think<|end|>\n<|start|>assistant\n"
    )
    assert rendered("raw", tokenizer, instruction="answer") == f"what is 3*4?\n\n{ANSWER}"
    assert rendered("raw", tokenizer, instruction="In one word.") == "what is 3*4?\n\nIn one word."


@pytest.mark.parametrize("name", ["raw", "chat"])
@pytest.mark.parametrize("problem", [MATHS, EXACT], ids=lambda p: p.kind)
def test_auto_adds_what_the_verifier_needs_and_the_verifier_reads_it(
    tokenizer: Any, name: str, problem: Problem
) -> None:
    assert NEEDED[problem.kind] in rendered(name, tokenizer, problem, instruction="auto")
    followed = (
        rf"It is \boxed{{{problem.answer}}}." if problem.kind == "math" else f"I think.\nAnswer: {problem.answer}"
    )
    with VerifierPool(1) as pool:
        (verdict,) = pool.verify_many([VerifyItem(problem, followed, False)])
    assert verdict.outcome is Outcome.CORRECT


FORMS = [
    r"Box it: \boxed{}.",
    'The last line is of the form "Answer: $Answer".',
    "Q: 1+1?\n#### 2\nQ: 3+4?",
    "Give it in <answer> and </answer>.",
    "end with a line of the form\n#### expression",
]


@pytest.mark.parametrize("form", FORMS)
def test_auto_adds_nothing_where_prompt_system_or_template_names_a_form(tokenizer: Any, form: str) -> None:
    problem = Problem.make(f"what is 3*4? {form}", "12", "math", "test", {})
    assert rendered("raw", tokenizer, problem, instruction="auto") == problem.prompt
    assert BOXED not in rendered("chat", tokenizer, system=form, instruction="auto")
    assert BOXED not in rendered("f.jinja", None, template_text="{{ question }} " + form, instruction="auto")


@given(st.text())
def test_a_heading_or_a_word_names_no_form(text: str) -> None:
    assert not names_a_form(
        "#### Task\nThe answer to all of this is boxed in. "
        + text.replace("\\", "").replace("#", "").replace(":", "").replace("<", "")
    )


def test_auto_leaves_alone_what_says_it_already(tokenizer: Any) -> None:
    countdown = countdown_benchmark(1).problems[0]
    (choice,) = as_benchmark([{"question": "q", "choices": ["w", "x"], "answer": "A"}]).problems
    for name, problem in [("chat", countdown), ("chat", choice), ("chat-think", MATHS), ("chat", LISTED)]:
        bare = bind_template(name, tokenizer, "p").render(problem)
        assert rendered(name, tokenizer, problem, instruction="auto") == bare
    compact = bind_template("countdown-compact", None, "p")
    same = bind_template("countdown-compact", None, "p", Prompting(instruction="auto"))
    assert (same.digest, same.render(countdown)) == (compact.digest, compact.render(countdown))


def test_messages_are_written_as_they_stand(tokenizer: Any) -> None:
    text = "<|start|>system\nbe brief<|end|>\n<|start|>user\n2+2?<|end|>\n<|start|>assistant\n"
    assert rendered("chat", tokenizer, LISTED) == text
    assert bind_template("chat", tokenizer, "p").messages(LISTED) == MESSAGES
    assert LISTED.metadata["messages"] == MESSAGES  # nothing was written into them
    with pytest.raises(UsageError, match="list of chat messages, which template raw cannot write"):
        rendered("raw", tokenizer, LISTED)
    with pytest.raises(UsageError, match="has a system message of its own"):
        rendered("chat", tokenizer, LISTED, system="be kind")


def test_messages_say_what_is_rendered(tokenizer: Any) -> None:
    bound = bind_template("chat-no-think", tokenizer, "p", Prompting(system="s", instruction="boxed"))
    messages = bound.messages(MATHS)
    assert [m["role"] for m in messages] == ["system", "user"]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == bound.render(MATHS)
    assert bind_template("raw", None, "p").messages(MATHS) == [{"role": "user", "content": MATHS.prompt}]


def test_variables_by_name_reach_the_chat_template_or_are_refused(tmp_path: Path, tokenizer: Any) -> None:
    thinks = made(tmp_path, chat_template=THINKING)
    assert rendered("chat", thinks, template_args={"enable_thinking": False}).endswith("(off)")
    assert not rendered("chat", thinks, template_args={"enable_thinking": True}).endswith("(off)")
    assert not rendered("chat", thinks).endswith("(off)")
    with pytest.raises(UsageError, match=r"does not read 'enable_thinking', so it would change nothing"):
        rendered("chat", tokenizer, template_args={"enable_thinking": False})
    with pytest.raises(UsageError, match="'messages' is what the prompt is made from"):
        rendered("chat", tokenizer, template_args={"messages": "x"})
    digests = {
        bind_template("chat", thinks, "p", Prompting(template_args=a)).digest
        for a in ({}, {"enable_thinking": True}, {"enable_thinking": False})
    }
    assert len(digests) == 3


def test_a_file_is_rendered_as_chat_templates_are(tmp_path: Path, tokenizer: Any) -> None:
    same = rendered("f.jinja", tokenizer, template_text=CHAT_TEMPLATE, system="s", instruction="boxed")
    assert same == rendered("chat", tokenizer, system="s", instruction="boxed")
    text = "{{ bos_token }}[{{ problem.kind }}] {{ question }}{{ eos_token }}\n\n{% generation %}Go{% endgeneration %}"
    path = tmp_path / "mine.jinja"
    path.write_text(text, encoding="utf-8")
    assert read_template_file(path) == text
    assert rendered(str(path), tokenizer) == "<|bos|>[math] what is 3*4?<|eos|>\n\nGo"
    assert rendered("f.jinja", None, template_text="{{ strftime_now('%d %b %Y') }} {{ question }}").startswith(
        "26 Jul 2024"
    )
    with pytest.raises(PolicyError, match="reads bos_token, eos_token, and there is no tokenizer"):
        rendered(str(path), None)
    one, other = (
        bind_template("f.jinja", tokenizer, "p", Prompting(template_text=t)).digest for t in (text, text + "!")
    )
    assert one != other
    assert bind_template("other.jinja", tokenizer, "p", Prompting(template_text=text)).digest == one


FAULTS = {
    "{{ messages }}\n{% if x %}": "line 2: Unexpected end of template",
    "{{ question }}\n\n{{ 1 / 0 }}": "line 3: division by zero",
    "{{ question }}\n{{ problem.nothing.more }}": "line 2: 'dict object' has no attribute 'nothing'",
    "{{ messages }}\n{{ raise_exception('no system') }}": "line 2: no system",
    "{{ messages.__class__.__mro__ }}": "line 1: access to attribute '__class__'",
    "{{ messages }}{% for i in range(10 ** 9) %}{% endfor %}": "line 1: Range too big",
    "{{ messages | nofilter }}": "line 1: No filter named 'nofilter'",
    "{{ promt }}": "reads none of `messages`, `question` and `problem`",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_of_a_file_is_one_line_with_its_place(text: str) -> None:
    with pytest.raises(DataError) as caught:
        rendered("mine.jinja", None, template_text=text)
    assert "template mine.jinja" in str(caught.value)
    assert FAULTS[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gold_answer_never_reaches_a_template() -> None:
    assert rendered("f.jinja", None, template_text="{{ question }}[{{ problem.answer }}]") == "what is 3*4?[]"


def test_a_chat_template_that_refuses_a_system_message_says_so_in_one_line(tmp_path: Path) -> None:
    gemma = made(
        tmp_path,
        chat_template="{% if messages[0].role == 'system' %}\n{{ raise_exception('no system role') }}{% endif %}"
        + CHAT_TEMPLATE,
    )
    with pytest.raises(PolicyError, match=r"p: the tokenizer's chat template, line 2: no system role"):
        rendered("chat", gemma, system="s")


def test_a_prompt_without_a_way_to_name_a_date_does_not_change_overnight(tmp_path: Path) -> None:
    """SmolLM3's and gpt-oss's templates ask for the day themselves."""
    dated = made(tmp_path, chat_template="{{ strftime_now('%d %B %Y') }} {{ messages[0]['content'] }}")
    assert rendered("chat", dated).startswith("26 July 2024 ")


@pytest.mark.parametrize(
    ("name", "chosen", "says"),
    [
        ("raw", {"system": "s"}, "template raw writes the problem's text alone"),
        ("raw", {"template_args": {"a": 1}}, "template raw writes"),
        ("countdown-compact", {"instruction": "boxed"}, "writes numbers alone"),
        ("f.jinja", {"template_text": "{{ question }}", "system": "s"}, "reads no `messages`, so the system message"),
        ("mine.txt", {}, r"A file of your own ends in \.jinja"),
        ("chat", {"instruction": "  "}, "the instruction is empty"),
    ],
)
def test_choices_without_a_place_are_refused(tokenizer: Any, name: str, chosen: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        rendered(name, tokenizer, **chosen)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "b.jinja").write_bytes(b"\xff\xfe{{ question }}")
    for name in ("b.jinja", "none.jinja"):
        with pytest.raises(DataError, match=rf"{name} cannot be read"):
            read_template_file(tmp_path / name)


def test_a_family_file_names_its_prompts(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text("{{ question }}", encoding="utf-8")
    (tmp_path / "f.toml").write_text(
        '[[family]]\nname = "f"\ntemplate = "mine.jinja"\nsystem = "s"\ninstruction = "boxed"\n'
        'template_args = {enable_thinking = false}\n[[family.members]]\nname = "a"\nsource = "x/a"\n'
        '[[family.members]]\nname = "b"\nsource = "x/b"\nsystem = "t"\n',
        encoding="utf-8",
    )
    one, other = load_family(tmp_path / "f.toml").members
    assert one.prompting == Prompting(
        template=str(tmp_path / "mine.jinja"), system="s", instruction="boxed", template_args={"enable_thinking": False}
    )
    assert other.prompting.system == "t"
    asked = Prompting(template="chat", template_args={"x": 1}).over(one.prompting)
    assert (asked.template, asked.system) == ("chat", "s")
    assert asked.template_args == {"enable_thinking": False, "x": 1}


def test_what_holds_arguments_can_be_hashed_and_compared() -> None:
    one, same, other = (Prompting(template_args={"a": v, "b": "x"}) for v in (True, True, False))
    assert one == same
    assert len({one, same, other, Prompting()}) == 3
