"""A policy is judged on whole episodes of the unmodified environment."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.envs import NoEnvironment, replay
from rlhf_gym.evaluation import goal_return, mean_return, play
from rlhf_gym.segments import Array, Ending, Trajectory


def lean(observations: Array) -> tuple[Array, None]:
    """Push the cart to where the pole leans, which keeps it up for some fifty steps."""
    return (observations[:, 2] > 0).astype(np.int64), None


class Countdown(gymnasium.Env[Array, np.int64]):
    """Lives as many steps as its seed says; observes how many are left, always in the same array."""

    observation_space = spaces.Box(0, 100, (1,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        assert seed is not None
        self.left = np.array([3 + seed % 7], np.float32)
        return self.left, {}

    def step(self, action: np.int64) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        return self.left, float(action), bool(self.left[0] == 0), False, {}


@pytest.fixture
def countdown() -> Iterator[str]:
    gymnasium.register("EvaluationTest/Countdown-v0", entry_point=lambda **kwargs: Countdown())
    yield "EvaluationTest/Countdown-v0"
    del gymnasium.registry["EvaluationTest/Countdown-v0"]


def test_returns_are_those_of_playing_the_same_seeds_one_by_one() -> None:
    episodes = play(lean, "CartPole-v1", seed=3, n_episodes=6)
    env = gymnasium.make("CartPole-v1")
    for episode in episodes:
        assert episode.origin is not None
        observation, _ = env.reset(seed=episode.origin.seed)
        total, steps, over, terminated = 0.0, 0, False, False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(lean(observation[None])[0][0])
            total, steps, over = total + float(reward), steps + 1, terminated or truncated
        assert (episode.true_return, len(episode)) == (total, steps)
        assert (episode.ending is Ending.TERMINATED) == terminated
        np.testing.assert_array_equal(episode.observations[-1], observation)
    env.close()


def test_every_episode_has_a_seed_of_its_own_drawn_from_the_one_given() -> None:
    seeds = [
        [episode.origin.seed for episode in play(lean, "CartPole-v1", seed=seed, n_episodes=5) if episode.origin]
        for seed in (0, 0, 1)
    ]
    assert len(set(seeds[0])) == 5
    assert seeds[0] == seeds[1] and not set(seeds[0]) & set(seeds[2])


def test_episodes_can_be_replayed() -> None:
    for episode in play(lean, "CartPole-v1", seed=0, n_episodes=3):
        replay(episode, draw=False)  # raises if an observation differs


def test_the_environment_is_not_modified() -> None:
    steady = play(lambda observations: (np.ones(len(observations), np.int64), None), "CartPole-v1", seed=0)
    assert len(steady) == 20
    assert all(episode.ending is Ending.TERMINATED and 5 < len(episode) < 15 for episode in steady)


def test_a_time_limit_truncates() -> None:
    episodes = play(
        lambda observations: (np.zeros((len(observations), 1), np.float32), None), "Pendulum-v1", seed=0, n_episodes=2
    )
    assert [(len(episode), episode.ending) for episode in episodes] == [(200, Ending.TRUNCATED)] * 2
    assert all(episode.actions.shape == (200, 1) and episode.observations.shape == (201, 3) for episode in episodes)


def test_a_fixed_horizon_can_be_asked_for() -> None:
    episodes = play(lean, "CartPole-v1", seed=0, n_episodes=3, fixed_horizon=400)
    assert [(len(episode), episode.ending) for episode in episodes] == [(400, Ending.TRUNCATED)] * 3
    assert all(episode.true_return < 400 for episode in episodes)


def test_a_body_that_falls_ends_an_episode_unless_a_fixed_horizon_is_asked_for() -> None:
    def limp(observations: Array) -> tuple[Array, None]:
        return np.zeros((len(observations), 3), np.float32), None

    (plain,) = play(limp, "Hopper-v5", seed=0, n_episodes=1)
    (whole,) = play(limp, "Hopper-v5", seed=0, n_episodes=1, fixed_horizon=300)
    assert (plain.ending, whole.ending, len(whole)) == (Ending.TERMINATED, Ending.TRUNCATED, 300)
    np.testing.assert_array_equal(whole.observations[: len(plain) + 1], plain.observations)


def test_keyword_arguments_reach_the_environment() -> None:
    ways = play(
        lambda observations: (np.zeros((len(observations), 1), np.float32), None),
        "Pendulum-v1",
        seed=0,
        n_episodes=1,
        env_kwargs={"g": 0.0},
    )[0]
    speeds = ways.observations[:, 2]  # without gravity or torque, it keeps turning as it began
    np.testing.assert_allclose(speeds, speeds[0], rtol=1e-5)


def test_the_batch_shrinks_as_episodes_end(countdown: str) -> None:
    batches = []

    def watch(observations: Array) -> tuple[Array, None]:
        batches.append(observations[:, 0].tolist())
        return np.zeros(len(observations), np.int64), None

    episodes = play(watch, countdown, seed=0, n_episodes=6)
    lengths = [len(episode) for episode in episodes]
    assert lengths == [3 + episode.origin.seed % 7 for episode in episodes if episode.origin]
    assert len(set(lengths)) > 1
    assert [len(batch) for batch in batches] == [sum(step < n for n in lengths) for step in range(max(lengths))]
    assert all(left > 0 for batch in batches for left in batch)  # nobody is asked about an episode that has ended


def test_observations_are_copies_of_an_array_that_the_environment_uses_again(countdown: str) -> None:
    episode = play(lambda observations: (np.ones(len(observations), int), None), countdown, seed=0, n_episodes=1)[0]
    np.testing.assert_array_equal(episode.observations[:, 0], np.arange(len(episode), -1, -1))
    assert episode.true_return == len(episode)


def test_the_mean_return_is_over_episodes() -> None:
    made = [
        Trajectory(np.zeros((n + 1, 1)), np.zeros(n), np.full(n, reward), Ending.TERMINATED)
        for n, reward in [(1, 4.0), (4, 0.5), (3, 0.0)]
    ]
    assert mean_return(made) == 2  # 4 + 2 + 0 over 3


def test_the_goal_return_is_a_mean_over_episodes_of_what_the_goal_sums_to() -> None:
    def risen(observations: Array, actions: Array, next_observations: Array) -> Array:
        return np.asarray(next_observations[:, 0] - observations[:, 0] + 10 * actions)

    made = [
        Trajectory(np.array([[0.0], [3.0]]), np.ones(1), np.zeros(1), Ending.TRUNCATED),
        Trajectory(np.array([[5.0], [9.0], [4.0]]), np.zeros(2), np.zeros(2), Ending.TERMINATED),
    ]
    assert goal_return(risen, made) == 6  # 3 + 10, and 4 - 5


def test_a_goal_that_gives_nan_has_no_return() -> None:
    made = [Trajectory(np.zeros((3, 1)), np.zeros(2), np.zeros(2), Ending.TRUNCATED)]
    with pytest.raises(ValueError, match="gives nan for step 0"):
        goal_return(lambda observations, actions, next_observations: np.full(2, np.nan), made)


# Few environments at a time


class Seated(Countdown):
    """A simulator with three seats, each free again once it is closed."""

    taken, most = 0, 0

    def __init__(self) -> None:
        if Seated.taken == 3:
            raise RuntimeError("all 3 seats are taken")
        Seated.taken += 1
        Seated.most = max(Seated.most, Seated.taken)

    def close(self) -> None:
        Seated.taken -= 1


@pytest.fixture
def seated() -> Iterator[str]:
    gymnasium.register("EvaluationTest/Seated-v0", entry_point=Seated)
    Seated.taken = Seated.most = 0
    yield "EvaluationTest/Seated-v0"
    del gymnasium.registry["EvaluationTest/Seated-v0"]


def ones(observations: Array) -> tuple[Array, None]:
    return np.ones(len(observations), np.int64), None


def shown(episodes: list[Trajectory]) -> list[tuple[object, ...]]:
    return [(e.origin and e.origin.seed, e.observations.tolist(), e.actions.tolist(), e.true_return) for e in episodes]


@pytest.mark.parametrize("n_envs", [1, 2, 5, 9])
def test_episodes_are_the_same_however_many_environments_are_open(countdown: str, n_envs: int) -> None:
    few = play(ones, countdown, seed=0, n_episodes=5, n_envs=n_envs)
    assert shown(few) == shown(play(ones, countdown, seed=0, n_episodes=5))


def test_no_more_environments_are_open_than_are_asked_for_and_all_are_closed(seated: str) -> None:
    play(ones, seated, seed=0, n_episodes=7, n_envs=2)
    assert (Seated.most, Seated.taken) == (2, 0)


def test_as_many_are_open_as_can_be_made_unless_a_number_is_asked_for(
    seated: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(play(ones, seated, seed=0, n_episodes=7)) == 7
    told = capsys.readouterr().err
    assert (
        told.startswith("evaluates in 3 environments at a time, as there is no other: env_id ")
        and told.count("\n") == 1
    )
    assert Seated.taken == 0
    with pytest.raises(
        NoEnvironment, match="can't be made: RuntimeError: all 3 seats are taken, at .*test_evaluation.py"
    ):
        play(ones, seated, seed=0, n_episodes=7, n_envs=4)
    assert Seated.taken == 0


def test_a_run_that_trains_in_all_seats_there_are_is_evaluated_in_them_too(seated: str) -> None:
    options = {"n_steps": 16, "batch_size": 16, "n_epochs": 1}
    config = RLHFConfig.from_dict({
        "env_id": seated, "env_kwargs": {"max_episode_steps": 20}, "segment_length": 3, "total_timesteps": 150,
        "reward": {"source": "true"}, "agent": {"n_envs": 3, "options": options}, "evaluation": {"n_episodes": 4},
    })  # fmt: skip
    with closing(RLHF(config)) as rlhf:
        assert rlhf.learn()["n_eval_episodes"] == 4
    assert (Seated.most, Seated.taken) == (3, 0)
