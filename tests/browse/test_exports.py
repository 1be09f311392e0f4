"""What leaves the app comes back as it was, and runs nowhere."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_store import SAMPLING, VERSION, make, manifest

from s2l_lab.browse.catalog import bundled_runs
from s2l_lab.browse.exports import csv_bytes, figure_html, file_name, parquet_bytes
from s2l_lab.browse.provenance import caption, command_text, provenance, training_command
from s2l_lab.browse.report_page import QUOTE, ROWS, FigureItem, Section, TableItem, report_page
from s2l_lab.browse.store import open_store
from s2l_lab.rollouts import RolloutStore
from s2l_lab.training.report import read_report

EVIL = "</pre></script><script>alert(1)</script>![x](http://example.invalid/a.png)\x00\x1b[31m\u202e\"'&"
FORMULAS = st.tuples(st.sampled_from("=+-@\t\r\n"), st.text()).map("".join)
ROW = st.fixed_dictionaries(
    {"text": st.none() | st.text() | FORMULAS, "number": st.integers(-(2**40), 2**40), "share": st.floats(-9, 9)}
)


@given(st.lists(ROW, min_size=1, max_size=5))
def test_tables_come_back(rows: list[dict[str, object]]) -> None:
    assert pq.read_table(io.BytesIO(parquet_bytes(rows))).to_pylist() == rows
    rows = [{name: row[name] for name in ("text", "number", "share")} for row in rows]
    header, *cells = csv.reader(io.StringIO(csv_bytes(rows).decode(), newline=""))
    assert header == ["text", "number", "share"]
    assert len(cells) == len(rows)
    for cell, row in zip(cells, rows, strict=True):
        text = str(row["text"] or "")
        assert cell[0] == ("'" + text if text[:1] in tuple("=+-@\t\r\n") and text else text)
        assert (int(cell[1]), float(cell[2])) == (row["number"], row["share"])


@pytest.mark.parametrize("kind", ["arrow", "pandas", "rows"])
def test_every_kind_of_table_is_taken(kind: str) -> None:
    rows = [{"a": 1, "b": "=1+1"}, {"a": 2, "b": None}]
    table = {"arrow": pa.Table.from_pylist(rows), "pandas": pd.DataFrame(rows), "rows": rows}[kind]
    assert csv_bytes(table) == b'"a","b"\r\n1,"\'=1+1"\r\n2,\r\n'
    assert pq.read_table(io.BytesIO(parquet_bytes(table))).to_pylist() == rows
    assert csv_bytes(pa.table({"a": pa.array([], pa.int64())})) == b'"a"\r\n'


def test_the_caption_travels_with_a_table_and_is_no_row(tmp_path: Path) -> None:
    """As pandas and DuckDB read it; a `#`, a quote or a line break in a text is text."""
    rows = [{"text": 'a # b, "c"\n# d', "#": 1.5}, {"text": "#", "#": None}]
    lines = ['pass@k of "one", n = 4', "second line\n1,2 of the caption"]
    file = tmp_path / "table.csv"
    file.write_bytes(csv_bytes(rows, lines))
    shown = file.read_text(encoding="utf-8").splitlines()[:2]
    assert shown == ["# " + line.replace("\n", "\ufffd") for line in lines]
    read = pd.read_csv(file, comment="#").astype(object)
    assert read.where(read.notna(), None).to_dict("records") == rows
    query = duckdb.read_csv(str(file), comment="#", header=True, quotechar='"', escapechar='"')
    assert [dict(zip(query.columns, row, strict=True)) for row in query.fetchall()] == rows
    kept = pq.read_schema(io.BytesIO(parquet_bytes(rows, lines))).metadata
    assert kept[b"caption"].decode() == "\n".join(lines)
    of_pandas = parquet_bytes(pd.DataFrame({"a": [1]}), lines)
    assert {b"caption", b"pandas"} <= set(pq.read_schema(io.BytesIO(of_pandas)).metadata)


@given(st.lists(st.text(), max_size=4))
def test_a_file_name_is_one(parts: list[str]) -> None:
    name = file_name(*parts, suffix="csv")
    assert name.endswith(".csv")
    assert 5 <= len(name) <= 120
    assert not set(name) & set('/\\:*?"<>| \x00')
    assert not name.startswith((".", "-"))


def test_pages_escape_everything_and_refer_to_nothing_outside() -> None:
    figure = go.Figure(go.Scatter(x=[1], y=[2]))
    section = Section(
        title=EVIL,
        figures=(FigureItem(figure, EVIL, EVIL), FigureItem(figure, "second", "")),
        tables=(TableItem([{EVIL: EVIL, "n": float("nan"), "p": 0.123456, "none": None}], EVIL),),
        texts=(EVIL,),
        quotes=(EVIL + "\nline two", "x" * (QUOTE + 1)),
    )
    made = report_page(EVIL, [section], [EVIL]).decode()
    alone = figure_html(figure, EVIL, [EVIL]).decode()
    for page in (made, alone):
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert not {"\x00", "\x1b", "\u202e"} & set(page.split("plotly.js v")[0])
        assert 'src="http' not in page
        assert "<link" not in page
    assert made.count("plotly.js v") == 1
    assert "0.1235" in made
    assert "line two" in made
    assert f"cut: {QUOTE + 1:,} characters" in made


def test_a_long_table_is_cut_and_says_so() -> None:
    rows = [{"n": i} for i in range(ROWS + 1)]
    made = report_page("t", [Section("s", tables=(TableItem(rows, "All."),))], []).decode()
    assert f"The first {ROWS} of {ROWS + 1} rows." in made
    assert made.count("<tr>") == ROWS + 1
    assert 'class="level"' not in made


def test_a_caption_carries_n_intervals_sampling_hashes_and_command(tmp_path: Path) -> None:
    make(tmp_path / "run")
    make(tmp_path / "again")
    about, again = (provenance(open_store(tmp_path / name)) for name in ("run", "again"))
    assert (about.n_problems, about.rollouts_per_problem, about.verifier) == (4, "6", VERSION)
    assert (about.data_hash, about.rollouts_hash) == (again.data_hash, again.rollouts_hash)
    lines = " ".join(caption(about, interval="problems", more=["One more."]))
    for words in (
        "countdown: n = 4 problems, N = 6 rollouts",
        "T 1, top-p 1",
        f"at most {SAMPLING.max_tokens} tokens",
        "95 % CI over problems",
        "One more.",
        VERSION,
        about.data_hash,
        about.rollouts_hash,
        "made by: ",
    ):
        assert words in lines
    assert "Intervals: Jeffreys." in " ".join(caption(about, interval="Jeffreys"))
    RolloutStore.open(tmp_path / "empty", manifest(), {}).close()
    nothing = provenance(open_store(tmp_path / "empty"))
    assert (nothing.rollouts_per_problem, nothing.sampling, nothing.command) == ("0", "not recorded", "not recorded")
    assert nothing.data_hash != about.data_hash


def test_a_command_is_shown_as_it_is_typed() -> None:
    assert command_text(("-c", "train", "a b.toml")) == "s2l-lab train 'a b.toml'"
    assert command_text(("/somewhere/bin/s2l-lab", "passk")) == "s2l-lab passk"
    assert command_text(("apps/sample/make.py", "a b")) == "python apps/sample/make.py 'a b'"
    assert command_text(("/a place/make.py",)) == "python '/a place/make.py'"
    assert command_text(("python", "apps/sample/make.py")) == "python apps/sample/make.py"
    assert command_text(("./bin/tool", "-v")) == "./bin/tool -v"
    assert command_text(("/somewhere/bin/tool",)) == "tool"
    assert command_text(()) == "not recorded"


def test_a_run_that_was_topped_up_names_every_command_once(tmp_path: Path) -> None:
    place = tmp_path / "run"
    make(place)
    file = place / "manifest.json"
    stored = json.loads(file.read_text())
    first = stored["sessions"][0]
    numbers = [8, 16, 8, 32, 64]
    stored["sessions"] = [first | {"command": ["/bin/s2l-lab", "passk", "-n", str(n)]} for n in numbers]
    file.write_text(json.dumps(stored))
    about = provenance(open_store(place))
    assert about.commands == tuple(f"s2l-lab passk -n {n}" for n in (8, 16, 32, 64))
    assert about.again == "s2l-lab passk -n 64"
    end = "made by: s2l-lab passk -n 16; s2l-lab passk -n 32; s2l-lab passk -n 64 (and 1 before)"
    assert caption(about)[-1].endswith(end)
    two = replace(about, commands=about.commands[:2])
    assert two.command == "s2l-lab passk -n 8; s2l-lab passk -n 16"


def test_the_command_of_a_training_run_is_its_reports(tmp_path: Path) -> None:
    assert training_command(tmp_path) == ""
    (tmp_path / "report.json").write_text("{")
    assert training_command(tmp_path) == ""
    run = bundled_runs()
    assert run is not None
    assert training_command(run / "training" / "seed-0") == read_report(run / "training" / "seed-0").command
