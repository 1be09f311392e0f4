"""No sign of a text takes effect: HTML has no tag of its own, Markdown no mark, and nothing unseen is left unseen."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hostile_runs import TEXTS
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.app.parts.safe import html, plain, visible
from s2l_lab.app.parts.tokens import diff_html, tokens_html
from s2l_lab.browse.diff import diff, words
from s2l_lab.browse.tokens import Span

ANY = st.one_of(st.text(), st.sampled_from([text[:3000] for text in TEXTS]))


class Read(HTMLParser):
    """The text of a piece of HTML, and its tags with their attributes."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags = "", []
        self.feed(source)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@given(ANY)
def test_visible_text_has_nothing_unseen(text: str) -> None:
    shown = visible(text)
    assert all(sign.isprintable() or sign in "\n\t" for sign in shown)
    assert visible(shown) == shown
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]", shown)


@given(ANY)
def test_html_is_the_text_and_no_tag(text: str) -> None:
    read = Read(f"<p>{html(text)}</p>")
    assert [tag for tag, _ in read.tags] == ["p"]
    assert read.text == visible(text)


@given(ANY)
def test_every_sign_of_markdown_is_escaped_and_nothing_else_changes(text: str) -> None:
    words = plain(text)
    assert "\n" not in words
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", words)
    assert not re.search(r"[!-/:-@\[-`{-~]", bare)
    unescaped = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", words).replace("\u2060", "")
    assert unescaped == visible(text).replace("\n", "\u240a").replace("\t", " ")


@given(st.lists(ANY, max_size=5), st.booleans())
def test_tokens_are_spans_whose_attributes_hold_numbers_alone(texts: list[str], forking: bool) -> None:
    spans = [Span(text, i, 0.5, float("nan"), 1.5, forking) for i, text in enumerate(texts)]
    read = Read(tokens_html(spans, "entropy", [span.entropy for span in spans]))
    assert len(read.tags) == len(texts)
    for tag, attributes in read.tags:
        assert tag == "span"
        assert set(attributes) <= {"class", "style", "title"}
        assert re.fullmatch(r"background:rgba\([0-9,.]+\)", attributes["style"] or "")
        assert re.fullmatch(r"[-a-z0-9., =T]+", attributes["title"] or "")
    assert read.text == "".join(visible(text).replace("\n", "\u23ce\n") for text in texts)


@given(ANY, ANY)
def test_each_side_of_a_diff_is_its_text(a: str, b: str) -> None:
    found = diff(words(a), words(b))
    for side, text in (("a", a), ("b", b)):
        read = Read(diff_html(found, side))
        assert {tag for tag, _ in read.tags} <= {"span"}
        assert {value for _, attributes in read.tags for value in attributes.values()} <= {side}
        assert read.text == visible(text)


@pytest.mark.parametrize("text", ["http://example.invalid", "see www.example.invalid", "me@example.invalid"])
def test_an_address_is_no_link(text: str) -> None:
    unescaped = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", plain(text))
    assert not re.search(r"https?://|www\.|\w@\w", unescaped)
