"""Self-supervised features: first layers learn what happens next, and the last layer doesn't."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards import RewardModel
from rlhf_gym.rewards.ensembles import BatchedMLP
from rlhf_gym.rewards.more.more import Situation, Term
from rlhf_gym.rewards.more.self_supervised import errors, self_supervised, transitions
from rlhf_gym.segments import Ending, Trajectory

TWO, THREE = spaces.Box(-np.inf, np.inf, (2,)), spaces.Discrete(3, start=1)


def swings(n: int = 8) -> list[Trajectory]:
    """Episodes of 50 steps: the first number follows the sine of the second, which an action moves."""
    rng = np.random.default_rng(0)

    def one() -> Trajectory:
        actions, observations = rng.integers(1, 4, size=50), [rng.normal(size=2)]
        for action in actions:
            x, y = observations[-1]
            observations.append(np.array([x + 0.5 * np.sin(2 * y), 0.9 * y + 0.3 * (action - 2)]))
        return Trajectory(np.array(observations, np.float32), actions, np.zeros(50), Ending.TRUNCATED)

    return [one() for _ in range(n)]


def model(inputs: Any = "observation_action", **options: Any) -> RewardModel:
    return RewardModel(TWO, THREE, ensemble_size=2, inputs=inputs, seed=0, **{"hidden": (16,), **options})


def situation(of: RewardModel, lately: Sequence[Trajectory] = ()) -> Situation:
    return Situation(of, lately, 5, 10, 8, None, np.random.default_rng(1))


def term_of(of: RewardModel, **options: Any) -> Term | None:
    option = self_supervised(of, **options)
    assert option.term
    return option.term(situation(of, swings()))


def ours(of: RewardModel) -> BatchedMLP:
    assert isinstance(of.ensemble, BatchedMLP)
    return of.ensemble


def test_the_error_is_that_of_the_best_linear_prediction_from_the_last_hidden_layer() -> None:
    of = model("observation", hidden=(3,))
    inputs, beside, changes = transitions(of, swings())
    assert beside.shape == (400, 3)
    assert changes.square().mean().item() == pytest.approx(1, rel=1e-4)
    found = errors(ours(of), inputs, beside, changes).tolist()
    for hidden, error in zip(ours(of).hidden(inputs).detach().numpy(), found, strict=True):
        seen = np.hstack([hidden, beside, np.ones((400, 1))])
        held = np.vstack([seen, np.sqrt(1e-3 * 400) * np.eye(7)])  # a ridge: rows that want the head to be 0
        head = np.linalg.lstsq(held, np.vstack([changes, np.zeros((7, 2))]), rcond=None)[0]
        assert error == pytest.approx(np.square(seen @ head - changes.numpy()).mean(), rel=1e-3)
        assert error < 0.9


@pytest.mark.parametrize("inputs", ["observation", "observation_action"])
def test_the_error_falls_far_as_hidden_layers_learn_and_the_last_layer_has_no_part_in_it(inputs: str) -> None:
    of = model(inputs)
    of.freeze_inputs(transitions(of, swings())[0])
    loss = term_of(of, batch_size=128)
    assert loss
    parameters = list(ours(of).parameters())
    optimizer, found = torch.optim.Adam(parameters, lr=1e-2), []
    for _ in range(200):
        found.append(loss())
        optimizer.zero_grad()
        found[-1].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert torch.stack(found[-20:]).mean() < 0.4 * found[0]
    assert ours(of).weights[-1].grad is None and torch.equal(ours(of).weights[-1], ours(model(inputs)).weights[-1])


def test_the_weight_multiplies_it_and_0_leaves_it_out() -> None:
    once, twice = (term_of(model(), weight=weight) for weight in (1.0, 2.0))
    assert once and twice and twice().item() == pytest.approx(2 * once().item(), rel=1e-5)
    assert term_of(model(), weight=0) is None


def test_without_any_steps_seen_it_is_left_out() -> None:
    option = self_supervised(model())
    assert option.term and option.term(situation(model())) is None


def test_changes_are_of_the_coordinates_that_are_seen() -> None:
    of = RewardModel(TWO, THREE, ensemble_size=2, observe="1", seed=0)
    inputs, beside, changes = transitions(of, swings(1))
    assert (inputs.shape, beside.shape, changes.shape) == ((50, 4), (50, 0), (50, 1))
    (one,) = swings(1)
    change = np.diff(one.observations[:, 1])
    np.testing.assert_allclose(changes[:, 0], (change - change.mean()) / change.std(), atol=1e-3)


def own_network(size: int) -> nn.Module:
    return nn.Linear(size, 1)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (RewardModel(TWO, THREE, network=own_network), "it needs reward.network mlp with hidden layers"),
        (RewardModel(TWO, THREE, hidden=()), "it needs reward.network mlp with hidden layers"),
        (RewardModel(TWO, THREE, ensemble_size=0, linear="linear"), "an ensemble of 0"),
        (model("transition"), "reward.inputs is transition"),
    ],
    ids=["own", "no hidden", "no networks", "transition"],
)
def test_a_model_that_it_cannot_do_with_is_refused_before_anything_runs(of: RewardModel, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        self_supervised(of)


@pytest.mark.parametrize("wrong", [{"weight": -1.0}, {"batch_size": 0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"reward\.more\.self_supervised has"):
        self_supervised(model(), **wrong)
