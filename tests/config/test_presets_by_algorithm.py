"""Presets of other algorithms than PPO, laid over those of their environments."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rlhf_gym import RLHFConfig
from rlhf_gym.cli import parse
from rlhf_gym.config.presets import has_preset, preset
from rlhf_gym.registry import make

FILE = Path(__file__).parents[2] / "rlhf_gym" / "config" / "presets" / "algorithms.yaml"
NAMES = list(yaml.safe_load(FILE.read_text()))


def from_flags(*words: str) -> RLHFConfig:
    config: RLHFConfig = parse(["train", *words]).settings
    return config


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_of_an_algorithm_is_of_an_environment_that_has_one_and_is_valid(name: str) -> None:
    env_id, _, algo = name.partition("/")
    config = RLHFConfig.for_env(env_id, algo=algo)
    assert config.algo == algo and has_preset(env_id, "ppo") and has_preset(env_id, algo)
    assert not {"clip_range", "log_std_init"} & set(config.agent.options)  # nothing of PPO's is left
    query = config.query
    schedule = make("query.schedule", query.schedule, query.schedule_options)  # the environment's may be another one
    assert sum(schedule(config.labels, np.arange(query.rounds))) == config.labels
    make("query.scheme", query.scheme, query.scheme_options)


def test_it_is_laid_over_the_environment_s_own_whose_agent_is_ppo_s() -> None:
    config, ppo = RLHFConfig.for_env("HalfCheetah-v5", algo="sac"), RLHFConfig.for_env("HalfCheetah-v5")
    assert (config.labels, config.total_timesteps, config.agent.n_envs) == (100, 200_000, 1)
    how = {"first_fraction": 0.25, "halving_steps": 20_000}
    asked_early = replace(ppo.query, schedule="christiano", schedule_options=how)
    assert (config.reward, config.query, config.segment_length) == (ppo.reward, asked_early, ppo.segment_length)
    assert not config.agent.normalize_rewards and ppo.agent.normalize_rewards
    assert config.agent.options == {
        "learning_rate": 3e-4, "buffer_size": 300_000, "learning_starts": 1000, "gradient_steps": -1
    }  # fmt: skip


def test_an_algorithm_without_one_has_the_environment_s_but_not_the_agent_of_ppo() -> None:
    config, ppo = RLHFConfig.for_env("HalfCheetah-v5", algo="td3"), RLHFConfig.for_env("HalfCheetah-v5")
    assert (config.agent, config.reward) == (RLHFConfig(algo="td3").agent, ppo.reward)
    assert has_preset("HalfCheetah-v5", "ppo") and not has_preset("HalfCheetah-v5", "td3")


@pytest.mark.parametrize("algo", ["sac", "td3"])
def test_as_many_gradient_steps_as_there_are_environments_are_made_by_default(algo: str) -> None:
    assert RLHFConfig(algo=algo).agent.options == {"gradient_steps": -1}


def test_naming_ppo_changes_nothing() -> None:
    assert preset("Pendulum-v1", "ppo") == preset("Pendulum-v1")
    assert RLHFConfig.for_env("Pendulum-v1", algo="ppo") == RLHFConfig.for_env("Pendulum-v1")


def test_command_line_file_and_python_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("env_id: Pendulum-v1\nalgo: sbx:SAC\n")
    expected = RLHFConfig.for_env("Pendulum-v1", algo="sbx:SAC")
    assert expected.total_timesteps == 20_000
    assert from_flags("--env-id", "Pendulum-v1", "--algo", "sbx:SAC") == expected
    assert RLHFConfig.from_yaml(tmp_path / "one.yaml") == expected
    assert from_flags("--config", str(tmp_path / "one.yaml")) == expected


@pytest.mark.parametrize(
    ("text", "words", "algo", "options"),
    [
        ("agent: {options: {gamma: 0.5}}", (), "ppo", {"gamma": 0.5, "n_steps": 128}),
        ("{algo: sac, agent: {options: {gamma: 0.5}}}", (), "sac", {"gamma": 0.5, "learning_rate": 1e-3}),
        ("{algo: sac, agent: {options: {tau: 0.5}}}", ("--algo", "td3"), "td3", {"gamma": 0.98}),
        ("labels: 7", ("--algo", "sac", "--agent.options.gamma", "0.5"), "sac", {"gamma": 0.5, "gradient_steps": -1}),
    ],
)
def test_the_file_goes_before_the_preset_of_the_algorithm_that_a_flag_names(
    tmp_path: Path, text: str, words: tuple[str, ...], algo: str, options: dict[str, Any]
) -> None:
    (tmp_path / "one.yaml").write_text(text)
    config = from_flags("--env-id", "Pendulum-v1", "--config", str(tmp_path / "one.yaml"), *words)
    assert config.algo == algo
    assert {name: config.agent.options[name] for name in options} == options
    assert "tau" not in config.agent.options


def test_a_run_s_own_settings_survive_its_file(tmp_path: Path) -> None:
    config = RLHFConfig.for_env("CartPole-v1", algo="dqn", agent={"net_arch": None, "options": {"train_freq": 8}})
    config.to_yaml(tmp_path / "config.yaml")
    assert RLHFConfig.from_yaml(tmp_path / "config.yaml") == config
    assert config.agent.net_arch is None and config.agent.options["train_freq"] == 8
