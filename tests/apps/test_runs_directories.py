"""Every bad runs directory: it is said what is wrong, and whatever can be shown is."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hostile_runs import KNOWN, known_runs
from opened_views import APPS, PASSK, SOURCES, address_of, open_view, said, sample, sound
from small_store import SAMPLING, make, manifest
from streamlit.testing.v1 import AppTest

from s2l_lab.app.parts.address import VIEWS, view_file
from s2l_lab.browse.catalog import HOW_TO_MAKE_ONE
from s2l_lab.rollouts import RolloutStore


def opened(monkeypatch: pytest.MonkeyPatch, runs: Path) -> AppTest:
    """The app as it starts."""
    monkeypatch.setenv("S2L_LAB_RUNS", str(runs))
    return sound(AppTest.from_file(str(APPS / "dashboard.py"), default_timeout=600).run())


def words(app: AppTest) -> str:
    return said(app).replace("\\", "")


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_without_a_run_the_bundled_one_opens_and_the_command_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    runs = tmp_path / kind
    if kind == "empty":
        runs.mkdir()
    elif kind == "file":
        runs.write_text("no directory")
    app = opened(monkeypatch, runs)
    assert HOW_TO_MAKE_ONE in words(app)
    assert str(runs) in words(app)
    assert address_of(app) == {"run": [PASSK]}
    assert app.title[0].value == "Family"
    assert "Interval" in words(app)


def test_one_damaged_part_is_named_and_the_rest_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = known_runs(tmp_path)
    part = sorted((tmp_path / KNOWN / "rollouts").glob("part-*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:-40])
    app = sound(open_view(monkeypatch, tmp_path, "rollouts"))
    assert part.name in words(app)
    left = int(words(app).partition(" rollouts\n")[0].rpartition("**")[0].rpartition("**")[2])
    ledger = json.loads((tmp_path / KNOWN / "parts.json").read_text())
    lost = next(entry for name, entry in _parts(ledger) if name.endswith(part.name) and name.startswith("rollouts"))
    assert left == len(known) - lost


PARTS = [("diversity", part) for part in ("within", "between", "persistence", "map")]
DAMAGED = {"problems": "problems.parquet", "verdicts": "verdicts/*/part-*.parquet"}


def _damage_column(file: Path, name: str) -> None:
    """Leave everything whole but the pages of one column, which the catalog does not read."""
    group = pq.read_metadata(file).row_group(0)
    (column,) = [group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == name]
    start = column.dictionary_page_offset or column.data_page_offset
    content = file.read_bytes()
    file.write_bytes(
        content[:start] + bytes(column.total_compressed_size) + content[start + column.total_compressed_size :]
    )


def _damage(file: Path, how: str) -> None:
    """Cut the file, or leave its footer whole and no page of it."""
    content = file.read_bytes()
    pages = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    file.write_bytes(content[:-9] if how == "cut" else b"PAR1" + bytes(pages - 4) + content[pages:])


@pytest.mark.parametrize("how", ["cut", pytest.param("without pages", marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", DAMAGED)
def test_every_view_opens_beside_a_damaged_file_and_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str, how: str
) -> None:
    """A damaged file of problems once left nothing on a page but its error."""
    runs = sample(tmp_path / "runs")
    file = sorted((runs / PASSK).glob(DAMAGED[what]))[0]
    _damage(file, how)
    app = open_view(monkeypatch, runs, "family", run=PASSK)
    for view, part in [*((view, "") for view in VIEWS), *PARTS]:
        app.query_params.clear()
        app.query_params["run"] = PASSK
        if part:
            app.query_params["part"] = part
        sound(app.switch_page(view_file(view)).run())
        if view not in ("training", "paper"):  # these show other runs
            assert words(app).count(f"{file.relative_to(runs / PASSK)} is left out") == 1, view
        if view == "family":
            assert "n = 12 problems" in words(app)  # counted from the rollouts where their texts are lost


READING = [("rollouts", "family"), ("verdicts/*", "rollouts"), ("rollouts", "compare")]
"""Every view and both kinds of file, by default; all pairs where slow tests run."""


@pytest.mark.parametrize(
    ("folder", "view"),
    [
        pytest.param(*pair, marks=() if pair in READING else pytest.mark.slow)
        for pair in product(("rollouts", "verdicts/*"), ("family", "rollouts", "compare"))
    ],
)
def test_a_part_whose_pages_are_bad_is_named_on_the_page_that_stumbled_over_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str, view: str
) -> None:
    """Its footer is whole, so nothing knew of it while the heading was drawn: it once was named on the next page."""
    runs = sample(tmp_path / "runs")
    file = sorted((runs / PASSK).glob(f"{folder}/part-*.parquet"))[0]
    _damage_column(file, "digest")
    monkeypatch.setenv("S2L_LAB_RUNS", str(runs))
    app = AppTest.from_file(str(APPS / "dashboard.py"), default_timeout=600)
    app.switch_page(view_file(view))
    named = f"{file.relative_to(runs / PASSK)} is left out"
    for _ in range(2):
        sound(app.run())
        assert [named in warning.value.replace("\\", "") for warning in app.warning] == [True]


def test_a_bad_part_is_named_where_the_page_stops_early(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the bad part one policy is left, and Compare ends."""
    make(tmp_path / "run")
    parts = (tmp_path / "run" / "rollouts").glob("part-*.parquet")
    damaged = [part for part in parts if pq.read_table(part)["policy"].to_pylist()[0] != "tiny-60k"]
    for part in damaged:
        _damage_column(part, "problem_id")
    monkeypatch.setenv("S2L_LAB_RUNS", str(tmp_path))
    app = AppTest.from_file(str(APPS / "dashboard.py"), default_timeout=600)
    app.switch_page(view_file("compare"))
    sound(app.run())
    assert "This run holds one policy" in words(app)
    assert words(app).count(" is left out") == len(damaged)


