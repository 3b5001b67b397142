from dataclasses import replace as changed

import gymnasium
import numpy as np
import pytest

from rlhf_gym.envs import make_vec_env, replay
from rlhf_gym.envs.make import make_env
from rlhf_gym.envs.replay import follow
from rlhf_gym.segments import Ending, Origin, Trajectory

ENVIRONMENTS = [
    "CartPole-v1",
    "Pendulum-v1",
    "Acrobot-v1",
    "MountainCarContinuous-v0",
    "HalfCheetah-v5",
    "Hopper-v5",
]


def record(env_id, *, steps, n_envs=2, fixed_horizon=None, **env_kwargs):
    """Trajectories of random actions."""
    origin = Origin(env_id, 0, env_kwargs, fixed_horizon)
    venv = make_vec_env(origin, n_envs=n_envs, memory_steps=10_000, rng=np.random.default_rng(0))
    venv.action_space.seed(0)
    venv.reset()
    for _ in range(steps):
        venv.step(np.array([venv.action_space.sample() for _ in range(n_envs)]))
    venv.close()
    return venv.trajectories()


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_every_episode_has_a_seed_of_its_own_and_replays_bit_for_bit(env_id):
    episodes = record(env_id, steps=70, max_episode_steps=30)
    assert len({episode.origin.seed for episode in episodes}) == len(episodes) >= 6
    for episode in episodes:
        assert replay(episode, draw=False).size == 0
        start = len(episode) // 3
        assert replay(episode.cut(start, 10), draw=False).size == 0


def test_an_episode_with_a_fixed_horizon_replays_through_its_absorbing_state():
    (episode,) = record("CartPole-v1", steps=60, n_envs=1, fixed_horizon=60)
    assert np.array_equal(episode.observations[-1], episode.observations[-2])
    replay(episode, draw=False)
    replay(episode.cut(50, 10), draw=False)


def test_a_body_that_fell_in_fixed_horizon_replays_while_it_lies_there():
    (episode,) = record("Hopper-v5", steps=300, n_envs=1, fixed_horizon=300)
    assert len(episode) == 300 and episode.ending is Ending.TRUNCATED
    assert episode.observations[200:, 0].max() < 0.7  # it lies, below the height at which an episode would end
    assert (episode.observations[1:] != episode.observations[:-1]).any(axis=1).all()  # and is never frozen
    replay(episode, draw=False)
    replay(episode.cut(250, 30), draw=False)
    plain = changed(episode.origin, fixed_horizon=None)
    replay(changed(episode.cut(0, 5), origin=plain), draw=False)  # the same physics until it falls


def test_an_episode_with_keyword_arguments_replays():
    (episode,) = record("Pendulum-v1", steps=20, n_envs=1, g=3.0)
    replay(episode, draw=False)
    with pytest.raises(ValueError, match="doesn't replay"):
        replay(changed(episode, origin=changed(episode.origin, env_kwargs={})), draw=False)


# Drawing


def test_cartpole_is_drawn_once_for_each_observation():
    episode = record("CartPole-v1", steps=8, n_envs=1)[0]
    frames = replay(episode.cut(2, 4))
    assert (frames.shape, frames.dtype) == ((5, 400, 600, 3), np.uint8)
    assert np.array_equal(frames, replay(episode)[2:7])  # a segment's frames are those of its episode
    assert all((one != other).any() for one, other in zip(frames, frames[1:], strict=False))


def test_with_every_third_step_drawn_the_last_one_is_there_too():
    episode = record("CartPole-v1", steps=20, n_envs=1)[0].cut(0, 7)
    whole = replay(episode)
    np.testing.assert_array_equal(replay(episode, every=3), whole[[0, 3, 6, 7]])


def test_mujoco_is_drawn_at_the_size_it_is_asked_for():
    (episode,) = record("HalfCheetah-v5", steps=4, n_envs=1)
    frames = replay(episode, width=64, height=48)
    assert (frames.shape, frames.dtype) == ((5, 48, 64, 3), np.uint8)
    assert all((one != other).any() for one, other in zip(frames, frames[1:], strict=False))


def test_drawing_arguments_that_the_environment_does_not_take_are_refused():
    (episode,) = record("CartPole-v1", steps=3, n_envs=1)
    with pytest.raises(
        ValueError, match="CartPole-v1 with env_kwargs {} can't be made: .*unexpected keyword argument 'width'"
    ):
        replay(episode, width=64)


class Plain(gymnasium.Env):
    """Can't be drawn."""

    observation_space = action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self, render_mode=None):
        pass

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 1).astype(np.float32), {}

    def step(self, action):
        return np.asarray(action, np.float32), 0.0, False, False, {}


class Forgetful(Plain):
    """Depends on more than its seed and actions: on how often it was played before."""

    played = 0

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        Forgetful.played += 1
        return observation / Forgetful.played, info


@pytest.fixture
def registered():
    gymnasium.register("ReplayTest/Plain-v0", entry_point=Plain)
    gymnasium.register("ReplayTest/Forgetful-v0", entry_point=Forgetful)
    yield
    del gymnasium.registry["ReplayTest/Plain-v0"], gymnasium.registry["ReplayTest/Forgetful-v0"]


# Gymnasium warns of the render mode as well.
@pytest.mark.filterwarnings("ignore:.*is being initialised with render_mode='rgb_array':UserWarning")
def test_an_environment_that_can_not_be_drawn_is_refused_and_replays_without(registered):
    (episode,) = record("ReplayTest/Plain-v0", steps=5, n_envs=1)
    with pytest.raises(
        ValueError, match=r"Plain-v0 can't be drawn: .* expected rgb_array .* plots of its observations"
    ):
        replay(episode)
    assert replay(episode, draw=False).size == 0


