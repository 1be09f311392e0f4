"""Does it last? Whether deviations from the learner add up along a trajectory, for explorers and for temperature.

    python analyses/does_it_last.py

VR(q) is 1 at every horizon q where deviations do not add up, as on the learner's own rollouts. Temperature is a
time-invariant perturbation too, so a VR above 1 alone is no mark of policy-level diversity: compare with T = 1.5.
`s2l-lab figures persistence` adds the learner at equal KL, prefix survival and score covariances.
"""

from pathlib import Path

import pandas as pd
import plotly.express as px

import s2l_lab as s2l

LEARNER = "tiny-2m"
HORIZONS = (1, 2, 5, 10, 20)
ARMS = {
    "learner": (LEARNER, {}),
    "learner, T = 1.5": (LEARNER, {"temperature": 1.5}),
    "tiny-60k": ("tiny-60k", {}),
    "tiny-360k": ("tiny-360k", {}),
}


def main(problems: int = 40, rollouts: int = 16, out: Path = Path("runs/analyses")) -> None:
    """Print VR(20) of every arm and write the figure over all horizons below `out`."""
    out.mkdir(parents=True, exist_ok=True)
    found = []
    for arm, (policy, sampling) in ARMS.items():
        drawn = s2l.sample(policy, "countdown", n=rollouts, first=problems, sampling=sampling)
        ratios = s2l.persistence(drawn, LEARNER, HORIZONS)
        print(f"{arm}, VR({HORIZONS[-1]}): {ratios[HORIZONS[-1]]}")
        found += [one.to_frame().assign(arm=arm, horizon=horizon) for horizon, one in ratios.items()]
    frame = pd.concat(found)
    frame["above"], frame["below"] = frame["upper"] - frame["value"], frame["value"] - frame["lower"]
    figure = px.line(
        frame,
        x="horizon",
        y="value",
        color="arm",
        error_y="above",
        error_y_minus="below",
        log_x=True,
        title=f"Variance ratio of {LEARNER}'s surprise: n = {problems} problems, 95% CI over problems",
    )
    figure.write_html(out / "does_it_last.html", include_plotlyjs="directory")


if __name__ == "__main__":
    main()
