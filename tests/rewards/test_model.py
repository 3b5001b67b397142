"""The ensemble: what it sees, what it computes, what it pays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlhf_gym.rewards import RewardModel
from rlhf_gym.rewards.ensembles import BatchedMLP
from rlhf_gym.segments import Array, Segment, pad

FOUR = spaces.Box(-np.inf, np.inf, (4,))
LEFT_RIGHT = spaces.Discrete(2)
FORCES = spaces.Box(-1, 1, (3,))


def batch(actions: spaces.Space[Any], n: int = 50, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """Observations, actions, next observations of all scales, and terminated."""
    rng = np.random.default_rng(seed)
    observations, next_observations = (rng.normal([0, 5, -3, 0], [1, 2, 10, 0.1], (n, 4)) for _ in range(2))
    taken: Array = rng.uniform(-1, 1, (n, 3)).astype(np.float32)
    if isinstance(actions, spaces.Discrete):
        taken = rng.integers(actions.start, actions.start + actions.n, n)
    return observations.astype(np.float32), taken, next_observations.astype(np.float32), rng.random(n) < 0.1


def encoded(model: RewardModel, steps: tuple[Array, ...]) -> Tensor:
    return model.encode(*steps[:3])


def mlps(model: RewardModel) -> BatchedMLP:
    assert isinstance(model.ensemble, BatchedMLP)
    return model.ensemble


def settled(actions: spaces.Space[Any] = LEFT_RIGHT, *, shift: bool = False, **settings: Any) -> RewardModel:
    """A model whose statistics and weights are none of the plain ones it starts with."""
    plain: dict[str, Any] = {"hidden": (8, 5), "ensemble_size": 3, "seed": 4}
    model = RewardModel(FOUR, actions, **(plain | settings))
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    inputs = encoded(model, batch(actions))
    model.freeze_inputs(inputs)
    model.rescale(inputs, shift=shift)
    return model


def member_alone(model: RewardModel, member: int, inputs: Tensor) -> list[float]:
    """One member's rewards, step by step and layer by layer."""
    rewards = []
    for row in inputs:
        units = (row - model.input_mean) / model.input_std
        for layer, (weight, bias) in enumerate(zip(mlps(model).weights, mlps(model).biases, strict=True)):
            units = units @ weight[member] + bias[member, 0]
            if layer < len(mlps(model).weights) - 1:
                units = torch.where(units > 0, units, 0.01 * units)
        rewards.append(units.item())
    return rewards


@pytest.mark.parametrize("hidden", [(8, 5), (6,), ()])
@pytest.mark.parametrize("ensemble_size", [1, 3])
def test_the_batched_ensemble_computes_what_each_member_computes_alone(
    hidden: tuple[int, ...], ensemble_size: int
) -> None:
    model = settled(hidden=hidden, ensemble_size=ensemble_size)
    inputs = encoded(model, batch(LEFT_RIGHT, n=12, seed=1))
    rewards = model(inputs)
    assert rewards.shape == (ensemble_size, 12)
    for member in range(ensemble_size):
        np.testing.assert_allclose(rewards[member].tolist(), member_alone(model, member, inputs), rtol=1e-5, atol=1e-5)


def test_members_differ() -> None:
    rewards = settled()(encoded(settled(), batch(LEFT_RIGHT)))
    assert all((rewards[i] - rewards[j]).abs().max() > 0.01 for i, j in [(0, 1), (0, 2), (1, 2)])


def test_steps_of_segments_are_rewarded_as_the_same_steps_in_a_flat_batch() -> None:
    model = settled()
    inputs = encoded(model, batch(LEFT_RIGHT, n=12))
    torch.testing.assert_close(model(inputs.reshape(3, 4, -1)), model(inputs).reshape(3, 3, 4), rtol=0, atol=1e-6)


# What the networks see

OBSERVATIONS = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)


def test_a_discrete_action_is_one_hot_counted_from_where_the_space_starts() -> None:
    model = RewardModel(FOUR, spaces.Discrete(3, start=-1))
    inputs = model.encode(OBSERVATIONS, np.array([-1, 1]), OBSERVATIONS)
    assert inputs.tolist() == [[1, 2, 3, 4, 1, 0, 0], [5, 6, 7, 8, 0, 0, 1]]
    assert inputs.dtype == torch.float32


def test_a_box_action_is_seen_as_it_is_flattened() -> None:
    model = RewardModel(FOUR, spaces.Box(-1, 1, (1, 2)))
    inputs = model.encode(OBSERVATIONS, np.array([[[0.5, -1]], [[0, 0.25]]]), OBSERVATIONS)
    assert inputs.tolist() == [[1, 2, 3, 4, 0.5, -1], [5, 6, 7, 8, 0, 0.25]]


