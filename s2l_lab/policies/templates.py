"""Prompt templates: from a problem to the exact text that a policy continues.

A rendered prompt holds *every* special token that the model expects, as text, and `encode_prompt` adds none: chat
templates write their own BOS, and a second one would change what is measured. So `raw` writes the BOS of tokenizers
that add one (Llama, InternLM) and nothing for those that do not (Qwen). Engines, trainer, banks and scoring all encode
by `encode_prompt`, so the ids that are trained on are the ids that are sampled from.

The paper (arXiv 2605.30789) evaluates through the chat template with ` /no_think` or ` /think` after the problem, no
system message, no instruction to box the answer and `enable_thinking` unset: `chat-no-think` and `chat-think`. Base
models do not know these switches; the suffix is just text to them.

A template is one of these names or a Jinja file, which is rendered as chat templates are. `Prompting` is all that may
be chosen beside it: a system message, an instruction (`instructions.py`), and variables of the chat template by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from s2l_lab.digest import content_digest
from s2l_lab.errors import DataError, PolicyError, UsageError, unknown_name
from s2l_lab.policies.instructions import NAMED, NEEDED, checked_instruction, needed
from s2l_lab.policies.jinja_text import FIXED_DATE, JinjaText, fixed_now, read_jinja, template_fault
from s2l_lab.policies.tiny.prompt import render_compact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s2l_lab.problems import Problem

SUFFIXES = {"chat": "", "chat-no-think": " /no_think", "chat-think": " /think"}
"""What each chat template writes after the problem, inside the user's message."""
COMPACT = "countdown-compact"
TEMPLATES = ("raw", *SUFFIXES, COMPACT)
WITHOUT_INSTRUCTION = (COMPACT, "chat-no-think", "chat-think")
"""Templates that `auto` adds nothing to: numbers alone, and the paper's prompts, which have none."""
FILE_ENDINGS = (".jinja", ".jinja2", ".j2")

Argument = bool | int | float | str | None


class _Fixed(dict[str, Argument]):
    """Arguments that can be hashed with what holds them; nothing writes into them."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))


Arguments = Annotated[dict[str, Argument], AfterValidator(_Fixed)]
"""Variables of a chat template by name."""
Messages = list[dict[str, str]]

_OURS = ("messages", "question", "problem", "add_generation_prompt")
"""What a template is rendered with; no argument may take such a name."""


def no_arguments() -> dict[str, Argument]:
    """The default of fields of this kind."""
    return _Fixed()


class Prompting(BaseModel):
    """What is said around a problem's text, as it is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str | None = None
    """A name of TEMPLATES or the path of a Jinja file; None where the policy's own is meant."""
    template_text: str | None = None
    """Content of the Jinja file, where it is at hand already (a stored run keeps it)."""
    system: str | None = None
    """Text of the system message."""
    instruction: str | None = None
    """`auto`, `none` (as None), `boxed`, `answer` or a text: see `instructions`."""
    template_args: Arguments = Field(default_factory=no_arguments)
    """Variables of the chat template, as enable_thinking."""

    @property
    def extras(self) -> dict[str, Any]:
        """What differs from a bare template, without the template; empty for most policies."""
        found = {"system": self.system, "template_text": self.template_text, "template_args": self.template_args}
        if self.instruction != "none":
            found["instruction"] = self.instruction
        return {name: value for name, value in found.items() if value}

    def over(self, other: Prompting) -> Prompting:
        """These choices, and those of `other` where nothing is chosen here."""
        chosen = self.model_dump(exclude_none=True, exclude={"template_args"})
        args = {**other.template_args, **self.template_args}
        mine = {} if self.template is None else {"template_text": self.template_text}
        return Prompting(**{**other.model_dump(), **chosen, **mine, "template_args": args})


@dataclass(frozen=True, slots=True)
class Template:
    """A template bound to one tokenizer."""

    name: str
    digest: str
    """Identity of everything that shapes the text: the name or the file's content, the suffix, the tokenizer's chat
    template or BOS, and what was chosen beside them."""
    render: Callable[[Problem], str]
    messages: Callable[[Problem], Messages]
    """The problem as chat messages (role and content), for servers that render them themselves."""


def is_template_file(name: str) -> bool:
    """Whether a template is named by its file."""
    return name.endswith(FILE_ENDINGS)


def read_template_file(path: Path) -> str:
    """The text of a Jinja file. Raises DataError where it cannot be read, or is no template, with the line."""
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as cause:
        reason = (cause.strerror if isinstance(cause, OSError) else None) or "it is not text in UTF-8"
        raise DataError(f"template {path} cannot be read: {reason}. Give the path of a Jinja file.") from cause
    _file_template(text, str(path))
    return text


