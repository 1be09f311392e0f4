"""From a plan to the things it names: learner, template, problems, evaluations, explorer, bank.

What can be refused is, before a model is loaded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2l_lab.digest import content_digest
from s2l_lab.errors import DataError, UsageError
from s2l_lab.policies import SamplingParams, open_policy
from s2l_lab.policies.checkpoint import Checkpoint, locate
from s2l_lab.policies.families import Member, named_member
from s2l_lab.policies.opening import choose_engine, choose_template, resolve_dtype
from s2l_lab.policies.templates import Template, bind_template
from s2l_lab.policies.tokenizers import load_tokenizer
from s2l_lab.problems.benchmarks import load_benchmark
from s2l_lab.rollouts import Progress, verify_with
from s2l_lab.rollouts.durable import make_folder, replacing
from s2l_lab.training.evaluation import Evaluation
from s2l_lab.verifiers import VerifierPool, verifier_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from s2l_lab.problems import Benchmark
    from s2l_lab.training.config import S2LPOConfig
    from s2l_lab.training.plan import ExplorerPlan, TrainingPlan

BANKS = "banks"
"""Folder of the banks, beside the run directories."""


@dataclass(frozen=True, slots=True)
class LearnerFiles:
    """The learner before it is loaded."""

    member: Member
    checkpoint: Checkpoint
    tokenizer: Any
    template: Template
    dtype: str

    @classmethod
    def of(cls, plan: TrainingPlan) -> LearnerFiles:
        """Raises UsageError, PolicyError for a member, template or files that are not to be had."""
        member = named_member(plan.learner.member)
        (checkpoint,) = locate([member], plan.model_root)
        tokenizer = load_tokenizer(checkpoint)
        named = choose_template(member, checkpoint, plan.learner.template)
        template = bind_template(named, tokenizer, member.name, plan.learner.prompting.over(member.prompting))
        return cls(member, checkpoint, tokenizer, template, resolve_dtype(plan.learner.dtype, checkpoint))

    def load(self) -> Any:
        """The model, in its precision."""
        from s2l_lab.policies.transformers_engine import load_causal_lm

        _, model = load_causal_lm(self.member.name, self.checkpoint.directory, self.dtype)
        return model


def training_problems(plan: TrainingPlan) -> Benchmark:
    """What is trained on."""
    wanted = plan.problems
    return load_benchmark(wanted.benchmark, n=wanted.count, seed=wanted.seed, data_root=plan.data_root)


def evaluations_of(plan: TrainingPlan, config: S2LPOConfig, trained_on: Benchmark) -> list[Evaluation]:
    """The evaluations on held-out problems. Raises UsageError for problems that are trained on, and for two evaluations
    whose files have one name."""
    found = [
        Evaluation(
            wanted,
            load_benchmark(wanted.benchmark, n=wanted.problems, data_root=plan.data_root),
            SamplingParams(
                temperature=wanted.temperature,
                top_p=wanted.top_p,
                max_tokens=wanted.max_tokens or config.max_completion_length,
                seed=wanted.seed,
            ),
        )
        for wanted in plan.evaluation
    ]
    names = [evaluation.benchmark.name for evaluation in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two evaluations are called {twice[0]}, and their results would mix. Rename one file.")
    known = {problem.id for problem in trained_on.problems}
    for evaluation in found:
        shared = [problem for problem in evaluation.benchmark.problems if problem.id in known]
        if shared:
            raise UsageError(
                f"{len(shared)} of the {len(evaluation.benchmark.problems)} problems of the evaluation "
                f"{evaluation.benchmark.name} are trained on too (the first: {shared[0].prompt[:80]!r}). Take others: "
                "another file, another [problems] seed, or fewer."
            )
    return found


def adapters_of(plan: TrainingPlan) -> Any:
    """The learner's LoraConfig of peft; None where all of its weights are trained."""
    if (wanted := plan.learner.lora) is None:
        return None
    from peft import LoraConfig

    targets = wanted.target_modules if isinstance(wanted.target_modules, str) else list(wanted.target_modules)
    return LoraConfig(
        r=wanted.r,
        lora_alpha=wanted.alpha,
        lora_dropout=wanted.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def open_explorer(
    plan: TrainingPlan, config: S2LPOConfig, learner: LearnerFiles, root: Path, problems: Benchmark
) -> Any:
    """The explorer as S2LPOTrainer takes it; None where it has no slots. `root` holds the run directories, `problems`
    are what is trained on.

    Raises UsageError for a bank that was not filled yet, PolicyError for a member that cannot be opened.
    """
    wanted = plan.explorer
    if not plan.explores or wanted is None:
        return None
    if wanted.kind == "bank":
        from s2l_lab.training.bank import RolloutBank

        return RolloutBank(
            find_bank(plan, config, root, problems),
            learner.template.render,
            first=wanted.rollouts,
            resample=wanted.resample,
            select=wanted.select,
        )
    if wanted.kind == "member":
        return _exploring_member(plan, wanted)
    return _texts_or_server(wanted, problems) or _copy_of_learner(wanted)


def _exploring_member(plan: TrainingPlan, wanted: ExplorerPlan) -> Any:
    policy = _open_member(plan, wanted)
    if not wanted.retokenise:
        return policy
    from s2l_lab.training.retokenised import RetokenisedExplorer

    return RetokenisedExplorer(policy)


def _texts_or_server(wanted: ExplorerPlan, problems: Benchmark) -> Any:
    """None for an explorer that is neither."""
    if wanted.url:
        from s2l_lab.training.served import ServedExplorer

        return ServedExplorer(wanted.url)
    if wanted.texts:
        from s2l_lab.training.text_bank import TextBank

        return TextBank(wanted.texts, problems.problems)
    return None


def _open_member(plan: TrainingPlan, wanted: ExplorerPlan) -> Any:
    assert wanted.member is not None
    member = named_member(wanted.member)
    if wanted.kind == "bank":  # its rollouts are trained on after the learner's prompts
        template: str | None = _learner_template(plan)
    elif wanted.retokenise:  # it is given whole prompts, in the learner's template, as text
        template = "raw"
    else:  # it is given token ids
        template = plan.learner.template
    bank = wanted.kind == "bank"
    prompting = plan.learner.prompting.over(_learner_member(plan).prompting) if bank else None
    return open_policy(member, engine=wanted.engine, model_root=plan.model_root, template=template, prompting=prompting)


def _learner_member(plan: TrainingPlan) -> Member:
    return named_member(plan.learner.member)


def _learner_template(plan: TrainingPlan) -> str:
    member = _learner_member(plan)
    (checkpoint,) = locate([member], plan.model_root)
    return choose_template(member, checkpoint, plan.learner.template)


def _copy_of_learner(wanted: ExplorerPlan) -> Any:
    from s2l_lab.training.perturbed import LearnerCopy, PrunedLayers, RoundedWeights, WeightNoise

    if wanted.kind == "noise":
        assert wanted.scale is not None
        return LearnerCopy(WeightNoise(wanted.scale))
    if wanted.kind == "pruned":
        return LearnerCopy(PrunedLayers(wanted.layers))
    if wanted.kind == "rounded":
        assert wanted.bits is not None
        return LearnerCopy(RoundedWeights(wanted.bits))
    return LearnerCopy()


def _bank_record(plan: TrainingPlan, config: S2LPOConfig, problems: Benchmark) -> Path:
    """The file that says where a plan's bank is, so that a bank is found without loading the explorer."""
    wanted = plan.explorer
    if not plan.explores or wanted is None or wanted.kind != "bank":
        raise UsageError('this plan draws from no bank; `[explorer]` kind = "bank" with member and rollouts does.')
    assert wanted.member is not None
    member = named_member(wanted.member)
    (checkpoint,) = locate([member], plan.model_root)
    about = {
        "source": member.source,
        "revision": checkpoint.revision,
        "template": _learner_template(plan),
        "engine": choose_engine(member, wanted.engine),
        "problems": problems.digest,
        "sampling": _bank_sampling(wanted, config).model_dump(mode="json"),
    } | plan.learner.prompting.over(_learner_member(plan).prompting).extras
    return Path(BANKS) / f"{content_digest(about)}.json"


def _bank_sampling(wanted: ExplorerPlan, config: S2LPOConfig) -> SamplingParams:
    return config.explorer_sampling.model_copy(update={"seed": wanted.seed})


def find_bank(plan: TrainingPlan, config: S2LPOConfig, root: Path, problems: Benchmark) -> Path:
    """Where the plan's bank is. Raises UsageError where it was not filled, or not far enough."""
    path = root / _bank_record(plan, config, problems)
    wanted = plan.explorer
    assert wanted is not None
    if not path.is_file():
        raise UsageError(
            f"the bank of {wanted.member} for these problems and this sampling was not filled (looked for {path}). "
            "`s2l-lab bank` with the same plan fills it."
        )
    try:
        record = json.loads(path.read_bytes())
        bank: Path = root / BANKS / str(record["bank"])
        rollouts = int(record["rollouts"])
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise DataError(f"{path} is no record of a bank: {cause}. Remove it and give `s2l-lab bank` again.") from cause
    if rollouts < (wanted.rollouts or 0):
        raise UsageError(
            f"the bank {bank} holds {rollouts} rollouts a problem, the plan wants {wanted.rollouts}. `s2l-lab bank` "
            "with this plan fills it up."
        )
    return bank


def fill_plan_bank(
    plan: TrainingPlan, config: S2LPOConfig, root: Path, *, progress: Callable[[Progress], None] = lambda _: None
) -> Path:
    """Fill the plan's bank to its number of rollouts and note where it is. What is there is not sampled again."""
    from s2l_lab.training.bank import fill_bank

    benchmark = training_problems(plan)
    record = root / _bank_record(plan, config, benchmark)
    wanted = plan.explorer
    assert wanted is not None
    assert wanted.rollouts is not None
    policy = _open_member(plan, wanted)
    try:
        with VerifierPool() as pool:
            bank = fill_bank(
                root / BANKS,
                policy,
                benchmark.problems,
                _bank_sampling(wanted, config),
                wanted.rollouts,
                verify=verify_with(pool),
                verifier_version=verifier_version(benchmark.kind),
                progress=progress,
            )
    finally:
        policy.close()
    known = json.loads(record.read_bytes())["rollouts"] if record.is_file() else 0
    make_folder(record.parent)
    with replacing(record) as stream:
        stream.write(json.dumps({"bank": bank.name, "rollouts": max(wanted.rollouts, known)}).encode())
    return bank
