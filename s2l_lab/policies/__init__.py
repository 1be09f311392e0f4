"""Policies: models at a revision with a sampler, the families they belong to and the engines that run them."""

from s2l_lab.policies.families import Family, Member, find_member, load_family, parse_policy, registry
from s2l_lab.policies.opening import check_members, open_policy
from s2l_lab.policies.policy import Completion, Draw, Draws, ModelShape, Policy, Remarking, SamplingParams, StopReason
from s2l_lab.policies.presets import PRESETS, sampling_params
from s2l_lab.policies.templates import TEMPLATES

__all__ = [
    "PRESETS",
    "TEMPLATES",
    "Completion",
    "Draw",
    "Draws",
    "Family",
    "Member",
    "ModelShape",
    "Policy",
    "Remarking",
    "SamplingParams",
    "StopReason",
    "check_members",
    "find_member",
    "load_family",
    "open_policy",
    "parse_policy",
    "registry",
    "sampling_params",
]
