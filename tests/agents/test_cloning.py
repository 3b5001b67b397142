"""Behaviour cloning: a known policy is recovered, shuffled actions aren't, and weights are copied where they fit."""

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.policies import ActorCriticPolicy

from rlhf_gym.agents import NormalizedObservations, clone, copy_weights
from rlhf_gym.segments import Array, Ending, Trajectory

QUICK: dict[str, Any] = {"learning_rate": 0.01, "epochs": 30}
FOUR = spaces.Box(-np.inf, np.inf, (4,))


def made(actions: Any = None, *, observations: Any = FOUR, **settings: Any) -> ActorCriticPolicy:
    torch.manual_seed(0)
    settings = {"net_arch": [16], **settings}
    return ActorCriticPolicy(observations, actions or spaces.Discrete(2), lambda _: 3e-4, **settings)


def observed(n: int = 20, steps: int = 50, *, seed: int = 0, mean: Any = 0.0, size: Any = 1.0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [(mean + size * rng.normal(size=(steps + 1, 4))).astype(np.float32) for _ in range(n)]


def done(observations: list[Array], act: Any) -> list[Trajectory]:
    return [Trajectory(o, act(o[:-1]), np.zeros(len(o) - 1), Ending.UNFINISHED) for o in observations]


def falls_right(observations: Array) -> Array:
    return (observations[:, 2] + 0.5 * observations[:, 3] > 0).astype(np.int64)


def shuffled(observations: Array) -> Array:
    return np.random.default_rng(1).permutation(falls_right(observations))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# Recovery


def test_a_known_policy_is_recovered() -> None:
    policy = made()
    found = clone(policy, done(observed(), falls_right), rng=rng(), **QUICK)
    fresh = observed(1, 500, seed=9)[0][:-1]
    assert (policy.predict(fresh, deterministic=True)[0] == falls_right(fresh)).mean() > 0.95
    assert found.losses_heldout[0] > 0.6 and found.losses_heldout[found.kept] < 0.15
    assert (found.pairs, found.pairs_heldout) == (900, 100)


def test_shuffled_actions_are_not_learned() -> None:
    found = clone(made(), done(observed(), shuffled), rng=rng())
    assert found.losses_heldout[found.kept] > math.log(2) - 0.03
    assert found.losses[-1] < found.losses_heldout[-1]  # it only knows by heart, and stops


def test_a_gaussian_s_mean_and_spread_are_recovered() -> None:
    def act(observations: Array) -> Array:
        noise = np.random.default_rng(int(abs(observations[0, 0]) * 1e6)).normal(size=len(observations))
        return (observations[:, 0] - 0.5 * observations[:, 1] + 0.3 * noise)[:, None].astype(np.float32)

    policy = made(spaces.Box(-5, 5, (1,)), net_arch=[])
    clone(policy, done(observed(), act), rng=rng(), **QUICK)
    weights = policy.action_net.weight.detach().numpy()  # type: ignore[operator, union-attr]
    np.testing.assert_allclose(weights, [[1, -0.5, 0, 0]], atol=0.05)
    assert math.exp(policy.log_std.item()) == pytest.approx(0.3, abs=0.03)


def test_what_is_repeated_to_the_last_digit_leaves_as_much_exploration_as_said() -> None:
    policy = made(spaces.Box(-5, 5, (1,)), net_arch=[])
    clone(
        policy,
        done(observed(), lambda o: np.zeros((len(o), 1), np.float32)),
        rng=rng(),
        least_std=0.2,
        learning_rate=0.03,
        epochs=20,
    )
    assert math.exp(policy.log_std.item()) == pytest.approx(0.2, abs=1e-4)


# How


def test_statistics_of_observations_are_those_of_what_is_fitted_to() -> None:
    mean, size = np.array([100.0, 0, -5, 1]), np.array([10.0, 1, 0.01, 1])
    policy = made(features_extractor_class=NormalizedObservations)
    trajectories = done(observed(mean=mean, size=size), lambda o: falls_right((o - mean) / size))
    found = clone(policy, trajectories, rng=rng(), heldout=0.0, **QUICK)
    extractor: Any = policy.features_extractor
    seen = np.concatenate([t.observations[:-1] for t in trajectories])
    np.testing.assert_allclose(extractor.mean, seen.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(extractor.variance, seen.var(axis=0), rtol=1e-3)
    assert extractor.count == 1000 and found.losses[-1] < 0.15
    clone(policy, trajectories, rng=rng(), epochs=1)
    assert extractor.count == 1000  # a policy that has statistics keeps them


def test_the_weights_kept_are_those_of_the_smallest_heldout_loss() -> None:
    policy, trajectories = made(), done(observed(4), shuffled)
    found = clone(policy, trajectories, rng=rng(), patience=3, learning_rate=0.01)
    assert len(found.losses_heldout) == found.kept + 4 < 100
    assert found.kept == int(np.argmin(found.losses_heldout))
    again = clone(policy, trajectories, rng=rng(), epochs=1)
    assert again.losses[0] == pytest.approx(found.losses[found.kept], rel=1e-5)


def test_the_same_random_numbers_give_the_same_weights_and_none_are_taken_from_elsewhere() -> None:
    trajectories, weights = done(observed(4), falls_right), []
    for seed in (0, 0, 1):
        policy = made()
        before = torch.random.get_rng_state()
        clone(policy, trajectories, rng=np.random.default_rng(seed), epochs=3)
        assert torch.equal(torch.random.get_rng_state(), before)
        weights.append(policy.action_net.weight.detach().numpy())  # type: ignore[operator, union-attr]
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])