def test_inputs_may_be_observations_alone_or_whole_transitions() -> None:
    steps = (OBSERVATIONS, np.array([0, 1]), 10 * OBSERVATIONS)
    alone = RewardModel(FOUR, LEFT_RIGHT, inputs="observation")
    assert alone.encode(*steps).tolist() == OBSERVATIONS.tolist()
    whole = RewardModel(FOUR, LEFT_RIGHT, inputs="transition")
    assert whole.encode(*steps)[1].tolist() == [5, 6, 7, 8, 0, 1, 50, 60, 70, 80]


def test_images_are_flattened_whatever_axes_come_before_them() -> None:
    model = RewardModel(spaces.Box(0, 255, (2, 3), np.uint8), LEFT_RIGHT)
    images = np.arange(48, dtype=np.uint8).reshape(4, 2, 2, 3)  # 4 segments of 2 steps
    inputs = model.encode(images, np.ones((4, 2), np.int64), images)
    assert inputs.shape == (4, 2, 8)
    assert inputs[3, 1].tolist() == [42, 43, 44, 45, 46, 47, 0, 1]
    assert model(inputs).shape == (3, 4, 2)


def test_returns_are_sums_over_lived_steps_for_each_member() -> None:
    model = settled(inputs="transition")
    observations, actions, *_ = batch(LEFT_RIGHT, n=7)
    whole, short = (
        Segment(observations[: n + 1], actions[:n], np.zeros(n), 6, n < 6, earlier_actions=actions[:0]) for n in (6, 2)
    )
    steps = (observations[:-1], actions[:-1], observations[1:])
    rewards = model(encoded(model, steps))
    returns = model.returns(pad([whole, short]))
    assert returns.shape == (3, 2)
    np.testing.assert_allclose(returns[:, 0], rewards.sum(dim=1).tolist(), rtol=1e-5)
    np.testing.assert_allclose(returns[:, 1], rewards[:, :2].sum(dim=1).tolist(), rtol=1e-5)


# What is paid


@pytest.mark.parametrize("actions", [LEFT_RIGHT, FORCES], ids=["discrete", "box"])
@pytest.mark.parametrize("inputs", ["observation", "observation_action", "transition"])
@pytest.mark.parametrize("shift", [False, True])
def test_the_mean_of_the_members_normalised_rewards_is_paid(
    actions: spaces.Space[Any], inputs: str, shift: bool
) -> None:
    model = settled(actions, inputs=inputs, shift=shift)
    steps = batch(actions, seed=3)
    normalised = model(encoded(model, steps)) * model.output_scale[:, None] + model.output_shift[:, None]
    paid = model.reward_function()(*steps)
    assert paid.dtype == np.float32 and paid.shape == (50,)
    np.testing.assert_allclose(paid, normalised.mean(dim=0).tolist(), rtol=1e-5, atol=1e-5)


def test_what_is_paid_is_for_the_step_and_not_for_its_batch() -> None:
    paid, steps = settled().reward_function(), batch(LEFT_RIGHT, n=5)
    alone = [paid(*(part[i : i + 1] for part in steps)).item() for i in range(5)]
    np.testing.assert_allclose(paid(*steps), alone, rtol=1e-5)


def changes_weights(model: RewardModel) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)


def changes_inputs(model: RewardModel) -> None:
    model.freeze_inputs(encoded(model, batch(LEFT_RIGHT, seed=5)) * 7)


def changes_outputs(model: RewardModel) -> None:
    model.rescale(encoded(model, batch(LEFT_RIGHT, seed=5)) * 7, shift=True)


@pytest.mark.parametrize("change", [changes_weights, changes_inputs, changes_outputs])
def test_what_is_paid_does_not_follow_the_model_when_it_changes(change: Callable[[RewardModel], None]) -> None:
    model, steps = settled(), batch(LEFT_RIGHT)
    paid = model.reward_function()
    before = paid(*steps)
    change(model)
    np.testing.assert_array_equal(paid(*steps), before)
    assert not np.allclose(model.reward_function()(*steps), before)


# Statistics


def test_inputs_are_standardised_by_the_steps_they_were_frozen_on() -> None:
    model = RewardModel(FOUR, LEFT_RIGHT, inputs="observation")
    model.freeze_inputs(torch.tensor([[0.0, 10, 5, -1], [2.0, 30, 5, -1]]))
    assert model.input_mean.tolist() == [1, 20, 5, -1]
    assert model.input_std.tolist() == [1, 10, 1, 1]  # what doesn't vary is not blown up


def test_without_shift_rewards_get_root_mean_square_1_and_keep_their_signs() -> None:
    model, steps = settled(), batch(LEFT_RIGHT)
    raw = model(encoded(model, steps))
    scaled = raw * model.output_scale[:, None] + model.output_shift[:, None]
    np.testing.assert_allclose(scaled.square().mean(dim=1).tolist(), [1, 1, 1], rtol=1e-5)
    assert torch.equal(scaled.sign(), raw.sign())
    assert model.output_shift.tolist() == [0, 0, 0]


