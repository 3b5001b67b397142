from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from rlhf_gym.envs import SeededEpisodes, make_env, make_vec_env
from rlhf_gym.segments import Origin

NUMBERS = spaces.Box(-1, 1, (2,))
MEMBERS = {"a": NUMBERS}


class Spaces(gymnasium.Env):
    """Has the spaces it is told to have, takes no `render_mode`, and does nothing."""

    def __init__(self, observation_space=NUMBERS, action_space=NUMBERS):
        self.observation_space, self.action_space = observation_space, action_space


@pytest.fixture(autouse=True)
def registered():
    gymnasium.register("MakeTest/Spaces-v0", entry_point=Spaces)
    yield
    del gymnasium.registry["MakeTest/Spaces-v0"]


def refusal(env_id, **env_kwargs):
    """The one line with which an environment is refused."""
    with pytest.raises(ValueError) as caught:
        make_env(Origin(env_id, 0, env_kwargs))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is refused


def shown(space):
    return space if isinstance(space, spaces.Box | spaces.Discrete) else type(space).__name__


def test_an_unknown_environment_is_refused_with_a_suggestion():
    assert refusal("Cartpole-v1").startswith(
        "env_id is 'Cartpole-v1', which Gymnasium doesn't know; did you mean CartPole-v1"
    )
    assert "did you mean HalfCheetah-v5" in refusal("HalfCheeta-v5")


def test_where_nothing_is_near_the_list_is_pointed_to():
    told = refusal("Zzyzx-v0")
    assert "doesn't know; see gymnasium.pprint_registry() for the known ones" in told
    assert told.endswith("or name the module of your own: module:Id")


def test_an_unknown_id_of_a_module_is_refused_with_the_nearest_and_its_module():
    assert "did you mean gymnasium:CartPole-v1, gymnasium:CartPole-v0" in refusal("gymnasium:CartPol-v1")


def test_an_unknown_version_is_refused():
    assert "env_id is 'CartPole-v7', which Gymnasium doesn't know; did you mean CartPole-v1" in refusal("CartPole-v7")


def test_an_environment_whose_module_is_missing_is_refused():
    assert "env_id no_such_module:Task-v0 " in refusal("no_such_module:Task-v0")
    assert "No module named 'no_such_module'" in refusal("no_such_module:Task-v0")


def test_an_id_that_is_none_is_refused():
    assert "Malformed environment ID: Cart Pole" in refusal("Cart Pole")


def test_keyword_arguments_that_the_environment_does_not_take_are_refused():
    line = refusal("CartPole-v1", gravitation=9.8)
    assert line.startswith("env_id CartPole-v1 with env_kwargs {'gravitation': 9.8} can't be made: ")
    assert "unexpected keyword argument 'gravitation'" in line


def test_a_file_that_the_environment_does_not_find_is_named():
    assert "no_such_file.xml does not exist" in refusal("HalfCheetah-v5", xml_file="no_such_file.xml")


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict(MEMBERS),
        spaces.Tuple([NUMBERS]),
        spaces.MultiBinary(3),
        spaces.MultiDiscrete([2, 3]),
        spaces.Discrete(3),
    ],
    ids=lambda space: type(space).__name__,
)
def test_other_observations_than_a_box_are_refused_saying_what_is_supported(space):
    assert refusal("MakeTest/Spaces-v0", observation_space=space).startswith(
        f"env_id is MakeTest/Spaces-v0, whose observation space is {shown(space)}; supported: Box. Wrap the env"
    )


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict(MEMBERS),
        spaces.Tuple([NUMBERS]),
        spaces.MultiBinary(3),
        spaces.MultiDiscrete([2, 3]),
        spaces.Box(-np.inf, 1, (2,)),
        spaces.Discrete(3, start=1),
    ],
    ids=lambda space: type(space).__name__,
)
def test_other_actions_than_box_and_discrete_are_refused_saying_what_is_supported(space):
    assert refusal("MakeTest/Spaces-v0", action_space=space).startswith(
        f"env_id is MakeTest/Spaces-v0, whose action space is {shown(space)}; "
        "supported: Box with finite bounds, or Discrete counted from 0. Wrap"
    )


# What is made


@pytest.mark.parametrize("space", [NUMBERS, spaces.Discrete(3)], ids=["Box", "Discrete"])
def test_box_and_discrete_actions_are_made_even_where_nothing_can_be_drawn(space):
    assert make_env(Origin("MakeTest/Spaces-v0", 0, {"action_space": space})).action_space == space


def test_keyword_arguments_reach_the_environment():
    env = make_env(Origin("Pendulum-v1", 0, {"g": 2.5, "max_episode_steps": 7}))
    assert (env.unwrapped.g, env.spec.max_episode_steps) == (2.5, 7)


def test_no_window_opens_while_training_whatever_the_keyword_arguments_say():
    assert make_env(Origin("CartPole-v1", 0, {"render_mode": "human"})).render_mode is None


def test_a_fixed_horizon_is_part_of_what_an_environment_is():
    env = make_env(Origin("CartPole-v1", 0, fixed_horizon=3))
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


class Body(Spaces):
    """Falls at its third step, unless told to lie there."""

    def __init__(self, terminate_when_unhealthy=True):
        super().__init__()
        self.terminate_when_unhealthy = terminate_when_unhealthy

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        observation = np.full(2, self.steps / 10, np.float32)
        return observation, 1.0, self.terminate_when_unhealthy and self.steps == 3, False, {}


@pytest.fixture
def body():
    gymnasium.register("MakeTest/Body-v0", entry_point=Body)
    yield "MakeTest/Body-v0"
    del gymnasium.registry["MakeTest/Body-v0"]


