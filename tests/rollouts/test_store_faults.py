"""Damage, kills, rivals and full disks: what is whole stays usable, what is lost is named and owed again."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hashed_policy import IDENTITY, SAMPLING, VERSION, HashedPolicy, content, manifest, problems, verify, writer

from s2l_lab.errors import DataError, UsageError
from s2l_lab.rollouts import Origin, RolloutStore, verify_unverified
from s2l_lab.rollouts.durable import WriteError, replacing
from s2l_lab.rollouts.lock import RunLockedError
from s2l_lab.rollouts.parts import FAN_IN

POLICY = HashedPolicy()
ORIGIN = Origin.of(POLICY, SAMPLING)
ITEMS = problems(4)
IDS = [item.id for item in ITEMS]


def fill(run: Path, flushes: int = 3) -> None:
    """One part per sample index, all verified in one part."""
    with writer(run) as store:
        store.add_problems(ITEMS)
        for index in range(flushes):
            store.append([POLICY.draw(item, index) for item in ITEMS], ORIGIN)
        verify_unverified(store, verify, VERSION)


def part(run: Path, number: int = 1) -> Path:
    return sorted((run / "rollouts").glob("part-*.parquet"))[number]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def corrupt_footer(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-40:-8] = b"\xff" * 32
    path.write_bytes(data)


def corrupt_page(path: Path) -> None:
    """Behind an intact footer and at the right size: only reading it shows the damage."""
    data = bytearray(path.read_bytes())
    data[4:400] = b"\xff" * 396
    path.write_bytes(data)


def swap(path: Path) -> None:
    """A whole Parquet file, but not the one that was listed: two rows short."""
    pq.write_table(pq.ParquetFile(path).read().slice(2), path)


@pytest.mark.parametrize("damage", [cut, corrupt_footer, corrupt_page, swap, os.remove])
def test_a_damaged_part_is_named_and_left_out_and_its_keys_are_owed_again(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    fill(run)
    whole = content(run)
    lost = part(run)
    damage(lost)  # type: ignore[operator]
    with RolloutStore(run) as reader, caplog.at_level(logging.WARNING):
        assert reader.read().num_rows == 8
        assert reader.counts(ORIGIN, VERSION, IDS).total_P.tolist() == [2] * 4
        assert [(d.problem.id, d.indices) for d in reader.owed(ITEMS, ORIGIN, 3)] == [(id, (1,)) for id in IDS]
        assert list(reader.damaged) == [f"rollouts/{lost.name}"]
        assert lost.name in caplog.text
    with writer(run) as store:
        owed = store.owed(ITEMS, ORIGIN, 3)
        store.append([POLICY.draw(draws.problem, index) for draws in owed for index in draws.indices], ORIGIN)
        assert store.owed(ITEMS, ORIGIN, 3) == []
        assert list(store.damaged) == [f"rollouts/{lost.name}"]
    assert content(run) == whole  # the verdicts count again, since the same completions were drawn
    assert not lost.exists()
    assert lost.with_name(f"{lost.name}.damaged").exists() == (damage is not os.remove)
    with RolloutStore(run) as reader:
        assert reader.damaged == {}


def test_the_verdict_of_a_lost_rollout_does_not_count_for_another_draw_of_its_key(tmp_path: Path) -> None:
    """An engine whose draws depend on batching may give another completion for a key that is owed again."""
    run = tmp_path / "run"
    fill(run)
    cut(part(run))
    other = HashedPolicy("other")
    with writer(run) as store:
        store.append([other.draw(item, 1) for item in ITEMS], ORIGIN)
        assert store.counts(ORIGIN, VERSION, IDS).total_P.tolist() == [2] * 4
        assert verify_unverified(store, verify, VERSION) == 4
        assert store.counts(ORIGIN, VERSION, IDS).total_P.tolist() == [3] * 4


def test_damaged_verdicts_are_given_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fill(run)
    whole = content(run)
    for verdicts in (run / "verdicts").glob("*/part-*.parquet"):
        cut(verdicts)
    with RolloutStore(run) as reader:
        assert reader.counts(ORIGIN, VERSION, IDS).total_P.tolist() == [0] * 4
    with writer(run) as store:
        assert verify_unverified(store, verify, VERSION) == 12
    assert content(run) == whole


def test_a_damaged_part_does_not_stop_a_merge(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with writer(run) as store:
        for index in range(FAN_IN - 1):
            store.append([POLICY.draw(item, index) for item in ITEMS], ORIGIN)
        corrupt_page(part(run, 4))
        for index in range(FAN_IN - 1, FAN_IN + 3):
            store.append([POLICY.draw(item, index) for item in ITEMS], ORIGIN)
        assert [draws.indices for draws in store.owed(ITEMS, ORIGIN, FAN_IN + 3)] == [(4,)] * 4
    assert len(list((run / "rollouts").glob("part-*.parquet"))) < FAN_IN


def test_files_that_the_ledger_does_not_list_do_not_count_and_are_swept_by_the_next_writer(tmp_path: Path) -> None:
    """What a kill leaves: a torn temporary file, a torn parts.json.tmp, a whole part that was not listed yet."""
    run = tmp_path / "run"
    fill(run)
    before = content(run)
    rollouts = run / "rollouts"
    (rollouts / "part-000099.parquet").write_bytes(part(run).read_bytes())
    (rollouts / ".part-000100.parquet.tmp").write_bytes(b"PAR1 torn")
    (run / ".parts.json.tmp").write_text('{"schema": 1, "par')
    (rollouts / "notes.txt").write_text("mine")
    assert content(run) == before
    writer(run).close()
    assert content(run) == before
    assert not (rollouts / "part-000099.parquet").exists()
    assert not [*run.glob("**/.*.tmp")]
    assert (rollouts / "notes.txt").read_text() == "mine"


def test_a_torn_ledger_is_refused_and_nothing_is_swept(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fill(run)
    files = sorted(run.rglob("part-*.parquet"))
    (run / "parts.json").write_text('{"schema": 1, "next_nu')
    for open_run in (RolloutStore, writer):
        with pytest.raises(DataError, match=r"parts\.json cannot be read.*untouched"):
            open_run(run)
    (run / "parts.json").unlink()
    with pytest.raises(UsageError, match=r"not a run directory \(no parts\.json"):
        writer(run)
    assert sorted(run.rglob("part-*.parquet")) == files


@pytest.mark.parametrize("version", [0, 2, "2"])
def test_another_schema_version_is_refused_with_its_release(tmp_path: Path, version: object) -> None:
    run = tmp_path / "run"
    fill(run)
    ledger = json.loads((run / "parts.json").read_text()) | {"schema": version, "s2l_lab": "9.9"}
    (run / "parts.json").write_text(json.dumps(ledger))
    for open_run in (RolloutStore, writer):
        with pytest.raises(DataError, match=rf"schema version {version} by s2l-lab 9\.9.*reads version 1.*--out"):
            open_run(run)


def test_a_changed_identity_is_refused_with_exactly_the_keys_that_differ(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fill(run)
    changed = {"benchmark": "numbers", "sampling": {"temperature": 1, "top_p": 0.9, "top_k": None}}
    with pytest.raises(UsageError) as refusal:
        RolloutStore.open(run, manifest(), changed)
    assert [line for line in str(refusal.value).splitlines() if line.startswith("  ")] == [
        "  sampling.temperature: 1.0 -> 1",
        "  sampling.top_p: (absent) -> 0.9",
    ]
    assert "--out" in str(refusal.value)
    assert "--fresh" in str(refusal.value)
    RolloutStore.open(
        run, manifest(rollouts=256), IDENTITY
    ).close()  # the refusal gave the lock back; the rest may grow
    assert RolloutStore(run).config == {"rollouts": 256}


def test_a_run_that_holds_nothing_binds_nobody(tmp_path: Path) -> None:
    run = tmp_path / "run"
    writer(run).close()
    RolloutStore.open(run, manifest(), {"benchmark": "letters"}).close()
    assert RolloutStore(run).identity == {"benchmark": "letters"}
    fill(run)
    with pytest.raises(UsageError, match="benchmark"):
        RolloutStore.open(run, manifest(), {"benchmark": "letters"})


def test_fresh_moves_the_old_run_aside_and_keeps_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fill(run)
    before = content(run)
    writer(run, fresh=True).close()
    writer(run, fresh=True).close()
    aside = sorted(path for path in tmp_path.iterdir() if path != run)
    assert len(aside) == 2
    assert content(aside[0]) == before
    assert content(run) == []


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for fresh in (False, True):
        with pytest.raises(UsageError, match=r"not empty and not a run directory.*thesis\.tex"):
            writer(tmp_path, fresh=fresh)
    with pytest.raises(UsageError, match="is a file"):
        writer(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_session_killed_while_it_began_a_run_does_not_block_the_next(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / "config.json").write_text('{"identity": {"old"')
    (tmp_path / ".parts.json.tmp").touch()
    writer(tmp_path).close()
    assert content(tmp_path) == []


def test_one_writer_at_a_time_and_the_message_names_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with writer(run):
        with pytest.raises(RunLockedError, match=rf"being written by process {os.getpid()} on .*--out"):
            writer(run)
        with pytest.raises(RunLockedError):
            writer(run, fresh=True)
        assert str(os.getpid()) in str(RolloutStore(run).writer)
    assert RolloutStore(run).writer is None
    writer(run).close()


def test_the_lock_dies_with_its_process_even_if_a_forked_worker_lives_on(tmp_path: Path) -> None:
    """A worker pool's children inherit open files: without care the run would stay locked by an orphan."""
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from hashed_policy import writer
from pathlib import Path
store = writer(Path({str(tmp_path / "run")!r}))
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print("ready", flush=True)
sys.stdin.read()
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    with pytest.raises(RunLockedError, match=f"process {child.pid}"):
        writer(tmp_path / "run")
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    writer(tmp_path / "run").close()  # while the orphan still waits for the end of its input
    child.stdin.close()
    assert child.stdout.read() == ""


