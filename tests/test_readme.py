"""The README files' numbers are those of the committed results."""

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "readme.py"


def test_every_number_block_is_what_the_results_say() -> None:
    spec = importlib.util.spec_from_file_location("readme_numbers", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    texts = [path.read_text(encoding="utf-8") for path in readme.TEXTS]
    blocks = [match[1] for text in texts for match in readme.BLOCK.findall(text)]
    assert sorted(blocks) == sorted(readme.BLOCKS), "a block is missing, unknown or twice there"
    for text in texts:
        assert readme.rendered(text) == text, "a README differs from the results: run python benchmarks/readme.py"
