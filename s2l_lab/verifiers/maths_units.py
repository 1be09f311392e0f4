r"""A number and its unit, taken apart before anything reads LaTeX: `12 km/h`, `\$5`, `864\text{ inches}^2`, `10元`.

A unit is what is measured or counted, with exponents: {km: 1, hour: -1}. Spellings of one unit are one name ("km per
hour", "kph"); nothing is converted, so 1 m is not 100 cm. Words that say nothing about the kind ("in total", "old") are
left out, and any other word is a noun of its own.

Two units agree where one is missing, where the measured parts are the same and the nouns of one are among the other's
("12 red apples" and "12 apples"), and nowhere else: metres contradict centimetres and apples contradict oranges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from s2l_lab.verifiers.maths_spelling import WORDS_BEGIN, WORDS_END
from s2l_lab.verifiers.maths_vocabulary import (
    COMPOUNDS,
    CURRENCY_CODES,
    CURRENCY_SIGNS,
    FILLERS,
    HAN_MULTIPLES,
    LETTERS,
    MULTIPLES,
    PARTS,
    PERCENT,
    SHORT,
    STOP,
    SYNONYMS,
    UNITS,
)

_PREFIX = re.compile(
    rf"^\s*(?P<sign>-?)\s*(?P<unit>(?:US|U\.S\.|A|C|NZ|HK|NT|S)?\\?\$|[{CURRENCY_SIGNS}]"
    rf"|(?:Rs|kr|{'|'.join(CURRENCY_CODES)})\.?(?=[\s\d]))\s*(?P<rest>.*)$",
    re.DOTALL,
)
_WORD = rf"{WORDS_BEGIN}[^{WORDS_END}]*{WORDS_END}|[^\W\d_]+(?:[-'][^\W\d_]+)*\.?"
_POWER = r"(?:\s*\^\s*(?:\{\s*-?\s*\d\s*\}|-?\d))?"
_PIECE = re.compile(
    rf"(?P<word>%|°|¢|[{CURRENCY_SIGNS}]|\\?\$|(?<!\\)(?:{_WORD}))(?P<power>{_POWER})|(?P<operator>/|\\cdot(?![a-zA-Z])|\*|-)"
    r"|(?P<other>\\[a-zA-Z]+|\S)"
)
_LONGEST = 400
"""Characters of a number with its unit."""
_HALF_DAY = re.compile(r"(?<=[\d\s])([aApP])\.\s?[mM]\b\.?")
_UNIT_IN_BRACKETS = re.compile(r"(?<=\d)\s*[(\[]\s*([^\W\d_]{1,4}(?:/[^\W\d_]{1,4})?(?:\^\{?\d\}?)?)\s*[)\]]\s*$")
_BRACKETS = re.compile(rf"\s*\(\s*({WORDS_BEGIN}[^{WORDS_END}]*{WORDS_END}|[^\W\d_]{{3,}}(?:\s[^\W\d_]+)*)\s*\)\s*$")
_HYPHEN = re.compile(
    r"(?<=\d)-(?=(?:foot|inch|mile|metre|meter|year|hour|minute|second|day|week|month|degree|dollar|cent|pound)s?\b)"
)
_HAN = re.compile(rf"(?<![^\W\d_{HAN_MULTIPLES}])([{HAN_MULTIPLES}])(?![克米瓦焦卡帕赫伏])(?=\w)")
"""A multiplying character: ten thousand, but not the kilo of a kilogram."""
_ORDINALS = frozenset({"th", "st", "nd", "rd"})


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts or measures; an empty one says nothing."""

    measured: frozenset[tuple[str, int]] = frozenset()
    nouns: frozenset[str] = frozenset()
    guessed: bool = False
    """A letter right behind a number, as in 5m: as likely an unknown."""

    @property
    def is_percent(self) -> bool:
        return (PERCENT, 1) in self.measured

    def __bool__(self) -> bool:
        return bool(self.measured or self.nouns)

    def __str__(self) -> str:
        parts = [name if power == 1 else f"{name}^{power}" for name, power in sorted(self.measured)]
        return " ".join([*parts, *sorted(self.nouns)])


NO_UNIT = Unit()


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number's text with its unit."""

    number: str
    unit: Unit
    factor: Fraction
    """What words multiply the number by: 10^6 for million, 1/3 for thirds."""


def agree(a: Unit, b: Unit) -> bool:
    """Whether two units, the first of them the gold answer's, can stand for the same thing."""
    if not a or not b:
        return not a.guessed
    degree, scales = frozenset({("degree", 1)}), ({("celsius", 1)}, {("fahrenheit", 1)})
    measured = a.measured == b.measured or (
        degree in (a.measured, b.measured) and (a.measured ^ b.measured) - degree in scales
    )
    return measured and (a.nouns <= b.nouns or b.nouns <= a.nouns)


_ANGLE_OF = re.compile(r"\\(?:arc)?(?:sin|cos|tan|cot|sec|csc)h?(?![a-zA-Z])|(?:sin|cos|tan)\b")


