"""The strategy map of one problem: pick a problem, embed, colour, click a mark and read it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import streamlit as st

from s2l_lab.app.parts.address import came_from_outside, link, shared
from s2l_lab.app.parts.export_row import chart, export_figure, export_report
from s2l_lab.app.parts.look import policy_colours
from s2l_lab.app.parts.measured import embeddings_folder, on_demand
from s2l_lab.app.parts.runs import provenance_of
from s2l_lab.app.parts.safe import model_text, plain
from s2l_lab.app.parts.states import empty
from s2l_lab.browse.filters import PAGE_SIZES
from s2l_lab.browse.provenance import Drawn, caption
from s2l_lab.browse.report_page import FigureItem, Section
from s2l_lab.browse.rollout_pages import read_rollout
from s2l_lab.errors import DataError
from s2l_lab.figures.strategy_map import strategy_map_figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from s2l_lab.app.parts.address import Address
    from s2l_lab.app.parts.runs import Opened
    from s2l_lab.browse.rows import FullRollout
    from s2l_lab.browse.strategy_map import StrategyMap

FIGURE = "diversity.map.figure"
COLOURS = ("policy", "answer", "outcome")
SIZES = tuple(map(str, PAGE_SIZES))


def show_map(here: Opened, address: Address, policies: tuple[str, ...]) -> None:
    """Switches, map, the completion that was clicked."""
    store = here.store
    ids = list(store.problems())
    if not policies or not ids:
        empty("There is no problem or no policy to map.")
        return
    columns = st.columns([3, 1, 2])
    places = {problem: i + 1 for i, problem in enumerate(ids)}
    problem = columns[0].selectbox(
        "Problem", ids, key=address.option("problem", ids), format_func=lambda one: f"{places[one]}: {one}"
    )
    n = columns[1].selectbox("Rollouts of each", SIZES, key=address.option("map-rollouts", SIZES, "20"))
    with columns[2]:
        colour = st.segmented_control(
            "Coloured by", list(COLOURS), key=address.option("colour", list(COLOURS)), required=True
        )
    with st.expander("The problem"):
        model_text(store.problems()[problem].prompt, "diversity.map.prompt")

    def make(announce: Callable[[str], None]) -> StrategyMap:
        from s2l_lab.browse.strategy_map import strategy_map

        announce("embedding the completions")
        return strategy_map(store, problem, policies, int(n), "minilm", embeddings_folder(), here.rounds, here.version)

    content = ("map", str(store.path), store.fingerprint(), here.version, policies, problem, n)
    about = f"Embeds at most {len(policies) * int(n)} completions; what was embedded before is not embedded again."
    address.text("rollout")
    opened = _opened(here, address, problem, policies)
    found = on_demand("diversity.map.make", "Make the map", about, content, make)
    if found is not None:
        _show(here, address, found, problem, policies, colour, Drawn(1, f"at most {n}"))
    if opened is not None:
        _read(opened)


def _opened(here: Opened, address: Address, problem: str, policies: tuple[str, ...]) -> FullRollout | None:
    """The completion that the URL names, with or without a map around it; None where it is none of this map's, which is
    said where the URL came from outside."""
    at = str(address.value("rollout"))
    if not at:
        return None
    try:
        one = read_rollout(here.store, at, here.version, here.rounds)
    except DataError:  # it is gone, or the address never was one
        pass
    else:
        if one.row.problem_id == problem and one.row.policy in policies:
            return one
    if came_from_outside(address.view):
        address.problems.append(f"rollout = {at[:100]!r} is none of this map; click a mark to read one.")
    address.set("rollout", "")
    return None


def _clicked(address: Address) -> None:
    """A mark was clicked, or let go."""
    points = st.session_state[FIGURE]["selection"]["points"]
    address.set("rollout", str(points[0]["customdata"][0]) if points else "")


def _show(
    here: Opened,
    address: Address,
    found: StrategyMap,
    problem: str,
    policies: tuple[str, ...],
    colour: Any,
    drawn: Drawn,
) -> None:
    figure = strategy_map_figure(found.points, found.explained, colour, policy_colours(here.store.policies()))
    share = sum(v for v in found.explained if math.isfinite(v))
    st.caption(
        f"The plane holds {share:.0%} of the variance: marks that are apart differ, marks that touch may differ "
        "too. Shape is the outcome (\u25cf correct, \u2716 incorrect, \u25c7 no answer, \u25b7 truncated); size grows "
        "with the completions that have this very text. Click a mark to read it."
    )
    chart(figure, FIGURE, on_select=lambda: _clicked(address), selection_mode="points")
    embedding = found.embedding
    lines = caption(
        provenance_of(here.store, here.version),
        drawn,
        more=[
            f"Problem {problem}; {found.n_rollouts} completions of {', '.join(policies)}, {found.left_out} empty ones "
            f"left out. Embeddings: {embedding.embedder} ({embedding.digest}), {embedding.share:.1%} of the tokens "
            "embedded; "
            "first two principal components of all completions together. A picture, without an interval."
        ],
    )
    title = f"Strategy map of problem {problem}"
    export_figure("diversity.map", figure, title, lines, lambda: point_rows(found))
    item = FigureItem(figure, "Completions of one problem in the plane of their embeddings", "Shape: outcome.")
    export_report("diversity.map", title, lambda: [Section("Strategy map", (item,))], lines)


def _read(rollout: FullRollout) -> None:
    row = rollout.row
    answer = "no answer" if row.canonical is None else f"answer {row.canonical}"
    st.markdown(plain(f"{row.policy}, rollout {row.sample_index}: {row.outcome.replace('_', ' ')}, {answer}"))
    model_text(rollout.text, "diversity.map.text")
    there = {"problem": row.problem_id, "policy": row.policy, "rollout": row.address}
    link("rollouts", "Open in Rollouts", shared() | there)


def point_rows(found: StrategyMap) -> list[dict[str, Any]]:
    """The marks as a table."""
    return [
        {
            "policy": p.policy,
            "answer": p.answer,
            "outcome": p.outcome,
            "count": p.count,
            "component_1": p.x,
            "component_2": p.y,
            "rollout": p.address,
            "beginning": p.preview,
        }
        for p in found.points
    ]
