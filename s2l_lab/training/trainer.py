"""S2LPOTrainer: TRL's GRPOTrainer with part of each group sampled by an explorer (arXiv 2605.30789, Algorithm 1).

Six methods are overridden, and nothing else differs:

    _tokenize_prompts                    prompts that are text are encoded as samplers, banks and scoring encode them
    _generate_single_turn                the explorer's rows of every group come from the explorer; nothing of the
                                         checkpoint's own generation config shapes the learner's
    _calculate_rewards                   the rewards are kept, since TRL's batch does not hold them
    _generate_and_score_completions      the batch gets the explorer's rows and log-probabilities; `split` baselines
    _get_per_token_logps_and_entropies   the learner's log-probabilities are kept where the loss computes them, and the
                                         ratio's denominator and the weights are made of them: no extra forward pass
    _compute_loss                        hands its batch to the former, logs by source, refuses a loss that is no number

The others call super and return its result untouched when the model is not training or the round has no explorer slots.
So with explorer fraction 0 this *is* GRPOTrainer: losses, parameters and RNG states are equal bit for bit on the
transformers engine, given one resolved config and equal threads, a tokenizer that adds no special tokens to a text and
a checkpoint without sampling settings of its own. Nothing here draws from a global generator.

Where a tokenizer adds a BOS, TRL adds it to every prompt that is text, also to one that holds it already. Here a prompt
is whole: it holds every special token that it should have (templates.py), and none is added.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import torch
from trl import GRPOTrainer
from trl.trainer.utils import pad

from s2l_lab.errors import UsageError
from s2l_lab.policies.stopping import eos_ids
from s2l_lab.policies.templates import added_bos, encode_prompt
from s2l_lab.policies.transformers_engine import loaded_shape
from s2l_lab.training import arguments
from s2l_lab.training.advantages import split_advantages, summed_rewards
from s2l_lab.training.config import S2LPOConfig
from s2l_lab.training.correction import DEFAULT_GAMMA, WITHOUT_PROBABILITIES, correct
from s2l_lab.training.cost import Cost, CostCallback
from s2l_lab.training.data_order import DataOrder
from s2l_lab.training.explorer import Explorer, ExplorerFunction, Learner, Request, check_rollouts
from s2l_lab.training.generation import length_to_eos, neutral_generation
from s2l_lab.training.metrics import ExplorerTokens, round_metrics
from s2l_lab.training.recording import RecordedRollout
from s2l_lab.training.rounds import Round, begin, count
from s2l_lab.training.stops import SilenceWatch, all_finite, require_finite, require_scored, require_weight

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from datasets import Dataset, IterableDataset
    from peft import PeftConfig, PeftModel
    from transformers import BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

    from s2l_lab.policies import Policy

PAPER = {
    "title": "Smaller Models are Natural Explorers for Policy-Level Diversity in GRPO",
    "id": "2605.30789",
    "citation": """@inproceedings{ren2026smaller,
    title     = {{Smaller Models are Natural Explorers for Policy-Level Diversity in GRPO}},
    author    = {Ren, Yiming and Xu, Yiran and Lin, Zicheng and Shi, Chufan and Chen, Yukang and Wang, Dingdong and
                 Wu, Tianhe and Wang, Junjie and Yang, Yujiu and Qiao, Yu and Chu, Ruihang},
    booktitle = {International Conference on Machine Learning},
    year      = 2026,
    eprint    = {arXiv:2605.30789},
}""",
}
"""As TRL's model cards name a trainer's paper."""


class S2LPOTrainer(GRPOTrainer):  # type: ignore[misc]  # trl has no types
    r"""TRL's GRPOTrainer, with the explorer's slots of every group filled by `explorer`.

    Args:
        model: the learner, as TRL takes it: hub id, directory, PreTrainedModel or PeftModel; or a known member's name
            (`"tiny-2m"`; `s2l-lab families` lists them), with its pinned revision.
        reward_funcs: one reward or several, as TRL takes them. A function gets B prompts, B completions and the
            dataset's columns, and returns B numbers; None leaves a rollout out of its group's baseline.
        args: S2LPOConfig, whose fields say what is valid (`TrlParser(S2LPOConfig)` with `--help` shows them). None is
            the paper's, into the folder `<last part of the model's name>-S2L-PO`.
        train_dataset: has a column `prompt`: messages, or texts that hold every special token that they should have,
            as the templates of s2l_lab write them. An epoch must fill whole optimiser steps.
        eval_dataset, processing_class, reward_processing_classes, callbacks, optimizers, quantization_config,
            peft_config: as in TRL. Evaluation samples the learner alone.
        tools, rollout_func, environment_factory: refused, since the learner would generate in the explorer's place.
        explorer: who samples the explorer's slots, with the learner's tokenizer and EOS set. One of

            - a hub id, a directory, a known member's name, or `NAME=SOURCE`, opened by `open_policy`;
            - a policy that `open_policy` gave, by the transformers or the vllm engine;
            - addresses of servers of one model, `["http://localhost:8000/v1"]`: `vllm serve` gives token ids and
              log-probabilities (`ServedExplorer`);
            - a PreTrainedModel other than the learner; its tokenizer is the one of the files it was loaded from;
            - a bank of kept rollouts: `RolloutBank(path, render)`;
            - texts that others wrote: a `datasets.Dataset` with prompts and completions, a .jsonl or .parquet file or a
              directory of `save_to_disk` (`TextBank` says which columns), with correction "none" or "luffy";
            - a copy of the learner: `LearnerCopy(...)`;
            - a policy with another tokenizer, or an endpoint: `RetokenisedExplorer(policy)`;
            - a function of (prompts, sampling) that returns completions or (completions, logprobs), all as lists of
              lists, one for each rollout that is wanted: `FunctionExplorer` says what they hold;
            - None where explorer_fraction is 0, and only there.

    With explorer_fraction 0 this is GRPOTrainer, step for step.

    Raises:
        UsageError: arguments or options that do not go together; an explorer that is none of these, is unknown, is
            missing, or would never be asked.
        PolicyError: an explorer's files that cannot be used, or another tokenizer or EOS set than the learner's.
        DataError: a path without a bank; a prompt of the dataset that is not in it.
        TrainingStoppedError: while training, what would train on something unknown or not finite.

    Example:
        >>> from datasets import Dataset
        >>> from s2l_lab.training import S2LPOConfig, S2LPOTrainer
        >>> def brief(completions, **columns):
        ...     return [-float(len(text)) for text in completions]
        >>> args = S2LPOConfig("brief", num_generations=4, per_device_train_batch_size=8, max_completion_length=12,
        ...                    max_steps=2, save_strategy="no", use_cpu=True, bf16=False)
        >>> prompts = Dataset.from_dict({"prompt": ["3 7 8 12=52\n", "1 5 6 7=40\n"]})
        >>> trainer = S2LPOTrainer("tiny-360k", brief, args, prompts, explorer="tiny-60k")
        >>> trainer.train().global_step  # doctest: +ELLIPSIS
        {'train_runtime': ...rollout compute relative to GRPO: ...
        2

    Source: arXiv 2605.30789, Algorithm 1.
    """

    _tag_names = ["trl", "s2l-po"]  # noqa: RUF012  # TRL's own attributes, for the model card
    _name = "S2L-PO"
    _paper = PAPER

    def __init__(
        self,
        model: str | PreTrainedModel | PeftModel,
        reward_funcs: str | PreTrainedModel | Callable[..., list[float | None]] | list[Any] | None = None,
        args: S2LPOConfig | None = None,
        train_dataset: Dataset | IterableDataset | None = None,
        eval_dataset: Dataset | IterableDataset | dict[str, Dataset | IterableDataset] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        reward_processing_classes: PreTrainedTokenizerBase | list[PreTrainedTokenizerBase] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[torch.optim.Optimizer | None, torch.optim.lr_scheduler.LambdaLR | None] = (None, None),
        quantization_config: BitsAndBytesConfig | None = None,
        peft_config: PeftConfig | None = None,
        tools: None = None,
        rollout_func: None = None,
        environment_factory: None = None,
        *,
        explorer: (
            str | Path | Sequence[str] | Dataset | Policy | PreTrainedModel | Explorer | ExplorerFunction | None
        ) = None,
    ) -> None:
        if args is None:
            args = arguments.default_config(model)
        if not isinstance(args, S2LPOConfig):
            raise UsageError(f"S2LPOTrainer needs args=S2LPOConfig(...), {type(args).__name__} was given.")
        unused = {"tools": tools, "rollout_func": rollout_func, "environment_factory": environment_factory}
        arguments.check_arguments(args, model, explorer, train_dataset, unused)
        self.explorer: Explorer | None = None if explorer is None else arguments.explorer_of(explorer, args)
        self._round: Round | None = None
        self._micro_batch: dict[str, Any] | None = None
        self._silence = SilenceWatch()
        self.round_seconds = 0.0
        """Spent in generating and scoring, all rounds together."""
        self.cost = Cost()
        self.on_round: Callable[[list[RecordedRollout]], None] | None = None
        """Called in every process with its rows of a round, once they are scored. Rows need a column `problem_id`."""
        super().__init__(
            arguments.member_files(model) if isinstance(model, str) else model,
            reward_funcs,
            args,
            train_dataset,
            eval_dataset,
            processing_class,
            reward_processing_classes,
            callbacks,
            optimizers,
            quantization_config,
            peft_config,
        )
        if self._is_vlm:
            raise UsageError("S2L-PO trains on text: explorers take token ids alone. Give a tokenizer, no processor.")
        unwrapped = self.accelerator.unwrap_model(self.model)
        base = unwrapped.get_base_model() if hasattr(unwrapped, "peft_config") else unwrapped
        self._learner_shape = loaded_shape(base)
        self._end_at(sorted(eos_ids(base, self._tokenizer)))
        self._bos = added_bos(self._tokenizer)
        if self.explorer is not None:
            if hasattr(self.train_dataset, "__len__"):
                arguments.check_epoch(self.args, len(self.train_dataset))
            self._bind(self.explorer, unwrapped)
        self.add_callback(CostCallback(self))
        self.add_callback(DataOrder(self))

    def _end_at(self, ids: list[int]) -> None:
        """One set ends a completion, of the learner as of any sampler: TRL by itself leaves out that of config.json."""
        self.eos_token_ids = ids
        if not self.use_vllm and "eos_token_id" not in (self.args.generation_kwargs or {}):
            self.generation_config.eos_token_id = ids

    def _bind(self, explorer: Explorer, model: Any) -> None:
        self._vocabulary = model.get_input_embeddings().weight.shape[0]
        learner = Learner(
            model=model,
            tokenizer=self._tokenizer,
            eos_ids=frozenset(self.eos_token_ids),
            vocabulary=self._vocabulary,
            correction=self.args.correction,
            sharded=bool(self.is_deepspeed_enabled or self.is_fsdp_enabled),
            dataset=self.train_dataset,
            encode=lambda prompt: self._tokenize_prompts([prompt])[0][0],
            most=self.args.annealing(rounds=1).slots(self.num_generations, 1),
        )
        explorer.bind(learner, self.args.explorer_sampling)

    # The round.

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)  # type: ignore[no-any-return]
        prompts = len(self.train_dataset) if hasattr(self.train_dataset, "__len__") else None
        self._round = begin(self.args, self.state.global_step, self._step, self.state.max_steps, prompts)
        started = time.perf_counter()
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self._round.slots:
            self._add_sources(batch)
        self._account(batch)
        if self.on_round is not None:
            self.on_round(self._recorded(inputs))
        self.round_seconds += time.perf_counter() - started
        return batch

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], Any, dict[str, Any]]:
        if not isinstance(prompts[0], str):  # messages: their chat template writes the special tokens
            return super()._tokenize_prompts(prompts)  # type: ignore[no-any-return]
        if self._bos and not all(prompt.startswith(self._bos) for prompt in prompts):
            warnings.warn(
                f"the learner's tokenizer puts {self._bos!r} before a text, and a prompt of the dataset does not begin "
                "with it. Prompts are trained on as they stand. Unless that is meant, write them by "
                "bind_template(...).render, as samplers do.",
                stacklevel=2,
            )
        return [list(encode_prompt(self._tokenizer, prompt)) for prompt in prompts], None, {}

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: Any,
        multimodal_fields: dict[str, Any],
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        turn = self._turn
        if not self.model.training or self._round is None:
            return turn(prompt_ids, images, multimodal_fields, num_generations, has_tool_images)
        this, G = self._round, num_generations
        own = [i for i in range(len(prompt_ids)) if not this.explorer_G[i % G]]
        completions: list[list[int]] = [[] for _ in prompt_ids]
        # NaN keeps TRL's correction for vLLM on for the learner's rows and leaves the explorer's at 1.
        logprobs: list[list[float]] | None = [[] for _ in prompt_ids] if self.use_vllm else None
        started = time.perf_counter()
        if own:
            rows = prompt_ids if len(own) == len(prompt_ids) else [prompt_ids[i] for i in own]
            ids, sampled = turn(rows, images, multimodal_fields, G - this.slots, has_tool_images)
            for place, i in enumerate(own):
                completions[i] = ids[place]
                if logprobs is not None and sampled is not None:
                    logprobs[i] = sampled[place]
            logprobs = None if sampled is None else logprobs
        this.learner_seconds = time.perf_counter() - started
        this.behaviour_B = [()] * len(prompt_ids)
        if this.slots:
            self._explore(prompt_ids, completions, logprobs)
            this.explorer_seconds = time.perf_counter() - started - this.learner_seconds
        this.completions_B = completions
        this.lengths_B = [(len(p), len(c)) for p, c in zip(prompt_ids, completions, strict=True)]
        return completions, logprobs

    def _turn(self, *given: Any) -> tuple[list[list[int]], list[list[float]] | None]:
        """TRL's own turn, shaped by the config alone, to the first EOS: a vLLM engine does not know the whole set."""
        with neutral_generation(self.accelerator.unwrap_model(self.model)):
            ids, logprobs = super()._generate_single_turn(*given)
        if not self.use_vllm:
            return ids, logprobs
        lengths = [length_to_eos(row, self.eos_token_ids) for row in ids]
        cut = [row[:length] for row, length in zip(ids, lengths, strict=True)]
        return cut, [row[:length] for row, length in zip(logprobs, lengths, strict=True)]

    def _explore(
        self, prompt_ids: list[list[int]], completions: list[list[int]], logprobs: list[list[float]] | None
    ) -> None:
        """Fill the explorer's rows in place."""
        this, G = self._round, self.num_generations
        assert this is not None
        assert self.explorer is not None
        groups = len(prompt_ids) // G
        first = ((this.index - 1) * self.accelerator.num_processes + self.accelerator.process_index) * groups
        requests = [
            Request(tuple(prompt_ids[p * G]), this.slots, first + p, this.index, this.drawn) for p in range(groups)
        ]
        answers = self.explorer.explore(requests, G)
        check_rollouts(self.explorer.name, requests, answers, self.max_completion_length, self._vocabulary)
        rows = [i for i in range(len(prompt_ids)) if this.explorer_G[i % G]]
        for i, rollout in zip(rows, (rollout for group in answers for rollout in group), strict=True):
            completions[i] = list(rollout.token_ids)
            this.behaviour_B[i] = rollout.logprobs
            if logprobs is not None:
                logprobs[i] = [float("nan")] * len(rollout.token_ids)

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        rewards: torch.Tensor = super()._calculate_rewards(*args, **kwargs)
        if self.model.training and self._round is not None:
            self._round.rewards_per_func = rewards
        return rewards

    def _rewards(self) -> torch.Tensor:
        """(P, G) rewards of all processes; NaN where unscored."""
        assert self._round is not None
        assert self._round.rewards_per_func is not None
        return summed_rewards(self._round.rewards_per_func, self.reward_weights, self.num_generations)

    def _add_sources(self, batch: dict[str, Any]) -> None:
        """Who sampled each row, with which log-probabilities; `split` advantages."""
        this, advantages = self._round, batch["advantages"]
        assert this is not None
        explorer_G = torch.tensor(this.explorer_G, device=advantages.device)
        batch["explorer"] = explorer_G.repeat(len(advantages) // self.num_generations)
        width = batch["completion_ids"].size(1)
        padded_BT = pad([torch.tensor(values) for values in this.behaviour_B], padding_value=0.0).to(advantages.device)
        batch["behaviour_logps"] = torch.nn.functional.pad(padded_BT, (0, width - padded_BT.size(1)))
        if self.args.grouping == "split":
            rewards_PG = self._rewards()
            split_PG = split_advantages(
                rewards_PG,
                explorer_G.expand_as(rewards_PG),
                scale=self.scale_rewards != "none",
                lone=self.args.lone_rollout,
            )
            first = self.accelerator.process_index * len(advantages)
            batch["advantages"] = split_PG.view(-1)[first : first + len(advantages)].to(advantages.dtype)
            for _ in range(split_PG.numel()):
                self._logs["advantages"].pop()
            self._logs["advantages"].extend(split_PG.view(-1).tolist())

    def _account(self, batch: dict[str, Any]) -> None:
        """Metrics and cost of the round, over all processes; stops and warnings."""
        this, G, device = self._round, self.num_generations, self.accelerator.device
        assert this is not None
        lengths = self.accelerator.gather(torch.tensor(this.lengths_B, device=device))
        rewards_PG = self._rewards()
        explorer_PG = torch.tensor(this.explorer_G, device=device).expand_as(rewards_PG)
        advantages_PG = self.accelerator.gather(batch["advantages"]).view(-1, G)
        found = round_metrics(rewards_PG, advantages_PG, lengths[:, 1].view(-1, G), explorer_PG)
        count(
            self.cost,
            this,
            lengths.tolist(),
            explorer_PG.reshape(-1).tolist(),
            learner_shape=self._learner_shape,
            explorer_shape=self.explorer.shape if self.explorer else self._learner_shape,
        )
        for iteration in range(self.num_iterations):
            self.cost.add_updates(
                lengths.tolist(),
                shape=self._learner_shape,
                checkpointing=self.args.gradient_checkpointing,
                reference=self.beta != 0 and iteration == 0,
                old="old_per_token_logps" in batch and iteration == 0,
            )
        found |= {"round": this.index, "explorer/slots": this.slots}
        for name, value in found.items():
            self._metrics["train"][name].append(value)
        self._metrics["train"].update({name: [value] for name, value in self.cost.metrics().items()})  # running totals
        require_scored(found["unscored"], this.index, self.args.output_dir)
        self._silence.see(found["zero_variance_groups"], rewards_PG.nanmean().item())

    def _recorded(self, inputs: list[dict[str, Any]]) -> list[RecordedRollout]:
        """This process's rows, in order."""
        this, G = self._round, self.num_generations
        assert this is not None
        first = ((this.index - 1) * self.accelerator.num_processes + self.accelerator.process_index) * len(inputs)
        return [
            RecordedRollout(
                row["problem_id"],
                first + i,
                "explorer" if this.explorer_G[i % G] else "learner",
                tuple(this.completions_B[i]),
                this.behaviour_B[i],
                this.lengths_B[i][0],
            )
            for i, row in enumerate(inputs)
        ]

    # The loss.

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        if not self.model.training:
            return super()._compute_loss(model, inputs)  # type: ignore[no-any-return]
        if "explorer" in inputs:
            self._micro_batch = inputs = dict(inputs)  # the buffer keeps what later passes over the round need
        loss: torch.Tensor = super()._compute_loss(model, inputs)  # may call the method below
        self._micro_batch = None
        bad = all_finite(loss)
        if self.accelerator.num_processes > 1:
            bad = self.accelerator.reduce(bad, reduction="sum")
        require_finite(not bool(bad), self.state.global_step, self.args.output_dir)
        return loss

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        result = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        if self._micro_batch is not None:
            self._correct(self._micro_batch, result[0])
        return result

    def _correct(self, batch: dict[str, Any], logps_BT: torch.Tensor) -> None:
        """Denominators and weights for the loss that is being computed; TRL reads both after its forward pass.

        Where TRL keeps no old log-probabilities there is one update per generation, so those of now are the old ones.
        """
        old_BT = batch.get("old_per_token_logps")
        old_BT = logps_BT.detach() if old_BT is None else old_BT
        mask_BT, advantages_B1 = batch["completion_mask"], batch["advantages"].unsqueeze(1)
        args = self.args
        found = correct(
            args.correction,
            logps_BT,
            old_BT,
            batch["behaviour_logps"],
            batch["explorer"],
            mask_BT,
            args.correction_cap or 1.0,
            args.correction_gamma or DEFAULT_GAMMA,
        )
        if args.correction != "none":
            batch["old_per_token_logps"] = found.denominator_BT
            batch["advantages"] = advantages_B1 * found.weight_BT
        tokens = ExplorerTokens.of(
            logps_BT,
            found,
            advantages_B1,
            batch["explorer"],
            mask_BT,
            (self.epsilon_low, self.epsilon_high, args.delta),
        )
        self._see_tokens(tokens)

    def _see_tokens(self, tokens: ExplorerTokens) -> None:
        """Sum over a pass; at its end log, and after the first one ask whether the explorer still counts."""
        this, micro_steps = self._round, self.args.steps_per_generation
        assert this is not None
        this.tokens = tokens if this.tokens is None else this.tokens + tokens
        if self._step % micro_steps != micro_steps - 1:
            return
        seen = ExplorerTokens(self.accelerator.reduce(this.tokens.sums, reduction="sum"))
        this.tokens = None
        for name, value in seen.metrics().items():
            self._metrics["train"][name].append(value)
        if (
            self.args.correction not in WITHOUT_PROBABILITIES
            and self._step % self.args.micro_steps_per_round == micro_steps - 1
        ):
            require_weight(seen.weight, self.args.explorer_weight_floor, self.args.correction, this.index)
