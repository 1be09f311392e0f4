"""Which metric follows strategies? Pairs of correct rollouts of one strategy and of two, on the same problems.

    python analyses/which_metric_follows_strategies.py

Both rollouts of a pair are correct and differ in wording. A metric that follows strategies is further apart for two
strategies than for one; a metric that follows phrasing is not. `s2l-lab figures metric-validity` asks the same of
designed rollouts, in which strategy, phrasing and order vary apart.
"""

from pathlib import Path

import pandas as pd
import plotly.express as px

import s2l_lab as s2l

METRICS = ["self_bleu", "edit_diversity", "distinct_4", "compression", "equations"]
POLICIES = ("tiny-2m", "tiny-rich-2m")


def pairs(correct: pd.DataFrame) -> dict[str, list[pd.Series]]:
    """Two rows a problem of one strategy, and two of two strategies, on problems that have both."""
    found: dict[str, list[pd.Series]] = {"one strategy": [], "two strategies": []}
    for _, rows in correct.drop_duplicates(["problem", "text"]).groupby("problem", sort=False):
        ways = [one for _, one in rows.groupby("canonical", sort=False)]
        twice = next((one for one in ways if len(one) > 1), None)
        if twice is not None and len(ways) > 1:
            found["one strategy"] += [twice.iloc[0], twice.iloc[1]]
            found["two strategies"] += [ways[0].iloc[0], ways[1].iloc[0]]
    return found


def main(problems: int = 60, rollouts: int = 64, out: Path = Path("runs/analyses")) -> None:
    """Print every metric on both kinds of pairs and write the figure below `out`."""
    out.mkdir(parents=True, exist_ok=True)
    drawn = pd.concat([s2l.sample(name, "countdown", n=rollouts, first=problems) for name in POLICIES])
    found = []
    for kind, rows in pairs(drawn[drawn["outcome"] == "correct"]).items():
        measured = s2l.measure_diversity(
            [row["text"] for row in rows],
            problems=[row["problem"] for row in rows],
            token_ids=[row["token_ids"][:-1] for row in rows],
            metrics=METRICS,
        )
        for metric in METRICS:
            print(f"{metric}, {kind}: {measured[metric]}")
        found.append(measured.to_frame().assign(kind=kind))
    frame = pd.concat(found)
    frame["above"], frame["below"] = frame["upper"] - frame["value"], frame["value"] - frame["lower"]
    n = int(frame["n_problems"].max())
    figure = px.scatter(
        frame,
        x="value",
        y="kind",
        facet_row="metric",
        color="kind",
        error_x="above",
        error_x_minus="below",
        title=f"Two correct rollouts of a problem: n = {n} problems, 95% CI over problems",
    )
    figure.update_xaxes(matches=None, showticklabels=True)
    figure.write_html(out / "which_metric_follows_strategies.html", include_plotlyjs="directory")


if __name__ == "__main__":
    main()
