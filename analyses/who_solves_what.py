"""Who solves what? Every member of the embedded family on the same Countdown problems.

    python analyses/who_solves_what.py

A small member that only fails more often leaves no problem that it alone solves; one that explores differently does.
Whether curves cross is read from the paired differences, not from the curves.
"""

from pathlib import Path

import pandas as pd

import s2l_lab as s2l

MEMBERS = ("tiny-60k", "tiny-360k", "tiny-2m")


def main(problems: int = 60, rollouts: int = 32, out: Path = Path("runs/analyses")) -> None:
    """Print the answers and write the heat map and the curves below `out`."""
    out.mkdir(parents=True, exist_ok=True)
    frame = pd.concat([s2l.sample(name, "countdown", n=rollouts, first=problems) for name in MEMBERS])
    correct = frame["outcome"].eq("correct")
    counts = correct.groupby([frame["policy"], frame["problem"]], sort=False).agg(correct="sum", total="size")
    s2l.plot_solve_rates(counts).write_html(out / "who_solves_what.html", include_plotlyjs="directory")

    solved = counts["correct"].gt(0).unstack("policy")
    for name in MEMBERS:
        alone = int((solved[name] & (solved.drop(columns=name).sum(axis=1) == 0)).sum())
        print(f"{name} alone solves {alone} of n = {problems} problems in N = {rollouts} rollouts")

    ks = [1, rollouts // 4, rollouts]
    curves = {name: s2l.pass_at_k_curve(counts.loc[name]) for name in MEMBERS}
    s2l.plot_passk(curves).write_html(out / "who_solves_what_curves.html", include_plotlyjs="directory")
    for name, curve in curves.items():
        print(name, curve)
    print(s2l.compare(counts, ks))


if __name__ == "__main__":
    main()
