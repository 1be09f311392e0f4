"""Which runs there are and which one is open: found once for all pages, held between reruns.

The directory is `--runs DIR`, else S2L_LAB_RUNS, else ./runs. Where it holds no run the bundled small ones are opened.
Whatever is read from a store is cached under the store's fingerprint, so that a run that is being written shows what is
there now.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from s2l_lab.browse.catalog import Catalog, RunEntry, StoreEntry, bundled_runs, find_runs
from s2l_lab.browse.family_curves import (
    Covers,
    FamilyCurves,
    at_one_n,
    family_comparisons,
    family_covers,
    family_curves,
)
from s2l_lab.browse.provenance import Provenance, provenance
from s2l_lab.browse.solve_rates import SolveRates, solve_rates
from s2l_lab.browse.store import BrowsedStore, open_store
from s2l_lab.errors import DataError
from s2l_lab.estimators import Comparison
from s2l_lab.passk.estimates import Interval
from s2l_lab.training.rounds import Rounds

RUNS_VARIABLE = "S2L_LAB_RUNS"
FRESH_SECONDS = 5
"""A list of runs is at most this old."""
_OPENED = "frame.opened"


@dataclass(frozen=True, slots=True)
class Opened:
    """The run that all views show."""

    directory: Path
    bundled: bool
    """Whether these are the runs that ship with the app."""
    entry: RunEntry
    place: StoreEntry | None
    """The store of the run that is looked at; None where it has none that can be read."""
    version: str | None = None
    """The verifier version whose verdicts are shown; None where the store has none."""

    @property
    def store(self) -> BrowsedStore:
        """The open store. Raises DataError where it cannot be opened (any more)."""
        if self.place is None:
            raise DataError(f"{self.entry.name} holds no rollouts that can be read.")
        return store_of(str(self.place.path))

    @property
    def rounds(self) -> Rounds | None:
        """The rhythm of the training run whose rollouts are looked at; None for any other store."""
        if self.entry.kind != "training" or self.place is None or self.place.kind != "trained on":
            return None
        from s2l_lab.training.arms import read_run, rounds_of

        return rounds_of(read_run(self.entry.path))


def runs_directory() -> Path:
    """The directory that was asked for."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runs", default=os.environ.get(RUNS_VARIABLE) or "runs")
    return Path(parser.parse_known_args(sys.argv[1:])[0].runs)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=8, show_spinner="Looking for runs")
def catalog_of(directory: str) -> Catalog:
    """The runs below a directory."""
    return find_runs(Path(directory))


def catalog() -> tuple[Catalog, bool, str]:
    """(the runs to choose from, whether they are the bundled ones, what is wrong with the directory that was asked)."""
    asked = catalog_of(str(runs_directory().absolute()))
    place = bundled_runs()
    if asked.entries or place is None:
        return asked, False, asked.trouble
    return catalog_of(str(place)), True, asked.trouble


@st.cache_resource(max_entries=2, show_spinner="Opening the run")
def store_of(path: str) -> BrowsedStore:
    """The store at a path, shared by all sessions."""
    return open_store(path)


@st.cache_data(max_entries=8, show_spinner="Counting solved problems")
def _rates(path: str, fingerprint: str, version: str | None) -> SolveRates:
    return solve_rates(store_of(path), version)


def rates_of(store: BrowsedStore, version: str | None = None) -> SolveRates:
    """Solve rates of the store as it is now."""
    before = store.fingerprint()
    rates = _rates(str(store.path), before, version)
    # A part that proved damaged while it was counted may have held all of a policy: what comes next does not know it.
    now = store.fingerprint()
    return rates if now == before else _rates(str(store.path), now, version)


@st.cache_data(max_entries=8, show_spinner=False)
def _provenance(path: str, fingerprint: str, version: str | None) -> Provenance:
    return provenance(store_of(path), version)


def provenance_of(store: BrowsedStore, version: str | None = None) -> Provenance:
    """What the numbers of the store rest on."""
    return _provenance(str(store.path), store.fingerprint(), version)


_SHOWN: dict[str | type[Any], Callable[[Any], Any]] = {
    Opened: lambda here: (str(here.store.path), here.store.fingerprint(), here.version)
}
"""What a result rests on, of an open run: its store as it is now, and the verifier version that is shown."""


@st.cache_data(max_entries=8, show_spinner="Counting solved problems", hash_funcs=_SHOWN)
def _even_rates(here: Opened, policies: tuple[str, ...]) -> SolveRates:
    return at_one_n(here.store, rates_of(here.store, here.version), policies)


@st.cache_data(max_entries=16, show_spinner="Estimating pass@k", hash_funcs=_SHOWN)
def family_of(here: Opened, policies: tuple[str, ...], interval: Interval) -> FamilyCurves:
    """pass@k of these policies, under the verifier version that is shown."""
    return family_curves(_even_rates(here, policies), policies, interval)


@st.cache_data(max_entries=8, show_spinner="Estimating Cover@tau", hash_funcs=_SHOWN)
def covers_of(here: Opened, policies: tuple[str, ...]) -> Covers:
    """Cover@tau of these policies, under the verifier version that is shown."""
    return family_covers(_even_rates(here, policies), policies)


@st.cache_data(max_entries=8, show_spinner="Comparing policies over all k", hash_funcs=_SHOWN)
def comparisons_of(here: Opened, policies: tuple[str, ...]) -> tuple[Comparison, ...]:
    """Every pair of these policies, with one band, under the verifier version that is shown."""
    return family_comparisons(_even_rates(here, policies), policies)


def opened() -> Opened | None:
    """The open run; None where there is none at all."""
    found = st.session_state.get(_OPENED)
    return found if isinstance(found, Opened) else None


def hold(found: Opened | None) -> None:
    """Keep the open run for the page that is drawn next."""
    st.session_state[_OPENED] = found
