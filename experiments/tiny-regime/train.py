"""Train the three sizes of the recipe at a further number of problems, for the curve against data size.

`python experiments/tiny-regime/train.py 5000 OUT` writes OUT/60k, OUT/360k, OUT/2m; measure them with
`measure.py --policy tiny-5k-2m=OUT/2m` and so on. These weights are not shipped.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from s2l_lab.policies.tiny.data import examples, tokenised
from s2l_lab.policies.tiny.recipe import MEMBERS, RECIPES, Progress
from s2l_lab.policies.tiny.training import store, train_member

SEED = 0


def show(now: Progress) -> None:
    if now.step % 100 == 0:
        print(f"{now.member}: step {now.step}, loss {now.loss:.3f}, {now.seconds:.0f} s", file=sys.stderr, flush=True)


def main() -> None:
    problems, out, *sizes = sys.argv[1:]
    torch.set_num_threads(1)
    recipe = replace(RECIPES["tiny"], problems=int(problems))
    data = tokenised(examples(SEED), recipe.problems)
    for member in MEMBERS:
        if not sizes or member.size in sizes:
            store(train_member(recipe, member, data, SEED, show), Path(out) / member.size)


if __name__ == "__main__":
    main()
