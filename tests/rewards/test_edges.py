"""Numbers and answers at the edges: each has a defined reward, and no nan."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.rewards import RewardFit, RewardLearner, RewardModel, descent, encoding
from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.features import mean_and_std
from rlhf_gym.segments import Array, Ending, Segment, Trajectory

ACTIONS = spaces.Discrete(2)
MODELS: dict[str, dict[str, Any]] = {
    "networks": {"ensemble_size": 3, "hidden": (8,)},
    "one network": {"ensemble_size": 1, "hidden": (8,)},
    "50 networks": {"ensemble_size": 50, "hidden": (4,)},
    "linear networks": {"ensemble_size": 3, "hidden": ()},
    "linear": {"ensemble_size": 0, "linear": "absolute"},
    "both": {"ensemble_size": 3, "hidden": (8,), "linear": "quadratic"},
}
SIZES = {"1e30": 1e30, "3e37": 3e37, "1e-30": 1e-30, "denormal": 1e-42, "zero": 0.0}


def episode(*, size: float = 1.0, dtype: Any = np.float32, steps: int = 40, reward: float = 1.0) -> Trajectory:
    rng = np.random.default_rng(steps)
    observations = (np.clip(rng.normal(size=(steps + 1, 3)), -3, 3) * size).astype(dtype)
    worth = (reward * rng.normal(size=steps)).astype(np.float32)
    return Trajectory(observations, rng.integers(2, size=steps), worth, Ending.TRUNCATED)


def asked(watched: Trajectory, n: int, *, length: int = 5) -> list[Query]:
    rng = np.random.default_rng(n)
    starts = rng.integers(len(watched) - length + 1, size=(n, 2))
    return [Query((watched.cut(int(a), length), watched.cut(int(b), length)), id=str(i)) for i, (a, b) in
            enumerate(starts)]  # fmt: skip


def said(queries: list[Query], answer: Answer | None = None) -> list[Preference]:
    by_reward = [Answer.LEFT if q.left.true_return > q.right.true_return else Answer.RIGHT for q in queries]
    return [Preference(q, answer or told) for q, told in zip(queries, by_reward, strict=True)]


def learner(model: str, *, dtype: Any = np.float32) -> RewardLearner:
    space = spaces.Box(-np.inf, np.inf, (3,), dtype)
    how = {"steps": 15, "batch_size": 16, "learning_rate": 0.01, "calibrate": True}
    made = RewardModel(space, ACTIONS, **MODELS[model])
    return RewardLearner(made, rng=np.random.default_rng(0), l2=1e-3, living=True, **how)


def check(one: RewardLearner, kept: list[Preference], watched: Trajectory, *, shift: bool = True) -> RewardFit:
    """Fit twice, as a run does; weights, rewards and losses are finite."""
    for n in (max(1, len(kept) // 2), len(kept)):
        fit = one.fit(choices(kept[:n]), [watched])
        one.rescale([watched], shift=shift)
    assert all(bool(value.isfinite().all()) for value in one.model.state_dict().values())
    steps = watched.observations[:-1], watched.actions, watched.observations[1:]
    assert np.isfinite(one.reward_function(0)(*steps, np.zeros(len(watched), bool))).all()
    assert np.isfinite(one.step_rewards(*steps)).all()
    assert not one.model.linear or math.isfinite(fit.loss)
    assert not math.isinf(fit.loss) and not math.isinf(fit.loss_heldout)
    return fit


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_observations_of_any_size_have_finite_rewards(model: str, size: float) -> None:
    watched = episode(size=size)
    check(learner(model), said(asked(watched, 6)), watched)


def test_large_observations_teach_what_small_ones_do() -> None:
    accuracies = []
    for size in (1.0, 1e30):
        watched = episode(size=size)
        fit = check(learner("networks"), said(asked(watched, 30)), watched)
        accuracies.append(fit.accuracy)
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.05)


def test_observations_in_float64_are_taken() -> None:
    watched = episode(dtype=np.float64)
    check(learner("both", dtype=np.float64), said(asked(watched, 6)), watched)


@pytest.mark.parametrize("reward", [1e30, 1e-30, 0.0])
def test_true_rewards_of_any_size_are_answered_and_learned_from(reward: float) -> None:
    watched = episode(reward=reward)
    check(learner("both"), said(asked(watched, 6)), watched, shift=False)


@pytest.mark.parametrize("model", MODELS)
def test_ties_alone_make_a_reward_that_is_finite(model: str) -> None:
    watched = episode()
    fit = check(learner(model), said(asked(watched, 8), Answer.TIE), watched)
    assert fit.accuracy == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_one_label_is_enough_for_a_fit_whatever_the_batch_and_the_members(model: str) -> None:
    watched = episode()
    assert check(learner(model), said(asked(watched, 1)), watched).n == 1


@pytest.mark.parametrize("model", ["networks", "linear", "both"])
def test_opposite_answers_to_one_query_leave_its_options_alike(model: str) -> None:
    watched = episode()
    [query] = asked(watched, 1)
    both = [Preference(query, Answer.LEFT), Preference(query, Answer.RIGHT, teacher="bob")]
    fit = check(learner(model), both * 4, watched)
    assert math.isnan(fit.loss) or fit.loss == pytest.approx(math.log(2), abs=0.1)


@pytest.mark.parametrize("model", ["networks", "linear", "both"])
def test_segments_that_are_all_alike_have_a_finite_reward(model: str) -> None:
    watched = episode()
    same = watched.cut(3, 5)
    kept = said([Query((same, watched.cut(3, 5)), id=str(i)) for i in range(5)], Answer.LEFT)
    check(learner(model), kept, watched)


def test_episodes_of_one_step_are_segments_of_one_step() -> None:
    watched = [episode(steps=1, reward=r) for r in (1.0, -1.0)]
    kept = said([Query((watched[0].cut(0, 1), watched[1].cut(0, 1)), id=str(i)) for i in range(3)])
    check(learner("both"), kept, watched[0])


def test_skips_alone_are_refused_in_one_line() -> None:
    watched = episode()
    with pytest.raises(BadInput, match="no choices to fit to"):
        learner("networks").fit(choices(said(asked(watched, 4), Answer.SKIP)))


def test_a_fit_that_runs_away_is_refused_in_one_line() -> None:
    watched = episode()
    one = learner("networks")
    one._settings["learning_rate"] = 1e38
    with pytest.raises(BadInput, match="reward networks.* nan or infinite.*reward.learning_rate"):
        check(one, said(asked(watched, 6)), watched)


def test_statistics_whose_squares_float32_cannot_hold_are_those_of_doubles() -> None:
    mean, std = mean_and_std(torch.tensor([[1e30, 1.0], [3e30, 3.0]]))
    assert mean.dtype == std.dtype == torch.float32
    torch.testing.assert_close(mean, torch.tensor([2e30, 2.0]))
    torch.testing.assert_close(std, torch.tensor([1e30, 1.0]))


# Images: wide inputs, in bytes


def image_run(monkeypatch: pytest.MonkeyPatch, *, wide: bool) -> tuple[RewardLearner, Trajectory]:
    """A learner fitted to images, with inputs that count as wide and are held two steps at a time, or as usual."""
    if wide:
        monkeypatch.setattr(encoding, "WIDE", 1)
        monkeypatch.setattr(encoding, "NUMBERS_AT_ONCE", 2 * 50)
        monkeypatch.setattr(descent, "KEPT_NUMBERS", 0)
    rng = np.random.default_rng(0)
    observations = rng.integers(0, 256, (41, 4, 4, 3), dtype=np.uint8)
    watched = Trajectory(observations, rng.integers(2, size=40), rng.normal(size=40), Ending.TRUNCATED)
    model = RewardModel(spaces.Box(0, 255, (4, 4, 3), np.uint8), ACTIONS, ensemble_size=3, hidden=(8,))
    one = RewardLearner(model, rng=np.random.default_rng(0), l2=1e-3, steps=20, batch_size=4)
    one.fit(choices(said(asked(watched, 8))))
    return one, watched


def test_bytes_are_kept_as_bytes_and_are_learned_from_like_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = image_run(monkeypatch, wide=False)
    assert one._data.inputs.dtype == torch.uint8
    monkeypatch.setattr(encoding, "BYTES", np.float32)
    other, _ = image_run(monkeypatch, wide=False)
    assert other._data.inputs.dtype == torch.float32
    for name, value in one.model.state_dict().items():
        torch.testing.assert_close(value, other.model.state_dict()[name], rtol=0, atol=0)


def test_segments_that_hold_other_numbers_than_bytes_are_not_cut_to_bytes() -> None:
    seen = encoding.Encoding(spaces.Box(0, 255, (2,), np.uint8), ACTIONS, "observation")
    data = Dataset(seen)
    observations = np.array([[0.5, 300.0], [1.5, 2.0]], np.float32)
    odd = Segment(observations, np.zeros(1, int), np.zeros(1), 1, False, np.zeros(0, int))
    data.update(choices(said([Query((odd, odd), id="0")])))
    np.testing.assert_array_equal(data.inputs[0, 0].numpy(), observations[0])


def test_wide_inputs_held_a_few_at_a_time_give_the_same_rewards(monkeypatch: pytest.MonkeyPatch) -> None:
    one, watched = image_run(monkeypatch, wide=False)
    steps = watched.observations[:-1], watched.actions, watched.observations[1:]
    monkeypatch.setattr(encoding, "WIDE", 1)
    monkeypatch.setattr(encoding, "NUMBERS_AT_ONCE", 3 * 50)
    held: list[int] = []
    forward = RewardModel.forward

    def spy(self: RewardModel, inputs: torch.Tensor) -> torch.Tensor:
        held.append(len(inputs))
        return forward(self, inputs)

    at_once = one.model(one.model.encode(*steps)).detach().numpy()
    monkeypatch.setattr(RewardModel, "forward", spy)
    parts: Array = one.step_rewards(*steps)
    assert max(held) == 3
    np.testing.assert_allclose(parts, at_once, rtol=1e-4, atol=1e-6)


def test_a_fit_to_wide_inputs_holds_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = image_run(monkeypatch, wide=True)
    assert all(bool(value.isfinite().all()) for value in one.model.state_dict().values())
