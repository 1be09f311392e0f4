"""What a number rests on, in words: also what is known, and not known, of who sampled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from small_store import SAMPLING, VERSION, completion, manifest, problems

from s2l_lab.browse.provenance import caption, provenance
from s2l_lab.browse.store import open_store
from s2l_lab.policies import Draw
from s2l_lab.rollouts import Origin, RolloutStore

UNKNOWN = "server defaults unknown for: top_k, min_p"


def test_remarks_on_a_policy_are_in_its_captions_once_and_survive_a_torn_line(tmp_path: Path) -> None:
    origins = [Origin("far", "a", SAMPLING.digest), Origin("near", "b", SAMPLING.digest)]
    with RolloutStore.open(tmp_path / "run", manifest(sampling=SAMPLING.model_dump()), {}) as store:
        store.add_problems(problems(1))
        store.append([Draw(problems(1)[0].id, 0, completion(np.random.default_rng(0), "7"))], origins[0])
        before = open_store(tmp_path / "run").fingerprint()
        store.remark(origins[0], UNKNOWN)
        store.remark(origins[0], UNKNOWN)
        with (tmp_path / "run" / "remarks.jsonl").open("a") as file:
            file.write('{"policy": "fa')
        store.remark(origins[0], "system_fingerprint <b>ö</b>")
        assert store.remarks(origins[0]) == (UNKNOWN, "system_fingerprint <b>ö</b>")
        assert store.remarks(origins[1]) == ()
    shown = open_store(tmp_path / "run")
    assert shown.fingerprint() != before
    about = provenance(shown, VERSION)
    assert about.remarks == (f"far: {UNKNOWN}", "far: system_fingerprint <b>ö</b>")
    assert f"far: {UNKNOWN}." in caption(about)


def test_a_run_without_remarks_has_none(tmp_path: Path) -> None:
    with RolloutStore.open(tmp_path / "run", manifest(), {}) as store:
        store.add_problems(problems(1))
    about = provenance(open_store(tmp_path / "run"))
    assert about.remarks == ()
