"""A known reward comes back out of the oracle's answers, and not out of answers that are shuffled."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from scipy.stats import spearmanr

from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Preference
from rlhf_gym.queries import sample_candidates
from rlhf_gym.rewards import Bootstrap, RewardModel, fit_reward_model
from rlhf_gym.segments import Array, Ending, Trajectory, pad, sample_segments
from rlhf_gym.teachers import OracleTeacher

OBSERVATION_WEIGHTS = np.array([0.9, -0.8, 0.2, 1.0, -0.6, -0.3])
ACTION_WEIGHTS = np.array([1.0, -1.5])
OBSERVATIONS = spaces.Box(-np.inf, np.inf, (6,))
ACTIONS = {"discrete": spaces.Discrete(2), "box": spaces.Box(-np.inf, np.inf, (2,))}


def trajectories(actions: spaces.Space[Any], rng: np.random.Generator) -> list[Trajectory]:
    """Thirty random episodes, paid by a linear function of observation and action; half of them terminate."""

    def one() -> Trajectory:
        length = int(rng.integers(10, 60))
        observations = rng.normal(size=(length + 1, 6)).astype(np.float32)
        discrete = isinstance(actions, spaces.Discrete)
        taken: Array = rng.integers(2, size=length) if discrete else rng.normal(size=(length, 2)).astype(np.float32)
        rewards = observations[:-1] @ OBSERVATION_WEIGHTS
        rewards = rewards + (ACTION_WEIGHTS[taken] if discrete else taken @ ACTION_WEIGHTS)
        return Trajectory(observations, taken, rewards, Ending.TERMINATED if rng.random() < 0.5 else Ending.TRUNCATED)

    return [one() for _ in range(30)]


def rank_correlation(actions: spaces.Space[Any], *, seed: int, shuffled: bool) -> float:
    """Spearman's rho of true and learned returns of 200 held-out segments, after a fit to 400 answers."""
    rng = np.random.default_rng(seed)
    queries = sample_candidates(trajectories(actions, rng), length=10, n=400, rng=rng).queries()
    answers = OracleTeacher().answer(queries)
    if shuffled:
        answers = [answers[i] for i in rng.permutation(400)]
    model = RewardModel(OBSERVATIONS, actions, ensemble_size=3, hidden=(32,), seed=seed)
    fit_reward_model(
        model,
        choices(Preference(query, answer) for query, answer in zip(queries, answers, strict=True)),
        bootstrap=Bootstrap(3, seed=seed),
        rng=rng,
        steps=200,
        batch_size=32,
        learning_rate=3e-3,
        l2=1e-3,
        label_noise=0.1,
    )
    held_out = sample_segments(trajectories(actions, rng), length=10, n=200, rng=rng)
    learned = model.returns(pad(held_out)).mean(axis=0)
    return float(spearmanr(learned, [segment.true_return for segment in held_out])[0])


@pytest.mark.parametrize("actions", ACTIONS.values(), ids=ACTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_a_linear_reward_is_recovered_from_oracle_answers(actions: spaces.Space[Any], seed: int) -> None:
    assert rank_correlation(actions, seed=seed, shuffled=False) >= 0.95


@pytest.mark.slow
def test_a_linear_reward_is_not_recovered_from_shuffled_answers() -> None:
    # What is fitted to noise points anywhere among 8 directions: standard deviation 1 / sqrt(8) = 0.35 of each,
    # 0.14 of the mean of six.
    found = [rank_correlation(a, seed=seed, shuffled=True) for a in ACTIONS.values() for seed in range(3)]
    assert abs(np.mean(found)) < 0.42 and np.max(np.abs(found)) < 0.85
