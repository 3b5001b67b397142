"""Reward networks see images by convolutions where the space is one, and members are as apart as they ever were."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from torch.nn import functional as F

from rlhf_gym.contracts import networks as contract
from rlhf_gym.errors import BadInput
from rlhf_gym.images import picture_of
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.rewards import RewardLearner, RewardModel, convolutional, encoding
from rlhf_gym.rewards.convolutional import LAYERS, Convolutional
from rlhf_gym.segments import Array, Segment

ACTIONS = spaces.Discrete(2)


def images(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


SMALL = images(6, 5, 3)
SPACES = [
    images(84, 84, 3), images(3, 84, 84), images(84, 84, 4), images(4, 36, 40), images(84, 84, 1), images(7, 7, 3),
    images(84, 84), images(2, 84, 84, 3), spaces.Box(0, 1, (84, 84, 3), np.float32),
    spaces.Box(0, 255, (84, 84, 3), np.int16), spaces.Box(0, 254, (84, 84, 3), np.uint8),
    spaces.Box(1, 255, (84, 84, 3), np.uint8), spaces.Discrete(5), spaces.MultiBinary((3, 4, 5)),
]  # fmt: skip


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_images_are_what_stable_baselines3_takes_for_images(space: spaces.Space[Any]) -> None:
    picture = picture_of(space)
    assert (picture is not None) == is_image_space(space)
    if picture is not None and isinstance(space, spaces.Box):
        assert picture.first == is_image_space_channels_first(space)
        sides = (picture.height, picture.width)
        assert space.shape == ((picture.channels, *sides) if picture.first else (*sides, picture.channels))


@pytest.mark.parametrize(
    ("space", "settings", "seen"),
    [
        (images(36, 36, 3), {}, "cnn"),
        (images(4, 84, 84), {}, "cnn"),
        (images(35, 84, 3), {}, "flat"),
        (images(36, 36, 3), {"images": "flat"}, "flat"),
        (images(36, 36, 3), {"observe": "0:9"}, "flat"),
        (images(36, 36, 3), {"images": "flat", "linear": "linear"}, "flat"),
        (SMALL, {"images": "cnn"}, "cnn"),
        (spaces.Box(0, 1, (36, 36, 3)), {}, "flat"),
        (images(36, 36, 3), {"network": lambda size: torch.nn.Linear(size, 1)}, "flat"),
    ],
)
def test_what_is_seen_by_convolutions_follows_the_space_unless_somebody_says(
    space: spaces.Box, settings: dict[str, Any], seen: str
) -> None:
    model = RewardModel(space, ACTIONS, ensemble_size=1, **settings)
    assert model.images == seen and isinstance(model.ensemble, Convolutional) == (seen == "cnn")


@pytest.mark.parametrize(
    ("space", "settings", "reason"),
    [
        (images(36, 36, 3), {"linear": "quadratic"}, r"linear is quadratic and .* images of shape \(36, 36, 3\).*out"),
        (spaces.Box(-1, 1, (4,)), {"images": "cnn"}, r"images is cnn and .* float32 of shape \(4,\); .* use flat"),
        (SMALL, {"images": "cnn", "observe": "0:9"}, "images is cnn and reward.observe is '0:9'; .* use flat"),
        (SMALL, {"images": "cnn", "hiden": (3,)}, "network mlp has no option hiden; did you mean hidden"),
    ],
)
def test_what_convolutions_cannot_see_is_refused_in_one_line(
    space: spaces.Box, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadInput, match=reason) as refused:
        RewardModel(space, ACTIONS, **settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("rule", contract.NETWORK_RULES)
def test_convolutions_keep_the_contract_of_reward_networks(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = RewardModel(SMALL, ACTIONS, images="cnn")
    monkeypatch.setattr(contract, "SIZE", model.encoding.size)

    def make(seed: int = 0) -> Any:
        return RewardModel(SMALL, ACTIONS, images="cnn", hidden=(8,), seed=seed).ensemble

    rule(make)


def test_a_member_is_the_network_that_it_would_be_alone() -> None:
    networks = RewardModel(SMALL, ACTIONS, images="cnn", hidden=(7,), seed=1).ensemble
    assert isinstance(networks, Convolutional)
    pictures, actions = torch.rand(5, 6, 5, 3), torch.rand(5, 2)
    with torch.no_grad():
        together = networks(torch.cat([pictures.flatten(start_dim=1), actions], dim=1))
        for member in range(3):
            hidden = pictures.permute(0, 3, 1, 2)
            for (side, stride), kernel, bias in zip(LAYERS, networks.kernels, networks.biases, strict=True):
                height, width = (max(0, (-(-n // stride) - 1) * stride + side - n) for n in hidden.shape[2:])
                hidden = F.pad(hidden, (width // 2, width - width // 2, height // 2, height - height // 2))
                hidden = F.leaky_relu(F.conv2d(hidden, kernel.chunk(3)[member], bias.chunk(3)[member], stride=stride))
            head = torch.cat([hidden.flatten(start_dim=1), actions], dim=1)
            for layer in range(2):
                head = head @ networks.head.weights[layer][member] + networks.head.biases[layer][member]
                head = F.leaky_relu(head) if layer == 0 else head
            torch.testing.assert_close(together[member], head[:, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("inputs", ["observation", "observation_action", "transition"])
def test_a_picture_is_worth_the_same_wherever_its_channels_are(inputs: Any) -> None:
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 256, (2, 4, 6, 5, 3), np.uint8)
    how: dict[str, Any] = {"inputs": inputs, "images": "cnn", "seed": 2}
    last, first = (RewardModel(space, ACTIONS, **how) for space in (SMALL, images(3, 6, 5)))
    acted = np.array([0, 1, 1, 0])
    paid = last.reward_function()(before, acted, after)
    moved = [np.moveaxis(pictures, -1, 1) for pictures in (before, after)]
    np.testing.assert_allclose(first.reward_function()(moved[0], acted, moved[1]), paid, rtol=1e-5)
    other = last.reward_function()(before, acted, before)
    assert np.allclose(other, paid) == (inputs != "transition")


def test_images_are_divided_by_255_and_actions_alone_are_standardised() -> None:
    box = spaces.Box(-1, 1, (1,))
    model = RewardModel(SMALL, box, images="cnn")
    inputs = model.encode(np.full((4, 6, 5, 3), 51, np.uint8), np.array([[0.0], [2.0], [0.0], [2.0]]), np.zeros(1))
    model.freeze_inputs(inputs)
    standardised = model.standardise(inputs)
    assert torch.allclose(standardised[:, :-1], torch.tensor(0.2))
    assert standardised[:, -1].tolist() == [-1, 1, -1, 1]


# Fits


def bright(n: int, *, seed: int = 0, side: int = 8, steps: int = 3) -> list[Preference]:
    """Pairs of segments in which a patch is seen in the left half, which is paid, or in the right one."""
    rng = np.random.default_rng(seed)

    def segment() -> Segment:
        pictures = rng.integers(0, 60, (steps + 1, side, side, 1), np.uint8)
        left = rng.integers(2, size=steps + 1)
        for picture, at in zip(pictures, left, strict=True):
            y, x = rng.integers(0, side - 3), rng.integers(0, side // 2 - 2) + (0 if at else side // 2)
            picture[y : y + 3, x : x + 3] = 250
        return Segment(pictures, rng.integers(2, size=steps), left[:-1].astype(float), steps, False, np.zeros(0, int))

    queries = [Query((segment(), segment()), id=str(i)) for i in range(n)]
    by_reward = {1: Answer.LEFT, 0: Answer.TIE, -1: Answer.RIGHT}
    return [Preference(q, by_reward[int(np.sign(q.left.true_return - q.right.true_return))]) for q in queries]


def learner(**settings: Any) -> RewardLearner:
    model = RewardModel(images(8, 8, 1), ACTIONS, images="cnn", ensemble_size=2, hidden=(16,))
    return RewardLearner(model, rng=np.random.default_rng(0), l2=1e-3, **{"steps": 40, "batch_size": 16, **settings})


def correlation(one: RewardLearner) -> float:
    """Of the learned with the true reward, on segments that nobody was asked about."""
    fresh = [segment for p in bright(40, seed=9) for segment in p.query.options]
    steps = [(s.observations[:-1], s.actions, s.observations[1:]) for s in fresh]
    learned = one.step_rewards(*(np.concatenate(parts) for parts in zip(*steps, strict=True))).mean(axis=0)
    return float(np.corrcoef(learned, np.concatenate([s.rewards for s in fresh]))[0, 1])


def test_a_reward_of_where_something_is_seen_is_recovered_and_not_from_random_answers() -> None:
    kept = bright(60)
    one, none = learner(), learner()
    one.fit(choices(kept))
    shuffled = np.random.default_rng(3).permutation(len(kept))
    none.fit(choices([Preference(p.query, kept[i].answer) for p, i in zip(kept, shuffled, strict=True)]))
    assert correlation(one) > 0.9 and correlation(none) < 0.7


def test_a_gradient_taken_in_parts_is_that_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for at_once in (10_000, 1):
        monkeypatch.setattr(Convolutional, "at_once", at_once)
        one = learner(steps=2, learning_rate=1e-3, adam_epsilon=1e-2)
        one.fit(choices(bright(12)))
        found.append(torch.cat([parameter.detach().ravel() for parameter in one.model.ensemble.parameters()]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-5)


def test_pixels_stay_bytes_and_no_more_than_a_few_steps_of_them_become_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(convolutional, "AT_ONCE", 6)
    monkeypatch.setattr(Convolutional, "at_once", 6)
    seen: list[int] = []
    forward = Convolutional.forward

    def spy(self: Convolutional, inputs: torch.Tensor) -> torch.Tensor:
        seen.append(inputs[..., 0].numel())
        return forward(self, inputs)

    monkeypatch.setattr(Convolutional, "forward", spy)
    one = learner(steps=10)
    one.fit(choices(bright(12)))
    assert one._data.inputs.dtype == torch.uint8
    assert max(seen[:-1]) <= 6, "in gradients, of fit and of weight decay"


def test_what_is_paid_for_many_wide_steps_is_what_is_paid_for_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = RewardModel(SMALL, ACTIONS, images="cnn")
    rng = np.random.default_rng(0)
    pictures, actions = rng.integers(0, 256, (20, 6, 5, 3), np.uint8), rng.integers(2, size=20)
    pay = model.reward_function()
    whole: Array = pay(pictures, actions, pictures)
    monkeypatch.setattr(encoding, "WIDE", 1)
    monkeypatch.setattr(encoding, "NUMBERS_AT_ONCE", 3 * model.encoding.size)
    encoded: list[int] = []
    encode = encoding.Encoding.__call__

    def spy(self: Any, *steps: Array) -> Array:
        encoded.append(len(steps[0]))
        return encode(self, *steps)

    monkeypatch.setattr(encoding.Encoding, "__call__", spy)
    np.testing.assert_allclose(pay(pictures, actions, pictures), whole, rtol=1e-5)
    assert encoded == [3] * 6 + [2]


def test_a_model_that_sees_images_comes_back_from_disk_and_an_earlier_one_still_sees_them_flat(tmp_path: Path) -> None:
    one = learner()
    one.fit(choices(bright(6)))
    one.save(tmp_path / "now")
    other = learner()
    other.restore(tmp_path / "now")
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])
    big = images(36, 36, 3)
    RewardModel(big, ACTIONS, images="flat", ensemble_size=1, hidden=(2,)).save(tmp_path / "earlier")
    assert "images" not in json.loads((tmp_path / "earlier" / "model.json").read_text())
    assert RewardModel.load(tmp_path / "earlier").images == "flat"
