"""A diff loses nothing, doubles nothing, and calls the same what is the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.browse.diff import LONGEST, diff, words

TOKENS = st.lists(st.sampled_from(["a", "b", " ", "("]), max_size=40)


@given(TOKENS, TOKENS)
def test_pieces_joined_are_both_sequences(a: list[str], b: list[str]) -> None:
    found = diff(a, b)
    assert [token for piece in found.pieces for token in piece.a] == a
    assert [token for piece in found.pieces for token in piece.b] == b
    assert not found.cut
    for piece in found.pieces:
        assert {
            "same": piece.a == piece.b,
            "only_a": piece.b == (),
            "only_b": piece.a == (),
            "changed": bool(piece.a and piece.b),
        }[piece.kind]
    shared = sum(len(piece.a) for piece in found.pieces if piece.kind == "same")
    assert found.similarity == (2 * shared / (len(a) + len(b)) if a or b else 1)


@given(TOKENS)
def test_equal_sequences_are_one_piece(a: list[str]) -> None:
    found = diff(a, a)
    assert found.similarity == 1
    assert [piece.kind for piece in found.pieces] == ["same"] * bool(a)


@given(st.text())
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text


def test_frequent_tokens_hold_blocks_together() -> None:
    """difflib's automatic junk would ignore the spaces of a long completion."""
    a = ["x" if i % 2 else " " for i in range(400)]
    assert diff(a, [*a[:200], "y", *a[200:]]).similarity > 0.99


def test_a_long_completion_is_cut_and_says_so() -> None:
    found = diff(words("a " * LONGEST), words("a " * LONGEST + "b"))
    assert found.cut
    assert sum(len(piece.a) for piece in found.pieces) == LONGEST
