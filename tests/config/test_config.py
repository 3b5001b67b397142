"""Settings: where they come from, what is refused, and that they survive a file."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlhf_gym.config import AgentConfig, RewardConfig, RLHFConfig
from rlhf_gym.config.earlier import renamed
from rlhf_gym.config.mappings import merge, read_yaml
from rlhf_gym.config.named import DEFAULTS, OPTIONS_OF, get
from rlhf_gym.config.presets import preset
from rlhf_gym.flags import settings_before_flags


def written(tmp_path: Path, text: str) -> Path:
    """A YAML file with that text."""
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    return file


# Precedence


def test_settings_given_go_before_the_preset_and_the_preset_before_the_default() -> None:
    options = RLHFConfig().agent.options
    assert (options["gamma"], options["n_epochs"]) == (0.99, 10)
    options = RLHFConfig.for_env("CartPole-v1", agent={"options": {"n_epochs": 3}}).agent.options
    assert (options["n_epochs"], options["gamma"], options["vf_coef"]) == (3, 0.98, 0.5)


def test_a_file_goes_before_the_preset_of_its_environment(tmp_path: Path) -> None:
    config = RLHFConfig.from_yaml(written(tmp_path, "env_id: CartPole-v1\nagent: {options: {n_epochs: 3}}\n"))
    assert (config.agent.options["n_epochs"], config.agent.options["gamma"]) == (3, 0.98)


@pytest.mark.parametrize("env_id", ["Hopper-v5", "InvertedPendulum-v5", "InvertedDoublePendulum-v5"])
def test_a_longer_run_asks_within_as_many_steps_as_the_preset_says_in_rounds_as_long(env_id: str) -> None:
    usual, longer = (RLHFConfig.for_env(env_id, total_timesteps=steps).query for steps in (300_000, 600_000))
    assert usual == RLHFConfig.for_env(env_id).query == RLHFConfig.for_env(env_id, total_timesteps=50_000).query
    assert (longer.rounds, longer.schedule, longer.schedule_options) == (40, "front_loaded", {"by": 0.25})
    same = dataclasses.replace(longer, rounds=usual.rounds, schedule=usual.schedule, schedule_options={})
    assert same == usual
    assert "longer" not in preset(env_id, "sac", 600_000)


def test_a_longer_run_gets_what_the_preset_has_for_it_beside_the_rest() -> None:
    usual, longer = (
        RLHFConfig.for_env("InvertedDoublePendulum-v5", total_timesteps=n).agent for n in (300_000, 600_000)
    )
    assert (usual.schedule, usual.options["ent_coef"]) == ("constant", 0.0)
    assert (longer.schedule, longer.options["ent_coef"]) == ("linear", 0.01)
    assert longer.options == {**usual.options, "ent_coef": 0.01}
    given = RLHFConfig.for_env("InvertedDoublePendulum-v5", total_timesteps=600_000, agent={"schedule": "constant"})
    assert (given.agent.schedule, given.agent.options["ent_coef"]) == ("constant", 0.01)


def test_a_preset_may_say_from_how_many_steps_a_run_is_long() -> None:
    usual, longer = (RLHFConfig.for_env("Walker2d-v5", total_timesteps=n) for n in (450_000, 450_001))
    assert (usual.agent.restart_steps, usual.query.schedule) == (0, "christiano")
    assert (longer.agent.restart_steps, longer.query.schedule) == (150_000, "front_loaded")


@pytest.mark.parametrize("env_id", ["Hopper-v5", "Walker2d-v5", "InvertedDoublePendulum-v5"])
def test_a_million_steps_written_as_1e6_are_as_many(env_id: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"env_id: {env_id}\ntotal_timesteps: 1e6\n")
    wanted = RLHFConfig.for_env(env_id, total_timesteps=1_000_000)
    assert wanted.query.schedule == "front_loaded"
    assert RLHFConfig.for_env(env_id, total_timesteps=1e6) == RLHFConfig.from_yaml(tmp_path / "c.yaml") == wanted
    flags, _, _ = settings_before_flags(["--env-id", env_id, "--total-timesteps", "1e6"], prog="train")
    assert flags.query == wanted.query and flags.agent == wanted.agent


@pytest.mark.parametrize("steps", [1e6 + 0.5, float("inf"), "a million"])
def test_what_is_no_number_of_steps_is_refused_and_takes_no_preset_s_longer_run(steps: Any) -> None:
    with pytest.raises(ValueError, match="total_timesteps is"):
        RLHFConfig.for_env("Hopper-v5", total_timesteps=steps)


def test_what_is_given_goes_before_what_a_longer_run_gets() -> None:
    query = {"rounds": 10, "schedule": "christiano"}
    given = RLHFConfig.for_env("Hopper-v5", total_timesteps=600_000, query=query).query
    assert (given.rounds, given.schedule, given.schedule_options) == (10, "christiano", {})


def test_an_environment_without_a_preset_takes_the_defaults() -> None:
    assert preset("Nowhere-v0") == {}
    assert RLHFConfig.for_env("Nowhere-v0") == RLHFConfig(env_id="Nowhere-v0")


def test_every_preset_is_valid() -> None:
    folder = Path(__file__).parents[2] / "rlhf_gym" / "config" / "presets"
    env_ids = [env_id for file in folder.glob("*.yaml") for env_id in yaml.safe_load(file.read_text())]
    env_ids = [env_id for env_id in env_ids if env_id[0] != "." and "/" not in env_id]  # shared, or of an algorithm
    assert "CartPole-v1" in env_ids
    for env_id in env_ids:
        assert RLHFConfig.for_env(env_id).env_id == env_id


def test_groups_merge_name_by_name_and_env_kwargs_are_one_value() -> None:
    below = {"labels": 5, "agent": {"n_envs": 8, "gamma": 0.9}, "env_kwargs": {"a": 1}}
    above = {"agent": {"n_envs": 2}, "env_kwargs": {"b": 2}}
    assert merge(below, above) == {"labels": 5, "agent": {"n_envs": 2, "gamma": 0.9}, "env_kwargs": {"b": 2}}
    assert below == {"labels": 5, "agent": {"n_envs": 8, "gamma": 0.9}, "env_kwargs": {"a": 1}}


# Replacing


def test_replace_changes_what_is_named_and_leaves_the_rest() -> None:
    old = RLHFConfig.for_env("CartPole-v1", seed=1)
    new = old.replace(seed=2, query={"rounds": 5}, reward={"network_options": {"hidden": [8]}})
    assert (new.seed, new.query.rounds, new.reward.network_options) == (2, 5, {"hidden": [8]})
    assert (old.seed, old.query.rounds, old.reward.network_options) == (1, 14, {"hidden": [32, 32]})
    assert new.replace(seed=1, query={"rounds": 14}, reward={"network_options": {"hidden": [32, 32]}}) == old


def test_a_group_may_be_given_as_an_object_as_well_as_a_mapping() -> None:
    query = dataclasses.replace(RLHFConfig().query, rounds=3)
    assert RLHFConfig().replace(query=query) == RLHFConfig().replace(query={"rounds": 3})


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RLHFConfig().labels = 3  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        RLHFConfig().agent.n_envs = 5  # type: ignore[misc]


# Files


def test_settings_survive_a_file(tmp_path: Path) -> None:
    config = RLHFConfig.for_env(
        "CartPole-v1",
        env_kwargs={"sutton_barto_reward": True},
        run_dir="runs/some where",
        env={"fixed_horizon": 200},
        feedback={"goal": "my.module:goal"},
        reward={"network_options": {"hidden": (32, 16)}, "learning_rate": 1e-5},
        agent={"net_arch": ()},
    )
    config.to_yaml(tmp_path / "config.yaml")
    assert RLHFConfig.from_yaml(tmp_path / "config.yaml") == config


def test_a_file_says_every_setting_by_its_plain_name(tmp_path: Path) -> None:
    RLHFConfig.for_env("CartPole-v1").to_yaml(tmp_path / "config.yaml")
    settings = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert set(settings) == {field.name for field in dataclasses.fields(RLHFConfig)}
    assert settings["reward"]["network_options"] == {"hidden": [32, 32]}
    assert settings["agent"]["options"]["gamma"] == 0.98


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- 1\n", "holds list; expected settings as `name: value` lines"),
        ("", "holds NoneType"),
        ("a: [1\n", "can't be read"),
        ("1: 2\n", "unknown setting 1"),
        ("labels: ten\n", "labels is 'ten'; expected int"),
        ("query: {rouns: 3}\n", "unknown setting query.rouns; did you mean query.rounds?"),
        ("query: 3\n", "query is 3; expected a group of settings"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ValueError) as refused:
        RLHFConfig.from_yaml(written(tmp_path, text))
    assert told in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("store", "kept"),
    [
        ("postgresql+psycopg://me:s3%2Fcret@there:5432/db?sslmode=require", "://me@there:5432/db?sslmode=require"),
        ("postgresql+psycopg://:s3cret@/db?host=%2Ftmp%2Fpg&password=s3cret", "://@/db?host=%2Ftmp%2Fpg"),
        ("postgresql+psycopg://me@there/db", "postgresql+psycopg://me@there/db"),
        ("sqlite:///a folder/p.db", "sqlite:///a folder/p.db"),
        ("no url: at all", "no url: at all"),
    ],
)
def test_a_stores_password_is_not_written_and_the_rest_names_the_same_database(
    tmp_path: Path, store: str, kept: str
) -> None:
    config = RLHFConfig.from_dict({"feedback": {"store": store}})
    config.to_yaml(tmp_path / "config.yaml")
    assert config.feedback.store == store
    again = RLHFConfig.from_yaml(tmp_path / "config.yaml").feedback.store
    assert again is not None and again.endswith(kept)
    assert "***" not in again and "3cret" not in again and "s3" not in (tmp_path / "config.yaml").read_text()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere.yaml can't be read"):
        read_yaml(tmp_path / "nowhere.yaml")


# What is refused


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"lables": 3}, "unknown setting lables; did you mean labels?"),
        ({"agent": {"n_env": 3}}, "unknown setting agent.n_env; did you mean agent.n_envs?"),
        ({"qqqq": 3}, "unknown setting qqqq; known here: env_id, env_kwargs, labels"),
        ({"labels": 0}, "labels is 0; use at least 1, or feedback.preferences to learn from, or reward.source other"),
        ({"labels": -1, "reward": {"source": "true"}}, "labels is -1"),
        ({"labels": 2.5}, "labels is 2.5; expected int"),
        ({"labels": True}, "labels is True; expected int"),
        ({"labels": None}, "labels is None"),
        ({"seed": -1}, "seed is -1; use at least 0"),
        ({"segment_length": 0}, "segment_length is 0; use at least 1"),
        ({"env": {"step_seconds": 0}}, "env.step_seconds is 0.0; use a number above 0"),
        ({"reward": {"clip": 0}}, "reward.clip is 0.0; use a number above 0"),
        (
            {"feedback": {"levels": ["a", "b", "a"]}},
            "feedback.levels is 'a', 'b', 'a', with 'a' twice; use a different",
        ),
        (
            {"feedback": {"levels": ["falls", "falls "]}},
            "feedback.levels is 'falls', 'falls ', with 'falls' twice; use",
        ),
        (
            {"feedback": {"levels": ["", " ", "x"]}},
            "feedback.levels is '', ' ', 'x', with an empty name; use a different",
        ),
        ({"total_timesteps": 0}, "total_timesteps is 0; use at least"),
        ({"env_id": 3}, "env_id is 3; expected str"),
        ({"env_kwargs": [1]}, "env_kwargs is"),
        ({"teacher": "crowd"}, "teacher is 'crowd'; expected one of oracle, noisy"),
        ({"algo": "spp"}, "algo is 'spp'; did you mean ppo? expected one of ppo, a2c"),
        ({"query": {"scheme": "disagrement"}}, "query.scheme is 'disagrement'; did you mean disagreement?"),
        ({"kind": "my kind:here"}, "kind is 'my kind:here'; expected one of comparison"),
        ({"env": {"fixed_horizon": 0}}, "env.fixed_horizon is 0; use at least 1"),
        ({"query": {"rounds": 0}}, "query.rounds is 0; use at least 1"),
        ({"query": {"repeats": 1.5}}, "query.repeats is 1.5; use a number from 0 to 1"),
        ({"agent": {"reward_scale": 0.0}}, "agent.reward_scale is 0.0; use a number above 0"),
        ({"reward": {"ensemble_size": -1}}, "reward.ensemble_size is -1; use at least 0"),
        (
            {"reward": {"ensemble_size": 0}},
            "reward.ensemble_size is 0 and reward.linear is None; use at least one of them",
        ),
        ({"reward": {"label_noise": -0.1}}, "reward.label_noise is -0.1; use a number from 0 to 1"),
        ({"agent": {"net_arch": 64}}, "agent.net_arch is 64"),
        ({"agent": {"net_arch": [64, "x"]}}, "agent.net_arch is 'x'; expected int"),
        ({"agent": {"options": {"gamma": float("nan")}}}, "agent.options.gamma is nan; use a number from 0 to 1"),
        ({"agent": {"options": {"gamma": "high"}}}, "agent.options.gamma is 'high'; expected a number"),
        ({"agent": {"options": {"batch_size": 64.5}}}, "agent.options.batch_size is 64.5; use a whole number"),
        ({"agent": {"options": {"ent_coef": -1}}}, "agent.options.ent_coef is -1; use at least 0"),
        ({"agent": {"options": {"learning_rate": -1}}}, "agent.options.learning_rate is -1; use at least 0"),
        ({"agent": {"learning_rate": float("nan")}}, "agent.options.learning_rate is nan"),
        ({"agent": {"options": {"batch_size": 1}}}, "agent.options.batch_size is 1; use at least 2"),
        (
            {"agent": {"options": {"batch_size": 4096, "n_steps": 256}}},
            "agent.options.batch_size is 4096 but a rollout has 2048 steps",
        ),
        ({"algo": "sac", "agent": {"options": {"ent_coef": "auto_x"}}}, "agent.options.ent_coef is 'auto_x'"),
        ({"algo": "sac", "agent": {"options": {"target_entropy": "low"}}}, "agent.options.target_entropy is 'low'"),
        ({"algo": "td3", "agent": {"options": {"policy_delay": 0}}}, "agent.options.policy_delay is 0; use at least 1"),
        ({"agent": {"options": {"target_kl": 0}}}, "agent.options.target_kl is 0; use a number above 0"),
        ({"agent": {"options": {"log_std_init": "small"}}}, "agent.options.log_std_init is 'small'; expected a number"),
        (
            {"agent": {"start": "a", "reference": "start", "kl_target": 1.0, "kl_gain": 5}},
            "agent.kl_gain is 5.0, with which kl could fall to 0 or below; use less than 5",
        ),
        (
            {"reward": {"ensemble_size": 1, "pessimism": 1.0}, "query": {"scheme": "uniform"}},
            "reward.pessimism is 1.0 and reward.ensemble_size is 1: one member has nobody to disagree with; leave it",
        ),
        (
            {"reward": {"ensemble_size": 1, "more": {"disagreement_bonus": {}}}, "query": {"scheme": "uniform"}},
            "reward.more is disagreement_bonus and reward.ensemble_size is 1",
        ),
        (
            {"reward": {"ensemble_size": 0, "linear": "quadratic", "more": {"crops": {}, "pseudo_labels": {}}}},
            "reward.more is crops, pseudo_labels and reward.ensemble_size is 0: it is about networks; leave it out",
        ),
        ({"agent": {"options": 3}}, "agent.options is 3"),
        ({"feedback": {"people_per_query": 0}, "teacher": "web"}, "feedback.people_per_query is 0; use at least 1"),
        *(
            (
                {"feedback": {"people_per_query": 2}, "teacher": teacher},
                f"feedback.people_per_query is 2 and teacher is {teacher}, who is one; use teacher web or store",
            )
            for teacher in ("oracle", "random", "terminal")
        ),
        ({"evaluation": {"n_episodes": 0}}, "evaluation.n_episodes is 0; use at least 1"),
    ],
)
def test_bad_settings_are_refused_by_name_in_one_line(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as refused:
        RLHFConfig.from_dict(settings)
    assert told in str(refused.value) and "\n" not in str(refused.value)
    if "env_id" not in settings:  # the same through the other two doors
        with pytest.raises(ValueError, match="unknown setting| is "):
            RLHFConfig.for_env("CartPole-v1", **settings)
        with pytest.raises(ValueError, match="unknown setting| is "):
            RLHFConfig().replace(**settings)


def test_the_controls_need_no_labels() -> None:
    assert RLHFConfig.for_env("CartPole-v1", labels=0, reward={"source": "constant"}).labels == 0


def test_whole_numbers_may_stand_for_real_ones() -> None:
    noise = RLHFConfig().replace(reward={"label_noise": 1}).reward.label_noise
    assert noise == 1.0 and isinstance(noise, float)


def test_the_smallest_run_is_the_warm_up_and_one_rollout() -> None:
    smallest = RLHFConfig(total_timesteps=3072)  # 1024 of warm-up, then 8 environments of 256 steps
    with pytest.raises(ValueError, match="total_timesteps is 3071; use at least 3072"):
        smallest.replace(total_timesteps=3071)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            lambda: RLHFConfig(teacher="person"),
            "teacher is 'person'; expected one of oracle, noisy",
        ),
        (lambda: RLHFConfig(reward=RewardConfig(source="lerned")), "reward.source is 'lerned'; did you mean learned?"),
        (lambda: RLHFConfig(segment_length=2.5), "segment_length is 2.5; expected int"),
        (lambda: RLHFConfig(reward=RewardConfig(l2=float("nan"))), "reward.l2 is nan; use a finite number"),
        (lambda: RLHFConfig(agent=AgentConfig(net_arch=(8, -1))), "agent.net_arch is -1; use at least 1"),
        (lambda: RLHFConfig.over_preset({"env_id": [1]}), "env_id is [1]; expected str"),
    ],
)
def test_a_config_built_in_python_is_checked_like_one_from_a_file(wrong, said):
    with pytest.raises(ValueError) as caught:
        wrong()
    assert str(caught.value).startswith(said)


# Names from the registry, and the options of what they name


def test_the_defaults_that_options_belong_to_are_those_of_the_fields() -> None:
    assert {setting: get(RLHFConfig(), setting) for setting in OPTIONS_OF} == DEFAULTS


def test_a_dotted_name_stands_wherever_a_registered_one_does() -> None:
    config = RLHFConfig(teacher="mine:Noisy").replace(algo="sbx:SAC", query={"scheme": "a.b:c"})
    assert (config.teacher, config.algo, config.query.scheme) == ("mine:Noisy", "sbx:SAC", "a.b:c")


def test_options_are_merged_one_by_one() -> None:
    config = RLHFConfig.for_env("Pendulum-v1", query={"schedule_options": {"halving_steps": 5}})
    assert config.query.schedule_options == {"first_fraction": 0.1, "halving_steps": 5}


def test_the_options_of_what_is_replaced_go_with_it() -> None:
    pendulum = RLHFConfig.for_env("Pendulum-v1")
    constant = pendulum.replace(query={"schedule": "constant"})
    assert constant.query.schedule_options == {}
    assert constant.replace(query={"schedule": "christiano"}).query.schedule_options == {}
    assert pendulum.replace(query={"schedule": "christiano"}) == pendulum
    assert RLHFConfig.for_env("Pendulum-v1", algo="a2c").agent.options == {}
    given = pendulum.replace(algo="dqn", agent={"options": {"tau": 0.01}})
    assert given.agent.options == {"tau": 0.01}
    assert given.replace(algo="ppo").agent.options["gamma"] == 0.99  # the algorithm's default, not the preset's


# Names of earlier versions


EARLIER = Path(__file__).parents[1] / "data" / "earlier" / "run" / "config.yaml"


def test_a_file_of_an_earlier_version_is_read() -> None:
    config = RLHFConfig.from_yaml(EARLIER)
    assert config.query.schedule_options == {"first_fraction": 0.25, "halving_steps": 2_000_000}
    assert (config.query.warm_up_steps, config.reward.label_noise) == (256, 0.0)
    assert config.reward.network_options == {"hidden": [8]}
    assert config.reward.source_options == {}  # its constant belonged to a source it didn't name
    assert (config.agent.options["n_steps"], config.agent.options["gamma"], config.agent.net_arch) == (64, 0.98, (8,))


@pytest.mark.parametrize(
    ("earlier", "today"),
    [
        ({"query": {"first_steps": 7}}, {"query": {"warm_up_steps": 7}}),
        ({"query": {"schedule": "constant", "first_fraction": 0.5}}, {"query": {"schedule": "constant"}}),
        ({"reward": {"source": "true_scaled"}}, {"reward": {"source": "normalised_true"}}),
        (
            {"reward": {"source": "constant", "constant": -1.0}},
            {"reward": {"source": "constant", "source_options": {"value": -1.0}}},
        ),
        ({"agent": {"n_steps": 64, "n_envs": 2}}, {"agent": {"options": {"n_steps": 64}, "n_envs": 2}}),
        ({"agent": {"gamma": 0.5, "options": {"gamma": 0.6}}}, {"agent": {"options": {"gamma": 0.6}}}),
        ({"env_kwargs": {"first_steps": 7}}, {"env_kwargs": {"first_steps": 7}}),
    ],
)
def test_each_earlier_name_is_read_as_todays(earlier: dict[str, Any], today: dict[str, Any]) -> None:
    assert renamed(earlier) == today


def test_an_earlier_option_is_laid_over_what_names_its_thing() -> None:
    constant = RLHFConfig(reward=RewardConfig(source="constant"))
    assert constant.replace(reward={"constant": -1.0}).reward.source_options == {"value": -1.0}


def test_a_whole_number_of_an_algorithm_may_be_written_as_a_float() -> None:
    options = RLHFConfig.for_env("CartPole-v1", agent={"options": {"n_epochs": 2.0, "n_steps": 1e2}}).agent.options
    assert (options["n_epochs"], options["n_steps"]) == (2, 100) and type(options["n_epochs"]) is int
