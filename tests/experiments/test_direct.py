"""The direct question: its settings and answer; and regret on Pendulum, the optimal advantage answers are about."""

import gymnasium
import numpy as np
import pytest

from experiments.questions import direct
from experiments.questions.direct.regret import FASTEST, STRONGEST, advantage, step
from rlhf_gym.envs import load_trajectories


@pytest.mark.parametrize("name", direct.SETTINGS)
def test_every_setting_is_a_valid_run_of_one_family_and_demonstrations_are_where_its_name_says(name):
    config = direct.SETTINGS[name].run_config(0)
    assert sum(name in family.settings for family in direct.FAMILIES.values()) == 1
    close = "_kl_" in name
    assert (config.agent.start is not None) == (close or name.endswith("_demonstrations"))
    assert (config.agent.reference == "start" and config.agent.kl > 0) == close
    if config.agent.start:
        assert len(load_trajectories(config.agent.start)) == 20


def test_the_answer_compares_the_best_direct_method_with_both_that_have_a_reward_model():
    part = {"reward": 90, "kl": 70, "cpl": 10, "cpl_unbiased": 30, "dpo": 20, "clone": 5}
    runs = {f"half_cheetah_{name}_500": [{"true_return_mean": str(value)}] for name, value in part.items()}
    ends = {"half_cheetah_ppo": 100, "half_cheetah_untrained_policy": 0}
    runs |= {name: [{"true_return_mean": str(value)}] for name, value in ends.items()}
    told = direct.answer(direct.SETTINGS, runs)
    assert "with 500 labels: 0.90 by a reward model and PPO, 0.70 close to cloned demonstrations, 0.30 by" in told


def observed(angle, speed):
    return np.stack([np.cos(angle), np.sin(angle), speed], axis=-1)


def test_a_step_is_that_of_the_environment():
    env, rng = gymnasium.make("Pendulum-v1"), np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    for torque in rng.uniform(-1.5 * STRONGEST, 1.5 * STRONGEST, 200):
        angle, speed = np.arctan2(observation[1], observation[0]), observation[2]
        made = step(angle, speed, torque)
        observation, reward, *_ = env.step(np.array([torque], np.float32))
        np.testing.assert_allclose(observation, observed(made.angle, made.speed), atol=1e-5)
        np.testing.assert_allclose(made.reward, reward, atol=1e-4)


def test_no_action_is_better_than_the_best_one_which_loses_nothing():
    rng = np.random.default_rng(1)
    angle, speed = rng.uniform(-np.pi, np.pi, 50), rng.uniform(-FASTEST, FASTEST, 50)
    torques = np.linspace(-STRONGEST, STRONGEST, 17)
    state = observed(angle, speed)
    each = np.stack([advantage(state, np.full((50, 1), torque), state) for torque in torques])
    assert (each <= 0).all() and np.abs(each.max(axis=0)).max() < 1e-9
    assert each.min() < -1


def test_who_loses_nothing_swings_the_pendulum_up_and_holds_it():
    env, torques = gymnasium.make("Pendulum-v1"), np.linspace(-STRONGEST, STRONGEST, 17)
    returns = []
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        returns.append(0.0)
        for _ in range(200):
            state = np.repeat(observation[None], len(torques), axis=0)
            best = torques[advantage(state, torques[:, None], state).argmax()]
            observation, reward, *_ = env.step(np.array([best], np.float32))
            returns[-1] += float(reward)
    assert np.mean(returns) > -200  # PPO's are about as much, an untrained policy's -1200