def quantities(text: str) -> list[Quantity]:
    """The ways to take a spelled text apart into number and unit, longest unit first; none where it has no unit."""
    text = _UNIT_IN_BRACKETS.sub(_without_brackets, text)
    text = _HYPHEN.sub(" ", _BRACKETS.sub(r" \1", _HALF_DAY.sub(r"\1m", text)))
    prefix = _PREFIX.match(text)
    if prefix and re.search(r"\d", prefix["rest"]):
        unit = Unit(frozenset({(UNITS.get(prefix["unit"].lstrip("\\").rstrip("."), "dollar"), 1)}))
        inner = quantities(prefix["rest"])
        behind = [
            Quantity(prefix["sign"] + q.number, unit if q.unit in (NO_UNIT, unit) else _joined(unit, q.unit), q.factor)
            for q in inner
        ]
        return [*behind, Quantity(prefix["sign"] + prefix["rest"], unit, Fraction(1))]
    if len(text) > _LONGEST:
        return []
    pieces = list(_PIECE.finditer(text.rstrip(" .")))
    begin = len(pieces)
    while begin and not pieces[begin - 1]["other"]:
        begin -= 1
    pieces = pieces[begin:]
    if not pieces or pieces[-1]["operator"]:
        return []
    results = []
    for at, piece in enumerate(pieces):
        head = text[: piece.start()]
        word = piece["word"]
        if piece["operator"]:
            word = pieces[at + 1]["word"] if piece["operator"] == "/" else None
            if word is None or not (len(word) > 3 or (len(word) > 1 and word in UNITS)):
                continue  # 5/hour, but not 5/m
        if not _ends_a_number(head, word):
            continue
        if piece["word"] == "°" and _ANGLE_OF.search(head):
            continue
        parsed = _unit(pieces[at:], spaced=head != head.rstrip())
        if parsed is not None:
            results.append(Quantity(head.strip(), *parsed))
    return results


def _without_brackets(match: re.Match[str]) -> str:
    """12 (cm) as 12 cm; 12(m) is a product."""
    name = re.match(r"[^\W\d_]+", match[1])
    known = name is not None and name.group() in UNITS and len(match[1]) > 1
    return f" {match[1]}" if known else match.group()


def _joined(a: Unit, b: Unit) -> Unit:
    return Unit(a.measured | b.measured, a.nouns | b.nouns)


def _ends_a_number(head: str, word: str) -> bool:
    """Whether a number can end here: a digit, a closing bracket, pi, or a letter and a blank."""
    stripped = head.rstrip()
    if not stripped or stripped.endswith(("^", "_", "/", "*", "+", "-", "=", "<", ">", ",")):
        return False
    last = stripped[-1]
    if last.isdigit() or last in ")]}!|" or stripped.endswith("\\pi"):
        return bool(re.search(r"\d|\\pi|[a-zA-Z]", stripped)) and not re.search(
            r"\\[a-zA-Z]*$", stripped.removesuffix("\\pi")
        )
    long = word.startswith(WORDS_BEGIN) or len(word) > 3 or word in "%°"
    alone = last.isalpha() and not stripped[-2:-1].isalpha()
    return alone and long and (bool(re.search(r"\d|\\pi", stripped)) or (len(stripped) == 1 and last in "nkxyNK"))


class _Word(NamedTuple):
    text: str
    wrapped: bool
    """Whether the word stood in `\\text{...}`."""
    power: int


def _words_of(pieces: list[re.Match[str]]) -> list[_Word]:
    """The words and strokes of a unit; an exponent belongs to the last word of its piece."""
    words = []
    for piece in pieces:
        if piece["operator"]:
            words.append(_Word(piece["operator"], False, 1))
            continue
        power = int(re.sub(r"[^\d-]", "", piece["power"]) or "1")
        wrapped = piece["word"].startswith(WORDS_BEGIN)
        inside = _HAN.sub(r"\1 ", re.sub(r"([/%°])", r" \1 ", piece["word"].strip(WORDS_BEGIN + WORDS_END))).split()
        for i, raw in enumerate(inside):
            text = raw if raw == "/" else raw.strip(".,;:!?'\"()").lstrip("\\")
            inner = re.fullmatch(r"([^\W\d_]+)(?:\^\{?(-?\d)\}?)|([^\W\d_]{1,3})([23])", text)
            if inner:  # cm^2, cm2
                words.append(_Word(inner[1] or inner[3], wrapped, int(inner[2] or inner[4])))
            elif text:
                words.append(_Word(text, wrapped, power if i == len(inside) - 1 else 1))
    return words


def _unit(pieces: list[re.Match[str]], *, spaced: bool) -> tuple[Unit, Fraction] | None:
    """The unit that the pieces spell, and the factor in it; None where a word cannot be part of one."""
    words = _words_of(pieces)
    builder = _Builder(spaced=spaced, supported=any(w.wrapped or len(w.text) > 3 or w.text in SHORT for w in words[1:]))
    if all(builder.take(word, words[at - 1].text if at else "", len(words) - at) for at, word in enumerate(words)):
        return builder.unit(), builder.factor
    return None


