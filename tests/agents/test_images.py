"""Images are normalised once, and their channels are where whoever looks at them expects them."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import NatureCNN

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents import make_agent
from rlhf_gym.agents.images import channels_first, channels_last
from rlhf_gym.agents.likelihood import ActorLikelihood
from rlhf_gym.agents.normalisation import NormalizedObservations
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.errors import BadInput
from rlhf_gym.evaluation import mean_return, play
from rlhf_gym.segments import Origin

ID = "ImagesTest/Side-v0"


class Side(gymnasium.Env):
    """Shows a bright patch on the left or on the right of a picture, and pays 1 where the action names its side."""

    action_space = spaces.Discrete(2)

    def __init__(self, size=8, first=False):
        self.size, self.first = size, first
        self.observation_space = spaces.Box(0, 255, (3, size, size + 1) if first else (size, size + 1, 3), np.uint8)

    def picture(self):
        self.side, self.left = int(self.np_random.integers(2)), self.left - 1
        image = self.np_random.integers(0, 60, (self.size, self.size + 1, 3), np.uint8)
        image[2:6, self.side * (self.size // 2) :, 1][:, : self.size // 2] += 150
        return np.moveaxis(image, -1, 0) if self.first else image

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 51
        return self.picture(), {}

    def step(self, action):
        paid = float(action == self.side)
        return self.picture(), paid, False, self.left == 0, {}


@pytest.fixture(autouse=True)
def registered():
    gymnasium.register(ID, entry_point=Side, max_episode_steps=60)
    yield
    del gymnasium.registry[ID]


def agent_for(algo="ppo", *, n_envs=2, steps=20_000, options=None, normalize=None, images=None, **env_kwargs):
    venv = make_vec_env(Origin(ID, 0, env_kwargs), n_envs=n_envs, memory_steps=1000, rng=np.random.default_rng(0))
    options = {"n_steps": 64, "batch_size": 64, **(options or {})} if algo == "ppo" else options
    made = {"seed": 0, "total_timesteps": steps, "options": options, "normalize_observations": normalize}
    return venv, make_agent(algo, VecLearnedReward(venv), net_arch=[16], images=images, **made)


def features(agent, observations):
    """What the policy's first layer is given."""
    policy = agent.sb3.policy
    with torch.no_grad():
        return policy.extract_features(policy.obs_to_tensor(observations)[0])


@pytest.mark.parametrize("first", [False, True])
def test_images_are_divided_by_255_and_by_nothing_else_unless_it_is_asked_for(first):
    venv, agent = agent_for(first=first)
    assert not isinstance(agent.sb3.policy.features_extractor, NormalizedObservations)
    observations = venv.reset()
    assert features(agent, observations).max() == pytest.approx(observations.max() / 255)


@pytest.mark.parametrize("first", [False, True])
def test_running_statistics_of_images_are_those_of_what_they_normalise(first):
    _, agent = agent_for(first=first, normalize=True)
    agent.improve(128)
    seen = agent.sb3.rollout_buffer.observations.reshape(128, 3, 8, 9)
    normalised = features(agent, seen)
    assert torch.allclose(normalised.mean(dim=0), torch.zeros(216), atol=1e-4)
    assert torch.allclose(normalised.std(dim=0, correction=0), torch.ones(216), atol=1e-3)


def test_statistics_are_the_same_wherever_the_channels_are_when_they_are_taken():
    _, agent = agent_for(normalize=True)
    pictures = np.random.default_rng(0).integers(0, 256, (30, 8, 9, 3), np.uint8)
    ActorLikelihood(agent.sb3.policy).normalise(pictures)
    assert torch.allclose(features(agent, pictures).mean(dim=0), torch.zeros(216), atol=1e-4)
    assert np.array_equal(
        agent.sb3.policy.features_extractor.mean.numpy()[:72], pictures[..., 0].mean(axis=0).ravel().astype(np.float32)
    )