def test_the_value_function_and_the_optimizer_stay_as_they_are() -> None:
    policy = made()
    before = policy.value_net.weight.clone()
    clone(policy, done(observed(4), falls_right), rng=rng(), epochs=3)
    assert torch.equal(policy.value_net.weight, before) and not policy.optimizer.state


def test_of_few_trajectories_single_steps_are_held_out() -> None:
    found = clone(made(), done(observed(2, 30), falls_right), rng=rng(), epochs=1)
    assert (found.pairs, found.pairs_heldout) == (54, 6)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"heldout": 1.0}, "heldout is 1.0; use a share from 0 to below 1"),
        ({"epochs": 0}, "epochs is 0; use at least 1"),
    ],
)
def test_numbers_out_of_their_range_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        clone(made(), done(observed(2), falls_right), rng=rng(), **settings)


def test_nothing_to_clone_and_policies_without_a_likelihood_are_refused() -> None:
    with pytest.raises(ValueError, match="got 0 steps to clone, and heldout is 0.1; expected at least 1"):
        clone(made(), [], rng=rng())
    dqn = DQN("MlpPolicy", "CartPole-v1", buffer_size=8, policy_kwargs={"net_arch": [4]})
    with pytest.raises(
        ValueError, match="policy is a DQNPolicy, which gives actions no likelihood to fit; use that of"
    ):
        clone(dqn.policy, done(observed(2), falls_right), rng=rng())


# Weights copied


def test_weights_are_copied_to_a_policy_of_the_same_layers() -> None:
    one, other = made(), made()
    with torch.no_grad():
        one.action_net.bias.add_(1.0)  # type: ignore[operator, union-attr]
    assert copy_weights(one, other)
    assert all(torch.equal(w, other.state_dict()[name]) for name, w in one.state_dict().items())


def test_so_are_those_of_off_policy_algorithms() -> None:
    one, other = (SAC("MlpPolicy", gymnasium.make("Pendulum-v1"), buffer_size=8, seed=s).policy for s in (0, 1))
    assert copy_weights(one, other)
    assert all(torch.equal(w, other.state_dict()[name]) for name, w in one.state_dict().items())


@pytest.mark.parametrize(
    "other",
    [
        {"net_arch": [17]},
        {"activation_fn": torch.nn.ReLU},
        {"actions": spaces.Discrete(3)},
        {"observations": spaces.Box(-1, 1, (5,))},
        {"features_extractor_class": NormalizedObservations},
    ],
)
def test_weights_that_would_mean_something_else_are_not_copied(other: dict[str, Any]) -> None:
    policy = made(**other)
    before = {name: weight.clone() for name, weight in policy.state_dict().items()}
    assert not copy_weights(made(), policy)
    assert all(torch.equal(w, before[name]) for name, w in policy.state_dict().items())


def test_a_policy_of_another_class_is_not_copied() -> None:
    ppo = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8).policy
    dqn = DQN("MlpPolicy", "CartPole-v1", buffer_size=8).policy
    assert not copy_weights(dqn, ppo)
