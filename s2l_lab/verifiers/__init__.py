"""Verifiers: from a completion's text and a gold answer to a Verdict."""

from s2l_lab.verifiers.checks import Kind
from s2l_lab.verifiers.extraction import Extraction, extract_answer
from s2l_lab.verifiers.gold import GoldReport, check_gold
from s2l_lab.verifiers.verdict import Outcome, Verdict
from s2l_lab.verifiers.verifier_pool import VerifierPool, VerifyItem, is_lenient, verifier_version, verify, verify_many

__all__ = [
    "Extraction",
    "GoldReport",
    "Kind",
    "Outcome",
    "Verdict",
    "VerifierPool",
    "VerifyItem",
    "check_gold",
    "extract_answer",
    "is_lenient",
    "verifier_version",
    "verify",
    "verify_many",
]
