"""Contrast as WCAG 2 counts it, of colours that may be translucent, on the pages of the app."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

THEME = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
DARK = THEME["dark"]["backgroundColor"]
PAGES = ("#ffffff", DARK)
MARK, TEXT = 3.0, 4.5
"""Least contrast of a graphic mark, and of text."""

RGBA = tuple[float, float, float, float]


def rgba(colour: str) -> RGBA:
    """`#rrggbb`, `rgb(...)` or `rgba(...)` as channels in 0..255 and opacity in 0..1."""
    if colour.startswith("#"):
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return red, green, blue, 1.0
    numbers = [float(word) for word in re.findall(r"[\d.]+", colour)]
    return numbers[0], numbers[1], numbers[2], numbers[3] if len(numbers) > 3 else 1.0


def contrast(colour: str, page: str, opacity: float = 1.0) -> float:
    """Of `colour` at `opacity` as it is seen over an opaque page, against that page; 1 to 21."""
    *channels, own = rgba(colour)
    below = rgba(page)[:3]
    seen = [a * own * opacity + b * (1 - own * opacity) for a, b in zip(channels, below, strict=True)]
    low, high = sorted((_luminance(seen), _luminance(below)))
    return (high + 0.05) / (low + 0.05)


def over(colour: str, page: str) -> str:
    """What is seen of a translucent colour over an opaque page."""
    *channels, own = rgba(colour)
    mixed = [a * own + b * (1 - own) for a, b in zip(channels, rgba(page)[:3], strict=True)]
    return f"rgb({','.join(f'{one:.3f}' for one in mixed)})"


def _luminance(channels: list[float] | tuple[float, ...]) -> float:
    shares = [value / 255 for value in channels]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
