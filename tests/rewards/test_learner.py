"""One reward model over a whole run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Answer, Choice, Preference, Query
from rlhf_gym.queries import probabilities_of
from rlhf_gym.rewards import Bootstrap, RewardLearner, RewardModel, dataset
from rlhf_gym.rewards import learner as rewards_learner
from rlhf_gym.segments import Array, Ending, Segment, Steps, Trajectory, pad

TWO = spaces.Box(-np.inf, np.inf, (2,))
SETTINGS: dict[str, Any] = {"steps": 20, "batch_size": 8, "learning_rate": 0.01, "label_noise": 0.1}


def episodes(n: int = 4, *, seed: int = 0) -> list[Trajectory]:
    """Episodes of 20 steps, paid the first number observed."""
    rng = np.random.default_rng(seed)

    def one() -> Trajectory:
        observations = rng.normal([2, -1], [1, 3], (21, 2)).astype(np.float32)
        return Trajectory(observations, rng.integers(2, size=20), observations[:-1, 0], Ending.TERMINATED)

    return [one() for _ in range(n)]


def preferences(n: int, *, seed: int = 0) -> list[Preference]:
    rng = np.random.default_rng(seed)
    cuts = [[t.cut(int(rng.integers(20)), 5) for t in episodes(2, seed=int(rng.integers(99)))] for _ in range(n)]
    queries = [Query((left, right), id=str(i)) for i, (left, right) in enumerate(cuts)]
    return [Preference(q, Answer.LEFT if q.left.true_return > q.right.true_return else Answer.RIGHT) for q in queries]


def learner(*, l2: float = 1e-3, seed: int = 0, **changes: Any) -> RewardLearner:
    model = RewardModel(TWO, spaces.Discrete(2), ensemble_size=3, hidden=(8,), seed=seed)
    return RewardLearner(model, rng=np.random.default_rng(seed), l2=l2, **(SETTINGS | changes))


def scaled_rewards(one: RewardLearner, watched: list[Trajectory]) -> torch.Tensor:
    """Each member's normalised rewards of all steps, shape (M, S)."""
    model = one.model
    inputs = [model.encode(t.observations[:-1], t.actions, t.observations[1:]) for t in watched]
    raw: torch.Tensor = model(torch.cat(inputs)).detach()
    return raw * model.output_scale[:, None] + model.output_shift[:, None]


def test_the_version_counts_fits() -> None:
    one, kept = learner(), preferences(10)
    versions = [one.version]
    for n in (5, 10):
        one.fit(choices(kept[:n]))
        versions.append(one.version)
    assert versions == [0, 1, 2]


def test_a_fit_starts_from_the_weight_decay_where_the_last_one_left_it() -> None:
    one, kept = learner(steps=10), preferences(30)
    first = one.fit(choices(kept)).l2
    assert first != 1e-3
    # One adaptation a fit: by e to the power of 0.1, one way or the other.
    assert one.fit(choices(kept)).l2 / first == pytest.approx(first / 1e-3, rel=1e-6)


def test_each_member_keeps_its_own_data_from_fit_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    draw = Bootstrap.weights

    def spy(bootstrap: Bootstrap, kept: Sequence[Choice]) -> Array:
        seen.append(draw(bootstrap, kept))
        return seen[-1]

    monkeypatch.setattr(Bootstrap, "weights", spy)
    one, kept = learner(), preferences(20)
    one.fit(choices(kept[:12]))
    one.fit(choices(kept))
    np.testing.assert_array_equal(seen[1][:, :12], seen[0])