class _Builder:
    """A unit as it is read, word by word."""

    def __init__(self, *, spaced: bool, supported: bool) -> None:
        self._spaced = spaced
        self._supported = supported
        """A longer word follows, so that a short one may be its adjective."""
        self._measured: dict[str, int] = {}
        self._nouns: set[str] = set()
        self._sign, self._pending, self._guessed = 1, 0, False
        self.factor = Fraction(1)

    def unit(self) -> Unit:
        measured = frozenset((name, power) for name, power in self._measured.items() if power)
        return Unit(measured, frozenset(self._nouns), self._guessed)

    def take(self, word: _Word, before: str, left: int) -> bool:
        """Whether the word can be part of a unit; `before` is the word before it, `left` how many words are left."""
        lower = word.text.lower()
        if self._modifies(lower) or lower in ("\\cdot", "*", "-"):
            return True
        multiplied = self._multiplies(lower, left)
        if multiplied is not None:
            return multiplied
        ends = lower in STOP or "分之" in lower or (lower == "negative" and left == 1)
        if ends or (word.text == "a" and not before and not word.wrapped):
            return False
        filler = lower in FILLERS and not (lower == "in" and not before and left == 1)
        if filler or lower in COMPOUNDS:
            for part, power in COMPOUNDS.get(lower, {}).items():
                self._add(part, power)
            return True
        if len(lower) == 1 and lower.isascii() and lower.isalpha() and not word.wrapped:
            if word.text not in LETTERS and not (before == "°" and word.text in "CF"):
                return False
            self._guessed = self._guessed or not (before or self._spaced)
        name = UNITS.get(word.text) or UNITS.get(lower)
        return self._measure(name, word.power) if name is not None else self._count(word, lower, before)

    def _modifies(self, lower: str) -> bool:
        """Whether the word changes what comes next or came before: per, square, cubed, million."""
        if lower in ("/", "per"):
            self._sign = -1
        elif lower in ("square", "sq", "cubic", "cu"):
            self._pending = 2 if lower in ("square", "sq") else 3
        elif lower in ("squared", "cubed") and self._measured:
            self._measured[next(reversed(self._measured))] *= 2 if lower == "squared" else 3
        else:
            return False
        return True

    def _multiplies(self, lower: str, left: int) -> bool | None:
        """Whether the word is a factor where one can stand; None where it is no factor."""
        if lower in MULTIPLES:
            factor = Fraction(MULTIPLES[lower])
        elif lower in PARTS and (lower.endswith("s") or left == 1):  # 12 fifth graders are 12
            factor = Fraction(1, PARTS[lower])
        else:
            return False if "-" in lower and lower.rpartition("-")[2] in MULTIPLES | PARTS else None
        self.factor *= factor
        return self._sign > 0 and not self._nouns and not self._measured

    def _add(self, name: str, power: int) -> None:
        self._measured[name] = self._measured.get(name, 0) + self._sign * power

    def _measure(self, name: str, power: int) -> bool:
        if name in ("celsius", "fahrenheit"):
            self._measured.pop("degree", None)
        if name != "unit":  # 12 square units are 12
            self._add(name, (self._pending or 1) * power)
        self._pending = 0
        return True

    def _count(self, word: _Word, lower: str, before: str) -> bool:
        """A noun: what nobody measures."""
        if not all(part.isalpha() for part in re.split(r"[-']", word.text) if part):
            return False
        short = word.text.isascii() and len(word.text) < 4 and lower not in SHORT | _ORDINALS
        if (
            short
            and not word.wrapped
            and before != "of"
            and not (self._supported and self._spaced and len(word.text) > 1)
        ):
            return False
        noun = _singular(lower)
        if self._sign < 0:
            self._measured[noun] = -1
        elif noun:
            self._nouns.add(noun)
        return True


def _singular(word: str) -> str:
    """A noun without its plural ending, near enough for both spellings to meet."""
    if word in SYNONYMS:
        return SYNONYMS[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2:
        return word[:-1]
    return word


_BASED = re.compile(r"^(-?[\dA-F]*\d[\dA-F]*)\s*_\s*\{?\s*(\d{1,2}|two|eight|sixteen)\s*\}?$")
_BASED_WORDS = re.compile(r"^(-?\d+)\s*(?:\(?in\s+)?base\s*[- ]?(\d{1,2}|two|eight|sixteen)\)?$", re.IGNORECASE)
_BASE_NAMES = {"two": "2", "eight": "8", "sixteen": "16"}


def based(text: str) -> tuple[str, int] | None:
    """Digits and base of a numeral such as `2516_8` or `11 base 2`."""
    if len(text) > _LONGEST:
        return None
    plain = text.replace(WORDS_BEGIN, "").replace(WORDS_END, "")
    match = _BASED.match(plain) or _BASED_WORDS.match(plain)
    if match:
        return match[1].lstrip("0") or "0", int(_BASE_NAMES.get(match[2].lower(), match[2]))
    return None
