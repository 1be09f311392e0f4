"""Hostile answers and dying workers: each costs its own comparison and no other."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque

import psutil
import pytest

from s2l_lab.errors import S2LError, UsageError
from s2l_lab.verifiers import Outcome, VerifierPool
from s2l_lab.verifiers.maths_pool import MathsPool
from s2l_lab.verifiers.maths_process import Status

HANGS = ("3", r"\sum_{n=1}^{10^{9}} \sin(n^{2})")
GROWS = ("3", r"\int_0^1 (x+1)^{10^{6}} dx")
OTHER = HANGS[1].replace("sin", "cos")
FINE = (r"\frac{1}{2}", "0.5")


def workers_of(pool: MathsPool) -> list[psutil.Process]:
    """Its running processes."""
    return [psutil.Process(worker.pid) for worker in pool._workers]


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def strict():
    """A pool with narrow limits; two workers, so that one hangs while the other works."""
    with MathsPool(2, seconds=1, megabytes=300) as pool:
        yield pool


def test_a_hanging_expression_is_unscored_and_the_others_are_graded(strict):
    fine = [(str(i), f"{i}.0") for i in range(150)]
    results = strict.compare([*fine[:75], HANGS, *fine[75:]])
    assert results[75].status is Status.ERROR
    assert results[75].detail == "no verdict in 1 s of computing"
    assert {r.status for i, r in enumerate(results) if i != 75} == {Status.EQUAL}


def test_a_memory_bomb_is_unscored():
    # Time to grow, also on a busy machine: with a second of computing it depends on the load which limit comes first.
    with MathsPool(2, seconds=60, megabytes=300) as pool:
        (result,) = pool.compare([GROWS])
        assert result.status is Status.ERROR
        assert result.detail == "more than 300 MB"
        assert pool.compare([FINE])[0].status is Status.EQUAL


def test_an_item_that_hangs_is_not_asked_twice(strict):
    strict.compare([HANGS])
    strict.close()
    assert strict.compare([HANGS, HANGS])[1].status is Status.ERROR
    assert strict._workers == []


def test_a_verdict_survives_a_canonical_form_that_hangs(strict):
    (result,) = strict.compare([(HANGS[1], HANGS[1])])  # right letter by letter, before anything is computed
    assert (result.status, result.canonical) == (Status.EQUAL, None)


def test_hanging_is_a_verifier_error_with_the_answer_kept():
    with VerifierPool(workers=1) as pool:
        pool._maths = MathsPool(1, seconds=1)
        verdict = pool.verify(rf"\boxed{{{HANGS[1]}}}", "3")
    assert verdict.outcome is Outcome.VERIFIER_ERROR
    assert verdict.answer == HANGS[1]
    assert verdict.canonical == HANGS[1]


def test_a_worker_killed_from_outside_costs_its_item_alone_and_is_not_remembered():
    with MathsPool(1, seconds=20) as pool:
        pool.compare([FINE])
        (worker,) = workers_of(pool)
        killer = threading.Timer(0.5, worker.send_signal, [signal.SIGKILL])
        killer.start()
        died, after = pool.compare([("3", OTHER), ("2", "2.0")])
        killer.join()
        assert (died.status, died.detail) == (Status.DIED, "the maths worker died (SIGKILL)")
        assert after.status is Status.EQUAL
        assert ("3", OTHER) not in pool._known


def test_ctrl_c_ends_busy_workers_and_the_pool_goes_on_without_mixing_up_replies():
    with MathsPool(1, seconds=20) as pool:
        pool.compare([FINE])
        (worker,) = workers_of(pool)
        threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            pool.compare([HANGS])
        assert not psutil.pid_exists(worker.pid)
        assert pool.compare([("1", "2.0")])[0].status is Status.DIFFERENT


def test_workers_do_not_hear_the_terminals_interrupt():
    with MathsPool(1) as pool:
        pool.compare([FINE])
        (worker,) = workers_of(pool)
        assert os.getpgid(worker.pid) != os.getpgid(0)
        worker.send_signal(signal.SIGINT)
        assert pool.compare([("2", "2.0")])[0].status is Status.EQUAL


def test_closing_leaves_no_process_and_may_be_repeated():
    pool = MathsPool(2)
    pool.compare([(str(i), "1.5") for i in range(150)])
    workers = workers_of(pool)
    assert len(workers) == 2
    pool.close()
    pool.close()
    assert not any(psutil.pid_exists(worker.pid) for worker in workers)  # a zombie would exist
    assert pool.compare([("4", "4.0")])[0].status is Status.EQUAL  # it starts again when asked
    pool.close()


def test_no_worker_is_started_before_maths_comes_up_and_none_for_few_items():
    with MathsPool(2) as pool:
        assert workers_of(pool) == []
        assert pool.compare([]) == []
        assert workers_of(pool) == []
        pool.compare([FINE])
        assert len(workers_of(pool)) == 1


def test_it_works_in_a_thread():
    results = []
    with MathsPool(1) as pool:
        thread = threading.Thread(target=lambda: results.extend(pool.compare([FINE])))
        thread.start()
        thread.join()
    assert [r.status for r in results] == [Status.EQUAL]


def test_a_killed_parent_leaves_no_worker_even_a_busy_one():
    script = (
        "from s2l_lab.verifiers.maths_pool import MathsPool\n"
        "pool = MathsPool(1, seconds=1)\n"
        "pool.compare([('1', '1.0')])\n"
        "print('up', flush=True)\n"
        f"pool.compare([{HANGS!r}])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    (worker,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def test_the_parent_never_imports_what_computes():
    script = (
        "import sys\n"
        "from s2l_lab.verifiers import verify\n"
        "assert verify('#### 0.5', '1/2').outcome == 'correct'\n"
        "print(*sorted({'math_verify', 'mpmath', 'sympy', 'torch', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_a_worker_that_cannot_start_says_why(monkeypatch, tmp_path):
    (tmp_path / "mpmath.py").write_text("raise ImportError('no module of that name here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with MathsPool(1) as pool, pytest.raises(S2LError, match=r"could not start .*no module of that name here"):
        pool.compare([FINE])


def test_the_wall_clock_ends_what_computes_nothing(monkeypatch, tmp_path):
    fake = "import time\nparse = lambda *args, **kwargs: time.sleep(60)\nLatexExtractionConfig = verify = dict\n"
    (tmp_path / "math_verify.py").write_text(fake)  # a fake: sympy has no expression that sleeps
    monkeypatch.syspath_prepend(str(tmp_path))
    with MathsPool(1, seconds=0.2) as pool:
        (result,) = pool.compare([HANGS])
    assert (result.status, result.detail) == (Status.ERROR, "no verdict in 1.2 s")


def test_whole_numbers_need_no_worker_and_come_out_as_a_worker_has_them(strict):
    pairs = [("34", "034"), ("0", "-0"), ("7", "-7"), ("12", "13"), ("007", "7"), ("1" * 18, "1" * 18)]
    with MathsPool(1) as pool:
        in_place = pool.compare(pairs)
        assert pool._workers == []
    by_a_worker = {}
    strict._work_off(deque(pairs), by_a_worker)
    by_a_worker |= {pair: strict._known[pair] for pair in pairs}
    assert in_place == [by_a_worker[pair] for pair in pairs]


def test_a_pool_without_workers_is_refused():
    with pytest.raises(UsageError, match="at least 1 worker"):
        MathsPool(0)


def test_a_large_parent_does_not_make_its_workers_look_large():
    """ru_maxrss survives exec: under a parent of half a gigabyte a worker retired after every single answer."""
    ballast = b"x" * (600 << 20)
    with MathsPool(1) as pool:
        pool.compare([FINE])
        (first,) = workers_of(pool)
        pool.compare([("2", "1.5")])
        assert workers_of(pool) == [first]
    del ballast
