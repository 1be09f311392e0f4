"""How a policy of a store was sampled, and whether its log-probabilities are the plain model's.

A training run samples its explorer by parameters of its own, beside the learner's that `BrowsedStore.sampling` gives.
"""

from __future__ import annotations

from pydantic import ValidationError

from s2l_lab.browse.store import BrowsedStore
from s2l_lab.policies import SamplingParams


def sampling_of(store: BrowsedStore, policy: str) -> SamplingParams | None:
    """How this policy of the store was sampled; None where the configuration does not say."""
    sampling = store.sampling()
    training = store.config().get("training")
    if sampling is None or policy != "explorer" or not isinstance(training, dict):
        return sampling
    # What a plan does not name stands at S2LPOConfig's default, which is 1 for both.
    own = {name: training.get(f"explorer_{name}", 1.0) for name in ("temperature", "top_p")}
    try:
        return SamplingParams.model_validate(sampling.model_dump() | own)
    except ValidationError:
        return None


def plain_temperature(sampling: SamplingParams | None) -> float | None:
    """The temperature of sampling that neither truncates nor penalises; None for any other, and where it is unknown."""
    if sampling is None or not sampling.full_support or sampling.presence_penalty:
        return None
    return sampling.temperature
