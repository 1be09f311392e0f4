"""The config: the paper's defaults, and every combination that is refused says why and what to do."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tiny_training import SETTINGS, config, dataset, explorer, learner, reward, s2l, tokenizer
from trl import GRPOConfig, TrlParser

from s2l_lab.errors import DataError, PolicyError, UsageError
from s2l_lab.policies import open_policy
from s2l_lab.training import S2LPOConfig, S2LPOTrainer


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    found = S2LPOConfig(str(tmp_path), use_cpu=True, bf16=False)
    assert (found.num_generations, found.max_completion_length, found.learning_rate) == (16, 4096, 1e-6)
    assert (found.lr_scheduler_type, found.weight_decay, found.warmup_steps) == ("constant", 0.01, 0)
    assert (found.beta, found.delta, found.epsilon, found.loss_type) == (1e-3, 3.0, 0.2, "dapo")
    assert (found.temperature, found.top_p, found.num_iterations) == (1.0, 1.0, 1)
    schedule = found.annealing(rounds=16)
    assert [schedule.slots(16, i) for i in range(1, 17)] == [16, 14, 12, 10, 7, 5, 3, 0] + [0] * 8


def test_trls_parser_shows_every_field_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        TrlParser(S2LPOConfig).parse_args_and_config(["--help"])
    assert caught.value.code == 0
    shown = "".join(capsys.readouterr().out.split())  # argparse breaks lines, also at hyphens
    theirs = {field.name: field.metadata.get("help") for field in dataclasses.fields(GRPOConfig)}
    ours = [field for field in dataclasses.fields(S2LPOConfig) if field.name in S2LPOConfig.__annotations__]
    assert len(ours) == len(S2LPOConfig.__annotations__)
    for field in ours:
        assert field.metadata["help"] != theirs.get(field.name), f"{field.name}: another default, another help text"
        assert "".join(field.metadata["help"].split()) in shown, field.name


def test_trls_parser_reads_a_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser, common = TrlParser(S2LPOConfig), ["--output_dir", str(tmp_path), "--use_cpu", "--bf16", "False"]
    asked = [*common, "--schedule", "cosine", "--mix_steps", "3", "--correction", "masked", "--explorer_fraction", ".5"]
    (found,) = parser.parse_args_and_config(asked)
    same = S2LPOConfig(
        str(tmp_path),
        use_cpu=True,
        bf16=False,
        schedule="cosine",
        mix_steps=3,
        correction="masked",
        explorer_fraction=0.5,
    )
    assert found.to_dict() == same.to_dict()
    with pytest.raises(SystemExit):
        parser.parse_args_and_config([*common, "--grouping", "alternate"])
    assert "invalid choice: 'alternate'" in capsys.readouterr().err
    with pytest.raises(UsageError, match="mix_steps would be ignored"):
        parser.parse_args_and_config([*common, "--schedule", "constant", "--mix_steps", "3"])


def test_rounds_and_the_default_mix(tmp_path: Path) -> None:
    found = config(tmp_path, gradient_accumulation_steps=2, num_iterations=2)
    assert found.micro_steps_per_round == 4
    assert [found.rounds(steps) for steps in (1, 2, 3, 16)] == [1, 1, 2, 8]
    assert found.annealing(8).mix_steps == 4
    assert found.annealing(1).mix_steps == 1
    assert config(tmp_path, explorer_fraction=0.3).annealing(4).fraction == Fraction(3, 10)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schedule": "lineal"}, "unknown schedule 'lineal'. Did you mean linear"),
        ({"correction": "behavior"}, "Did you mean behaviour"),
        ({"grouping": "alternate"}, "unknown grouping 'alternate'"),
        ({"explorer_fraction": 1.2}, "cannot have more slots than the group"),
        ({"mix_steps": 0}, "mix_steps counts rounds"),
        ({"explorer_temperature": 0.0}, "explorer_temperature lies above 0"),
        ({"explorer_top_p": 1.5}, "explorer_top_p lies above 0, up to 1"),
        ({"explorer_weight_floor": 1.0}, "explorer_weight_floor"),
        ({"correction": "masked", "correction_cap": 0.5}, "correction_cap is above 1"),
        ({"correction_cap": 2.0}, "correction_cap would be ignored"),
        ({"schedule": "constant", "mix_steps": 3}, "mix_steps would be ignored"),
        ({"lone_rollout": "released"}, "a mixed group has no lone rollout"),
        ({"slot_rounding": "released", "schedule": "cosine"}, "only linear"),
        ({"grouping": "split", "scale_rewards": "batch"}, "one deviation of the whole batch"),
        ({"grouping": "split", "multi_objective_aggregation": "normalize_then_sum"}, "sum_then_normalize"),
        ({"correction": "behaviour", "explorer_top_p": 0.95}, "tokens outside the nucleus have none"),
        ({"correction": "truncated", "loss_type": "cispo"}, "exact for losses of the form"),
        ({"correction": "behaviour", "importance_sampling_level": "sequence"}, "behaviour_sequence"),
        ({"correction": "behaviour", "off_policy_mask_threshold": 0.5}, "for being the explorer's"),
        ({"correction_gamma": 0.1}, "correction_gamma would be ignored"),
        ({"correction": "luffy", "correction_gamma": 0.0}, "correction_gamma is above 0"),
        ({"correction": "luffy", "correction_cap": 2.0}, "correction_cap would be ignored"),
        ({"correction": "luffy", "loss_type": "cispo"}, "exact for losses of the form"),
        ({"correction": "luffy", "importance_sampling_level": "sequence"}, "defined on token ratios"),
        ({"correction": "luffy", "off_policy_mask_threshold": 0.5}, "off_policy_mask_threshold=0.5 is about"),
        ({"correction": "luffy", "use_bias_correction_kl": True, "beta": 0.1}, "use_bias_correction_kl=True is about"),
        ({"correction": "luffy", "delta": 0.9}, "delta=0.9 is about that ratio"),
        ({"num_iterations": 4, "save_strategy": "steps", "save_steps": 6}, "make save_steps a multiple of 4"),
        ({"num_iterations": 4, "save_strategy": "steps", "save_steps": 0.5}, "inside a round"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        config(tmp_path, **changes)
    assert says in str(caught.value)


def test_misspelt_keys_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown training option .corection.\. Did you mean correction"):
        S2LPOConfig.from_mapping({"output_dir": str(tmp_path), "corection": "none"})
    file = tmp_path / "run.toml"
    file.write_text(f'output_dir = "{tmp_path}"\nmix_step = 3\n')
    with pytest.raises(UsageError, match="Did you mean mix_steps"):
        S2LPOConfig.from_toml(file)
    file.write_text("mix_steps = \n")
    with pytest.raises(DataError, match="cannot be read as TOML"):
        S2LPOConfig.from_toml(file)


def test_a_toml_file_is_the_config(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        f'output_dir = "{tmp_path}"\nmix_steps = 3\ncorrection = "masked"\nuse_cpu = true\nbf16 = false\n'
        "num_generations = 4\nper_device_train_batch_size = 8\n"
    )
    found = S2LPOConfig.from_toml(file)
    assert (found.mix_steps, found.correction, found.correction_cap, found.num_generations) == (3, "masked", 2.0, 4)
    assert {f.name for f in dataclasses.fields(found)} > set(SETTINGS)


def build(tmp_path: Path, data: Any = None, arguments: dict[str, Any] | None = None, **changes: Any) -> S2LPOTrainer:
    settings = config(tmp_path, **changes)
    return S2LPOTrainer(
        learner(), reward, settings, data or dataset(), processing_class=tokenizer(), **(arguments or {})
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "needs explorer="),
        ({"tools": [print], "explorer": 1}, "tools cannot be used"),
        ({"rollout_func": print, "explorer": 1}, "rollout_func cannot be used"),
        ({"environment_factory": dict, "explorer": 1}, "environment_factory cannot be used"),
    ],
)
def test_arguments_that_leave_an_explorer_no_sense(tmp_path: Path, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        build(tmp_path, arguments=arguments)


def test_images_and_cut_epochs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="trains on text"):
        build(tmp_path, dataset().add_column("image", [None] * 8), {"explorer": 1})
    with pytest.raises(UsageError, match="rounds could not be counted"):
        build(tmp_path, dataset(6), {"explorer": explorer()}, gradient_accumulation_steps=2, steps_per_generation=1)


def test_an_explorer_with_another_tokenizer_or_without_token_ids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="gives text without token ids"):
        s2l(tmp_path, given=open_policy("s=scripted:point(0.5)"))
    other = explorer()
    other.eos_ids = frozenset({0})  # type: ignore[attr-defined]
    with pytest.raises(PolicyError, match="ends completions at ids"):
        s2l(tmp_path, given=other)
    other = explorer()
    extended = type(tokenizer()).from_pretrained(tokenizer().name_or_path)
    extended.add_tokens(["Ω"])
    other.tokenizer = extended  # type: ignore[attr-defined]
    with pytest.raises(PolicyError, match="has another tokenizer than the learner"):
        s2l(tmp_path, given=other)