def test_with_shift_rewards_get_mean_0_and_standard_deviation_1() -> None:
    model, steps = settled(shift=True), batch(LEFT_RIGHT)
    scaled = model(encoded(model, steps)) * model.output_scale[:, None] + model.output_shift[:, None]
    np.testing.assert_allclose(scaled.mean(dim=1).tolist(), [0, 0, 0], atol=1e-5)
    np.testing.assert_allclose(scaled.std(dim=1, correction=0).tolist(), [1, 1, 1], rtol=1e-4)


@pytest.mark.parametrize("shift", [False, True])
def test_steps_that_are_all_alike_are_paid_something_finite(shift: bool) -> None:
    model = RewardModel(FOUR, LEFT_RIGHT, seed=2)
    alike = [np.repeat(part[:1], 20, axis=0) for part in batch(LEFT_RIGHT)]
    inputs = encoded(model, tuple(alike))
    model.freeze_inputs(inputs)
    model.rescale(inputs, shift=shift)
    assert np.isfinite(model.reward_function()(*alike)).all()
    assert np.isfinite(model.reward_function()(*batch(LEFT_RIGHT, seed=8))).all()


def test_members_that_reward_nothing_are_paid_nothing() -> None:
    model, steps = RewardModel(FOUR, LEFT_RIGHT), batch(LEFT_RIGHT)
    with torch.no_grad():
        mlps(model).weights[-1].zero_()
    model.rescale(encoded(model, steps), shift=False)
    assert model.reward_function()(*steps).tolist() == [0] * 50


# Repeating and keeping


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    state = torch.get_rng_state()
    one, same, other = (RewardModel(FOUR, LEFT_RIGHT, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["ensemble.weights.0"], other["ensemble.weights.0"])
    assert torch.equal(torch.get_rng_state(), state)  # drawn from a generator of their own


@pytest.mark.parametrize("actions", [LEFT_RIGHT, FORCES], ids=["discrete", "box"])
@pytest.mark.parametrize("inputs", ["observation", "transition"])
def test_a_saved_model_comes_back_bit_for_bit(actions: spaces.Space[Any], inputs: str, tmp_path: Path) -> None:
    model = settled(actions, inputs=inputs, shift=True)
    model.save(tmp_path / "reward_model")
    loaded = RewardModel.load(tmp_path / "reward_model", FOUR, actions)
    kept, read = model.state_dict(), loaded.state_dict()
    assert list(kept) == list(read) and all(torch.equal(kept[name], read[name]) for name in kept)
    np.testing.assert_array_equal(loaded.reward_function()(*batch(actions)), model.reward_function()(*batch(actions)))


def test_a_model_written_before_squares_had_means_of_their_own_is_read(tmp_path: Path) -> None:
    model = RewardModel(spaces.Box(-1, 1, (3,)), FORCES, linear="quadratic")
    model.freeze_inputs(torch.randn(64, model.encoding.size, generator=torch.Generator().manual_seed(0)))
    model.save(tmp_path)
    written = load_file(tmp_path / "model.safetensors")
    later = {"linear.square_means", "linear.magnitude_statistics"}
    save_file({name: value for name, value in written.items() if name not in later}, tmp_path / "model.safetensors")
    read = RewardModel.load(tmp_path).state_dict()
    assert later < read.keys()
    assert all(torch.equal(read[name], value) for name, value in written.items() if name not in later)
    assert (read["linear.square_means"] == 1).all()


def test_a_saved_model_is_one_safetensors_file_and_one_json_file(tmp_path: Path) -> None:
    settled().save(tmp_path / "reward_model")
    assert {path.name for path in (tmp_path / "reward_model").iterdir()} == {"model.safetensors", "model.json"}
    written = json.loads((tmp_path / "reward_model" / "model.json").read_text())
    plain = {name: written[name] for name in ("ensemble_size", "network", "options", "inputs")}
    assert plain == {
        "ensemble_size": 3,
        "network": "mlp",
        "options": {"hidden": [8, 5]},
        "inputs": "observation_action",
    }
    assert written["action_space"] == {"type": "Discrete", "n": 2, "start": 0}


def test_a_model_is_found_in_a_runs_directory_and_missed_where_there_is_none(tmp_path: Path) -> None:
    model = settled()
    model.save(tmp_path / "run" / "reward_model")
    found = RewardModel.load(tmp_path / "run")
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match=r"holds no reward model \(model.json missing\); use a run's directory"):
        RewardModel.load(tmp_path)


@pytest.mark.parametrize(
    ("observations", "actions"),
    [
        (spaces.Box(-1, 1, (5,)), LEFT_RIGHT),
        (FOUR, spaces.Discrete(4)),
        (spaces.Box(-np.arange(60.0), np.ones(60), dtype=np.float64), LEFT_RIGHT),  # whose repr takes several lines
    ],
)
def test_a_model_of_other_spaces_is_refused_in_one_line(
    observations: spaces.Space[Any], actions: spaces.Space[Any], tmp_path: Path
) -> None:
    settled().save(tmp_path)
    with pytest.raises(ValueError, match="doesn't fit observation space Box.*use the environment") as refused:
        RewardModel.load(tmp_path, observations, actions)
    assert "\n" not in str(refused.value)
