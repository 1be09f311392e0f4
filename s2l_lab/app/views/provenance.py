"""Provenance: what the numbers rest on, and the exact commands that make them again and show them again."""

from __future__ import annotations

import shlex
from typing import Any

import streamlit as st

from s2l_lab import __version__
from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.export_row import export_report, export_table
from s2l_lab.app.parts.header import header
from s2l_lab.app.parts.runs import Opened, catalog, provenance_of
from s2l_lab.app.parts.safe import plain, visible
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.browse.catalog import RunEntry
from s2l_lab.browse.provenance import Provenance, caption, training_command
from s2l_lab.browse.report_page import Section, TableItem
from s2l_lab.rollouts import RunManifest

# Files of a run that are offered whole, where they are there.
FILES = ("manifest.json", "config.json", "plan.json", "report.json", "numbers.json", "parts.json")


def show() -> None:
    """Draw the view."""
    here = header("Provenance", "Which data, which code, which command: what every number of this run rests on.", "run")
    url = Address("provenance")
    url.report()
    about = provenance_of(here.store, here.version) if here.place is not None else None
    if about is None:
        empty(f"{here.entry.name} has no rollouts that can be read, so there are no hashes of them.")
    _commands(here, about)
    if about is not None:
        _facts(about)
    sessions = here.store.sessions() if here.place is not None else []
    _sessions(sessions)
    config = here.store.config() if here.place is not None else {}
    _files(here, config)
    _runs()
    if about is not None:
        export_report("provenance", "Provenance", lambda: _sections(about, sessions), caption(about))
    url.publish()


def _commands(here: Opened, about: Provenance | None) -> None:
    st.subheader("Again")
    trained = training_command(here.entry.path) if here.entry.kind == "training" else ""
    sampled = about.commands if about is not None else ()
    if trained:
        st.caption("Trained by this command (run it again to resume unfinished runs):")
        _code(trained)
    if sampled and sampled != (trained,):
        st.caption("Sampled by these commands, oldest first (run one again to sample only what is missing):")
        _code("\n".join(sampled))
    if not trained and not sampled:
        st.caption("The command that made this is not recorded.")
    st.caption("Shown by:")
    _code(f"s2l-lab dashboard --runs {shlex.quote(str(here.directory))}")


def _code(text: str) -> None:
    st.code(visible(text), language=None, wrap_lines=True)


def _facts(about: Provenance) -> None:
    st.subheader("What it is")
    table = facts_table(about)
    st.dataframe(table, hide_index=True, key="provenance.facts", height="content")
    export_table("provenance.about", table, caption(about))


def facts_table(about: Provenance) -> list[dict[str, str]]:
    """Fact and value, as text."""
    facts = {
        "benchmark": about.benchmark,
        "problems": f"{about.n_problems:,}",
        "rollouts per problem and policy": about.rollouts_per_problem,
        "sampling": about.sampling,
        "verifier": about.verifier,
        "data hash (problems)": about.data_hash,
        "rollouts hash (keys and completions)": about.rollouts_hash,
        "remarks": "; ".join(about.remarks) or "none",
        "directory": about.directory,
        "read by": f"s2l-lab {__version__}",
    }
    return [{"fact": name, "value": visible(value)} for name, value in facts.items()]


def _sessions(sessions: list[RunManifest]) -> None:
    st.subheader("Sessions", help="Every process that wrote to this run, with its code, machine and packages.")
    if not sessions:
        empty("No session is recorded: the manifest is missing or cannot be read.")
        return
    table = sessions_table(sessions)
    st.dataframe(table, hide_index=True, key="provenance.sessions")
    if any(session.dirty for session in sessions):
        notes(["A session ran from a checkout with uncommitted changes: its commit does not say all of its code."])
    with st.expander("Packages of the last session"):
        packages = packages_table(sessions[-1])
        st.dataframe(packages, hide_index=True, key="provenance.packages")
        export_table("provenance.versions", packages)
    export_table("provenance.manifest", table)


def sessions_table(sessions: list[RunManifest]) -> list[dict[str, Any]]:
    """One row per session."""
    return [
        {
            "start": f"{session.start:%Y-%m-%d %H:%M:%S}",
            "end": f"{session.end:%Y-%m-%d %H:%M:%S}" if session.end else "none: broken off, or still writing",
            "s2l-lab": session.s2l_lab,
            "commit": (session.commit or "unknown") + (" (dirty)" if session.dirty else ""),
            "device": session.device,
            "python": session.python,
            "platform": session.platform,
            "config": session.config_digest,
            "seeds": ", ".join(f"{name} {seed}" for name, seed in session.seeds.items()),
            "verifier": session.verifier_version,
            "command": visible(shlex.join(session.command)),
        }
        for session in sessions
    ]


def packages_table(session: RunManifest) -> list[dict[str, str]]:
    """Package and version, of one session."""
    return [{"package": visible(name), "version": visible(found)} for name, found in session.packages.items()]


def _files(here: Opened, config: dict[str, Any]) -> None:
    st.subheader("Configuration and files")
    if config:
        with st.expander("Resolved configuration", expanded=False):
            st.json(config, expanded=1)
    folders = dict.fromkeys([here.entry.path, *([here.place.path] if here.place else [])])
    found = [folder / name for folder in folders for name in FILES if (folder / name).is_file()]
    with st.container(horizontal=True, gap="small"):
        for path in found:
            label = path.relative_to(here.entry.path).as_posix()
            st.download_button(
                plain(label), path.read_bytes, path.name, "application/json", key=f"provenance.file.{label}",
                on_click="ignore", icon=":material/download:",
            )  # fmt: skip


def _runs() -> None:
    found, _, _ = catalog()
    st.subheader("All runs here")
    table = runs_table(found.entries)
    st.dataframe(table, hide_index=True, key="provenance.runs")
    export_table("provenance.catalog", table)


def runs_table(entries: tuple[RunEntry, ...]) -> list[dict[str, Any]]:
    """One row per run of the directory."""
    return [
        {
            "run": visible(entry.name),
            "kind": entry.kind,
            "state": entry.state,
            "when": f"{entry.when:%Y-%m-%d %H:%M}" if entry.when else "",
            "problems": entry.problems,
            "rollouts": entry.rollouts,
            "unverified": entry.unverified,
            "what is wrong": visible(" ".join(entry.trouble)),
            "more": visible(entry.detail),
        }
        for entry in entries
    ]


def _sections(about: Provenance, sessions: list[RunManifest]) -> list[Section]:
    tables = [TableItem(facts_table(about), "What it is")]
    if sessions:
        tables.append(TableItem(sessions_table(sessions), "Sessions"))
    return [Section("Provenance", tables=tuple(tables), texts=(f"Made by: {about.command}",))]


if __name__ == "__main__":  # Streamlit runs the file
    show()
