"""Policies: models at a revision with a sampler, the families they belong to and the engines that run them."""

from s2l_lab.policies.policy import Completion, Draw, Draws, ModelShape, Policy, SamplingParams, StopReason

__all__ = ["Completion", "Draw", "Draws", "ModelShape", "Policy", "SamplingParams", "StopReason"]
