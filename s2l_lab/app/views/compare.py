"""Compare: two to four policies side by side on one problem, what each finds, and the problems that only one solves.

"Solves" is a rule that the reader chooses and the page states. Lists of who solves what are not tests: every entry has
its counts and intervals. Each column shows one rollout, any of the policy's on the problem, however many there are: its
list has pages.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from s2l_lab.app.parts.address import Address, came_from_outside, link, pager, shared
from s2l_lab.app.parts.export_row import export_report, export_table, show_caption
from s2l_lab.app.parts.header import header
from s2l_lab.app.parts.look import outcome_label
from s2l_lab.app.parts.reader import answers as show_answers
from s2l_lab.app.parts.reader import facts
from s2l_lab.app.parts.runs import Opened, provenance_of, rates_of
from s2l_lab.app.parts.safe import SHOWN, model_text, plain, visible
from s2l_lab.app.parts.solved_lists import solved_table, who_solves
from s2l_lab.app.parts.states import empty, notes, stop_empty
from s2l_lab.app.parts.tokens import diff_strips
from s2l_lab.browse.decoding import decoder_of
from s2l_lab.browse.diff import diff, words
from s2l_lab.browse.filters import MOST as MOST_PAGES
from s2l_lab.browse.filters import RolloutFilter
from s2l_lab.browse.provenance import Drawn, caption, spanned
from s2l_lab.browse.report_page import Section, TableItem
from s2l_lab.browse.rollout_pages import Page, answers, page, read_rollout
from s2l_lab.browse.rows import FullRollout, Row
from s2l_lab.browse.solve_rates import SolveRates
from s2l_lab.browse.store import BrowsedStore
from s2l_lab.browse.who_solves import OnlySolved
from s2l_lab.errors import DataError

MOST = 4
RULES = ("at least one", "rate of at least tau")
# Rollouts of a policy on the problem that are offered for choice at once: a page of its list.
OFFERED = 100
LISTED = 2_000


def show() -> None:
    """Draw the view."""
    here = header(
        "Compare", "Policies on the same problem, side by side; and the problems that only one of two solves."
    )
    store, url = here.store, Address("compare")
    rates = rates_of(store, here.version)
    if len(rates.policies) < 2:
        stop_empty("This run holds one policy; two are needed.", "s2l-lab passk --family tiny")
    chosen, problem = _choose(url, store, rates)
    if len(chosen) < 2:
        url.publish()
        stop_empty("Choose at least two policies.")
    ones = _side_by_side(url, here, rates, chosen, problem)
    _difference(url, store, ones)
    _found(here, chosen, problem)
    solved = who_solves(url, here, rates, chosen, RULES)
    lines = caption(provenance_of(store, here.version))
    export_report("compare", "Compare", lambda: _sections(here, ones, problem, solved), lines)
    url.publish()


def _choose(url: Address, store: BrowsedStore, rates: SolveRates) -> tuple[list[str], str]:
    """Policies and problem."""
    default = (rates.policies[0], rates.policies[-1])
    url.several("policy", rates.policies, default)
    url.text("problem")
    for place in range(MOST):
        url.text(f"rollout-{place + 1}")
        url.number(f"page-{place + 1}", 1, MOST_PAGES, 1)
    for name in ("left", "right", "a", "b"):
        url.text(name)
    url.option("rule", RULES)
    url.number("tau-percent", 1, 100, 50)
    url.report()
    known = store.problems()
    ordered = rates.take(rates.order("spread")).problem_ids
    if url.value("problem") not in ordered:
        if url.value("problem"):
            notes([f"This run has no problem {url.value('problem')!r}; the one with the largest gap is shown."])
        url.set("problem", ordered[0])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        names = st.multiselect("Policies", rates.policies, key=url.key("policy"), max_selections=MOST, width=360)
        if len(ordered) <= LISTED:
            st.selectbox(
                "Problem, largest gap between policies first", ordered, key=url.key("problem"), width=520,
                format_func=lambda id: visible(known[id].prompt)[:120].replace("\n", " ") if id in known else id,
            )  # fmt: skip
        else:
            st.text_input("Problem (its id)", key=url.key("problem"), width=360)
        at = ordered.index(url.value("problem"))
        for label, step in (("Previous", -1), ("Next", 1)):
            st.button(
                label, key=f"compare.{label}", disabled=not 0 <= at + step < len(ordered),
                on_click=url.set, args=("problem", ordered[min(max(at + step, 0), len(ordered) - 1)]),
            )  # fmt: skip
    return [name for name in rates.policies if name in names], url.value("problem")


def _side_by_side(
    url: Address, here: Opened, rates: SolveRates, chosen: list[str], problem: str
) -> list[FullRollout | None]:
    """A column for each policy with one of its rollouts; None where it has none."""
    store = here.store
    item = store.problems().get(problem)
    with st.expander(f"Problem {plain(problem)}", expanded=True):
        model_text(item.prompt if item else "The store does not have this problem's text.", "compare.prompt")
        st.caption("Gold answer")
        st.text(visible(item.answer)[:1000] if item else "not known")
    shown: list[FullRollout | None] = []
    for place, (policy, column) in enumerate(zip(chosen, st.columns(len(chosen), gap="medium"), strict=True)):
        with column:
            st.markdown(f"**{plain(policy)}**")
            st.caption(_rate_words(rates, policy, problem))
            one = _pick(url, here, policy, problem, place + 1)
            shown.append(one)
            if one is None:
                empty("No rollout of this policy on this problem.")
                continue
            facts(one, problem=False)
            show_answers(one)
            model_text(one.text, f"compare.text.{place}")
            link("rollouts", "All its rollouts here", shared() | {"problem": problem, "policy": policy})
    return shown


def _rate_words(rates: SolveRates, policy: str, problem: str) -> str:
    p, m = rates.problem_ids.index(problem), rates.column(policy)
    if not rates.total_PM[p, m]:
        return "no verified rollouts"
    ends = f"{rates.lower_PM[p, m]:.0%} to {rates.upper_PM[p, m]:.0%}"
    return plain(f"{rates.correct_PM[p, m]} of {rates.total_PM[p, m]} correct: {rates.rate_PM[p, m]:.0%} ({ends})")


def _pick(url: Address, here: Opened, policy: str, problem: str, column: int) -> FullRollout | None:
    """Choose among the policy's rollouts, a page of them at a time. Until the reader chooses, a correct one is shown on
    the first page and the first one on any other; a chosen one is offered on every page. None where there is none."""
    name, turned = f"rollout-{column}", f"page-{column}"
    asked = url.value(name)
    chosen = _at(here, asked, policy, problem)
    lost = bool(asked) and chosen is None
    if lost:
        url.set(turned, 1)
    wanted = _of(here, policy, problem, page=url.value(turned), page_size=OFFERED)
    found = page(here.store, wanted, here.rounds)
    if not found.rows:
        return None
    url.set(turned, found.filter.page)
    shown = chosen or _read(here, _first(here, found, policy, problem).address)
    url.set(name, shown.row.address)
    if lost and came_from_outside(url.view):
        words = f"The address names a rollout that {policy} did not draw on this problem, or that is gone"
        notes([f"{words}: {asked[:100]!r}. Rollout {shown.row.sample_index} is shown instead."])
    rows = {row.address: row for row in found.rows}
    rows = rows if shown.row.address in rows else {shown.row.address: shown.row} | rows
    place = f", page {found.filter.page} of {found.pages} ({found.total:,} in all)" if found.pages > 1 else ""
    st.selectbox(
        f"Rollout{place}", list(rows), key=url.key(name),
        format_func=lambda address: _option(rows[address]),
    )  # fmt: skip

    def turn(to: int) -> None:
        url.set(turned, to)
        url.set(name, "")

    pager(found.pages, found.filter.page, f"compare.pages.{column}", turn)
    return shown


def _of(here: Opened, policy: str, problem: str, **more: Any) -> RolloutFilter:
    return RolloutFilter(policies=(policy,), problem=problem, version=here.version, **more)


def _read(here: Opened, address: str) -> FullRollout:
    return read_rollout(here.store, address, here.version, here.rounds)


def _at(here: Opened, address: str, policy: str, problem: str) -> FullRollout | None:
    """The rollout at an address; None unless the policy drew it on the problem."""
    if not address.startswith(f"{problem}."):
        return None
    try:
        one = _read(here, address)
    except DataError:  # it is gone, or the address never was one
        return None
    return one if (one.row.policy, one.row.problem_id) == (policy, problem) else None


def _first(here: Opened, found: Page, policy: str, problem: str) -> Row:
    """What is shown until the reader chooses: of all pages the first correct one, on another page its first."""
    if found.filter.page > 1 or not found.by_outcome["correct"]:
        return found.rows[0]
    correct = page(here.store, _of(here, policy, problem, outcomes=("correct",), page_size=10), here.rounds)
    return (correct.rows or found.rows)[0]


def _option(row: Row) -> str:
    answer = visible(row.answer or "")[:40]
    return f"{row.sample_index}: {outcome_label(row.outcome)} {answer}".strip()


def _difference(url: Address, store: BrowsedStore, ones: list[FullRollout | None]) -> None:
    there = [one for one in ones if one is not None]
    if len(there) < 2:
        return
    st.subheader("Difference", help="Text that only one of the two completions has is coloured; the rest is shared.")
    a, b = there[0], there[-1]
    if len(there) > 2:
        by_policy = {one.row.policy: one for one in there}
        names = list(by_policy)
        left, right, _ = st.columns([1, 1, 2])
        a = by_policy[left.selectbox("Left", names, key=url.option("left", names, names[0]))]
        b = by_policy[right.selectbox("Right", names, key=url.option("right", names, names[1]))]
    by_token = [_token_texts(store, one) for one in (a, b)]
    both = all(texts is not None for texts in by_token)
    sides = by_token if both else [words(one.text[:SHOWN]) for one in (a, b)]
    found = diff(sides[0] or (), sides[1] or ())
    cut = " Both are compared in their first part only." if found.cut else ""
    st.caption(f"{'Token' if both else 'Word'} by {'token' if both else 'word'}: {found.similarity:.0%} shared.{cut}")
    diff_strips(found, st.columns(2, gap="medium"))


def _token_texts(store: BrowsedStore, one: FullRollout) -> tuple[str, ...] | None:
    """The texts of the tokens; None where they are not known."""
    decoder = decoder_of(store, one.row.policy) if one.token_ids is not None else None
    return None if decoder is None or one.token_ids is None else decoder(one.token_ids.tolist())


def _found(here: Opened, chosen: list[str], problem: str) -> None:
    st.subheader(
        "Answers found by each",
        help="Canonical answers with how often each policy gave them; for Countdown they are solution classes.",
    )
    table = _answers_table(here, chosen, problem)
    if not table:
        empty("No rollout on this problem has a verdict.")
        return
    st.dataframe(table, hide_index=True, key="compare.answers", height=min(38 + 35 * len(table), 390))
    words = [f"Problem {problem}.", _answers_words(table, chosen)]
    drawn = Drawn(1, spanned([sum(row[name] for row in table) for name in chosen]))
    export_table("compare.found", table, [*words, *caption(provenance_of(here.store, here.version), drawn)])
    show_caption(words)


def _answers_words(table: list[dict[str, Any]], chosen: list[str]) -> str:
    """How many different correct answers each found, in how many draws."""
    correct = {name: sum(bool(row["correct"] and row[name]) for row in table) for name in chosen}
    drawn = {name: sum(row[name] for row in table) for name in chosen}
    found = ", ".join(f"{name} {correct[name]} in N = {drawn[name]:,} verified rollouts" for name in chosen)
    return f"Different correct answers: {found}. More draws find more."


def _answers_table(here: Opened, chosen: list[str], problem: str) -> list[dict[str, Any]]:
    """One row per canonical answer with a count for each policy, most frequent first."""
    rows: dict[str | None, dict[str, Any]] = {}
    for found in answers(here.store, problem, here.version):
        if found.policy in chosen:
            row = rows.setdefault(
                found.canonical,
                {"answer": "(none)" if found.canonical is None else visible(found.canonical), "correct": False}
                | dict.fromkeys(chosen, 0),
            )
            row[found.policy] = found.count
            row["correct"] = row["correct"] or found.correct > 0
    return sorted(rows.values(), key=lambda row: (not row["correct"], -sum(row[name] for name in chosen)))


def _sections(here: Opened, ones: list[FullRollout | None], problem: str, solved: OnlySolved) -> list[Section]:
    there = [one for one in ones if one is not None]
    item = here.store.problems().get(problem)
    sections = [Section(f"Problem {problem}", quotes=(item.prompt,) if item else ())]
    sections += [
        Section(
            f"{one.row.policy}, rollout {one.row.sample_index}: {outcome_label(one.row.outcome)}", quotes=(one.text,)
        )
        for one in there
    ]
    names = [one.row.policy for one in there]
    found = _answers_table(here, names, problem)
    tables = [TableItem(found, f"Answers. {_answers_words(found, names)}")] if found else []
    a, b = (there[0].row.policy, there[-1].row.policy) if there else ("a", "b")
    table = solved_table(solved, a, b)
    if table.num_rows:
        tables.append(TableItem(table, solved.statement))
    return [*sections, Section("Answers, and who solves what", tables=tuple(tables))]


if __name__ == "__main__":  # Streamlit runs the file
    show()
