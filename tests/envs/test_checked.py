"""What an environment hands out is checked where it is stepped, and shared with nobody."""

import time

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlhf_gym.agents import make_agent
from rlhf_gym.envs import VecLearnedReward, make_env, make_vec_env, replay
from rlhf_gym.errors import BadInput
from rlhf_gym.evaluation import play
from rlhf_gym.segments import Origin

ID = "CheckedTest/Odd-v0"
BOX = spaces.Box(-10, 10, (2,), np.float32)


class Odd(gymnasium.Env):
    """Counts its steps in an observation of two numbers; `what` is done otherwise, at step `at`."""

    def __init__(self, what="nothing", at=1, observation_space=BOX, action_space=BOX):
        self.observation_space, self.action_space = observation_space, action_space
        self.what, self.at, self.steps = what, at, 0
        self.buffer = np.zeros(2, observation_space.dtype)

    def observed(self):
        self.buffer[:] = self.steps, self.np_random.random() if self.what == "seeded" else 0
        return self.buffer

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed if self.what != "unseeded" else None)
        self.steps = 0
        if self.what == "reset gives one":
            return self.observed()
        return self.observed() if self.what != "unseeded" else self.np_random.random(2), {}

    def step(self, action):
        self.steps += 1
        given = {"observation": self.observed(), "reward": float(np.sum(action)), "terminated": False}
        given |= {"truncated": self.steps == 5, "info": {}}
        action *= 0.5
        if self.steps == self.at:
            name, value = self.what if isinstance(self.what, list) else ("", None)
            given[name] = value
            given.pop("") if name == "" else None
            if self.what == "raises":
                raise ZeroDivisionError("float division\nby zero")
            if self.what == "hangs":
                while True:
                    time.sleep(0.01)
            if self.what == "four":
                del given["truncated"]
        return tuple(given.values())


class Old(Odd):
    def reset(self):
        return self.observed(), {}


@pytest.fixture(autouse=True)
def registered():
    gymnasium.register(ID, entry_point=Odd, max_episode_steps=50)
    gymnasium.register("CheckedTest/Old-v0", entry_point=Old, max_episode_steps=50)
    yield
    del gymnasium.registry[ID], gymnasium.registry["CheckedTest/Old-v0"]


def fault(what, at=1, env_id=ID, **settings):
    """The one line with which an episode ends whose environment does `what`."""
    env = make_env(Origin(env_id, 0, {"what": what, "at": at}), **settings)
    with pytest.raises(BadInput) as caught:
        env.reset(seed=7)
        for _ in range(5):
            env.step(np.ones(2, np.float32))
    assert "\n" not in str(caught.value)
    return str(caught.value)


AFTER = f"of {ID} is {{}} after step 1 of the episode with seed 7; expected {{}}: mend the environment"


@pytest.mark.parametrize(
    "name, value, came, expected",
    [
        ("observation", np.zeros(1, np.float32), "an array of shape (1,) and dtype float32", "shape (2,) and dtype"),
        ("observation", np.zeros((1, 2), np.float32), "an array of shape (1, 2) and dtype float32", "shape (2,)"),
        ("observation", np.array(["a", "b"]), "an array of shape (2,) and dtype <U1", "shape (2,) and dtype float32"),
        ("observation", {"a": 1}, "dict {'a': 1}", "shape (2,) and dtype float32"),
        ("observation", None, "NoneType None", "shape (2,) and dtype float32"),
        ("observation", [[1.0], [1.0, 2.0]], "list [[1.0], [1.0, 2.0]]", "shape (2,) and dtype float32"),
        ("reward", None, "NoneType None", "one finite number"),
        ("reward", "1", "str '1'", "one finite number"),
        ("reward", np.ones(2), "an array of shape (2,) and dtype float64", "one finite number"),
        ("terminated", {}, "dict {}", "True or False"),
        ("truncated", None, "NoneType None", "True or False"),
        ("info", [], "list []", "a dict"),
    ],
)
def test_what_a_step_may_not_give_is_refused_in_one_line(name, value, came, expected):
    told = fault([name, value])
    assert told.startswith(f"{name} of {ID} is {came} after step 1 of the episode with seed 7; expected {expected}")