def test_learners_of_the_same_seed_learn_the_same() -> None:
    one, same, other = (learner(seed=seed) for seed in (1, 1, 2))
    for n in (6, 12):
        for each in (one, same, other):
            each.fit(choices(preferences(12)[:n]))
    weights = [each.model.ensemble.weights[0] for each in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_rewards_are_scaled_by_all_steps_of_what_was_watched() -> None:
    one, watched = learner(), episodes()
    one.fit(choices(preferences(12)))
    one.rescale(watched, shift=False)
    np.testing.assert_allclose(scaled_rewards(one, watched).square().mean(dim=1).tolist(), [1, 1, 1], rtol=1e-5)
    one.rescale(watched, shift=True)
    np.testing.assert_allclose(scaled_rewards(one, watched).mean(dim=1).tolist(), [0, 0, 0], atol=1e-5)


def test_scaling_leaves_the_inputs_statistics_of_a_fitted_model() -> None:
    one = learner()
    one.fit(choices(preferences(12)))
    frozen = one.model.input_mean.clone()
    one.rescale(episodes(seed=5), shift=False)
    assert torch.equal(one.model.input_mean, frozen)


def test_scaling_freezes_the_inputs_statistics_of_a_model_that_was_never_fitted() -> None:
    one, watched = learner(), episodes()
    one.rescale(watched, shift=False)
    seen = np.concatenate([t.observations[:-1] for t in watched])
    np.testing.assert_allclose(one.model.input_mean[:2].tolist(), seen.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(one.model.input_std[:2].tolist(), seen.std(axis=0), rtol=1e-5)


def steps_of(watched: Sequence[Trajectory]) -> tuple[Array, Array, Array]:
    steps = [(t.observations[:-1], t.actions, t.observations[1:]) for t in watched]
    observations, actions, following = (np.concatenate(arrays) for arrays in zip(*steps, strict=True))
    return observations, actions, following


def test_probabilities_are_logistic_in_the_difference_of_each_members_sums() -> None:
    one, queries = learner(), [p.query for p in preferences(7)]
    one.fit(choices(preferences(12)))
    probabilities = probabilities_of(queries, one.step_rewards)
    assert probabilities.shape == (3, 7, 2)

    def total(member: int, query: Query, side: str) -> float:
        segment = getattr(query, side)
        inputs = one.model.encode(segment.observations[:-1], segment.actions, segment.observations[1:])
        return float(one.model(inputs)[member].sum().detach())

    by_hand = [[1 / (1 + np.exp(total(m, q, "right") - total(m, q, "left"))) for q in queries] for m in range(3)]
    np.testing.assert_allclose(probabilities[..., 0], by_hand, rtol=1e-4)


def test_probabilities_of_swapped_queries_sum_to_1() -> None:
    one, queries = learner(), [p.query for p in preferences(7)]
    one.fit(choices(preferences(12)))
    swapped = [Query((q.right, q.left), id=q.id) for q in queries]
    left = [probabilities_of(both, one.step_rewards)[..., 0] for both in (queries, swapped)]
    np.testing.assert_allclose(left[0] + left[1], 1, rtol=1e-6)


def test_any_window_can_be_scored_from_the_rewards_of_steps() -> None:
    one, watched = learner(), episodes(3)
    one.fit(choices(preferences(12)))
    rewards = one.step_rewards(*steps_of(watched))
    assert rewards.shape == (3, 60) and rewards.dtype == np.float32
    windows = [(i, start) for i in range(3) for start in (0, 7, 18)]
    sums = [rewards[:, 20 * i + s : min(20 * i + s + 5, 20 * i + 20)].sum(axis=1) for i, s in windows]
    returns = one.model.returns(pad([watched[i].cut(s, 5) for i, s in windows]))
    np.testing.assert_allclose(np.stack(sums, axis=1), returns, rtol=1e-4, atol=1e-5)


def test_many_steps_are_paid_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one, watched = learner(), episodes(3)
    whole = one.step_rewards(*steps_of(watched))
    monkeypatch.setattr(rewards_learner, "AT_ONCE", 7)
    np.testing.assert_allclose(one.step_rewards(*steps_of(watched)), whole, rtol=1e-5, atol=1e-6)


def test_rescaling_by_nothing_leaves_the_size_as_it_was() -> None:
    one = learner()
    one.rescale(episodes(), shift=False)
    before = one.model.output_scale.clone()
    one.rescale([], shift=False)
    assert torch.equal(one.model.output_scale, before)


def test_a_restored_learner_goes_on_where_the_other_stood(tmp_path: Path) -> None:
    one, other, kept = learner(), learner(seed=5), choices(preferences(12))
    one.fit(kept)
    one.rescale(episodes(), shift=True)
    one.save(tmp_path / "reward_model")
    model = other.model
    other.restore(tmp_path / "reward_model")
    assert other.model is model and (other.version, other.l2) == (1, one.l2)
    pairs = zip(one.model.state_dict().values(), model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    one.fit(kept)
    assert not torch.equal(one.model.ensemble.weights[0], model.ensemble.weights[0])


def test_a_model_of_an_earlier_version_is_restored_as_one_that_was_fitted() -> None:
    earlier = Path(__file__).parents[1] / "data" / "earlier" / "run" / "reward_model"
    cart_pole = spaces.Box(-np.inf, np.inf, (4,)), spaces.Discrete(2)
    model = RewardModel(*cart_pole, ensemble_size=2, inputs="observation", hidden=(8,))
    one = RewardLearner(model, rng=np.random.default_rng(0), l2=1e-3)
    one.restore(earlier)
    assert one.version == 1 and model.output_scale.tolist() != [1, 1]


def test_another_model_is_not_restored_and_told_in_one_line(tmp_path: Path) -> None:
    RewardLearner(RewardModel(TWO, spaces.Discrete(2)), rng=np.random.default_rng(0), l2=1e-3).save(tmp_path)
    with pytest.raises(
        ValueError, match=r"has options \{\}; expected \{'hidden': \[8\]\}, as the settings say"
    ) as told:
        learner().restore(tmp_path)
    assert "\n" not in str(told.value)


def test_segments_that_were_there_at_the_last_fit_are_not_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []

    def spy(segments: Sequence[Segment]) -> Steps:
        encoded.append(len(segments))
        return pad(segments)

    monkeypatch.setattr(dataset, "pad", spy)
    one, kept = learner(), preferences(20)
    for n in (12, 12, 20):
        one.fit(choices(kept[:n]))
    assert encoded == [24, 16]
