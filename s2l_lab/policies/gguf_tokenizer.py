"""The tokenizer inside a GGUF file, as transformers has it: the same ids as llama.cpp gives for the same text.

Built from the file's own metadata: vocabulary, merges, which tokens are special, how text is split before merging
(`tokenizer.ggml.pre` names it), which ids begin and end a text. (transformers' own conversion splits every text as
GPT-2 does, and mistakes the first token for the last.) Byte-level BPE is read, the kind `gpt2` of GGUF; SentencePiece
and others are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2l_lab.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_QWEN2 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_QWEN35 = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
)
SPLITS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling"), (_GPT2,)),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"), (r"\p{N}", _GPT2)),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "dbrx", "smaug-bpe"), (_LLAMA3,)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2"), (_QWEN2,)),
    "qwen35": (_QWEN35,),
}
"""What a text is split at before tokens are merged, by the name that GGUF files have for it: every match is a piece of
its own, and later patterns split the pieces further."""
WHOLE_WORDS = ("llama-bpe", "llama3", "llama-v3")
"""Splits whose pieces are taken whole where the vocabulary has them, and before whose texts the BOS is written, unless
the file says otherwise."""
_CONTROL, _USER_DEFINED = 3, 4
"""Token types that are found in a text before it is split; a control token is left out of what is read."""


def check_tokenizer(metadata: Mapping[str, Any], path: object) -> None:
    """Raise PolicyError for a tokenizer that is not read here."""
    kind = metadata.get("tokenizer.ggml.model")
    if kind is None:
        raise PolicyError(f"{path} holds no tokenizer. {_other_way(path)}")
    if kind != "gpt2":
        raise PolicyError(
            f"{path} has a tokenizer of the kind {kind!r}; byte-level BPE ('gpt2') alone is read from GGUF files. "
            f"{_other_way(path)}"
        )
    pre = metadata.get("tokenizer.ggml.pre", "default")
    if pre not in SPLITS:
        raise PolicyError(
            f"{path} splits text by {pre!r} (tokenizer.ggml.pre), which is not known here; known are "
            f"{', '.join(sorted(SPLITS))}. {_other_way(path)}"
        )


def tokenizer_of(metadata: Mapping[str, Any]) -> Any:
    """The transformers tokenizer of a file that `check_tokenizer` has let pass."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokens = [str(token) for token in metadata["tokenizer.ggml.tokens"]]
    types = list(metadata.get("tokenizer.ggml.token_type", ()))
    pre = metadata["tokenizer.ggml.pre"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={token: i for i, token in enumerate(tokens)},
            merges=merges,
            ignore_merges=pre in WHOLE_WORDS,
        )
    )
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in SPLITS[pre]]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    # In order of ids, which adding keeps: each is in the vocabulary already.
    for token, kind in zip(tokens, types, strict=False):
        if kind == _CONTROL:
            tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)])
        elif kind == _USER_DEFINED:
            tokenizer.add_tokens([AddedToken(token, normalized=False, special=False)])

    def named(role: str) -> str | None:
        i = metadata.get(f"tokenizer.ggml.{role}_token_id")
        return tokens[i] if isinstance(i, int) and 0 <= i < len(tokens) else None

    bos, eos = named("bos"), named("eos")
    before = [bos] if bos and metadata.get("tokenizer.ggml.add_bos_token", pre in WHOLE_WORDS) else []
    after = [eos] if eos and metadata.get("tokenizer.ggml.add_eos_token", False) else []
    if before or after:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[*before, "$A", *after],
            pair=[*before, "$A", *after, *before, "$B", *after],
            special_tokens=[(token, tokens.index(token)) for token in {*before, *after}],
        )
    context = _context(metadata)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        unk_token=named("unknown"),
        pad_token=named("padding"),
        clean_up_tokenization_spaces=False,
        **({} if context is None else {"model_max_length": context}),
    )
    fast.chat_template = metadata.get("tokenizer.chat_template")
    return fast


def end_ids(metadata: Mapping[str, Any]) -> list[int]:
    """Ids that end a completion: the EOS and, where a turn has an end of its own, that one."""
    ids = [metadata.get(f"tokenizer.ggml.{role}_token_id") for role in ("eos", "eot")]
    return list(dict.fromkeys(i for i in ids if isinstance(i, int)))


def _context(metadata: Mapping[str, Any]) -> int | None:
    value = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    return value if isinstance(value, int) else None


def _other_way(path: object) -> str:
    return f"llama.cpp may serve it: llama-server -m {path} --port 8080, then --policy NAME=http://localhost:8080/v1."