@pytest.mark.parametrize("what, name", [("observation", "observation"), ("reward", "true reward")])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused_wherever_an_environment_is_stepped(what, name, number):
    value = np.float32([number, 0]) if what == "observation" else number
    assert fault([what, value], at=3) == (
        f"{name} of {ID} holds {number} after step 3 of the episode with seed 7; expected finite numbers: mend the "
        "environment"
    )


def test_huge_numbers_are_finite_ones():
    env = make_env(Origin(ID, 0, {"what": ["observation", np.float32([3e38, -3e38])]}))
    env.reset(seed=0)
    assert env.step(np.ones(2))[0].tolist() == np.float32([3e38, -3e38]).tolist()


def test_an_environment_of_the_old_interface_is_told_what_step_and_reset_are_like_now():
    assert "is raised" not in (told := fault("four"))
    assert f"{ID} raised ValueError: not enough values to unpack" in told
    assert "expected observation, info of reset, and observation, reward, terminated, truncated, info of step" in told
    assert "expected two values: observation, info" in fault("reset gives one")
    assert "expected reset(self, *, seed=None, options=None)" in fault("nothing", env_id="CheckedTest/Old-v0")


def test_an_exception_is_told_in_one_line_with_its_place_and_step():
    told = fault("raises", at=4)
    assert told.startswith(f"{ID} raised ZeroDivisionError: float division by zero at {__file__}:")
    assert told.endswith(", in step 4 of the episode with seed 7; mend the environment")


def test_an_environment_that_hangs_is_told_where_it_hung_once_its_time_is_up():
    told = fault("hangs", at=2, step_seconds=0.05)
    assert told.startswith(
        f"{ID} takes longer than env.step_seconds, 0.05 s, in step 2 of the episode with seed 7, at {__file__}:"
    )


def test_floats_are_no_pixels_but_every_dtype_that_holds_the_numbers_is_taken():
    def first(observation, dtype):
        space = spaces.Box(0, 9, (2,), dtype)
        env = make_env(Origin(ID, 0, {"what": ["observation", observation], "observation_space": space}))
        env.reset(seed=0)
        return env.step(np.ones(2))[0]

    with pytest.raises(BadInput, match="dtype float64 after step 1 .* expected shape .* and dtype uint8"):
        first(np.array([0.2, 0.7]), np.uint8)
    for came in (np.array([0.0, 1.0]), [0, 1], np.array([False, True]), np.array([0, 1], np.uint8)):
        assert (made := first(came, np.float32)).dtype == np.float32 and made.tolist() == [0, 1]
    assert first(np.array([0, 1]), np.uint8).dtype == np.uint8  # plain integers, as lists of pixels are
    for wraps in (260, -1):
        with pytest.raises(BadInput, match="after step 1 .* expected numbers that uint8 holds: mend"):
            first(np.array([0, wraps]), np.uint8)


def test_one_element_arrays_are_the_number_in_them():
    for name, value in (("reward", np.array([2.0])), ("terminated", np.array([True])), ("truncated", np.int64(1))):
        env = make_env(Origin(ID, 0, {"what": [name, value]}))
        env.reset(seed=0)
        came = dict(
            zip(("observation", "reward", "terminated", "truncated", "info"), env.step(np.ones(2)), strict=True)
        )
        assert came[name] == value and type(came[name]) in (float, bool)


# Copies


def test_a_buffer_that_an_environment_fills_anew_changes_nothing_that_was_seen():
    env = make_env(Origin(ID, 0))
    seen = [env.reset(seed=0)[0], *(env.step(np.ones(2))[0] for _ in range(3))]
    assert [observation[0] for observation in seen] == [0, 1, 2, 3]


