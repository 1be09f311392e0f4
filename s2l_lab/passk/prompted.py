"""How the policies of a run are prompted: what is asked for, what a family says, and the defaults of the run.

Two defaults depend on more than a flag: the instruction that a verifier needs, and the template that a preset brings.
Both stand in the identity of a run that was begun with them, so a run of before goes on as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from s2l_lab.errors import UsageError
from s2l_lab.policies.instructions import NEEDED
from s2l_lab.policies.opening import choose_template
from s2l_lab.policies.templates import (
    SUFFIXES,
    WITHOUT_INSTRUCTION,
    Prompting,
    is_template_file,
    read_template_file,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.passk.plan import Task
    from s2l_lab.passk.request import PasskRequest
    from s2l_lab.policies.checkpoint import Checkpoint
    from s2l_lab.policies.families import Member
    from s2l_lab.problems import Benchmark, VerifierKind
    from s2l_lab.rollouts import RolloutStore


@dataclass(frozen=True, slots=True)
class PromptDefaults:
    """What is said in prompts by default, for this benchmark and this run directory."""

    instruction: str | None
    """`auto` where the verifier needs an instruction and none was asked for."""
    template: str | None
    """The template that the preset brings."""
    left_out: tuple[str, ...] = ()
    """Which of both a run that is continued was begun without: `instruction`, `template`."""

    @classmethod
    def of(cls, request: PasskRequest, benchmark: Benchmark, store: RolloutStore | None) -> Self:
        """The defaults of today; a run goes on with those that it was begun with."""
        instruction = "auto" if request.instruction == "auto" and benchmark.kind in NEEDED else None
        template = request.preset_template if request.template is None else None
        before = {} if store is None else store.identity
        left_out = []
        if store is not None and instruction is not None and "instruction" not in before:
            instruction = None
            left_out.append("instruction")
        if store is not None and template is not None and "preset_template" not in before:
            template = None
            left_out.append("template")
        return cls(instruction, template, tuple(left_out))

    def used_by(self, records: Sequence[Mapping[str, Any]]) -> PromptDefaults:
        """Without what no policy is prompted with."""
        return replace(
            self,
            instruction=self.instruction if any("instruction" in record for record in records) else None,
            template=self.template if any(record["template"] == self.template for record in records) else None,
        )

    @property
    def identity(self) -> dict[str, str]:
        """What a run's identity says of it."""
        found = {"instruction": self.instruction, "preset_template": self.template}
        return {name: value for name, value in found.items() if value is not None}


def prompting_of(
    request: PasskRequest, defaults: PromptDefaults, member: Member, checkpoint: Checkpoint | None
) -> Prompting:
    """How a member is prompted: as asked, else as its family says, else by default."""
    asked = Prompting(
        template=request.template,
        system=request.system,
        instruction=None if request.instruction == "auto" else request.instruction,
        template_args=request.template_args,
    )
    said = asked.over(member.prompting)
    name = choose_template(member, checkpoint, request.template)
    if defaults.template is not None and name in ("raw", *SUFFIXES) and not member.source.startswith("scripted:"):
        if checkpoint is not None and not checkpoint.has_chat_template:
            raise UsageError(
                f"{member.name}: the preset brings the template {defaults.template}, and this model's tokenizer has no "
                "chat template. Give --template raw, or a Jinja file, to use the preset's sampling alone."
            )
        name = defaults.template
    instruction = defaults.instruction if said.instruction is None else said.instruction
    if instruction == "auto" and name in WITHOUT_INSTRUCTION:
        instruction = None
    text = said.template_text
    if is_template_file(name) and text is None:
        text = read_template_file(Path(name))
    return said.model_copy(update={"template": name, "instruction": instruction, "template_text": text})


def prompt_notes(kind: VerifierKind, prompted: PromptDefaults, tasks: Sequence[Task]) -> list[str]:
    """What a person wants to be told of the prompts before a run: lines for the screen."""
    told = [task.member.name for task in tasks if task.record.get("instruction") == "auto"]
    lines = []
    if told:
        lines.append(
            f"{', '.join(told)}: prompts that do not say how to answer get {NEEDED[kind]!r} below the "
            "problem (--instruction none leaves it out)"
        )
    if prompted.template is not None:
        lines.append(f"the preset brings the template {prompted.template} (--template overrides it)")
    read = [task.prompting.template for task in tasks if task.record["engine"] != "scripted"]
    if "instruction" in prompted.left_out and set(read) - set(WITHOUT_INSTRUCTION):
        lines.append("this run was begun without an instruction on how to answer, and goes on without")
    if "template" in prompted.left_out and set(read) & {"raw", *SUFFIXES}:
        lines.append("this run was begun without the preset's template, and goes on without")
    return lines
