"""A checkpoint's tokenizer, and the law that members of one family share one.

Token-level comparisons between members (survival of prefixes, log-probabilities of one member's tokens under another)
mean something only if an id is the same string for all of them. EOS and chat template may differ, so not the files are
compared but what decides ids: the vocabularies, and the encoding of a probe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2l_lab.digest import content_digest
from s2l_lab.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.policies.checkpoint import Checkpoint

PROBE = (
    "The sum of 12 and 1234567890 is 1,234,567,902; therefore \\frac{a}{b} isn't naïve?\n\n\t#### (7*8)-6  \\boxed{50}."
)
"""A text that tells tokenizers apart: digits, signs, an apostrophe, an accent, line breaks, LaTeX."""


def load_tokenizer(checkpoint: Checkpoint, trust_remote_code: bool = False) -> Any:
    """The member's tokenizer by transformers. Raises PolicyError if it does not load."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(checkpoint.directory, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        remote = "" if trust_remote_code else " If it needs code of its own, --trust-remote-code allows it to run."
        raise PolicyError(
            f"{checkpoint.member.name}: the tokenizer in {checkpoint.directory} does not load: {error}.{remote}"
        ) from error


def require_one_tokenizer(checkpoints: Sequence[Checkpoint], trust_remote_code: bool = False) -> None:
    """Members of one family must spell with the same tokens: the same ids for the same strings.

    Compared are the vocabularies and the encoding of a probe, not the whole files: EOS and chat template may differ.
    Raises PolicyError that shows the difference to the first member.
    """
    if len(checkpoints) < 2:
        return
    first = load_tokenizer(checkpoints[0], trust_remote_code)
    for other in checkpoints[1:]:
        tokenizer = load_tokenizer(other, trust_remote_code)
        if difference := tokenizer_difference(first, tokenizer):
            raise PolicyError(
                f"{other.member.name} has another tokenizer than {checkpoints[0].member.name}: {difference}. Members "
                "of one family share a tokenizer, or token-level comparisons mean nothing. Take it out of the family, "
                "or run it beside the family as --policy NAME=PATH."
            )


def tokenizer_digest(tokenizer: Any) -> str:
    """Identity of what decides ids: vocabulary and a probe's ids. Equal where `tokenizer_difference` finds none."""
    return content_digest([tokenizer.get_vocab(), tokenizer(PROBE, add_special_tokens=False)["input_ids"]])


def tokenizer_difference(a: Any, b: Any) -> str:
    """In words, how two tokenizers spell differently (vocabularies, or a probe's ids); empty if they do not."""
    vocabulary_a, vocabulary_b = a.get_vocab(), b.get_vocab()
    differing = [t for t in {**vocabulary_a, **vocabulary_b} if vocabulary_a.get(t) != vocabulary_b.get(t)]
    if differing:
        token = min(differing, key=lambda t: (vocabulary_a.get(t, vocabulary_b.get(t, 0)), t))
        ids = f"{vocabulary_a.get(token, 'none')} against {vocabulary_b.get(token, 'none')}"
        return (
            f"vocabularies of {len(vocabulary_a)} and {len(vocabulary_b)} tokens, {len(differing)} of them with "
            f"another id (the first, {token!r}: {ids})"
        )
    ids_a, ids_b = (t(PROBE, add_special_tokens=False)["input_ids"] for t in (a, b))
    return "" if ids_a == ids_b else "equal vocabularies, but they split the same text differently"
