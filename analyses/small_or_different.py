"""Is it small, or merely different? What smaller members add to the learner, beside another model of its own size.

    python analyses/small_or_different.py

`tiny-rich-2m` has the learner's size and was trained on other problems: it is different and not small. If it adds as
much as the smaller members, what they add is another model's share, not a small one's. `s2l-lab figures policy-share`
asks it with siblings of several pretraining seeds, whose intervals are about models.
"""

from pathlib import Path

import pandas as pd
import plotly.express as px

import s2l_lab as s2l

LEARNER = "tiny-2m"
OTHERS = {
    "tiny-60k": "smaller",
    "tiny-360k": "smaller",
    "tiny-rich-60k": "smaller, other data",
    "tiny-rich-2m": "same size, other data",
}


def main(problems: int = 40, rollouts: int = 32, out: Path = Path("runs/analyses")) -> None:
    """Print each model's share and write the figure below `out`."""
    out.mkdir(parents=True, exist_ok=True)
    learner = s2l.sample(LEARNER, "countdown", n=rollouts, first=problems)
    found = []
    for name, kind in OTHERS.items():
        share = s2l.policy_share(s2l.sample(name, "countdown", n=rollouts, first=problems), learner, "tokens")
        print(f"{name} ({kind}): {share}")
        found.append(share.to_frame().assign(model=name, kind=kind))
    frame = pd.concat(found)
    frame["above"], frame["below"] = frame["upper"] - frame["value"], frame["value"] - frame["lower"]
    title = f"Share of token diversity between each model and {LEARNER}: n = {problems} problems, 95% CI over problems"
    figure = px.scatter(frame, x="value", y="model", color="kind", error_x="above", error_x_minus="below", title=title)
    figure.write_html(out / "small_or_different.html", include_plotlyjs="directory")


if __name__ == "__main__":
    main()