def test_steps_of_a_training_run_are_read_without_its_problems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = sample(tmp_path / "runs")
    for file in (runs / "training").glob("**/problems.parquet"):
        _damage(file, "cut")
    sound(open_view(monkeypatch, runs, "training", run="training/seed-0", part="rollouts"))


def _parts(ledger: object, at: str = "") -> list[tuple[str, int]]:
    """(name, rows) of every part that a ledger lists, however it nests them."""
    found = []
    if isinstance(ledger, dict):
        for name, value in ledger.items():
            rows = value.get("rows") if isinstance(value, dict) else None
            found += [(f"{at}{name}", rows)] if isinstance(rows, int) else _parts(value, at)
    return found


def test_an_older_schema_is_said_and_another_run_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known_runs(tmp_path)
    runs = sample(tmp_path / "more")
    ledger = runs / PASSK / "parts.json"
    ledger.write_text(json.dumps(json.loads(ledger.read_text()) | {"schema": 0}))
    app = sound(open_view(monkeypatch, tmp_path, "rollouts", run=f"more/{PASSK}"))
    assert "older schema" in words(app)
    assert "schema version 0" in words(app)
    sound(app.selectbox(key="frame.run.widget").set_value(KNOWN).run())
    assert "rollouts" in words(app)
    assert address_of(app)["run"] == [KNOWN]
    assert "older schema" not in words(app)


def test_a_ledger_that_is_no_json_hides_no_other_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known_runs(tmp_path)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "parts.json").write_text("{")
    app = opened(monkeypatch, tmp_path)
    assert address_of(app) == {"run": [KNOWN]}
    app.query_params["run"] = "broken"
    assert "cannot be read" in words(sound(app.run()))


def test_a_run_that_is_being_written_shows_what_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = known_runs(tmp_path)
    config = json.loads((tmp_path / KNOWN / "config.json").read_text())
    with RolloutStore.open(tmp_path / KNOWN, manifest(**config["config"]), config["identity"]):
        app = sound(open_view(monkeypatch, tmp_path, "rollouts"))
        assert "being written" in words(app)
        assert f"**{len(known)}** rollouts" in words(app)


def test_a_store_without_rollouts_is_an_empty_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    identity = {"benchmark": "countdown", "sampling": SAMPLING.model_dump(mode="json")}
    with RolloutStore.open(tmp_path / "nothing", manifest(), identity):
        pass
    app = opened(monkeypatch, tmp_path)
    assert "holds no rollouts" in words(app)
    assert address_of(app) == {"run": ["nothing"]}


def test_a_run_that_is_not_here_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known_runs(tmp_path)
    app = sound(open_view(monkeypatch, tmp_path, "rollouts", run="<b>gone</b>"))
    assert "names a run that is not here" in words(app)
    assert address_of(app) == {"run": [KNOWN]}


def test_a_chosen_run_and_store_stay_on_other_pages_and_a_link_changes_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = sample(tmp_path / "runs")
    app = open_view(monkeypatch, runs, "rollouts", run="training/seed-1", store="rollouts")
    chosen = {"run": ["training/seed-1"], "store": ["rollouts"]}
    assert address_of(app) == chosen
    for view in ("compare", "rollouts"):
        app.query_params.clear()
        app.switch_page(view_file(view)).run()
        assert {name: address_of(app)[name] for name in chosen} == chosen
    app.selectbox(key="frame.run.widget").set_value(PASSK)
    assert address_of(app.run()) == {"run": [PASSK]}
    app.query_params.clear()
    app.query_params["run"] = "training/seed-0"
    assert address_of(sound(app.run())) == {"run": ["training/seed-0"]}


def test_a_choice_outlives_its_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that changes the page forgets the picker's own state; a click in the heat map once led into another
    run."""
    import streamlit

    from s2l_lab.app.parts.header import _choice

    state: dict[str, str] = {}
    monkeypatch.setattr(streamlit, "session_state", state)
    names = ["a", "b", "c"]
    assert _choice("run", None, None, names, "a") == "a"
    assert _choice("run", "b", "a", names, "a") == "b"
    for asked in ("b", None):
        del state["run.widget"]
        assert _choice("run", asked, "b", names, "a") == state["run.widget"] == "b"
    assert _choice("run", "gone", "b", names, "a") == "b"
    assert _choice("run", "b", "b", ["a", "c"], "c") == "c"


def test_every_view_has_a_page_and_every_page_a_view() -> None:
    assert {path.stem for path in SOURCES if path.parent.name == "views"} == set(VIEWS)
