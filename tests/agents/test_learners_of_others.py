"""Algorithms of sb3-contrib, and of SBX in JAX, by their dotted names: the contract, files, and a whole run."""

from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from rlhf_gym import RLHF, RLHFConfig, cli
from rlhf_gym.agents import Agent, OffPolicyAgent, load_actor, load_algorithm, load_policy, make_agent
from rlhf_gym.agents.state import weights
from rlhf_gym.contracts import AGENT_RULES, make_in_small_environments
from rlhf_gym.contracts.agents import (
    MakeAgent,
    acts_on_one_observation_and_on_many,
    explores_as_much_as_it_is_told,
    goes_on_from_its_state_in_place,
)
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.registry import load
from rlhf_gym.segments import Origin

MISSING = not (find_spec("sb3_contrib") and find_spec("sbx"))
pytestmark = [
    pytest.mark.skipif(MISSING, reason="needs the extra: pip install 'rlhf-gym[learners]'"),
    pytest.mark.filterwarnings("ignore:jax.core:DeprecationWarning"),  # TensorFlow Probability, while it is imported
]
OFF: dict[str, Any] = {"batch_size": 16, "buffer_size": 500, "train_freq": 10}
ON: dict[str, Any] = {"n_steps": 32, "batch_size": 32}
TRPO = {**ON, "n_critic_updates": 2, "cg_max_steps": 3}
QUICK: dict[str, dict[str, Any]] = {
    "sb3_contrib:TQC": OFF,
    "sb3_contrib:TRPO": TRPO,
    "sb3_contrib:QRDQN": OFF,
    "sb3_contrib:CrossQ": OFF,
    "sbx:SAC": OFF,
    "sbx:TD3": OFF,
    "sbx:DQN": OFF,
    "sbx:PPO": {**ON, "n_epochs": 2},
}
EVERY_RULE = ("sb3_contrib:TQC", "sb3_contrib:TRPO")
SLOW = [
    pytest.param(algo, rule, marks=() if algo in EVERY_RULE else pytest.mark.slow)  # JAX compiles for seconds
    for algo in QUICK
    for rule in AGENT_RULES
]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps what JAX compiles for one agent for the next, which has the same networks."""
    from jax import config

    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("jax")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(config, name) for name in settings}
    for name, value in settings.items():
        config.update(name, value)
    yield
    for name, value in before.items():
        config.update(name, value)


def envs(env_id: str) -> VecLearnedReward:
    rng = np.random.default_rng(0)
    return VecLearnedReward(make_vec_env(Origin(env_id, 0), n_envs=2, memory_steps=9, rng=rng))


@pytest.mark.parametrize(("algo", "rule"), SLOW)
def test_it_keeps_the_contract(algo: str, rule: Callable[[MakeAgent], None]) -> None:
    rule(make_in_small_environments(algo, **QUICK[algo]))


@pytest.mark.parametrize("rule", [acts_on_one_observation_and_on_many, explores_as_much_as_it_is_told])
def test_crossq_which_normalises_by_batch_acts_and_explores_as_it_is_told(rule: Callable[[MakeAgent], None]) -> None:
    rule(make_in_small_environments("sb3_contrib:CrossQ", **OFF))


@pytest.mark.slow
def test_sbx_goes_on_from_its_state_in_place() -> None:
    goes_on_from_its_state_in_place(make_in_small_environments("sbx:SAC", **OFF))


@pytest.mark.slow
def test_forgetting_jax_s_arrays_breaks_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlhf_gym.agents.state.restore_arrays", lambda sb3, folder: None)
    with pytest.raises(AssertionError, match="it has the weights that were saved"):
        goes_on_from_its_state_in_place(make_in_small_environments("sbx:SAC", **OFF))


# Files


@pytest.fixture(scope="module")
def agent() -> Agent:
    """An agent in JAX, to be saved and asked only."""
    return make_in_small_environments("sbx:SAC", **OFF)(0)


def test_the_arrays_of_a_jax_policy_lie_beside_it_unpickled_and_the_same_policy_is_read_in_every_way(
    agent: Agent, tmp_path: Path
) -> None:
    other = make_in_small_environments("sbx:SAC", **OFF)(1)
    agent.save(tmp_path / "policy.zip")
    arrays = load_file(tmp_path / "policy.safetensors")
    assert arrays["policy.actor_state.params['params']['Dense_0']['kernel']"].shape == (3, 16)
    assert {".key", "policy.key"} <= set(arrays) and any("opt_state" in name for name in arrays)
    observations = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    expected = agent.predict(observations)[0]
    assert not np.array_equal(other.predict(observations)[0], expected)
    other.restore(tmp_path)
    for policy in (other, load_policy(tmp_path / "policy.zip", "sbx:SAC"), load_actor(tmp_path / "policy.zip")):
        np.testing.assert_array_equal(policy.predict(observations, deterministic=True)[0], expected)
    assert all(np.array_equal(a, b) for a, b in zip(*(weights(a.sb3).values() for a in (agent, other)), strict=True))


@pytest.mark.parametrize("damage", ["missing", "torn", "of others"])
def test_arrays_that_are_not_this_policy_s_are_refused_in_one_line(agent: Agent, tmp_path: Path, damage: str) -> None:
    agent.save(tmp_path / "policy.zip")
    other, path = agent, tmp_path / "policy.safetensors"
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:100])
    else:
        other = make_agent("sbx:SAC", envs("Pendulum-v1"), seed=1, total_timesteps=9, net_arch=(8,), options=OFF)
    with pytest.raises(ValueError, match=r"policy.zip can't be read as a policy of SAC here: [^\n]+$"):
        other.restore(tmp_path)


# Bad input


def test_weights_of_jax_that_are_no_numbers_any_more_are_refused() -> None:
    agent = make_agent(
        "sbx:PPO", envs("CartPole-v1"), seed=0, total_timesteps=64, options={**ON, "learning_rate": 1e30}
    )
    with pytest.raises(ValueError, match="weights of PPO's policy are nan or infinite after .*learning_rate"):
        agent.improve(agent.portion * 2)


def test_a_policy_of_jax_is_no_start_for_another(tmp_path: Path) -> None:
    agent = make_agent("sbx:PPO", envs("CartPole-v1"), seed=0, total_timesteps=64, options=ON)
    agent.save(tmp_path / "policy.zip")
    config = RLHFConfig.for_env("CartPole-v1", algo="sbx:PPO", agent={"start": str(tmp_path / "policy.zip")})
    with pytest.raises(ValueError, match=r"agent.start .* is to be cloned, .* use that of Stable-Baselines3's PPO"):
        RLHF(config, trust=True)


@pytest.mark.parametrize(
    ("algo", "env_id", "settings", "message"),
    [
        (
            "sbx:SAC",
            "CartPole-v1",
            {},
            "algo is sbx:SAC, which can't take the actions Discrete(2); use ppo or a2c or dqn",
        ),
        ("sb3_contrib:QRDQN", "Pendulum-v1", {}, "algo is sb3_contrib:QRDQN, which can't take the actions Box("),
        ("sb3_contrib:RecurrentPPO", "CartPole-v1", {}, "RecurrentPPO has no MlpPolicy, only MlpLstmPolicy, CnnLstm"),
        ("sb3_contrib:ARS", "CartPole-v1", {}, "algo is 'sb3_contrib:ARS', which is no algorithm of Stable-Baselines3"),
        ("sb3_contrib:MaskablePPO", "CartPole-v1", {}, "MaskablePPO asks environments which actions are allowed"),
        ("sb3_contrib:TQC", "Pendulum-v1", {"options": {"lr": 1}}, "algo TQC has no option lr; "),
        (
            "sbx:PPO",
            "CartPole-v1",
            {"normalize_observations": True},
            "normalize_observations is on and PPO's networks ",
        ),
        ("sbx:PPO", "CartPole-v1", {"critic_after_fit": "reset"}, "critic_after_fit is set and PPO has no value"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(algo: str, env_id: str, settings: Any, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        make_agent(algo, envs(env_id), seed=0, total_timesteps=100, **settings)
    assert str(raised.value).startswith(message) and "\n" not in str(raised.value)


def test_a_missing_package_is_named_with_the_extra_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("importlib.import_module", none)
    with pytest.raises(ValueError, match=r"there is no module 'sbx'; install it: pip install 'rlhf-gym\[learners\]'"):
        load("algo", "sbx:SAC")


# A whole run


@pytest.mark.parametrize(
    ("algo", "options", "portion"),
    [
        ("sb3_contrib:TQC", {**OFF, "learning_starts": 20}, 20),
        ("sb3_contrib:TRPO", TRPO, 64),
        pytest.param("sbx:SAC", {**OFF, "learning_starts": 20}, 20, marks=pytest.mark.slow),
    ],
)
def test_a_run_is_interrupted_resumed_loaded_evaluated_watched_and_exported(
    algo: str, options: Any, portion: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlhf_gym.runs.lifecycle.CHECKPOINT_SECONDS", 0.0)
    run_dir = tmp_path / "run"
    config = RLHFConfig(env_id="Pendulum-v1", algo=algo, labels=6, segment_length=10, run_dir=str(run_dir)).replace(
        total_timesteps=400 + 6 * portion,
        query={"rounds": 3, "warm_up_steps": 400},
        reward={"steps": 5},
        agent={"n_envs": 2, "net_arch": [16], "options": options},
        evaluation={"n_episodes": 1},
    )
    with closing(RLHF(config)) as rlhf:
        next(rlhf.rounds())
        begun, replayed = weights(rlhf.agent.sb3), _replayed(rlhf)
    with closing(RLHF.resume(run_dir)) as rlhf:
        assert _same(begun, weights(rlhf.agent.sb3)) and rlhf.agent.steps == 2 * portion
        assert _replayed(rlhf) == replayed == (0 if algo.endswith("TRPO") else 20)  # steps of both environments
        assert rlhf.learn()["labels"] == 6
        learned = weights(rlhf.agent.sb3)
    assert not _same(begun, learned)
    with closing(RLHF.load(run_dir)) as loaded:
        assert _same(learned, weights(loaded.agent.sb3))
    assert isinstance(load_policy(run_dir / "policy.zip", algo), load_algorithm(algo))
    assert cli.main(["evaluate", str(run_dir), "--n-episodes", "1"]) == 0
    assert cli.main(["watch", str(run_dir)]) == 0 and (run_dir / "policy.gif").exists()
    assert cli.main(["export", str(run_dir), "--no-parquet"]) == 0


def _replayed(rlhf: RLHF) -> int:
    """Steps of each environment that are replayed."""
    return rlhf.agent.replay.size() if isinstance(rlhf.agent, OffPolicyAgent) else 0


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one | other)
