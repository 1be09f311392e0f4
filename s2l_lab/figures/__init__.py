"""Figures, tables' words and numbers.json: records in, pictures out. No statistics in here.

`passk` and `fig2` are the figures; `canvas`, `panel`, `differences`, `palette` draw them; `caption` and
`markup` are the words; `numbers` and `write` bring them to the disk. plotly is imported when a figure is drawn.
"""

from s2l_lab.figures.numbers import as_json, numbers
from s2l_lab.figures.passk import passk_figure
from s2l_lab.figures.write import Written, write_figure

__all__ = ["Written", "as_json", "numbers", "passk_figure", "write_figure"]
