"""Off-policy agents under the learned reward."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from rlhf_gym.agents import OffPolicyAgent, load_policy
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.errors import BadInput
from rlhf_gym.rewards import RewardModel
from rlhf_gym.segments import Array, Origin

SMALL: dict[str, Any] = {"learning_starts": 20, "batch_size": 16, "buffer_size": 500}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def make_venv(env_id: str = "Pendulum-v1", n_envs: int = 2) -> VecLearnedReward:
    rng = np.random.default_rng(0)
    return VecLearnedReward(make_vec_env(Origin(env_id, 0), n_envs=n_envs, memory_steps=100, rng=rng))


def make_agent(
    sb3_class: type[OffPolicyAlgorithm] = SAC,
    *,
    venv: VecLearnedReward | None = None,
    total: int = 1000,
    **options: Any,
) -> OffPolicyAgent:
    env_id = "CartPole-v1" if sb3_class is DQN else "Pendulum-v1"
    options = SMALL | options
    return OffPolicyAgent(
        sb3_class, venv or make_venv(env_id), seed=0, total_timesteps=total, net_arch=(8,), options=options
    )


@pytest.mark.parametrize("sb3_class", [SAC, TD3, DQN])
def test_it_learns_from_a_reward_model_and_from_the_next_one_at_once(sb3_class: type[OffPolicyAlgorithm]) -> None:
    agent = make_agent(sb3_class)
    sb3, learned_from = agent.sb3, []
    sample = agent.replay.sample

    def spy(*args: Any, **kwargs: Any) -> Any:
        learned_from.append(sample(*args, **kwargs))
        return learned_from[-1]

    agent.replay.sample = spy  # type: ignore[method-assign]
    for seed in (1, 2):
        model = RewardModel(sb3.observation_space, sb3.action_space, seed=seed)
        agent.pay(model.reward_function())
        learned_from.clear()
        agent.improve(agent.portion * (80 // agent.portion))
        assert learned_from
        for batch in learned_from:
            actions = batch.actions.numpy()
            actions = 2 * actions if sb3_class is not DQN else actions[:, 0]  # Pendulum's are of [-2, 2]
            expected = model.reward_function()(batch.observations.numpy(), actions, batch.next_observations.numpy(),
                                    batch.dones.numpy()[:, 0] > 0)  # fmt: skip
            np.testing.assert_allclose(batch.rewards[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_what_the_environments_pay_at_first_is_replayed_from_the_start() -> None:
    venv = make_venv()
    venv.reward_function = lambda obs, *_: np.full(len(obs), 3.0, np.float32)
    agent = make_agent(venv=venv)
    agent.improve(40)
    venv.zero, venv.unit = 1.0, 4.0
    assert set(agent.replay.sample(50).rewards.flatten().tolist()) == {0.5}  # (3 - 1) / 4


@pytest.mark.parametrize("true_reward", [False, True])
def test_a_scale_holds_for_what_is_replayed_but_not_for_what_is_stored_or_reported(true_reward: bool) -> None:
    venv = make_venv("CartPole-v1")  # which pays 1 a step
    venv.scale = 0.25
    agent = make_agent(DQN, venv=venv)
    agent.pay(None if true_reward else lambda obs, *_: np.full(len(obs), 1.0, np.float32))
    agent.improve(agent.portion * 20)
    assert set(agent.replay.rewards[: agent.replay.pos].flatten().tolist()) == {1.0}  # as the environment pays it
    assert set(agent.replay.sample(100).rewards.flatten().tolist()) == {0.25}
    episodes = venv.pop_episodes()
    assert episodes and all(episode.learned_return == episode.length for episode in episodes)


def test_the_true_reward_is_replayed_as_it_was_paid() -> None:
    agent = make_agent()
    agent.improve(40)
    stored = agent.replay.rewards[:20].copy()
    assert set(agent.replay.sample(100).rewards.flatten().tolist()) <= set(stored.flatten().tolist())
    agent.pay(lambda obs, *_: np.zeros(len(obs)))
    agent.pay(None)
    assert (agent.replay.sample(100).rewards < 0).all()  # Pendulum only ever costs


def test_steps_that_something_else_was_paid_for_are_replayed_with_the_true_reward_once_that_is_paid() -> None:
    agent = make_agent()
    agent.pay(lambda obs, *_: np.full(len(obs), 7.0, np.float32))
    agent.improve(40)
    assert set(agent.replay.sample(100).rewards.flatten().tolist()) == {7.0}
    agent.pay(None, 1.0, 2.0)
    true = (agent.replay.rewards[:20] - 1) / 2
    assert (true < -0.5).all()  # Pendulum only ever costs
    assert set(agent.replay.sample(100).rewards.flatten().tolist()) <= set(true.flatten().tolist())


def test_it_pays_only_where_a_reward_is_paid_at_all() -> None:
    agent = OffPolicyAgent(SAC, make_venv().venv, seed=0, total_timesteps=10, options=SMALL)
    with pytest.raises(ValueError, match=r"venv is a Recorder, which pays no reward function; use VecLearnedReward"):
        agent.pay(None)


@pytest.mark.parametrize(("train_freq", "portion"), [(1, 2), (6, 12), ([3, "step"], 6)], ids=str)
def test_a_portion_is_what_all_environments_do_between_updates(train_freq: Any, portion: int) -> None:
    agent = make_agent(train_freq=train_freq)
    assert agent.portion == portion
    agent.improve(5 * portion)
    assert agent.steps == 5 * portion


def test_exploration_decays_once_over_all_portions() -> None:
    agent = make_agent(DQN, total=400, exploration_fraction=0.5, exploration_final_eps=0.2, train_freq=5)
    rates = []
    for _ in range(4):
        agent.improve(100)
        rates.append(agent.sb3.exploration_rate)  # type: ignore[attr-defined]
    np.testing.assert_allclose(rates, [0.6, 0.2, 0.2, 0.2])  # from 1 to 0.2 within 200 steps


def test_a_linear_schedule_takes_the_learning_rate_down_once_over_all_portions() -> None:
    agent = OffPolicyAgent(SAC, make_venv(), seed=0, total_timesteps=80, schedule="linear",
                           options=SMALL | {"learning_rate": 0.01})  # fmt: skip
    rates = []
    for _ in range(2):
        agent.improve(40)
        rates.append(agent.sb3.actor.optimizer.param_groups[0]["lr"])  # type: ignore[union-attr, index]
    last = 0.01 * 0.5 * agent.portion / 80  # not 0, of which nothing would be learned
    assert rates == pytest.approx([0.005, last])


def test_until_it_learns_it_acts_at_random() -> None:
    agent = make_agent(TD3)  # whose policy itself draws nothing
    observations = np.zeros((50, 3), np.float32)
    assert len(np.unique(agent.predict(observations)[0])) == 1
    assert len(np.unique(agent.predict(observations, deterministic=False)[0])) == 50


def test_action_noise_may_be_a_number() -> None:
    noise = make_agent(TD3, action_noise=0.25).sb3.action_noise
    assert isinstance(noise, NormalActionNoise)
    np.testing.assert_array_equal(noise._sigma, [0.25])


@pytest.mark.parametrize("sb3_class", [SAC, TD3, DQN])
def test_the_same_seed_gives_the_same_weights_and_another_one_others(sb3_class: type[OffPolicyAlgorithm]) -> None:
    learned = []
    for seed in (0, 0, 1):
        venv = make_venv("CartPole-v1" if sb3_class is DQN else "Pendulum-v1")
        agent = OffPolicyAgent(sb3_class, venv, seed=seed, total_timesteps=400, options=SMALL)
        agent.improve(80)
        learned.append(torch.cat([weight.flatten() for weight in agent.sb3.policy.parameters()]))
    assert torch.equal(learned[0], learned[1]) and not torch.equal(learned[0], learned[2])


# Files


@pytest.mark.parametrize("n", [0, 30, 120])  # of 50 steps a buffer, so empty, part full, wrapped
def test_the_replay_buffer_comes_back_as_it_was(tmp_path: Path, n: int) -> None:
    agent, other = (make_agent(buffer_size=100) for _ in range(2))
    if n:
        agent.improve(2 * n)
    agent.save_state(tmp_path)
    files = {"policy.zip", "running.json", "episodes.json", "replay.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == files
    other.improve(40)
    other.restore(tmp_path)
    assert (other.replay.pos, other.replay.full) == (agent.replay.pos, agent.replay.full) == (n % 50, n == 120)
    size = agent.replay.size()
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        np.testing.assert_array_equal(getattr(other.replay, name)[:size], getattr(agent.replay, name)[:size])


def test_from_the_policy_alone_it_goes_on_with_an_empty_replay_buffer(tmp_path: Path) -> None:
    agent, other = make_agent(), make_agent()
    agent.improve(60)
    agent.save(tmp_path / "policy.zip")
    other.improve(20)
    other.restore(tmp_path)
    assert (other.steps, other.replay.size()) == (60, 0)
    other.improve(20)


def test_a_replay_buffer_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    agent = make_agent()
    agent.improve(80)
    agent.save_state(tmp_path)
    with pytest.raises(ValueError, match=r"replay.safetensors doesn't fit this replay buffer: .*use the settings it"):
        make_agent(buffer_size=20).restore(tmp_path)
    (tmp_path / "replay.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"replay.safetensors doesn't fit this replay buffer"):
        agent.restore(tmp_path)


def test_its_policy_file_knows_nothing_of_the_reward(tmp_path: Path) -> None:
    def reward(obs: Array, *_: Array) -> Array:
        return np.zeros(len(obs))

    reward.__reduce__ = None  # type: ignore[attr-defined]
    agent = make_agent()
    agent.pay(reward)
    agent.improve(40)
    agent.save(tmp_path / "policy.zip")
    observation = np.array([0.1, 0.2, 0.3], np.float32)
    loaded = load_policy(tmp_path / "policy.zip", "sac")
    np.testing.assert_array_equal(loaded.predict(observation, deterministic=True)[0], agent.predict(observation)[0])
    assert b"rlhf_gym" not in (tmp_path / "policy.zip").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_freq": (1, "episode")}, "option train_freq is (1, 'episode'); use a whole number of steps"),
        ({"train_freq": 0}, "option train_freq is 0; use a whole number of steps"),
        ({"train_freq": 2.5}, "option train_freq is 2.5; use a whole number of steps"),
        ({"train_freq": [1, 2, "step"]}, "option train_freq is [1, 2, 'step']; use a whole number of steps"),
        ({"action_noise": "much"}, "option action_noise is 'much'; use a number from 0"),
        ({"action_noise": -0.1}, "option action_noise is -0.1; use a number from 0"),
        ({"n_steps": 3}, "option n_steps of SAC can't be set: rewards are relabelled one step at a time; leave it out"),
        ({"replay_buffer_class": None}, "option replay_buffer_class of SAC can't be set: it is the one that relabels"),
        ({"optimize_memory_usage": True}, "option optimize_memory_usage of SAC can't be set: the reward function has"),
        ({"log_std_init": 0.0}, "algo SAC has no option log_std_init;"),
        ({"learning_rate": lambda _: 0.1}, "option learning_rate is a function; use a number"),
        ({"ent_coef": object()}, "SAC refuses its options: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_option_that_cannot_be_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        make_agent(**options)
    assert str(raised.value).startswith(message) and "\n" not in str(raised.value)


def test_a_step_that_no_weight_can_make_is_refused_in_one_line() -> None:
    with pytest.raises(BadInput, match="weights of SAC's policy are nan or infinite.*use a lower learning_rate"):
        make_agent(learning_rate=1e38).improve(40)