def test_an_environment_whose_constructor_takes_no_render_mode_is_told_what_it_lacks(registered, monkeypatch):
    (episode,) = record("ReplayTest/Plain-v0", steps=5, n_envs=1)
    monkeypatch.setattr(gymnasium.registry["ReplayTest/Plain-v0"], "entry_point", lambda: Plain())
    with pytest.raises(ValueError, match="Plain-v0 can't be drawn: its constructor takes no render_mode; give it one"):
        replay(episode)


class Drawn(Plain):
    """Draws itself, not always as a picture."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    gives = {}  # noqa: RUF012
    drawn = 0

    def render(self):
        Drawn.drawn += 1
        return self.gives["frame"](Drawn.drawn)


@pytest.mark.parametrize(
    ("frame", "came"),
    [
        (lambda number: None, "gives NoneType; expected an array of uint8 of shape"),
        (lambda number: [np.zeros((8, 8, 3), np.uint8)], "gives list; expected"),
        (lambda number: np.full((8, 8, 3), 0.5), r"gives float64 of shape \(8, 8, 3\); expected"),
        (lambda number: np.zeros((8, 8), np.uint8), r"gives uint8 of shape \(8, 8\); expected"),
        (lambda number: np.zeros((8, 8, 4), np.uint8), r"gives uint8 of shape \(8, 8, 4\); expected"),
        (lambda number: np.zeros((0, 8, 3), np.uint8), r"gives uint8 of shape \(0, 8, 3\); expected"),
        (lambda number: np.zeros((8 + number % 2, 8, 3), np.uint8), "expected pictures of one size, or plots of its"),
    ],
)
def test_what_is_no_picture_is_refused_saying_what_came(registered, monkeypatch, frame, came):
    monkeypatch.setattr(gymnasium.registry["ReplayTest/Plain-v0"], "entry_point", Drawn)
    monkeypatch.setitem(Drawn.gives, "frame", frame)
    (episode,) = record("ReplayTest/Plain-v0", steps=5, n_envs=1)
    with pytest.raises(ValueError, match=f"Plain-v0 can't be drawn: its render.* {came}"):
        replay(episode)
    monkeypatch.setitem(Drawn.gives, "frame", lambda number: np.full((8, 9, 3), 7, np.uint8))
    assert replay(episode).shape == (6, 8, 9, 3)


# What is refused


@pytest.mark.parametrize("step", [0, 3, 6])
def test_tampered_observations_are_refused_naming_the_step(step):
    (episode,) = record("Pendulum-v1", steps=6, n_envs=1)
    observations = episode.observations.copy()
    observations[step, 1] = np.nextafter(observations[step, 1], np.float32(9))  # the least there is
    seed = episode.origin.seed
    with pytest.raises(
        ValueError, match=rf"observation {step} of the episode with seed {seed} differs from the stored"
    ):
        replay(changed(episode, observations=observations), draw=False)


def test_in_a_segment_the_step_is_counted_from_the_start_of_its_episode():
    (episode,) = record("Pendulum-v1", steps=9, n_envs=1)
    segment = episode.cut(4, 3)
    with pytest.raises(ValueError, match="observation 6 of the episode"):
        replay(changed(segment, observations=segment.observations + np.array([[0], [0], [1], [0]])), draw=False)


@pytest.mark.parametrize("part", ["actions", "earlier_actions", "origin"])
def test_any_other_part_of_the_recipe_that_was_tampered_with_is_noticed(part):
    (episode,) = record("Pendulum-v1", steps=9, n_envs=1)
    segment = episode.cut(4, 3)
    other = changed(episode.origin, seed=1) if part == "origin" else getattr(segment, part) / 2
    with pytest.raises(ValueError, match="Pendulum-v1 doesn't replay"):
        replay(changed(segment, **{part: other}), draw=False)


def test_an_environment_that_depends_on_more_than_seed_and_actions_is_noticed(registered):
    (episode,) = record("ReplayTest/Forgetful-v0", steps=3, n_envs=1)
    with pytest.raises(ValueError, match="observation 0 .* it may depend on more than its seed and actions"):
        replay(episode, draw=False)


def test_without_an_origin_there_is_nothing_to_replay():
    episode = Trajectory(np.zeros((3, 4)), np.zeros(2), np.zeros(2), Ending.TRUNCATED)
    for what in (episode, episode.cut(0, 2)):
        with pytest.raises(
            ValueError, match=r"\(.* has no origin to replay it from; record it through envs.make_vec_env"
        ):
            replay(what)


def test_the_camera_goes_along_with_a_body_unless_another_is_asked_for() -> None:
    env = make_env(Origin("HalfCheetah-v5", 0), render_mode="rgb_array")
    follow(env)
    assert env.unwrapped.model.camera(env.unwrapped.mujoco_renderer.camera_id).name == "track"  # type: ignore[attr-defined]
    env.close()
    env = make_env(Origin("HalfCheetah-v5", 0, {"camera_id": -1}), render_mode="rgb_array")
    follow(env)
    assert env.unwrapped.mujoco_renderer.camera_id == -1  # type: ignore[attr-defined]
    env.close()
    for without in ("CartPole-v1", "Reacher-v5"):
        follow(make_env(Origin(without, 0)))
