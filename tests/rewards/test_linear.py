"""The linear part of a reward model: its features, its fit, what is paid, files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards import RewardLearner, RewardModel
from rlhf_gym.rewards.features import Features, Statistics
from rlhf_gym.segments import Array, Ending, Segment, Trajectory

BOX = spaces.Box(-np.inf, np.inf, (4,)), spaces.Box(-1, 1, (2,))
RNG = np.random.default_rng(0)


def trajectories(n: int, reward: Any, rng: np.random.Generator, steps: int = 10) -> list[Trajectory]:
    """Random steps, paid by a function of observations and actions."""
    made = []
    for _ in range(n):
        observations, actions = rng.normal(size=(steps + 1, 4)), rng.uniform(-1, 1, (steps, 2))
        made.append(Trajectory(observations, actions, reward(observations[:-1], actions), Ending.TRUNCATED))
    return made


def answered(seen: list[Trajectory]) -> list[Choice]:
    """Compare one trajectory with the next, without error."""
    segments = [trajectory.cut(0, 10) for trajectory in seen]
    return [choice(a, b, str(i)) for i, (a, b) in enumerate(zip(segments[::2], segments[1::2], strict=True))]


def choice(left: Segment, right: Segment, group: str) -> Choice:
    """Make the choice of an errorless teacher."""
    better = float(left.true_return > right.true_return)
    return Choice((left, right), (better, 1 - better), group)


def noise(rng: np.random.Generator) -> Any:
    """Make a reward at random."""
    return lambda observations, actions: rng.normal(size=len(actions))


def paraboloid(observations: Array, actions: Array) -> Array:
    """Near the origin in two coordinates of four, and without effort."""
    return -(observations[:, 0] ** 2) - observations[:, 1] ** 2 - (actions**2).sum(axis=1)


def learned(form: Any, reward: Any, labels: int = 50, **model: Any) -> tuple[RewardLearner, float]:
    """Fit to a number of answers; the correlation of what is then paid with the true reward."""
    rng = np.random.default_rng(1)
    settings = {"ensemble_size": 0, "linear": form, **model}
    learner = RewardLearner(RewardModel(*BOX, **settings), rng=rng, l2=1e-3, calibrate=True)
    learner.fit(answered(trajectories(2 * labels, reward, rng)))
    fresh = trajectories(40, reward, rng)
    learner.rescale(fresh, shift=True)
    paid = [learner.model.reward_function()(t.observations[:-1], t.actions, t.observations[1:]) for t in fresh]
    return learner, float(np.corrcoef(np.concatenate(paid), np.concatenate([t.rewards for t in fresh]))[0, 1])


def test_features_are_inputs_squares_of_the_state_effort_and_one() -> None:
    features = Features(RewardModel(*BOX).encoding, "quadratic")
    inputs = torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0, 2.0]])
    standardised = torch.tensor([[1.0, 2.0, 0.0, 0.0, 0.5, -0.5]])
    by = Statistics(torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.zeros(3, 4), torch.tensor([-8.0, 1.0]))
    found = features(inputs, standardised, by)
    root = 2**-0.5
    assert found[0].tolist() == pytest.approx([1, 2, 0, 0, 0.5, -0.5, 0, 3 * root, -root, 0, 3, 1])
    in_numpy = features(inputs.numpy(), standardised.numpy(), Statistics(*(values.numpy() for values in by)))
    assert in_numpy.dtype == np.float32
    assert in_numpy == pytest.approx(found.numpy())
    assert features.names(["a", "b", "c", "d", "u", "v"])[5:] == [
        "v", "a squared", "b squared", "c squared", "d squared", "effort, -|a|^2", "living",
    ]  # fmt: skip
    assert Features(RewardModel(*BOX).encoding, "linear").size == 7


def test_magnitudes_are_those_of_inputs_before_they_were_standardised() -> None:
    model = RewardModel(*BOX, ensemble_size=0, linear="absolute")
    inputs = torch.from_numpy(RNG.normal(2, 3, size=(500, 6)).astype(np.float32))
    model.freeze_inputs(inputs)
    assert model.linear is not None
    features = model.linear.of(inputs, model.standardise(inputs))
    names = model.linear.features.names(["a", "b", "c", "d", "u", "v"])
    magnitudes = inputs[:, 1].abs()
    expected = (magnitudes - magnitudes.mean()) / magnitudes.std(correction=0)
    assert features[:, names.index("|b|")].numpy() == pytest.approx(expected.numpy(), abs=1e-4)


def test_living_alone_is_the_same_at_every_step() -> None:
    model = RewardModel(*BOX, ensemble_size=0, linear="quadratic")
    inputs = torch.from_numpy(RNG.normal(2, 3, size=(500, 6)).astype(np.float32))
    inputs[:, 1] = 7  # an input that never changes, as many contact forces
    model.freeze_inputs(inputs)
    assert model.linear is not None
    means = model.linear.of(inputs, model.standardise(inputs)).mean(dim=0)
    assert means[:-1].abs().max().item() < 1e-4
    assert means[-1].item() == 1


def test_fifty_answers_about_a_distance_are_enough_for_magnitudes() -> None:
    def distance(observations: Array, actions: Array) -> Array:
        return -np.abs(observations[:, 0]) - np.abs(observations[:, 1])

    learner, correlation = learned("absolute", distance)
    weights = learner.model.weights_by_name(["x", "y", "speed", "z"], ["left", "right"])
    assert weights is not None and {weight.name for weight in weights[:2]} == {"|x|", "|y|"}
    assert correlation > max(0.95, learned("quadratic", distance)[1])


def test_a_discrete_action_has_no_effort() -> None:
    encoding = RewardModel(BOX[0], spaces.Discrete(3)).encoding
    assert Features(encoding, "quadratic").size == 4 + 3 + 4 + 1


def test_fifty_answers_about_a_paraboloid_are_enough_for_the_quadratic_form_and_not_for_the_linear_one() -> None:
    assert learned("quadratic", paraboloid)[1] > 0.9
    assert abs(learned("linear", paraboloid)[1]) < 0.5


def test_networks_learn_what_the_linear_part_leaves_over() -> None:
    def kinked(observations: Array, actions: Array) -> Array:
        return 3 * np.abs(observations[:, 2]) + observations[:, 3]

    settings: dict[str, Any] = {"labels": 300, "ensemble_size": 3, "hidden": (32, 32)}
    alone, both = learned("linear", kinked, labels=300), learned("linear", kinked, **settings)
    assert both[0].model.shares[1] > 0
    assert alone[1] < 0.6


def test_weights_are_listed_by_name_the_largest_first() -> None:
    learner, _ = learned("quadratic", lambda observations, actions: 5 * observations[:, 2])
    weights = learner.model.weights_by_name(["x", "y", "speed", "z"], ["left", "right"])
    assert weights is not None and weights[0].name == "speed"
    assert weights[0].value > 2 * weights[0].error > 0
    assert RewardModel(*BOX).weights_by_name(["x", "y", "speed", "z"], ["left", "right"]) is None
    with pytest.raises(BadInput, match="observations holds 3 names of 4 coordinates"):
        learner.model.weights_by_name(["x", "y", "speed"], ["left", "right"])
    with pytest.raises(BadInput, match="actions holds 1 names of 2 coordinates"):
        learner.model.weights_by_name(["x", "y", "speed", "z"], ["push"])


@pytest.mark.parametrize("pessimism", [0.0, 1.0])
@pytest.mark.parametrize(
    ("form", "ensemble_size"),
    [("quadratic", 0), ("quadratic", 1), ("quadratic", 3), ("quadratic", 20), ("absolute", 3)],
)
def test_what_is_paid_is_the_mean_over_members_less_their_deviations(
    form: str, pessimism: float, ensemble_size: int
) -> None:
    learner, _ = learned(form, paraboloid, pessimism=pessimism, ensemble_size=ensemble_size, clip=2.0)
    model, inputs = learner.model, torch.from_numpy(RNG.normal(size=(50, 6)).astype(np.float32) * 3)
    members = (model(inputs) * model.output_scale[:, None] + model.output_shift[:, None]).detach()
    expected = members.mean(dim=0) - pessimism * members.std(dim=0, correction=0)
    paid = model.reward_function()(inputs[:, :4].numpy(), inputs[:, 4:].numpy(), inputs[:, :4].numpy())
    assert paid == pytest.approx((expected + model.paid_shift).numpy(), abs=2e-4)


def test_rewards_of_these_steps_have_mean_0_or_a_zero_that_is_given_and_unit_size() -> None:
    learner, _ = learned("quadratic", paraboloid, pessimism=0.5)
    model, fresh = learner.model, trajectories(20, paraboloid, np.random.default_rng(5))
    inputs = torch.cat([model.encode(t.observations[:-1], t.actions, t.observations[1:]) for t in fresh])
    raw = model(inputs).mean(dim=0)

    def paid() -> Array:
        pay = model.reward_function()
        return np.concatenate([pay(t.observations[:-1], t.actions, t.observations[1:]) for t in fresh])

    model.rescale(inputs, shift=True)
    assert paid().mean() == pytest.approx(0, abs=1e-3)  # though pessimism takes off from each
    zero = float(raw.mean() - raw.std())
    model.rescale(inputs, shift=False, zero=zero)
    assert paid().mean() == pytest.approx(2**-0.5, abs=1e-2)  # a mean of one deviation, at root mean square 1


@pytest.mark.parametrize("form", ["quadratic", "absolute"])
def test_a_model_with_a_linear_part_comes_back_from_disk_bit_for_bit(form: str, tmp_path: Path) -> None:
    learner, _ = learned(form, paraboloid, ensemble_size=2, observe="0,1", clip=5.0, pessimism=0.5)
    learner.save(tmp_path)
    loaded = RewardModel.load(tmp_path)
    assert (loaded.encoding.observe, loaded.clip, loaded.pessimism, loaded.members) == ("0,1", 5.0, 0.5, 16)
    steps = RNG.normal(size=(9, 4)).astype(np.float32), RNG.normal(size=(9, 2)).astype(np.float32)
    assert np.array_equal(loaded.reward_function()(*steps, steps[0]), learner.model.reward_function()(*steps, steps[0]))


def test_a_model_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match=r"ensemble_size is 0 and there is no reward.linear; use"):
        RewardModel(*BOX, ensemble_size=0)


def test_coordinates_left_out_play_no_part() -> None:
    model = learned("quadratic", paraboloid, observe="0:2", ensemble_size=2)[0].model
    steps, actions = RNG.normal(size=(9, 4)).astype(np.float32), RNG.normal(size=(9, 2)).astype(np.float32)
    other = steps.copy()
    other[:, 2:] += 5
    pay = model.reward_function()
    assert np.array_equal(pay(steps, actions, steps), pay(other, actions, other))


@pytest.mark.parametrize("wanted", ["4", "0:5", "x", "3:2", ""])
def test_coordinates_that_the_observation_has_not_are_named(wanted: str) -> None:
    with pytest.raises(BadInput, match=r"reward.observe is .* the observation has 4, 0 to 3: use"):
        RewardModel(*BOX, observe=wanted)


def test_a_teacher_who_likes_living_makes_the_average_step_good_and_one_who_does_not_bad() -> None:
    def lives(rng: np.random.Generator) -> Segment:
        steps = int(rng.integers(1, 11))
        trajectory = Trajectory(
            rng.normal(size=(steps + 1, 4)), rng.uniform(-1, 1, (steps, 2)), np.ones(steps), Ending.TERMINATED
        )
        return trajectory.cut(0, 10)

    paid = {}
    for sign in (1, -1):
        rng = np.random.default_rng(2)
        model = RewardModel(*BOX, ensemble_size=0, linear="quadratic")
        learner = RewardLearner(model, rng=rng, l2=1e-3, calibrate=True, living=True)
        pairs = [(lives(rng), lives(rng)) for _ in range(40)]
        learner.fit([
            Choice((a, b), (better := float(sign * a.lived > sign * b.lived), 1 - better), str(i))
            for i, (a, b) in enumerate(pairs)
            if a.lived != b.lived
        ])  # fmt: skip
        fresh = trajectories(20, paraboloid, rng)
        learner.rescale(fresh, shift=False)
        pay = learner.model.reward_function()
        paid[sign] = np.concatenate([pay(t.observations[:-1], t.actions, t.observations[1:]) for t in fresh])
        assert np.sqrt((paid[sign] ** 2).mean()) == pytest.approx(1, abs=1e-3)
    assert paid[1].mean() > 0.5 and paid[-1].mean() < -0.5


def test_networks_alone_that_are_too_sure_of_themselves_are_cooled_down() -> None:
    def learner(calibrate: bool) -> RewardLearner:
        rng = np.random.default_rng(3)
        made = RewardLearner(
            RewardModel(*BOX, hidden=(16,)), rng=rng, l2=0.0, calibrate=calibrate, folds=True, steps=200
        )
        seen = trajectories(60, noise(rng), rng)
        made.fit(answered(seen))
        return made

    assert learner(calibrate=False).model.shares.tolist() == [1, 1]
    assert learner(calibrate=True).model.shares[1] < 0.5  # answers at random are foretold by nothing


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"linear": "linear"}, "linear 'quadratic'; expected 'linear'"),
        ({"clip": 1.0}, "clip None; expected 1.0"),
        ({"pessimism": 1.0}, "pessimism 0.0; expected 1.0"),
        ({"observe": "0:3"}, "observe None; expected '0:3'"),
    ],
)
def test_a_model_of_other_settings_is_refused_by_what_differs(other: Any, what: str, tmp_path: Path) -> None:
    learned("quadratic", paraboloid, labels=8)[0].save(tmp_path)
    settings = {"ensemble_size": 0, "linear": "quadratic", **other}
    learner = RewardLearner(RewardModel(*BOX, **settings), rng=np.random.default_rng(0), l2=1e-3)
    with pytest.raises(BadInput, match=f"has {what}, as the settings say: use the settings"):
        learner.restore(tmp_path)


def test_an_answer_that_is_there_twice_foretells_nothing_of_itself() -> None:
    """Two people say the same at random about each query: without both, nothing of it is known."""
    accuracies = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        seen = answered(trajectories(40, noise(rng), rng))
        twice = [Choice(choice.options, choice.target, choice.group) for choice in seen for _ in range(2)]
        learner = RewardLearner(RewardModel(*BOX, ensemble_size=0, linear="quadratic"), rng=rng, l2=1e-3)
        accuracies.append(learner.fit(twice).accuracy_heldout)
    assert np.mean(accuracies) < 0.8  # 1.00 where each is left out alone


def test_a_calibrated_reward_is_never_the_same_everywhere() -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        seen = answered(trajectories(60, noise(rng), rng))
        learner = RewardLearner(
            RewardModel(*BOX, ensemble_size=0, linear="quadratic"), rng=rng, l2=1e-3, calibrate=True
        )
        learner.fit(seen)
        steps = rng.normal(size=(9, 4)), rng.uniform(-1, 1, (9, 2))
        assert np.ptp(learner.step_rewards(*steps, steps[0]).mean(axis=0)) > 0
