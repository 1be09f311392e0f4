"""Laws of the prefix tree and of its places in the batch."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.policies.keyed_sampler import prefixes

steps = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=6)


@given(steps=steps, multiple=st.sampled_from([1, 4]), merge=st.booleans())
@settings(max_examples=200, deadline=None)
def test_rows_are_the_distinct_texts(steps: list[list[int]], multiple: int, merge: bool) -> None:
    """Follow the rows of a batch by their text, as a cache would, while rollouts extend and leave."""
    row_texts: list[tuple[int, ...]] = [(), ()]
    texts = [() for _ in steps[0]]
    row_B = np.arange(len(texts)) % 2  # two prompts, which never merge
    prompts = row_B.tolist()
    row_prompts = [0, 1]
    for tokens in steps:
        live = min(len(tokens), len(texts))
        texts, row_B, prompts = texts[:live], row_B[:live], prompts[:live]
        token_B = np.array(tokens[:live])
        rows = prefixes.place(prefixes.extend(row_B, token_B, merge), multiple)
        texts = [(*text, int(token)) for text, token in zip(texts, token_B, strict=True)]
        row_texts = [
            (*row_texts[p], int(t)) for p, t in zip(rows.parent_R.tolist(), rows.token_R.tolist(), strict=True)
        ]
        row_prompts = [row_prompts[p] for p in rows.parent_R.tolist()]
        row_B = rows.row_B
        assert [row_texts[r] for r in row_B] == texts
        assert [row_prompts[r] for r in row_B] == prompts
        distinct = len(set(zip(prompts, texts, strict=True))) if merge else live
        assert len(set(row_B.tolist())) == distinct
        assert len(row_texts) == -(-distinct // multiple) * multiple


def test_a_first_child_stays_on_its_parents_row() -> None:
    children = prefixes.extend(np.array([0, 1, 1, 2, 3]), np.array([5, 5, 6, 7, 0]), merge=True)
    rows = prefixes.place(children, 1)
    assert rows.parent_R.tolist() == [0, 1, 2, 3, 1]  # only the branch at row 1 is copied
    assert rows.row_B.tolist() == [0, 1, 4, 2, 3]


def test_holes_are_filled_from_the_end() -> None:
    rows = prefixes.place(prefixes.extend(np.array([0, 3]), np.array([1, 1]), merge=True), 1)
    assert rows.parent_R.tolist() == [0, 3]
    assert rows.row_B.tolist() == [0, 1]
