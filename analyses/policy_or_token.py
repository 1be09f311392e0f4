"""Policy or token? What a smaller explorer adds to the learner's rollouts, beside what temperature adds.

    python analyses/policy_or_token.py

The share of an even mix's diversity that lies between explorer and learner. It is read against two controls: the
learner with another seed (nothing: 0) and the learner at T = 1.5 (token noise). `s2l-lab figures policy-share` has all
controls: equal entropy, equal KL, equal pass@1, and siblings of the learner's size.
"""

from pathlib import Path

import pandas as pd
import plotly.express as px

import s2l_lab as s2l

LEARNER = "tiny-2m"
ARMS = {
    "tiny-60k": ("tiny-60k", {}),
    "tiny-360k": ("tiny-360k", {}),
    "learner, T = 1.5": (LEARNER, {"temperature": 1.5}),
    "learner, another seed": (LEARNER, {"seed": 1}),
}


def main(problems: int = 40, rollouts: int = 32, out: Path = Path("runs/analyses")) -> None:
    """Print each arm's share and write the figure below `out`."""
    out.mkdir(parents=True, exist_ok=True)
    learner = s2l.sample(LEARNER, "countdown", n=rollouts, first=problems)
    found = []
    for arm, (policy, sampling) in ARMS.items():
        explorer = s2l.sample(policy, "countdown", n=rollouts, first=problems, sampling=sampling)
        for feature in ("answers", "tokens"):
            share = s2l.policy_share(explorer, learner, feature)
            print(f"{arm}, {feature}: {share}")
            found.append(share.to_frame().assign(arm=arm, feature=feature))
    frame = pd.concat(found)
    frame["above"], frame["below"] = frame["upper"] - frame["value"], frame["value"] - frame["lower"]
    title = f"Share of diversity between each arm and {LEARNER}: n = {problems} problems, 95% CI over problems"
    figure = px.scatter(frame, x="value", y="arm", color="feature", error_x="above", error_x_minus="below", title=title)
    figure.write_html(out / "policy_or_token.html", include_plotlyjs="directory")


if __name__ == "__main__":
    main()
