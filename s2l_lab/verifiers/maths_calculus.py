r"""Answers that need calculus: sums, products, integrals, limits, derivatives and determinants.

math-verify (latex2sympy) reads them and sympy evaluates them; what comes out is a tree like any other, so that equality
stays exact. Only texts with one of COMMANDS come here, since the reader drops or multiplies much of what it does not
know.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from s2l_lab.verifiers.maths_answer import Scalar
from s2l_lab.verifiers.maths_grammar import EULER, IMAGINARY, INFINITY, PI, Call, Node, Num, Sym, negative
from s2l_lab.verifiers.maths_spelling import DOTS, WORDS_BEGIN, spelled

if TYPE_CHECKING:
    from s2l_lab.verifiers.maths_answer import Value

COMMANDS = re.compile(r"\\(?:sum|prod|int|lim|det)(?![a-zA-Z])")
_KNOWN = re.compile(
    r"\\(?:sum|prod|int|lim|det|frac|sqrt|cdot|times|to|rightarrow|infty|pi|sin|cos|tan|ln|log|exp|binom|begin|end|le|ge|,)"
    r"(?![a-zA-Z])"
)
_JUXTAPOSED = re.compile(r"(?<![\^_\d])\d+(?:\s+\d|\s*\(|\s*\\frac)|\)\s*\(|\)\s*\d")
"""Where latex2sympy would read a mixed number, which spelled texts no longer have."""


def evaluated(answer: str) -> tuple[Value, ...]:
    """The value of an answer with one of COMMANDS, as the only reading; none where it has no closed form here."""
    if not COMMANDS.search(answer):
        return ()
    text = spelled(answer)
    if DOTS in text or WORDS_BEGIN in text or _KNOWN.sub("", text).count("\\") or _JUXTAPOSED.search(text):
        return ()
    from math_verify import LatexExtractionConfig, parse

    config = [LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)]
    found = parse(rf"\boxed{{{text}}}", config, fallback_mode="no_fallback", parsing_timeout=None, raise_on_error=True)
    if not found or not hasattr(found[0], "doit"):
        return ()
    node = _tree(found[0].doit())
    return () if node is None else (Scalar(node),)


def _tree(form: Any) -> Node | None:
    """A sympy expression as a tree; None where a part has no counterpart."""
    import sympy

    constants: dict[Any, Node] = {
        sympy.pi: PI, sympy.E: EULER, sympy.I: IMAGINARY, sympy.oo: INFINITY, -sympy.oo: negative(INFINITY),
    }  # fmt: skip
    if form in constants:
        return constants[form]
    if form.is_Rational:
        return Num(Fraction(int(form.p), int(form.q)))
    if form.is_Symbol:
        return Sym(str(form))
    names = {
        sympy.Add: "+", sympy.Mul: "*", sympy.Pow: "^", sympy.factorial: "!", sympy.sin: "sin", sympy.cos: "cos",
        sympy.tan: "tan", sympy.asin: "arcsin", sympy.acos: "arccos", sympy.atan: "arctan", sympy.exp: "exp",
    }  # fmt: skip
    args = [_tree(arg) for arg in form.args]
    if not args or any(arg is None for arg in args):
        return None
    known = tuple(arg for arg in args if arg is not None)
    if isinstance(form, sympy.log):
        return Call("log", (*known, EULER) if len(known) == 1 else known)
    return Call(names[form.func], known) if form.func in names else None
