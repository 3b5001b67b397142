"""Steps that are played to be shown."""

from typing import Any

import numpy as np
import pytest

from rlhf_gym.envs import Recorder, ShownSteps, make_vec_env
from rlhf_gym.segments import Array, Ending, Origin


def make_recorder(n_envs: int = 2) -> Recorder:
    origin = Origin("Pendulum-v1", 0, {"max_episode_steps": 30})
    return make_vec_env(origin, n_envs=n_envs, memory_steps=1000, rng=np.random.default_rng(0))


class Policy:
    """Does as it is told by its factors, and notes what it was given."""

    def __init__(self) -> None:
        self.seen: list[Array] = []

    def __call__(self, observations: Array, noise: Array) -> Array:
        self.seen.append(observations.copy())
        return noise[:, None]


def test_each_environment_is_played_with_its_own_noise() -> None:
    shown = ShownSteps(make_recorder(3), (0.0, 1.0, 2.0))
    shown.play(Policy(), until=30)
    assert shown.recorder.steps == 30
    assert [t.actions.ravel().tolist() for t in shown.recorder.trajectories()] == [[0.0] * 10, [1.0] * 10, [2.0] * 10]
    shown.close()


def test_episodes_go_on_from_one_call_to_the_next() -> None:
    shown, policy = ShownSteps(make_recorder(), (0.0, 2.0)), Policy()
    for until in (20, 20, 10, 50):  # what was played already isn't played again
        shown.play(policy, until=until)
    trajectories = shown.recorder.trajectories()
    assert [(len(t), t.ending) for t in trajectories] == [(25, Ending.UNFINISHED)] * 2
    np.testing.assert_array_equal([t.observations[:-1] for t in trajectories], np.swapaxes(policy.seen, 0, 1))
    shown.play(policy, until=80)
    assert [len(t) for t in shown.recorder.trajectories()] == [30, 30, 10, 10]
    shown.close()


def test_a_restored_recorder_goes_on_counting_with_new_episodes() -> None:
    one, other = (ShownSteps(make_recorder(), (0.0, 2.0)) for _ in range(2))
    one.play(Policy(), until=40)
    kept = one.recorder.trajectories()
    other.recorder.restore(kept, steps=40, terminations=0)
    other.play(Policy(), until=60)
    assert other.recorder.steps == 60
    assert [len(t) for t in other.recorder.trajectories()] == [20, 20, 10, 10]
    for shown in (one, other):
        shown.close()


@pytest.mark.parametrize("noise", [(), (1.0,), (0.0, 1.0, 2.0)])
def test_one_factor_for_each_environment_is_expected(noise: Any) -> None:
    recorder = make_recorder()
    with pytest.raises(ValueError, match=f"noise has {len(noise)} factors for 2 environments; use one for each"):
        ShownSteps(recorder, noise)
    recorder.close()