def bind_template(name: str, tokenizer: Any | None, policy: str, prompting: Prompting | None = None) -> Template:
    """The template `name` for one policy's tokenizer (a transformers tokenizer; None where there is none to see).

    `prompting` says what stands beside it. Raises UsageError for an unknown name and for choices that the template has
    no place for, DataError for a file that is no template, PolicyError where the tokenizer has no chat template or is
    needed and absent.
    """
    chosen = prompting or Prompting()
    if chosen.instruction is not None:
        checked_instruction(chosen.instruction)
    if is_template_file(name):
        text = chosen.template_text if chosen.template_text is not None else read_template_file(Path(name))
        return _bind_file(name, _file_template(text, name), tokenizer, policy, chosen)
    if name not in TEMPLATES:
        raise unknown_name("template", name, TEMPLATES, "A file of your own ends in .jinja.")
    if name in WITHOUT_INSTRUCTION and chosen.instruction == "auto":
        chosen = chosen.model_copy(update={"instruction": None})
    if name == COMPACT:
        if chosen.system or chosen.template_args or _instruction(chosen):
            raise UsageError(
                f"{policy}: template {COMPACT} writes numbers alone; it has no place for a system message, an "
                "instruction or template arguments. Leave them out, or give --template raw or chat."
            )
        return Template(name, content_digest([name]), render_compact, lambda problem: _plain(render_compact(problem)))
    if name == "raw":
        return _bind_raw(tokenizer, policy, chosen)
    return _bind_chat(name, tokenizer, policy, chosen)


def served_messages(
    name: str, chosen: Prompting, own: JinjaText | None = None
) -> tuple[str, Callable[[Problem], Messages]]:
    """What a server of chat is given under a chat template's name, and its digest; the server's own template (`own`,
    where it can be seen) renders it. Raises UsageError for an instruction without text, and for arguments that the
    template does not read or that are not the user's to set."""
    _check_arguments(own, chosen.template_args)
    if chosen.instruction is not None:
        checked_instruction(chosen.instruction)
    if name in WITHOUT_INSTRUCTION and chosen.instruction == "auto":
        chosen = chosen.model_copy(update={"instruction": None})
    suffix = SUFFIXES[name]
    digest = content_digest(["messages", suffix, *_extras(chosen)])
    return digest, _of_messages(name, digest, chosen, suffix, _not_rendered).messages


def encode_prompt(tokenizer: Any, prompt: str) -> tuple[int, ...]:
    """Token ids of a rendered prompt: what it says, and no special token besides."""
    return tuple(tokenizer(prompt, add_special_tokens=False)["input_ids"])


def added_bos(tokenizer: Any) -> str:
    """The BOS as text if this tokenizer puts one before every text, else nothing."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    dressed = tokenizer("a", add_special_tokens=True)["input_ids"]
    starts_with_bos = len(dressed) > len(bare) and dressed[0] == tokenizer.bos_token_id
    return str(tokenizer.bos_token) if starts_with_bos else ""


def _bind_raw(tokenizer: Any | None, policy: str, chosen: Prompting) -> Template:
    """The problem's text, an instruction below it, and nothing else."""
    if chosen.system or chosen.template_args:
        raise UsageError(
            f"{policy}: template raw writes the problem's text alone; it has no place for a system message or template "
            "arguments. Give --template chat or a Jinja file, or leave them out."
        )
    bos = added_bos(tokenizer) if tokenizer is not None else ""

    def text(problem: Problem) -> str:
        if "messages" in problem.metadata:
            raise UsageError(
                f"{policy}: problem {problem.id} is a list of chat messages, which template raw cannot write. Give "
                "--template chat or a Jinja file."
            )
        return problem.prompt + _added(chosen, problem, problem.prompt)

    digest = content_digest(["raw", bos, *_extras(chosen)])
    return Template("raw", digest, lambda problem: bos + text(problem), lambda problem: _plain(text(problem)))


def _bind_chat(name: str, tokenizer: Any | None, policy: str, chosen: Prompting) -> Template:
    """The chat template of the tokenizer."""
    if tokenizer is None:
        raise PolicyError(
            f"{policy}: template {name!r} needs the model's tokenizer, and there is none to see. Serve it with vLLM, "
            "under its hub id, and give the tokenizer's files with --model-root DIR, or use --template raw."
        )
    own = getattr(tokenizer, "chat_template", None)
    if own is None or (isinstance(own, dict) and "default" not in own):
        raise PolicyError(
            f"{policy}: its tokenizer has no chat template (many base models have none), so template {name!r} cannot "
            "be rendered. Use --template raw, or a Jinja file of your own."
        )
    where = f"{policy}: the tokenizer's chat template"
    if chosen.template_args:
        text = own["default"] if isinstance(own, dict) else own
        _check_arguments(read_jinja(text, where), chosen.template_args)

    def write(problem: Problem, messages: Messages) -> str:
        from jinja2 import TemplateError

        values = {"date_string": FIXED_DATE, "strftime_now": fixed_now, **chosen.template_args}
        try:
            return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **values))
        except (TemplateError, TypeError, ValueError) as error:
            raise PolicyError(str(template_fault(where, error))) from error

    suffix = SUFFIXES[name]
    digest = content_digest([name, suffix, own, *_extras(chosen)])
    return _of_messages(name, digest, chosen, suffix, write)