def test_a_likelihood_is_that_of_the_policy_that_plays():
    venv, agent = agent_for()
    pictures = venv.reset()
    policy = agent.sb3.policy
    wanted = policy.get_distribution(policy.obs_to_tensor(pictures)[0]).log_prob(torch.tensor([0, 1]))
    found = ActorLikelihood(policy)(torch.from_numpy(pictures).float(), torch.tensor([0, 1]))
    assert torch.allclose(found, wanted)


def test_transitions_that_are_replayed_are_paid_for_the_pictures_that_the_environment_gave():
    options = {"learning_starts": 10, "buffer_size": 100, "train_freq": 10, "batch_size": 16}
    venv, agent = agent_for("dqn", n_envs=1, options=options)
    shapes, first = set(), []

    def reward(observations, actions, after, terminated):
        shapes.update({observations.shape[1:], after.shape[1:]})
        first.extend(observations)
        return np.zeros(len(actions), np.float32)

    agent.pay(reward)
    agent.improve(40)
    assert shapes == {(8, 9, 3)}
    pictures = {picture.tobytes() for t in venv.trajectories() for picture in t.observations}
    assert {np.ascontiguousarray(picture).tobytes() for picture in first} <= pictures


def test_channels_are_moved_in_pictures_alone_and_back_again():
    space = spaces.Box(0, 255, (3, 4, 5), np.uint8)
    pictures = np.arange(120, dtype=np.uint8).reshape(2, 4, 5, 3)
    moved = channels_first(pictures, space)
    assert moved.shape == (2, 3, 4, 5) and np.array_equal(channels_first(moved, space), moved)
    assert np.array_equal(channels_last(moved, spaces.Box(0, 255, (4, 5, 3), np.uint8)), pictures)
    grid = spaces.Box(0, 1, (3, 4, 5), np.float32)
    assert channels_first(grid.sample()[None], grid).shape == (1, 3, 4, 5)


FEW = {"learning_starts": 10, "buffer_size": 100, "train_freq": 10, "batch_size": 16}


@pytest.mark.parametrize(
    ("made", "cnn"),
    [
        ({"size": 36}, True),
        ({"size": 36, "first": True}, True),
        ({"size": 36, "algo": "dqn", "options": FEW}, True),
        ({"size": 36, "images": "flat"}, False),
        ({"size": 36, "normalize": True}, False),
        ({"size": 35}, False),
    ],
    ids=str,
)
def test_a_policy_sees_large_images_by_convolutions_unless_somebody_says(made, cnn):
    _, agent = agent_for(**made)
    assert any(isinstance(module, NatureCNN) for module in agent.sb3.policy.modules()) == cnn


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (
            {"size": 35, "images": "cnn"},
            r"images is cnn and .* uint8 of shape \(35, 36, 3\); .* 36 pixels a side; use fl",
        ),
        ({"size": 36, "images": "cnn", "normalize": True}, "images is cnn and normalize_observations is on; use flat"),
    ],
)
def test_convolutions_that_cannot_be_are_refused_in_one_line(made, reason):
    with pytest.raises(BadInput, match=reason) as refused:
        agent_for(**made)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_it_learns_from_images():
    _, agent = agent_for(n_envs=4, options={"n_steps": 256}, size=36)
    agent.improve(8192)
    assert mean_return(play(agent.predict, ID, seed=1, env_kwargs={"size": 36}, n_episodes=5)) > 45  # of 50, chance 25


@pytest.mark.parametrize("copy", [True, False])
def test_a_policy_that_sees_images_is_a_start_for_one_that_sees_the_same(tmp_path, copy):
    def run(**agent):
        settings = {"labels": 1, "total_timesteps": 256, "segment_length": 5, "query": {"warm_up_steps": 128}}
        small = {"n_envs": 2, "net_arch": [16], "images": "flat", "options": {"n_steps": 64, "batch_size": 64}}
        return RLHF(RLHFConfig.from_dict({"env_id": ID, **settings, "agent": {**small, **agent}}))

    first = run()
    first.save(tmp_path / "first")
    started = run(start=str(tmp_path / "first"), start_options={"copy": copy, "steps": 60, "epochs": 1})
    ours, theirs = (rlhf.agent.sb3.policy.state_dict() for rlhf in (started, first))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items()) == copy
    first.close()
    started.close()