def episode(env):
    """First number of each observation, sum of rewards, and whether anything was called a failure."""
    env.reset(seed=0)
    steps = [env.step(env.action_space.sample()) for _ in range(6)]
    assert [truncated for *_, truncated, _ in steps] == [False] * 5 + [True]
    return [round(float(step[0][0]), 1) for step in steps], sum(step[1] for step in steps), steps[-1][4]["failed"]


def test_a_body_that_can_be_told_to_lie_there_goes_on_in_fixed_horizon(body):
    assert episode(make_env(Origin(body, 0, fixed_horizon=6))) == ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 6, False)


def test_it_freezes_where_its_keyword_arguments_ask_for_the_termination(body):
    env = make_env(Origin(body, 0, {"terminate_when_unhealthy": True}, fixed_horizon=6))
    assert episode(env) == ([0.1, 0.2, 0.3, 0.3, 0.3, 0.3], 3, True)


def test_it_terminates_without_fixed_horizon(body):
    env = make_env(Origin(body, 0))
    env.reset(seed=0)
    assert [env.step(env.action_space.sample())[2] for _ in range(3)] == [False, False, True]


def test_an_origin_is_not_changed_by_what_is_made_of_it(body):
    origin = Origin(body, 0, {}, fixed_horizon=6)
    make_env(origin)
    assert origin == Origin(body, 0, {}, fixed_horizon=6)


def test_an_id_that_a_module_registers_when_it_is_imported_is_looked_into_as_well(tmp_path, monkeypatch):
    (tmp_path / "bodies_of_test_make.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('TestMakeLater-v0', entry_point='gymnasium.envs.mujoco.hopper_v5:HopperEnv')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    env = make_env(Origin("bodies_of_test_make:TestMakeLater-v0", 0, fixed_horizon=200))
    del gymnasium.registry["TestMakeLater-v0"]
    env.reset(seed=0)
    assert not any(env.step(env.action_space.sample())[4]["failed"] for _ in range(200))


def test_an_unknown_environment_is_refused_in_fixed_horizon_too():
    with pytest.raises(ValueError, match="did you mean CartPole-v1"):
        make_env(Origin("CartPoll-v1", 0, fixed_horizon=6))
    with pytest.raises(ValueError, match="No module named 'nowhere_at_all'"):
        make_env(Origin("nowhere_at_all:Cart-v0", 0, fixed_horizon=6))


# Seeds


def seeds(env, n):
    return [env.reset()[1]["episode_seed"] for _ in range(n)]


def test_every_episode_has_a_seed_of_its_own_drawn_from_the_generator():
    env = SeededEpisodes(make_env(Origin("CartPole-v1", 0)), rng=np.random.default_rng(3))
    drawn = seeds(env, 50)
    assert len(set(drawn)) == 50
    rng = np.random.default_rng(3)
    assert drawn == [int(rng.integers(2**31)) for _ in range(50)]


def test_the_reported_seed_starts_the_episode_again():
    env = SeededEpisodes(make_env(Origin("CartPole-v1", 0)), rng=np.random.default_rng(3))
    for _ in range(5):
        observation, info = env.reset()
        again, _ = gymnasium.make("CartPole-v1").reset(seed=info["episode_seed"])
        assert np.array_equal(observation, again)


def test_a_seed_that_is_given_is_used_and_reported():
    env = SeededEpisodes(make_env(Origin("CartPole-v1", 0)), rng=np.random.default_rng(3))
    observation, info = env.reset(seed=11)
    assert info["episode_seed"] == 11
    assert np.array_equal(observation, gymnasium.make("CartPole-v1").reset(seed=11)[0])


def test_the_same_generator_plays_the_same_episodes_side_by_side():
    def play(seed):
        venv = make_vec_env(Origin("CartPole-v1", 0), n_envs=3, memory_steps=1000, rng=np.random.default_rng(seed))
        venv.reset()
        for _ in range(40):
            venv.step(np.zeros(3, np.int64))
        return [(t.origin.seed, t.observations.tobytes(), t.ending) for t in venv.trajectories()]

    assert play(0) == play(0)
    assert not set(play(0)) & set(play(1))
    assert len({seed for seed, *_ in play(0)}) == len(play(0)) >= 12  # 3 environments, 4 episodes of about 10 steps


def test_an_id_without_a_version_is_refused_because_its_meaning_changes_with_gymnasium():
    assert refusal("CartPole") == "env_id is 'CartPole', which leaves the version open; use CartPole-v1"


def test_a_file_in_place_of_its_module_is_told():
    assert refusal("dots.py:Dot-v0") == "env_id is 'dots.py:Dot-v0'; a module is named without .py: use dots:Dot-v0"


class OneInfo(gymnasium.Env[Any, Any]):
    """Hands out one and the same dict at every step, as gymnasium doesn't forbid."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self) -> None:
        self.info = {"step": 0}

    def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.info["step"] += 1
        return np.zeros(1, np.float32), 0.0, False, False, self.info


def test_the_info_of_a_step_is_its_own_though_nothing_copies_it_in_depth() -> None:
    venv = DummyVecEnv([lambda: SeededEpisodes(OneInfo(), rng=np.random.default_rng(0))])
    venv.reset()
    infos = [venv.step(np.array([0]))[3][0] for _ in range(3)]
    assert [info["step"] for info in infos] == [1, 2, 3]
    infos[0]["true_reward"] = 1.0
    assert "true_reward" not in infos[1] and "true_reward" not in venv.envs[0].unwrapped.info
