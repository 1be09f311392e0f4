r"""One spelling for the many ways in which people write an answer, before anything reads it as mathematics.

`spelled` changes characters, never meaning: full-width digits, Unicode minus signs and fractions, spacing commands,
delimiters, thousands separators, mixed numbers, repeating decimals, upright constants. What it does not know it leaves
as it stands, so that a reader further on refuses it; it drops nothing but space, emphasis and delimiters.

Words that stood in `\text{...}` and its kin are kept between WORDS_BEGIN and WORDS_END, since there a single letter is
a unit and not an unknown. Every step takes time linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from s2l_lab.verifiers.maths_vocabulary import CURRENCY_CODES, CURRENCY_SIGNS, UNITS

WORDS_BEGIN, WORDS_END = "\ue000", "\ue001"
DOTS = "…"
"""Any ellipsis that is not the tail of a repeating decimal. No reader knows it."""

_VULGAR = {
    c: rf"\frac{{{n}}}{{{d}}}"
    for c in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
    for n, d in [(Fraction(unicodedata.numeric(c)).limit_denominator(10).as_integer_ratio())]
}
_SIGNS = {
    "−": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "∙": r"\cdot ",
    "✕": r"\times ", "÷": r"\div ", "∕": "/", "⁄": "/", "±": r"\pm ", "∓": r"\mp ", "∞": r"\infty ", "π": r"\pi ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "⌀": r"\emptyset ", "Ø": r"\emptyset ",
    "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∖": r"\setminus ",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}",
    "√": r"\sqrt ", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]", "°": r"^{\circ}", "º": r"^{\circ}", "˚": r"^{\circ}",
    "℃": r"^{\circ}C", "℉": r"^{\circ}F", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "。": ".", "、": ",", "，": ",", "；": ";", "：": ":", "＝": "=", "％": "%", "…": r"\ldots ", "⋯": r"\ldots ",
    "′": "'", "’": "'", "∶": ":", "„": '"', "“": '"', "”": '"', "〈": "(", "〉": ")", "⟨": "(", "⟩": ")",
}  # fmt: skip
_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_SUPER_RUN = re.compile(f"[{''.join(_SUPER)}]+")
_SUB_RUN = re.compile(f"[{''.join(_SUB)}]+")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000\u200b\u2060\ufeff]")

_COMPATIBLE = re.compile("[^\u2460-\u24ff]+")
"""All but enclosed numbers and letters: two of them are two items, not one number."""
_TIMES = re.compile(rf"(?<=\d)\s+{WORDS_BEGIN}?\s*[xX]\s*{WORDS_END}?\s+(?=[-+]?\d)|(?<=\d)[xX](?=10\s*\^)")
"""The letter x as a times sign."""

_DELIMITERS = re.compile(r"(?<!\\)\$|(?<!\\)\\[\[\]()]")
_DOLLAR = re.compile(r"^(\s*[-+A-Z]{0,3})\$(?=\s*[-+]?[\d.])")
_DOLLAR_BEHIND = re.compile(r"(?<=\d)\s*\$")
_SPACING = re.compile(r"(?<!\\)\\[,;:> ]|\\(?:quad|qquad|enspace|thinspace|nobreakspace)(?![a-zA-Z])|~")
_NOTHING = re.compile(
    r"\s*\\!\s*|\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|limits|nolimits|hfill|mathstrut|strut|boxed|fbox)"
    r"(?![a-zA-Z])\.?|\\phantom\{[^{}]*\}"
)
_FRACTION = re.compile(r"\\(?:d|t|c|s)frac(?![a-zA-Z])")
_BINOM = re.compile(r"\\(?:d|t)binom(?![a-zA-Z])")
_UPRIGHT = re.compile(
    r"\\(?:text|textrm|textbf|textit|textnormal|textsf|texttt|mbox|hbox|mathrm|mathbf|mathit|mathsf|mathnormal|rm|bf|it"
    r"|boldsymbol|bm|operatorname\*?|emph|underline)(?![a-zA-Z])\s*(?:\{((?:[^{}]|\{[^{}]*\})*)\}|([a-zA-Z](?![a-zA-Z])|\\[a-zA-Z]+))"
)
_OLD_FONT = re.compile(r"\{\s*\\(?:rm|bf|it|sf)(?![a-zA-Z])\s*([^{}]*)\}")
_CHOOSE = re.compile(r"\{([^{}]*)\\choose(?![a-zA-Z])([^{}]*)\}")
_UNIT_FRACTION = re.compile(
    rf"\\frac\s*\{{\s*({WORDS_BEGIN}[^{WORDS_END}]*{WORDS_END})\s*\}}\s*\{{\s*({WORDS_BEGIN}[^{WORDS_END}]*{WORDS_END}"
    r"(?:\s*\^\s*(?:\{\s*\d\s*\}|\d))?)\s*\}"
)
_CURRENCIES = frozenset({"Rs", "Rs.", *CURRENCY_CODES, *CURRENCY_SIGNS})
_SYNONYMS = {
    r"\leq": r"\le", r"\leqslant": r"\le", r"\geq": r"\ge", r"\geqslant": r"\ge", r"\lt": "<", r"\gt": ">",
    r"\neq": r"\ne",
    r"\lbrace": r"\{", r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\lparen": "(", r"\rparen": ")",
    r"\varnothing": r"\emptyset", r"\O": r"\emptyset", r"\ast": "*", r"\uppi": r"\pi", r"\ldots": DOTS, r"\dots": DOTS,
    r"\cdots": DOTS, r"\dotsc": DOTS, r"\dotsb": DOTS, r"\dotsm": DOTS, r"\degree": r"^{\circ}",
    r"\textdegree": r"^{\circ}",
    r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\mid": "|", r"\percent": "%", r"\colon": ":",
    r"\backslash": r"\setminus",
    r"\infin": r"\infty", r"\lor": r"\or", r"\vee": r"\or", r"\land": r"\and", r"\wedge": r"\and", r"\bullet": r"\cdot",
    r"\union": r"\cup", r"\langle": "(", r"\rangle": ")", r"\dotsi": DOTS, r"\simeq": r"\approx", r"\prime": "'",
}  # fmt: skip
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_CONSTANTS = frozenset({"e", "i", "d", r"\pi", "pi"})
_FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "arccot",
        "sinh",
        "cosh",
        "tanh",
        "ln",
        "log",
        "lg",
        "exp",
        "gcd",
        "lcm",
        "max",
        "min",
        "sqrt",
        "floor",
        "ceil",
    ]
)
_UNITS_TOO = frozenset({"min", "max", "sec"})
"""Functions that are words behind a number: 12 min."""
_ARGUMENT = re.compile(r"\s*[({\\a-zA-Z]")
_CONNECTIVE = re.compile(r"(?<![^\W\d_])(and|or|und|oder|et|ou)(?![^\W\d_])", re.IGNORECASE)
_CJK_CONNECTIVE = re.compile(r"(?<=[\d})\s])([和或及])(?=[\s\d({\\-])")

_GROUPED = re.compile(r"(?<![\d.,\u2009])(?<![\d,] )\d{1,3}(?:([\u2009 ']|\{,\})\d{3})(?:\1\d{3})*(?!\d|\1\d)")
_COMMAS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d|,\d)")
_POINTS = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?![\d.])")
_MIXED = re.compile(
    r"(?<![\d.}^_/,])(?<![\d.^_/] )(\d+)\s*\\frac\s*(?:\{\s*(\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))(?!\d)"
)
_MIXED_SLASH = re.compile(r"(?<![\d.}^_/])(?<![\d.^_/] )(\d+) +(\d+)\s*/\s*(\d+)(?![\d.])")
_REPEATING = re.compile(r"(?<!\d)(\d*)\.(\d*)\\(?:overline|bar|overbar)\s*(?:\{\s*(\d+)\s*\}|(\d))(?!\d)")
_REPEATING_ROUND = re.compile(r"(?<![\d.])(\d+)\.(\d*)\((\d+)\)(?![\d(])")
_REPEATING_DOT = re.compile(r"(?<!\d)(\d*)\.(\d*)\\dot\s*\{?(\d)\}?(?:(\d*)\\dot\s*\{?(\d)\}?)?(?!\d)")
_REPEATING_DOTS = re.compile(rf"(?<![\d.])(\d{{1,30}})\.(\d{{0,9}}?)((\d)\4{{2,40}}|(\d{{2,9}})\5{{1,20}})\s*{DOTS}")
_TRUNCATED = re.compile(rf"(?<!\d)(\d+\.\d{{4,}})\s*{DOTS}\s*$")
_ROOT_DIGITS = re.compile(r"\\sqrt\s+(\d{2,})")
_POWER_DIGITS = re.compile(r"([\^_])\s*(-?\d{2,})")
_WIDE = re.compile(r"(\s)\s+")
_BLANKS = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
"""Blanks, but for those between two digits."""
_MINUS = re.compile(r"(?<![\w)\]}])\s*[–—]\s*(?=[\w\\(.])")
"""A dash that cannot be the sign of a range."""
_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))")


def bare(answer: str) -> str:
    r"""Without math delimiters (`$`, `\[ \]`, `\( \)`), Markdown emphasis around the whole and a final full stop."""
    text = _DELIMITERS.sub(" ", answer).strip(" \t\r\n*`")
    return text if text.endswith("..") else text.removesuffix(".").strip()


def literal(answer: str) -> str:
    """What is left where neither delimiters, blanks nor the names of ellipses matter. Case does."""
    text = re.sub(r"\\(?:ldots|dots|cdots|dotsc|dotsb)(?![a-zA-Z])|\.\.\.|⋯", DOTS, bare(answer))
    return _BLANKS.sub("", _WIDE.sub(r"\1", text))


def spelled(answer: str) -> str:
    """The answer in one spelling, without outer blanks."""
    text = _WIDE.sub(r"\1", answer.strip().strip("*`").strip())
    if (text.count("$") - text.count("\\$")) % 2:  # a currency, since a delimiter would have its partner
        text = _DOLLAR.sub(r"\1\\$", text) if _DOLLAR.match(text) else _DOLLAR_BEHIND.sub(r" \\$", text, count=1)
    text = _characters(bare(text))
    text = _words(_latex(text)).lstrip("= ")
    text = _numbers(text)
    return " ".join(text.split()).strip()


def _characters(text: str) -> str:
    if not text.isascii():
        text = _SUPER_RUN.sub(lambda m: "^{" + "".join(_SUPER[c] for c in m.group()) + "}", text)
        text = _SUB_RUN.sub(lambda m: "_{" + "".join(_SUB[c] for c in m.group()) + "}", text)
        text = "".join(_VULGAR.get(c) or _SIGNS.get(c, c) for c in text)
        text = _SPACES.sub("\u2009", text).replace("\u2009", "\ue009")
        text = _COMPATIBLE.sub(lambda m: unicodedata.normalize("NFKC", m.group()), text)
        text = text.replace("\ue009", "\u2009")
        text = "".join(_SIGNS.get(c, c) for c in text)
    return bare(_MINUS.sub("-", text))


def _latex(text: str) -> str:
    text = _NOTHING.sub("", text)
    text = re.sub(r"\\\\(?=[a-zA-Z])", r"\\", text) if "matrix" not in text and "array" not in text else text
    text = re.sub(r"(\d)\s*\\[,;:> ]\s*(?=\d)|(\d)~(?=\d)", lambda m: (m.group(1) or m.group(2)) + "\u2009", text)
    text = _SPACING.sub(" ", text)
    text = _BINOM.sub(r"\\binom", _FRACTION.sub(r"\\frac", text))
    text = _OLD_FONT.sub(lambda m: _upright(m.group(1)), text)
    for _ in range(4):  # a font inside a font
        text, changed = _UPRIGHT.subn(_upright_at, text)
        if not changed:
            break
    text = _CHOOSE.sub(r"\\binom{\1}{\2}", _UNIT_FRACTION.sub(r" \1/\2", text))
    text = _COMMAND.sub(lambda m: _SYNONYMS.get(m.group(), m.group()), text)
    return re.sub(r"\.{2,}", DOTS, text.replace(r"\%", "%"))


def _upright_at(match: re.Match[str]) -> str:
    content = match.group(1) if match.group(1) is not None else match.group(2)
    before = match.string[max(0, match.start() - 3) : match.start()].rstrip()[-1:]
    behind_a_number = before.isdecimal() or before in ("}", ")")
    if content.strip() in _UNITS_TOO and behind_a_number and not _ARGUMENT.match(match.string, match.end()):
        return f" {WORDS_BEGIN}{content.strip()}{WORDS_END}"
    return _upright(content)


def _upright(content: str) -> str:
    r"""What `\mathrm{content}` stands for: a constant, a function, or words."""
    inner = content.strip()
    if inner in _CONSTANTS:
        return " \\pi " if inner == "pi" else f" {inner} "
    if inner in _FUNCTIONS:
        return f"\\{inner} "
    if inner in _CURRENCIES:
        return f" {inner} "
    if not inner:
        return " "
    if (
        re.match(r"[-+]?[\d.]*\d", inner)
        or WORDS_BEGIN in inner
        or "\\" in inner
        or "=" in inner
        or not _is_flat(inner)
    ):
        return f" {inner} " if content != inner else inner
    blank = " " if content[:1].isspace() else ""
    return f"{blank}{WORDS_BEGIN}{inner}{WORDS_END}"


def _is_flat(content: str) -> bool:
    """Whether there are no groups in it but the exponents of units, as in m/s^{2}."""
    if "{" not in content:
        return True
    names = re.findall(r"[^\W\d_]+", content)
    return all(name in UNITS or name == "per" for name in names)


def _words(text: str) -> str:
    r"""Connectives as `\and` and `\or`, also inside words, which they end."""
    if WORDS_BEGIN in text:
        text = re.sub(
            f"{WORDS_BEGIN}([^{WORDS_END}]*){WORDS_END}",
            lambda m: f" {m.group(1)} " if _CONNECTIVE.search(m.group(1)) else m.group(),
            text,
        )
    return _connectives(text)


def _connectives(text: str) -> str:
    text = _CJK_CONNECTIVE.sub(lambda m: r" \or " if m.group(1) == "或" else r" \and ", text)

    def command(match: re.Match[str]) -> str:
        return r" \or " if match.group(1).lower() in ("or", "oder", "ou") else r" \and "

    return re.sub(r"(?:,\s*)?" + _CONNECTIVE.pattern, command, text, flags=re.IGNORECASE)


def _numbers(text: str) -> str:
    text = _TIMES.sub(r" \\times ", text)
    text = _REPEATING.sub(lambda m: _repeating(m.group(1), m.group(2), m.group(3) or m.group(4)), text)
    text = _REPEATING_DOT.sub(_dotted, text)
    text = _REPEATING_DOTS.sub(lambda m: _repeating(m.group(1), m.group(2), m.group(4) or m.group(5)), text)
    text = _REPEATING_ROUND.sub(lambda m: _repeating(*m.groups()), text)
    text = _TRUNCATED.sub(r"\1", text)
    text = _MIXED_SLASH.sub(lambda m: _mixed(m, m.group(1), m.group(2), m.group(3)), text)
    text = _GROUPED.sub(lambda m: re.sub(r"\D", "", m.group()), text)
    text = _outside_brackets(text)
    text = _POINTS.sub(lambda m: m.group().replace(".", ""), text.replace("{,}", ","))
    text = text.replace("\u2009", " ")
    text = _MIXED_SLASH.sub(lambda m: _mixed(m, m.group(1), m.group(2), m.group(3)), text)
    text = _MIXED.sub(lambda m: _mixed(m, m.group(1), m.group(2) or m.group(3), m.group(4) or m.group(5)), text)
    text = _ROOT_DIGITS.sub(r"\\sqrt{\1}", text)
    text = _POWER_DIGITS.sub(r"\1{\2}", text)
    return _DEGREES.sub("°", text)


def _outside_brackets(text: str) -> str:
    """Thousands separated by commas, joined where no bracket is open: (1,234) is a pair."""
    if not _COMMAS.search(text):
        return text
    depth_at, depth = [], 0
    for c in text:
        depth_at.append(depth)
        depth = max(0, depth + (c in "([") - (c in ")]"))
        if text.startswith(r"\{", len(depth_at) - 1):
            depth += 1
        if text.startswith(r"\}", len(depth_at) - 1):
            depth = max(0, depth - 1)
    return _COMMAS.sub(lambda m: m.group().replace(",", "") if depth_at[m.start()] == 0 else m.group(), text)


def _mixed(match: re.Match[str], whole: str, top: str, bottom: str) -> str:
    """A mixed number in brackets; an improper fraction after a number is none, and is left for a reader to refuse."""
    if len(top) > len(bottom) or int(top[:4000]) >= int(bottom[:4000]) or len(whole) > 4000:
        return match.group()
    return rf"({whole}+\frac{{{top}}}{{{bottom}}})"


def _repeating(whole: str, fixed: str, block: str) -> str:
    """The exact fraction of whole.fixed followed by block again and again."""
    if len(whole) + len(fixed) + len(block) > 4000:
        return f"{whole}.{fixed}{DOTS}"
    scale, nines = 10 ** len(fixed), 10 ** len(block) - 1
    value = Fraction(int(whole or "0") * scale + int(fixed or "0"), scale) + Fraction(int(block), scale * nines)
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


def _dotted(match: re.Match[str]) -> str:
    whole, fixed, first, between, last = match.groups()
    return _repeating(whole, fixed, first + (between or "") + (last or ""))
