"""reasoning-gym's own scorers: an answer is correct where the item's checker gives it the full score.

Anything below 1 is incorrect: partial scores reward a gold answer that is *contained* in the text (a substring rule),
or a valid but useless move. The item is made again from its address (see `problems.gym`), so a checker sees what it
made; if it would be another item today (another version of reasoning-gym), nothing is graded.
"""

from __future__ import annotations

from typing import Any

from s2l_lab.problems.gym import gym_entry, gym_set, gym_version
from s2l_lab.verifiers.verdict import Outcome, Verdict


def verify_gym(answer: str, gold: str, metadata: dict[str, Any]) -> Verdict:
    """Score an answer by the checker of the set in `metadata`.

    VERIFIER_ERROR where the checker raises or the installed version makes another item at this address.
    """
    entry = gym_entry(metadata["set"], metadata["seed"], metadata["index"])
    if str(entry["answer"] or "") != gold:
        why = f"the gold answer is of reasoning-gym {metadata['version']}; {gym_version()} makes another item"
        return Verdict(Outcome.VERIFIER_ERROR, answer, None, why)
    try:
        score = gym_set(metadata["set"], metadata["seed"]).score_answer(answer, entry)
    except Exception as error:  # noqa: BLE001 - a hundred checkers of others; what one cannot grade is unscored
        return Verdict(Outcome.VERIFIER_ERROR, answer, None, f"the checker raised {type(error).__name__}")
    outcome = Outcome.CORRECT if score >= 1 else Outcome.INCORRECT
    return Verdict(outcome, answer, " ".join(answer.split()))
