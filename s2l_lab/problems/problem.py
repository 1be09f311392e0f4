"""Problem and Benchmark: what is to be solved, and how an answer to it is checked.

A problem's id is the digest of its prompt, answer and kind alone, so the same item has the same id in every benchmark,
file order and run; that is what paired comparisons and resuming rely on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from s2l_lab.digest import content_digest

VerifierKind = Literal[
    "countdown",
    "math",
    "choice",
    "exact",
    "reasoning_gym",
]
"""How completions are checked: by Countdown's rules, mathematical equality, choice letter, equal text, or
reasoning-gym's own scorer of the set named in the problem's metadata."""


class Problem(BaseModel):
    """One item. Crosses the disk, so extra fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Digest of (prompt, answer, kind): see `Problem.make`."""
    prompt: str = Field(min_length=1)
    """The item's text, before a policy's template is put around it."""
    answer: str
    """The gold answer. For kinds that are checked by rules it may be one valid answer of many, or empty."""
    kind: VerifierKind
    source: str
    """The benchmark or file that the item came from."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """JSON values: what the verifier needs beyond the answer (Countdown: numbers, target), and provenance."""

    @classmethod
    def make(cls, prompt: str, answer: str, kind: VerifierKind, source: str, metadata: dict[str, Any]) -> Problem:
        """A problem with its content id."""
        id = content_digest([prompt, answer, kind])
        return cls(id=id, prompt=prompt, answer=answer, kind=kind, source=source, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """An ordered set of problems of one kind with the facts that travel with every number made from it."""

    name: str
    problems: tuple[Problem, ...]
    kind: VerifierKind
    answer_space: int | None
    """Number of equally likely answers for a uniform guesser (AIME 1,000, five-way choice 5); None without one."""
    provenance: dict[str, str]
    """Where the items came from: hub repository and revision, file and SHA-256, or generator and seed."""

    @property
    def digest(self) -> str:
        """Identity of the ordered problem set."""
        return content_digest([p.id for p in self.problems])