def _bind_file(name: str, template: JinjaText, tokenizer: Any | None, policy: str, chosen: Prompting) -> Template:
    """A Jinja file of the user's own."""
    tokens = {} if tokenizer is None else {k: str(v) for k, v in tokenizer.special_tokens_map.items()}
    special = sorted(v for v in template.variables if v.endswith("_token"))
    if tokenizer is None and special:
        raise PolicyError(
            f"{policy}: template {name} reads {', '.join(special)}, and there is no tokenizer to see. Write the token "
            "itself into the template, or name the tokenizer."
        )
    _check_arguments(template, chosen.template_args)
    if chosen.system and "messages" not in template.variables:
        raise UsageError(
            f"{policy}: template {name} reads no `messages`, so the system message would change nothing. Leave it out, "
            "or write it into the template."
        )

    def write(problem: Problem, messages: Messages) -> str:
        if "messages" in problem.metadata and "messages" not in template.variables:
            raise UsageError(
                f"{policy}: problem {problem.id} is a list of chat messages, and template {name} reads no `messages`."
            )
        values = {
            **tokens,
            "messages": messages,
            "question": messages[-1]["content"],
            "problem": problem.model_dump(exclude={"answer"}),
            "add_generation_prompt": True,
            "tools": None,
            "documents": None,
            "date_string": FIXED_DATE,
            **chosen.template_args,
        }
        return template.render(**values)

    digest = content_digest(["file", template.text, tokens, *_extras(chosen)])
    return _of_messages(name, digest, chosen, "", write)


def _not_rendered(problem: Problem, messages: Messages) -> str:
    raise AssertionError(f"problem {problem.id} is sent as messages")


def _of_messages(
    name: str, digest: str, chosen: Prompting, suffix: str, write: Callable[[Problem, Messages], str]
) -> Template:
    """A template that writes messages."""

    def render(problem: Problem) -> str:
        bare = write(problem, _messages(chosen, problem, "", suffix))
        added = _added(chosen, problem, bare)
        return write(problem, _messages(chosen, problem, added, suffix)) if added else bare

    def messages(problem: Problem) -> Messages:
        added = _added(chosen, problem, f"{chosen.system or ''}\n{problem.prompt}")
        return _messages(chosen, problem, added, suffix)

    return Template(name, digest, render, messages)


def _messages(chosen: Prompting, problem: Problem, added: str, suffix: str) -> Messages:
    """The problem's own messages or its text as one, a system message before and `added` and `suffix` behind."""
    given = problem.metadata.get("messages")
    found = _plain(problem.prompt) if given is None else [dict(message) for message in given]
    if chosen.system:
        if found[0]["role"] in ("system", "developer"):
            raise UsageError(
                f"problem {problem.id} has a {found[0]['role']} message of its own, and --system gives another one. "
                "Leave one of them out."
            )
        found = [{"role": "system", "content": chosen.system}, *found]
    found[-1]["content"] += added + suffix
    return found


def _plain(text: str) -> Messages:
    return [{"role": "user", "content": text}]


def _instruction(chosen: Prompting) -> str:
    """The instruction that is asked for by name or as text; empty for none, and for `auto`, which depends."""
    if chosen.instruction in (None, "none", "auto"):
        return ""
    return NAMED.get(str(chosen.instruction), str(chosen.instruction))


def _added(chosen: Prompting, problem: Problem, prompt: str) -> str:
    """What stands below the problem's text; `prompt` is what is written without it."""
    if chosen.instruction == "auto":
        # A list of messages is taken as it stands.
        text = "" if "messages" in problem.metadata else needed(problem, prompt)
    else:
        text = _instruction(chosen)
    return f"\n\n{text}" if text else ""


def _extras(chosen: Prompting) -> list[Any]:
    """What a digest says of the choices beside a template; nothing where there are none."""
    found = {name: value for name, value in chosen.extras.items() if name != "template_text"}
    if found.get("instruction") == "auto":
        found["instruction"] = ["auto", dict(NEEDED)]
    elif "instruction" in found:
        found["instruction"] = _instruction(chosen)
    return [found] if found else []


def _file_template(text: str, where: str) -> JinjaText:
    """Raises DataError for a text that is no template, or that reads nothing of the problem."""
    template = read_jinja(text, f"template {where}")
    if not template.variables & {"messages", "question", "problem"}:
        raise DataError(
            f"template {where} reads none of `messages`, `question` and `problem`, so its prompt would be the same for "
            "every problem. Write the problem's text with {{ question }}, or go through messages."
        )
    return template


def _check_arguments(template: JinjaText | None, arguments: Mapping[str, Argument]) -> None:
    """Raise UsageError for an argument that the template does not read (None: cannot be seen), or that is not the
    user's to set."""
    for name in arguments:
        if name in _OURS:
            raise UsageError(f"template argument {name!r} is what the prompt is made from; it cannot be set.")
        if template is not None and name not in template.variables:
            known = sorted(template.variables - {*_OURS, "raise_exception", "strftime_now"})
            raise UsageError(
                f"{template.where} does not read {name!r}, so it would change nothing. It reads: "
                f"{', '.join(known) or 'no such variable'}. Leave the argument out."
            )
