"""Verifiers: from a completion's text and a gold answer to a Verdict."""

from s2l_lab.verifiers.verdict import Outcome, Verdict

__all__ = ["Outcome", "Verdict"]
