"""An explorer with another tokenizer: its text, spelled anew in the learner's tokens. Allowed by this name only.

The learner's prompt goes to the explorer as text, special tokens spelled out, so the learner's template is seen and not
the explorer's own. A BOS alone is each tokenizer's own: the learner's is left out, and the explorer's prompt begins as
its own tokenizer begins a text (an endpoint's server adds that itself). The completion comes back as text and is
encoded by the learner's tokenizer, apart from the prompt. A completion that the explorer ended gets the learner's EOS;
one that is too long in the learner's tokens is cut. Text that looks like a special token ("<eos>") stays text.

What is lost is the probability of these tokens: the explorer gave probabilities to others. Log-probabilities are NaN,
and only the corrections that do not ask for them, `none` and `luffy`, are allowed. Logged ratios are then the learner's
alone.

What is rewarded is what the learner's tokens say. Where they do not say the explorer's text (a character that is
unknown to the learner vanishes from it, and could make a wrong answer right) the completion is cut before the first
difference, without EOS. Such rollouts are counted in `unspelled`, the first are warned of, and a round where they are
the majority is an error. One of which nothing is left becomes a lone EOS: an empty answer.

This is also how an endpoint can explore, since it gives text only: open it with template `raw`, because the prompt is
whole already, and say with `shape` how large its model is, or its compute could not be counted. (Compute is counted by
the learner's tokens.)
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies import Draws, StopReason
from s2l_lab.policies.endpoint import EndpointPolicy
from s2l_lab.policies.templates import added_bos, encode_prompt
from s2l_lab.policies.waves import Prompted
from s2l_lab.problems import Problem
from s2l_lab.training.correction import WITHOUT_PROBABILITIES
from s2l_lab.training.explorer import ExplorerRollout, Learner, PromptPolicy, Request, prompt_id, slot_indices

if TYPE_CHECKING:
    from s2l_lab.policies import Completion, ModelShape, Policy, SamplingParams


class RetokenisedExplorer:
    """A frozen policy, of any tokenizer or none that can be seen, that samples anew in every round."""

    def __init__(self, policy: Policy, shape: ModelShape | None = None) -> None:
        """`shape` is for policies that do not tell theirs (endpoints). Raises PolicyError where it is not known."""
        if isinstance(policy, EndpointPolicy) and policy.chats:
            raise PolicyError(
                f"{policy.name} is sent chat messages, and the learner's prompt is whole: it would stand inside "
                "another one. Open it with template='raw', or as text:http://...#MODEL."
            )
        known = policy.shape or shape
        if known is None:
            raise PolicyError(
                f"how large the model behind {policy.name} is cannot be seen, so what its rollouts cost could not be "
                "counted. Give RetokenisedExplorer(policy, shape=ModelShape(...))."
            )
        self.name, self.shape = policy.name, known
        self.unspelled = 0
        """Rollouts that were cut where the learner's tokenizer has no token for the text."""
        self._policy = policy

    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """Raises UsageError for a correction that needs log-probabilities, PolicyError for a learner without EOS."""
        if learner.correction not in (None, *WITHOUT_PROBABILITIES):
            raise UsageError(
                f"correction {learner.correction!r} weighs explorer tokens by the explorer's probabilities, and "
                f"{self.name}'s text is tokenised anew: its tokens have none. Use correction='none' or 'luffy', "
                "or an explorer with the learner's tokenizer."
            )
        if learner.tokenizer.eos_token_id is None:
            raise PolicyError("the learner's tokenizer names no EOS, so completions that ended could not be told.")
        self._tokenizer, self._sampling = learner.tokenizer, sampling

    def explore(self, requests: Sequence[Request], group_size: int) -> list[list[ExplorerRollout]]:
        """Sampled now. Raises PolicyError for prompts that cannot be said, and where most completions cannot be."""
        prompts = [
            Prompted(prompt_id(request.prompt_ids), request.prompt_ids, slot_indices(request, group_size))
            for request in requests
        ]
        texts = [self._text(request.prompt_ids) for request in requests]
        before = self.unspelled
        drawn = {(d.problem_id, d.index): self._spelled(d.completion) for d in self._draws(prompts, texts)}
        self._see_unspelled(self.unspelled - before, len(drawn))
        return [[drawn[prompt.problem_id, index] for index in prompt.indices] for prompt in prompts]

    def _text(self, prompt_ids: Sequence[int]) -> str:
        if self._tokenizer.unk_token_id is not None and self._tokenizer.unk_token_id in prompt_ids:
            raise PolicyError(
                f"a prompt holds the learner's unknown token, so {self.name} cannot be given its text. Leave problems "
                "out that the learner's tokenizer cannot spell."
            )
        return decoded(self._tokenizer, prompt_ids, skip_special_tokens=False)

    def _draws(self, prompts: Sequence[Prompted], texts: Sequence[str]) -> Any:
        """Draws for prompts that are text, by token ids where the policy takes them."""
        policy: Any = self._policy
        if not isinstance(policy, PromptPolicy):
            said = [
                Problem(id=p.problem_id, prompt=self._without_bos(text), answer="", kind="exact", source="training")
                for p, text in zip(prompts, texts, strict=True)
            ]
            wanted = [Draws(problem, p.indices) for problem, p in zip(said, prompts, strict=True)]
            return policy.sample(wanted, self._sampling)
        encoded = [
            Prompted(p.problem_id, self._encoded(policy.tokenizer, text), p.indices)
            for p, text in zip(prompts, texts, strict=True)
        ]
        return policy.sample_prompts(encoded, self._sampling)

    def _encoded(self, tokenizer: Any, text: str) -> tuple[int, ...]:
        body = self._without_bos(text)
        shared = body != text and tokenizer.bos_token == self._tokenizer.bos_token
        text = text if shared else added_bos(tokenizer) + body
        ids = encode_prompt(tokenizer, text)
        if decoded(tokenizer, ids, skip_special_tokens=False).split() != text.split():
            raise PolicyError(
                f"{self.name} cannot spell a prompt: its tokenizer makes other text of {text!r}. Take one "
                "whose tokenizer keeps the learner's prompts."
            )
        return ids

    def _without_bos(self, text: str) -> str:
        return text.removeprefix(self._tokenizer.bos_token or "")

    def _spelled(self, completion: Completion) -> ExplorerRollout:
        """In the learner's tokens."""
        text, eos = completion.text, int(self._tokenizer.eos_token_id)
        ids, said = spelled(self._tokenizer, text)
        if said != text:
            self.unspelled += 1
            ids, _ = spelled(self._tokenizer, text[: _agreement(said, text)])
        elif completion.stop_reason is StopReason.EOS:
            ids = [*ids, eos]
        ids = ids[: self._sampling.max_tokens] or [eos]
        return ExplorerRollout(tuple(ids), (float("nan"),) * len(ids), logprobs_known=False)

    def _see_unspelled(self, now: int, of: int) -> None:
        if 2 * now > of:
            raise PolicyError(
                f"{now} of {of} completions of {self.name} in a round hold text that the learner's tokenizer has no "
                "tokens for; they would be cut there. Take an explorer whose text the learner can spell."
            )
        if now and self.unspelled == now:
            warnings.warn(
                f"{now} of {of} completions of {self.name} were cut before text that the learner's tokenizer has no "
                "tokens for (further ones are counted in `unspelled`).",
                stacklevel=2,
            )


def spelled(tokenizer: Any, text: str) -> tuple[list[int], str]:
    """Token ids of a text, in which what looks like a special token stays text, and the text that the ids say."""
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids, decoded(tokenizer, ids, skip_special_tokens=True)


def decoded(tokenizer: Any, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
    """The text of token ids, nothing tidied up."""
    return str(tokenizer.decode(ids, skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False))


def _agreement(a: str, b: str) -> int:
    """Characters at the beginning that are the same in both."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
