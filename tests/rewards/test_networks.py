"""Reward networks, ours and the user's: one contract, and one line for what isn't there."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlhf_gym.contracts import check_network
from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import choices
from rlhf_gym.registry import NETWORKS
from rlhf_gym.rewards import Bootstrap, RewardModel, fit_reward_model
from rlhf_gym.rewards.ensembles import BatchedMLP, Modules, make_ensemble
from rlhf_gym.rewards.networks import load_network, mlp
from rlhf_gym.segments import pad
from tests.rewards.test_fitting import LEFT_RIGHT, TWO, preferences

EARLIER = Path(__file__).parents[1] / "data" / "earlier" / "run" / "reward_model"
CARTPOLE = spaces.Box(-np.inf, np.inf, (4,)), spaces.Discrete(2)

MY_MODULE = """
from torch import nn

class MyNet(nn.Module):
    def __init__(self, size, width=5):
        super().__init__()
        self.size = size
        self.layers = nn.Sequential(nn.Linear(size, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, inputs):
        return self.layers(inputs)

not_a_network = 3
"""


class Quadratic(nn.Module):
    """Gives (...,) where others give (..., 1)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.form, self.offset = nn.Parameter(torch.randn(size, size)), nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.einsum("...i,ij,...j->...", inputs, self.form, inputs) + self.offset


class Linear(nn.Module):
    """A vector and nothing that decays."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size) / 10)

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight


def twice_the_same(size: int) -> nn.Module:
    """One tensor in two places."""
    one = nn.Linear(size, size)
    other = nn.Linear(size, size)
    other.weight = one.weight
    return nn.Sequential(one, nn.ReLU(), other, nn.ReLU(), nn.Linear(size, 1))


@pytest.fixture
def my_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module with a network in the current folder."""
    name = f"module_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MY_MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


@pytest.mark.parametrize("name", NETWORKS)
def test_registered_networks_keep_the_contract(name: str) -> None:
    check_network(name)


@pytest.mark.parametrize("hidden", [(8,), (), (4, 3, 2)])
def test_an_mlp_keeps_the_contract_whatever_its_layers(hidden: tuple[int, ...]) -> None:
    check_network("mlp", hidden=hidden)
    check_network(lambda size: mlp(size, hidden=hidden))


def test_networks_of_the_users_own_keep_the_contract(my_module: str) -> None:
    check_network(f"{my_module}:MyNet")
    check_network(f"{my_module}:MyNet", width=3)
    check_network(Quadratic)
    check_network(Linear)
    check_network(twice_the_same)


BACKBONE = nn.Linear(7, 7)


class SharesItsBackbone(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.backbone, self.head = BACKBONE, nn.Linear(size, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.backbone(inputs))


class Centres(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(size, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs - inputs.reshape(-1, inputs.shape[-1])[:3].mean(dim=0))


class LearnsNothing(Centres):
    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs).detach()


class StartsAlike(Centres):
    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs)

    def __init__(self, size: int) -> None:
        super().__init__(size)
        nn.init.ones_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)


@pytest.mark.parametrize(
    ("network", "demand"),
    [
        (SharesItsBackbone, "members share no parameters"),
        (Centres, "doesn't depend on the steps beside it"),
        (LearnsNothing, "rewards depend on the parameters"),
        (StartsAlike, "another seed gives others"),
    ],
)
def test_the_contract_finds_what_is_broken(network: type[nn.Module], demand: str) -> None:
    with pytest.raises(AssertionError, match=demand):
        check_network(network)


def test_a_network_that_gives_more_than_one_reward_a_step_is_refused_in_one_line() -> None:
    ensemble = make_ensemble(lambda size: nn.Linear(size, 2), 3, ensemble_size=2, options={}, seed=0)
    with pytest.raises(ValueError, match=r"maps \(5, 3\) to \(5, 2\); expected one reward for each step, \(5,\) or"):
        ensemble(torch.zeros(5, 3))


