"""The transformers engine: a member's checkpoint in this process, drawn from by our own sampler (sampler.py).

For small models on a CPU and for one GPU; every architecture whose model takes `past_key_values` runs. Weights are read
from safetensors only. A completion longer than the model's context is cut there and counts as LENGTH; only a prompt
that leaves no room at all is an error, raised before anything is sampled.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from s2l_lab.digest import content_digest
from s2l_lab.errors import PolicyError
from s2l_lab.policies.checkpoint import fingerprint
from s2l_lab.policies.keyed_sampler.packed_linear import pack_linears
from s2l_lab.policies.keyed_sampler.sampler import Sampler, promises_bits
from s2l_lab.policies.policy import Draw, Draws, ModelShape, SamplingParams
from s2l_lab.policies.stopping import eos_ids
from s2l_lab.policies.templates import encode_prompt
from s2l_lab.policies.waves import Prompted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from s2l_lab.problems import Problem

_DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_LOAD_ERRORS = (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError)


class TransformersPolicy:
    """A loaded model, its tokenizer and its template as a Policy.

    `weights` and `template_digest` identify what the arguments are: they, the name and the precision make the digest,
    so two different models must never be given one identity. `memory_budget` in bytes bounds what a batch may take.
    `exact` promises draws to the bit, or does not; None leaves it to the sampler's rule (sampler.py), which is a
    function of the model and its device. Departing from the rule can change a draw by rounding, so it is part of the
    digest.
    """

    engine = "transformers"

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Any,
        render: Callable[[Problem], str],
        *,
        weights: str,
        template_digest: str,
        memory_budget: int | None = None,
        exact: bool | None = None,
    ) -> None:
        """Raises PolicyError for a tokenizer of another model, and where `exact` cannot be promised."""
        self.name = name
        self.shape: ModelShape | None = loaded_shape(model)
        dtype = str(model.dtype).removeprefix("torch.")
        if len(tokenizer) > self.shape.vocabulary:
            raise PolicyError(
                f"{name}: its tokenizer has {len(tokenizer)} tokens and its model only {self.shape.vocabulary} "
                "embeddings; they do not belong together. Give the model the tokenizer it was trained with."
            )
        self.tokenizer, self._render, self._model = tokenizer, render, model.eval()
        self.eos_ids = eos_ids(model, tokenizer)
        sampler = Sampler(model, tokenizer, name, memory_budget=memory_budget, exact=exact)
        self._sampler: Sampler | None = sampler
        self.exact = sampler.exact
        """True where a draw is equal to the bit whatever is sampled beside it."""
        departs = [] if self.exact == promises_bits(model) else [f"exact={self.exact}"]
        self.digest = content_digest([self.engine, name, weights, template_digest, dtype, *departs])

    @classmethod
    def load(
        cls,
        name: str,
        directory: Path,
        revision: str | None,
        render: Callable[[Problem], str],
        template_digest: str,
        dtype: str,
        device: str | None = None,
        trust_remote_code: bool = False,
        exact: bool | None = None,
    ) -> TransformersPolicy:
        """Load the checkpoint in `directory`. Raises PolicyError if it does not load whole.

        `revision` identifies the files (a commit, or `sha256:...`: checkpoint.py); None hashes them. `dtype` is one of
        float32, bfloat16, float16, float64; `device` None is the first GPU where there is one, else the CPU.
        """
        where = device or ("cuda" if torch.cuda.is_available() else "cpu")
        tokenizer, model = load_causal_lm(name, directory, dtype, trust_remote_code)
        model = model.to(where).eval()
        pack_linears(model)
        weights = revision or f"sha256:{fingerprint(directory)}"
        return cls(name, model, tokenizer, render, weights=weights, template_digest=template_digest, exact=exact)

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        """Draws as they finish; the same for a key whatever else is asked for. Prompts are checked before the first.

        Raises PolicyError for a prompt that leaves no room in the model's context, and for NaN or infinite logits.
        """
        prompted = [
            Prompted(request.problem.id, self._encode(request.problem), request.indices)
            for request in requests
            if request.indices
        ]
        return self.sample_prompts(prompted, sampling)

    def sample_prompts(self, prompts: Sequence[Prompted], sampling: SamplingParams) -> Iterator[Draw]:
        """As `sample`, for prompts that are token ids already: training gives those that the learner saw."""
        sampler = self._open()
        for prompt in prompts:
            self._require_room(prompt.problem_id, prompt.prompt_ids, sampler.context)
        return sampler.sample(prompts, sampling, self.digest)

    @property
    def model(self) -> Any:
        """The loaded causal LM, for reading only: its linear layers may be packed and then have no gradient."""
        self._open()
        return self._model

    def encode(self, problem: Problem) -> tuple[int, ...]:
        """Token ids of the templated prompt, as `sample` gives them to the model.

        Raises PolicyError for a prompt without tokens, or one that leaves no room in the model's context.
        """
        ids = self._encode(problem)
        self._require_room(problem.id, ids, self._open().context)
        return ids

    def prompt(self, problem: Problem) -> str:
        """The text that a completion of this problem continues, special tokens written out."""
        return self._render(problem)

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        self._sampler = self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _open(self) -> Sampler:
        if self._sampler is None:
            raise PolicyError(f"{self.name} was closed; open it again to sample.")
        return self._sampler

    def _encode(self, problem: Problem) -> tuple[int, ...]:
        return encode_prompt(self.tokenizer, self.prompt(problem))

    def _require_room(self, problem_id: str, prompt_ids: Sequence[int], context: int | None) -> None:
        if not prompt_ids:
            raise PolicyError(f"{self.name}: the prompt of problem {problem_id} has no tokens; use another template.")
        if context is not None and len(prompt_ids) >= context:
            raise PolicyError(
                f"{self.name}: the prompt of problem {problem_id} has {len(prompt_ids)} tokens and the model's context "
                f"is {context}, which leaves no room for a completion. Leave the problem out, or use a longer model."
            )


def load_causal_lm(name: str, directory: Path, dtype: str, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """Tokenizer and model, on the CPU. Weights that the checkpoint lacks are an error, not initialised at random.

    Raises PolicyError if the checkpoint does not load whole, or for an unknown dtype.
    """
    if dtype not in _DTYPES:
        raise PolicyError(f"{name}: dtype {dtype!r} is not one of {', '.join(_DTYPES)}.")
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # the command line draws its own
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=trust_remote_code)
        model, report = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=_DTYPES[dtype],
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except _LOAD_ERRORS as error:
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        remote = "" if trust_remote_code else " If it needs code of its own, --trust-remote-code allows it to run."
        raise PolicyError(
            f"{name}: the checkpoint in {directory} does not load: {reason}. It needs a whole config.json, tokenizer "
            f"files and *.safetensors; fetch or write them again.{remote}"
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()
    if missing := sorted(report["missing_keys"]):
        raise PolicyError(
            f"{name}: the checkpoint in {directory} lacks {len(missing)} of its model's weights ({missing[0]}, ...). "
            "They would be random numbers. Fetch or write the *.safetensors files again."
        )
    return tokenizer, model


def weights_digest(model: Any) -> str:
    """Identity of the weights, by their bytes."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(name.encode())
        digest.update(raw.numpy().tobytes())
    return f"sha256:{digest.hexdigest()[:16]}"


def loaded_shape(model: Any) -> ModelShape:
    """Size and shape of a loaded causal language model, as compute accounting needs them."""
    config = model.config.get_text_config(decoder=True)
    total = sum(p.numel() for p in model.parameters())  # tied parameters are listed once
    tables = {id(m.weight): m.weight.numel() for m in (model.get_input_embeddings(), model.get_output_embeddings())}
    return ModelShape(
        parameters=total,
        non_embedding_parameters=total - sum(tables.values()),
        width=config.hidden_size,
        vocabulary=model.get_output_embeddings().weight.shape[0],
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
    )