def test_an_action_that_an_environment_changes_is_its_own_copy():
    env = make_env(Origin(ID, 0))
    env.reset(seed=0)
    env.step(action := np.ones(2, np.float32))
    assert action.tolist() == [1, 1]


def test_what_is_recorded_is_what_was_seen_and_done_whatever_an_environment_does_to_its_arrays():
    paid = []

    def reward(observations, actions, after, terminated):
        paid.append((observations.copy(), actions.copy(), after.copy()))
        return np.zeros(len(actions), np.float32)

    recorder = make_vec_env(Origin(ID, 0), n_envs=2, memory_steps=100, rng=np.random.default_rng(0))
    venv = VecLearnedReward(recorder, reward)
    venv.reset()
    for _ in range(7):
        venv.step(np.full((2, 2), 3, np.float32))
    first = recorder.trajectories()[0]
    assert first.observations[:, 0].tolist() == [0, 1, 2, 3, 4, 5]  # the last one is not the next episode's first
    assert (first.actions == 3).all() and first.rewards.tolist() == [6] * 5
    assert [(o[0, 0], a[0, 0], n[0, 0]) for o, a, n in paid[4:6]] == [(4, 3, 5), (0, 3, 1)]
    assert len(replay(first, draw=False)) == 0  # it does again what was recorded


def test_evaluation_records_what_was_seen_and_done():
    (episode,) = play(lambda o: (np.full((len(o), 2), 3, np.float64), None), ID, seed=0, n_episodes=1)
    assert episode.observations[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert (episode.actions == 3).all()
    replay(episode, draw=False)


# Seeds


def unseeded_told(what, capsys):
    venv = make_vec_env(Origin(ID, 0, {"what": what}), n_envs=2, memory_steps=10, rng=np.random.default_rng(0))
    venv.reset()
    venv.reset()
    return capsys.readouterr().err


def test_an_environment_that_ignores_its_seed_is_told_of_once(capsys):
    assert unseeded_told("unseeded", capsys) == (
        f"{ID} starts differently each time from one seed, so that nothing replays: no clips, no corrections; draw its "
        "random numbers from self.np_random, after super().reset(seed=seed)\n"
    )
    assert unseeded_told("seeded", capsys) == ""


# The same actions in training, evaluation and replay


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(np.float32([-0.1, -3]), np.float32([0.1, 5]), (2,)),
        spaces.Box(-1, 1, (2,), np.float64),
        spaces.Box(0, 9, (2,), np.uint8),
        spaces.Box(-1, 1, (2, 3)),
        spaces.Box(-1, 1, (1,)),
        spaces.Discrete(3),
    ],
    ids=str,
)
def test_an_environment_is_given_actions_of_its_space_and_the_same_in_training_evaluation_and_replay(space):
    given = []

    class Noting(Odd):
        def step(self, action):
            given.append(np.array(action))
            assert np.asarray(action).dtype == self.action_space.dtype
            assert self.action_space.contains(action)
            self.steps += 1
            return self.observed(), 0.0, False, self.steps == 5, {}

    gymnasium.register("CheckedTest/Noting-v0", entry_point=Noting, max_episode_steps=50)
    origin = Origin("CheckedTest/Noting-v0", 0, {"action_space": space})
    recorder = make_vec_env(origin, n_envs=1, memory_steps=100, rng=np.random.default_rng(0))
    agent = make_agent(
        "ppo", VecLearnedReward(recorder), seed=0, total_timesteps=20, options={"n_steps": 10, "batch_size": 5}
    )
    with np.errstate(invalid="ignore"):
        agent.improve(10)
    recorded = np.concatenate([trajectory.actions for trajectory in recorder.trajectories()])
    assert np.array_equal(given[:10], recorded)
    del given[:]
    (episode,) = play(agent.predict, origin.env_id, seed=0, n_episodes=1, env_kwargs=origin.env_kwargs)
    del gymnasium.registry["CheckedTest/Noting-v0"], given[5:]
    assert np.array_equal(given, episode.actions) and episode.actions.dtype == space.dtype