def test_the_batched_mlp_is_what_an_mlp_is() -> None:
    batched, one = BatchedMLP(6, 1, hidden=(5, 4), seed=0), mlp(6, hidden=(5, 4))
    layers = [layer for layer in one.modules() if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer, weight, bias in zip(layers, batched.weights, batched.biases, strict=True):
            assert layer.weight.shape == weight[0].T.shape and layer.bias.shape == bias[0, 0].shape
            layer.weight.copy_(weight[0].T)
            layer.bias.copy_(bias[0, 0])
    inputs = torch.randn(9, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(batched(inputs), Modules([one])(inputs), rtol=1e-5, atol=1e-6)
    fresh = mlp(6, hidden=(5,))
    assert fresh[-1].bias.tolist() == [0] and fresh[-1].weight.abs().max() < 0.1 / 5**0.5


# Learned, saved and read alike


def test_a_network_of_the_users_own_learns_as_ours_does(my_module: str) -> None:
    model = RewardModel(TWO, LEFT_RIGHT, network=f"{my_module}:MyNet", width=8)
    kept = choices(preferences(100))
    for steps in (60, 60):
        fit = fit_reward_model(
            model, kept, bootstrap=Bootstrap(3, seed=0), rng=np.random.default_rng(0), steps=steps, learning_rate=0.01
        )
    assert fit.accuracy > 0.9 and fit.accuracy_heldout > 0.8


def test_a_network_without_matrices_learns_and_decays_nowhere() -> None:
    model, kept = RewardModel(TWO, LEFT_RIGHT, network=Linear), choices(preferences(100))
    fit = fit_reward_model(
        model, kept, bootstrap=Bootstrap(3, seed=0), rng=np.random.default_rng(0), steps=150, learning_rate=0.03
    )
    assert fit.accuracy > 0.75 and fit.l2 == 1e-3  # it sees no bias, hence not how long a segment lived


def test_a_saved_model_needs_neither_spaces_nor_its_network_named(my_module: str, tmp_path: Path) -> None:
    model = RewardModel(TWO, LEFT_RIGHT, network=f"{my_module}:MyNet", width=8, inputs="transition", seed=4)
    model.save(tmp_path / "kept")
    loaded = RewardModel.load(tmp_path / "kept")
    assert (loaded.network, loaded.options) == (f"{my_module}:MyNet", {"width": 8})
    assert (loaded.encoding.observation_space, loaded.encoding.action_space) == (TWO, LEFT_RIGHT)
    steps = pad([side for p in preferences(5) for side in p.query.options])
    np.testing.assert_array_equal(loaded.returns(steps), model.returns(steps))


def test_a_network_that_is_missing_where_it_is_read_is_named_in_one_line(my_module: str, tmp_path: Path) -> None:
    RewardModel(TWO, LEFT_RIGHT, network=f"{my_module}:MyNet").save(tmp_path / "kept")
    text = (tmp_path / "kept" / "model.json").read_text()
    (tmp_path / "kept" / "model.json").write_text(text.replace(my_module, "gone"))
    with pytest.raises(ValueError, match="reward.network is 'gone:MyNet' but there is no module 'gone'") as refused:
        RewardModel.load(tmp_path / "kept")
    assert "\n" not in str(refused.value)
    RewardModel.load(tmp_path / "kept", network=__import__(my_module).MyNet)


def test_a_network_that_has_no_name_is_handed_over_again(tmp_path: Path) -> None:
    unnamed = lambda size: nn.Linear(size, 1)  # noqa: E731
    model = RewardModel(TWO, LEFT_RIGHT, network=unnamed)
    model.save(tmp_path)
    with pytest.raises(ValueError, match="given as a Python object.*hand it over again"):
        RewardModel.load(tmp_path)
    loaded = RewardModel.load(tmp_path, network=unnamed)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    RewardModel(TWO, LEFT_RIGHT, network=Quadratic).save(tmp_path)
    with pytest.raises(
        ValueError, match="doesn't fit observation space Box.*the network it was trained with"
    ) as refused:
        RewardModel.load(tmp_path, network=twice_the_same)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("network", "options", "reason"),
    [
        ("mpl", {}, "network is 'mpl'; did you mean mlp"),
        ("mlp", {"hiden": (3,)}, "network mlp has no option hiden; did you mean hidden?"),
        (Quadratic, {"width": 3}, "has no option width; it takes none"),
        ("MODULE:Nothing", {}, "has no 'Nothing'; it has: MyNet"),
        ("MODULE:not_a_network", {}, "which is 3; expected a function of the number of inputs"),
        (lambda size: 7, {}, "made 7; expected a torch module with parameters"),
        (lambda size: nn.ReLU(), {}, "expected a torch module with parameters to learn"),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(
    network: Any, options: dict[str, Any], reason: str, my_module: str
) -> None:
    network = network.replace("MODULE", my_module) if isinstance(network, str) else network
    with pytest.raises(ValueError, match=reason.replace("?", r"\?")) as refused:
        RewardModel(TWO, LEFT_RIGHT, network=network, **options)
    assert "\n" not in str(refused.value)


# Directories of earlier versions


def test_a_directory_of_an_earlier_version_is_read_when_spaces_are_given(tmp_path: Path) -> None:
    model = RewardModel.load(EARLIER, *CARTPOLE)
    assert (model.ensemble_size, model.options, model.encoding.inputs) == (2, {"hidden": [8]}, "observation")
    assert [tuple(weight.shape) for weight in model.ensemble.weights] == [(2, 4, 8), (2, 8, 1)]
    assert not torch.equal(model.input_mean, torch.zeros(4))
    model.save(tmp_path)
    again = RewardModel.load(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


def test_a_directory_of_an_earlier_version_says_that_it_needs_spaces() -> None:
    with pytest.raises(
        ValueError, match="written by an earlier version, without its spaces; use RewardModel.load"
    ) as no:
        RewardModel.load(EARLIER)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize("hidden", ["abc", 8, None, [0], [-3], [8.5], [True]])
def test_other_hidden_layers_than_numbers_of_units_are_refused(hidden: Any) -> None:
    for make in (
        lambda: mlp(3, hidden=hidden),
        lambda: make_ensemble("mlp", 3, ensemble_size=2, options={"hidden": hidden}, seed=0),
    ):
        with pytest.raises(
            BadInput, match="reward.network_options.hidden is .*; use whole numbers of units, at least 1"
        ):
            make()


def test_a_network_of_no_arguments_is_refused() -> None:
    with pytest.raises(BadInput, match="which takes no arguments; expected a function of the number of inputs"):
        load_network(lambda: nn.Linear(3, 1), {})
