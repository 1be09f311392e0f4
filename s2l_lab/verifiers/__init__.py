"""Verifiers: from a completion's text and a gold answer to a Verdict."""

from s2l_lab.verifiers.extraction import extract_answer
from s2l_lab.verifiers.gold import GoldReport, check_gold
from s2l_lab.verifiers.verdict import Outcome, Verdict
from s2l_lab.verifiers.verify import Kind, VerifierPool, VerifyItem, verifier_version, verify, verify_many

__all__ = [
    "GoldReport",
    "Kind",
    "Outcome",
    "Verdict",
    "VerifierPool",
    "VerifyItem",
    "check_gold",
    "extract_answer",
    "verifier_version",
    "verify",
    "verify_many",
]
