"""How surely people choose, learned with the reward: statistics on fixed seeds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from scipy.special import expit

from rlhf_gym.preferences import Choice
from rlhf_gym.rewards import RewardLearner, RewardModel
from rlhf_gym.rewards.people import Judgements, judged, majority
from rlhf_gym.segments import Segment

BOX = spaces.Box(-np.inf, np.inf, (3,)), spaces.Box(-1, 1, (1,))
THREE = {"ann": 3.0, "bob": 3.0}


def judgements(sureness: list[float], n: int, *, seed: int = 0, left: float = 0.0, size: int = 4) -> Judgements:
    """What people say in turn of n pairs, with a pull to the left."""
    rng = np.random.default_rng(seed)
    inputs, weights = rng.normal(size=(n, size)), rng.normal(size=size)
    better = inputs @ weights / np.linalg.norm(weights)
    person = np.arange(n) % len(sureness)
    targets = (rng.random(n) < expit(np.array(sureness)[person] * better + left)).astype(float)
    return Judgements(inputs, targets, np.ones(n), person, np.ones(n))


def segment(rng: np.random.Generator) -> Segment:
    observations, actions = rng.normal(size=(6, 3)).astype(np.float32), rng.uniform(-1, 1, (5, 1))
    return Segment(observations, actions, observations[:-1, 0], 5, False, earlier_actions=actions[:0])


def choices(people: Mapping[str, float], n: int, *, seed: int = 0) -> list[Choice]:
    """What people of these surenesses choose in turn, by what the first coordinate sums up to."""
    rng, names, made = np.random.default_rng(seed), list(people), []
    for number in range(n):
        options, who = (segment(rng), segment(rng)), names[number % len(names)]
        left = float(rng.random() < expit(people[who] * (options[0].true_return - options[1].true_return)))
        made.append(Choice(options, (left, 1 - left), str(number), teacher=who, sided=True))
    return made


def learner(**settings: Any) -> RewardLearner:
    model = {"ensemble_size": 3, "hidden": (16,), "linear": None} | settings.pop("model", {})
    return RewardLearner(RewardModel(*BOX, **model), rng=np.random.default_rng(0), l2=1e-3, **settings)


def accuracy(one: RewardLearner) -> float:
    """How often fresh pairs are put in order by the mean reward."""
    rng = np.random.default_rng(99)
    fresh = [segment(rng) for _ in range(400)]
    paid = [one.step_rewards(s.observations[:-1], s.actions, s.observations[1:]).mean(axis=0).sum() for s in fresh]
    ahead = np.sign(np.subtract(paid[::2], paid[1::2]))
    true = [s.true_return for s in fresh]
    return float(np.mean(ahead == np.sign(np.subtract(true[::2], true[1::2]))))


@pytest.mark.parametrize("seed", range(5))
def test_ratios_of_sureness_are_recovered_with_their_sign(seed: int) -> None:
    found, _ = judged(judgements([4.0, 2.0, 0.0, -4.0], 1600, seed=seed), 4)
    assert found[1] / found[0] == pytest.approx(0.5, abs=0.25)
    assert found[2] / found[0] == pytest.approx(0, abs=0.2)
    assert found[3] / found[0] == pytest.approx(-1, abs=0.35)


def test_shuffled_answers_make_nobody_sure() -> None:
    real = judgements([4.0, 4.0], 600)
    shuffled = real._replace(targets=np.random.default_rng(1).permutation(real.targets))
    assert np.abs(judged(shuffled, 2)[0]).max() < 1 < judged(real, 2)[0].min()


def test_a_pull_to_the_left_is_told_apart_and_only_where_there_is_a_left() -> None:
    pulled = judgements([3.0, 3.0], 600, left=1.5)
    assert judged(pulled, 2)[1].min() > 0.6
    assert judged(pulled._replace(sided=np.zeros(600)), 2)[1].tolist() == [0, 0]


def test_a_handful_of_answers_do_not_overrule_the_prior() -> None:
    """Four answers the wrong way round, beside hundreds by others."""
    many = judgements([4.0, 4.0, -4.0], 600)
    few = (many.person < 2) | (np.cumsum(many.person == 2) <= 4)
    parts = (many.inputs, many.targets, many.weights, many.person, many.sided)
    assert judged(many, 3)[0][2] < -1
    assert judged(Judgements(*(part[few] for part in parts)), 3)[0][2] > -1


@pytest.mark.parametrize("model", [{}, {"linear": "quadratic", "ensemble_size": 0}, {"linear": "quadratic"}], ids=str)
def test_answers_the_wrong_way_round_teach_as_much_as_others(model: dict[str, Any]) -> None:
    said = choices({**THREE, "opposite": -3.0, "also opposite": -3.0, "carl": 3.0}, 300)
    plain, weighed = learner(model=model), learner(model=model, reliability=True)
    plain.fit(said)
    sureness = weighed.fit(said).sureness
    assert accuracy(weighed) > max(0.9, accuracy(plain) + 0.05)
    assert {who for who, sure in sureness.items() if sure < 0} == {"opposite", "also opposite"}


def test_somebody_whose_mistakes_are_about_options_far_apart_is_the_least_sure() -> None:
    """A Newton step in full overshoots where hardly any odds are near even."""
    people, rng = 6, np.random.default_rng(1)
    told = judgements([np.inf] * people, 600)
    wrong = (told.person == 0) & (rng.random(600) < 0.1)
    far = told._replace(inputs=20 * told.inputs, targets=np.where(wrong, 1 - told.targets, told.targets))
    sureness, _ = judged(far, people)
    assert 0 <= sureness[0] < 0.5 * sureness[1:].min() and sureness[1:].max() < 1.5 * sureness[1:].min()


def test_the_direction_is_that_of_most_answers_and_coins_have_no_vote() -> None:
    each = np.array([20.0, 20.0, 20.0])
    assert majority(np.array([-0.8, -0.3, 1.5]), each) == -1
    assert majority(np.array([-0.1, -0.1, 1.5]), each) == 1
    assert majority(np.array([-0.8, -0.3, 1.5]), np.array([20.0, 20.0, 80.0])) == 1


def test_sureness_has_a_mean_square_of_1_over_choices() -> None:
    sureness = learner(reliability=True).fit(choices({**THREE, "coin": 0.0}, 240)).sureness
    assert np.mean(np.square(list(sureness.values()))) == pytest.approx(1)
    assert abs(sureness["coin"]) < 0.4 < 1 < sureness["ann"]


@pytest.mark.parametrize("people", [{"ann": 3.0}, {"": 3.0}])
def test_of_one_person_every_weight_is_as_without(people: dict[str, float]) -> None:
    said = choices(people, 40)
    one, other = learner(), learner(reliability=True)
    assert one.fit(said).sureness == other.fit(said).sureness == {}
    for plain, weighed in zip(one.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(plain, weighed)


def test_it_is_learned_from_the_answers_alone_and_anew_each_time() -> None:
    """A run that was interrupted has no more than its answers."""
    said = choices({**THREE, "coin": 0.0}, 90)
    twice, once = learner(reliability=True), learner(reliability=True)
    twice.fit(said[:30])
    assert twice.fit(said).sureness == once.fit(said).sureness


def test_figures_take_the_answers_as_their_people_gave_them() -> None:
    said = choices({**THREE, "opposite": -3.0}, 150)
    settings: dict[str, Any] = {"model": {"linear": "linear", "ensemble_size": 0}}
    assert learner(reliability=True, **settings).fit(said).accuracy_heldout > 0.8
    assert learner(**settings).fit(said).accuracy_heldout < 0.75