def test_readers_see_whole_flushes_only_while_a_writer_appends_and_merges(tmp_path: Path) -> None:
    run, flushes = tmp_path / "run", FAN_IN + 6
    writer(run).close()
    done = threading.Event()

    def write() -> None:
        with writer(run) as store:
            for index in range(flushes):
                store.append([POLICY.draw(item, index) for item in ITEMS], ORIGIN)
        done.set()

    seen = []
    thread = threading.Thread(target=write)
    thread.start()
    with RolloutStore(run) as reader:
        while not done.is_set():
            table = reader.read(["problem_id", "sample_index", "text"])
            keys = list(zip(table["problem_id"].to_pylist(), table["sample_index"].to_pylist(), strict=True))
            assert len(keys) == len(set(keys))
            seen.append(len(keys))
        assert reader.damaged == {}
        assert reader.read().num_rows == 4 * flushes
    thread.join()
    assert seen == sorted(seen)
    assert all(number % 4 == 0 for number in seen)


@contextlib.contextmanager
def small_files(size: int) -> Iterator[None]:
    """The kernel refuses to let any file of this process grow beyond `size` (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A folder in which the disk is soon full (ENOSPC): a tmpfs where we may mount one, else small files."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    else:
        with small_files(12_000):
            yield folder


def fill_until_refused(run: Path, stored: list[int]) -> None:
    """Append until the disk is full; notes how many rollouts each append stored."""
    with writer(run) as store:
        for start in range(0, 100_000, 50):
            batch = [POLICY.draw(item, index) for item in ITEMS for index in range(start, start + 50)]
            stored.append(store.append(batch, ORIGIN))


def test_a_full_disk_is_one_clear_error_and_what_was_written_stays(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        run = disk / "run"
        appended: list[int] = []
        with pytest.raises(WriteError, match=r"cannot write .*(disk is full|limit is hit).*kept.*same command"):
            fill_until_refused(run, appended)
        stored = sum(appended)
        assert stored > 0
        assert len(content(run)) == stored
        assert not list(run.rglob(".*.tmp"))
        with RolloutStore(run) as reader:
            assert reader.owed(ITEMS, ORIGIN, stored // len(ITEMS)) == []


def test_a_run_goes_on_where_a_full_disk_stopped_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    draws = [POLICY.draw(item, index) for item in ITEMS for index in range(400)]
    with writer(run) as store:
        store.append(draws[:100], ORIGIN)
        with small_files(8_000), pytest.raises(WriteError, match="file-size limit is hit"):
            store.append(draws[100:], ORIGIN)
        assert store.read().num_rows == 100
        assert store.append(draws, ORIGIN) == len(draws) - 100
    assert len(content(run)) == len(draws)


def write_and_fail(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"ne")
        file.flush()
        assert path.read_text() == "old"
        raise ZeroDivisionError


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_and_fail(path)
    assert path.read_text() == "old"
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_text() == "new"
