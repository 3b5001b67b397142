"""The contract of reward networks: run :func:`check_network` on one of your own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rlhf_gym.contracts.examples import must
from rlhf_gym.rewards.ensembles import Ensemble, make_ensemble
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.rewards.networks import Network

MakeEnsemble = Callable[..., Ensemble]
"""(seed=0) -> ensemble of MEMBERS members with SIZE inputs."""
SIZE, MEMBERS = 7, 3


def check_network(network: str | Network, **options: Any) -> None:
    """Check a reward network against all NETWORK_RULES.

    Args:
        network: A registered name, `module:function`, or the function D -> module itself.
        **options: Options of the network.

    Raises:
        AssertionError: Saying what isn't met.
        BadInput: If there is no such network, or it takes no such option.
    """

    def make(seed: int = 0) -> Ensemble:
        return make_ensemble(network, SIZE, ensemble_size=MEMBERS, options=options, seed=seed)

    for rule in NETWORK_RULES:
        rule(make)
    comes_back_from_disk(network, options)


def _inputs(*lead: int, seed: int = 0) -> Tensor:
    return torch.randn(*lead, SIZE, generator=torch.Generator().manual_seed(seed))


def gives_one_reward_a_step(make: MakeEnsemble) -> None:
    """Check that inputs of shape (..., D) give finite float32 rewards of shape (M, ...)."""
    ensemble = make()
    for lead in ((1,), (5,), (2, 3), (0,)):
        rewards = ensemble(_inputs(*lead))
        must(rewards.shape == (MEMBERS, *lead), f"inputs {(*lead, SIZE)} give rewards {lead}, not {rewards.shape[1:]}")
        must(rewards.dtype == torch.float32, f"rewards are float32, not {rewards.dtype}")
        must(bool(rewards.isfinite().all()), "rewards are finite")


def rewards_a_step_for_itself(make: MakeEnsemble) -> None:
    """Check that a step's reward doesn't depend on the other steps of its batch, nor on the batch's shape."""
    ensemble, inputs = make(), _inputs(6)
    together = ensemble(inputs)
    alone = torch.cat([ensemble(inputs[i : i + 1]) for i in range(6)], dim=1)
    must(torch.allclose(together, alone, atol=1e-5), "a step's reward doesn't depend on the steps beside it")
    folded = ensemble(inputs.reshape(2, 3, SIZE)).reshape(MEMBERS, 6)
    must(torch.allclose(together, folded, atol=1e-5), "steps of segments are rewarded as the same steps in a row")
    must(torch.equal(together, ensemble(inputs)), "the same steps get the same rewards again")


def can_be_learned(make: MakeEnsemble) -> None:
    """Check that rewards have finite gradients by float32 parameters, not all of them 0."""
    ensemble = make()
    parameters = [parameter for parameter in ensemble.parameters() if parameter.requires_grad]
    rewards = ensemble(_inputs(8))
    must(rewards.requires_grad, "rewards depend on the parameters")
    gradients = torch.autograd.grad(rewards.square().sum(), parameters, allow_unused=True)
    found = [gradient for gradient in gradients if gradient is not None]
    must(all(bool(g.isfinite().all()) for g in found), "gradients are finite")
    must(any(bool((g != 0).any()) for g in found), "rewards depend on the parameters")
    must(all(p.dtype == torch.float32 for p in parameters), "parameters are float32")


def has_members_of_its_own_seed(make: MakeEnsemble) -> None:
    """Check that members start apart, by their seed alone; alike, their disagreement would mean nothing."""
    before, inputs = torch.get_rng_state(), _inputs(8)
    one, again, other = make(seed=1)(inputs), make(seed=1)(inputs), make(seed=2)(inputs)
    must(torch.equal(torch.get_rng_state(), before), "torch's global generator is left as it was")
    must(torch.equal(one, again), "the same seed gives the same members")
    must(not torch.equal(one, other), "another seed gives others")
    must(all(not torch.equal(one[i], one[j]) for i in range(MEMBERS) for j in range(i)), "members start apart")


def has_independent_members(make: MakeEnsemble) -> None:
    """Check that a gradient step for one member changes no other."""
    ensemble, inputs = make(), _inputs(8)
    before = ensemble(inputs).detach()
    parameters = [parameter for parameter in ensemble.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(ensemble(inputs)[0].sum(), parameters, allow_unused=True)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.sub_(0.1 * gradient)
    after = ensemble(inputs).detach()
    must(not torch.equal(after[0], before[0]), "a gradient step changes the member it is taken for")
    must(torch.equal(after[1:], before[1:]), "and no other: members share no parameters")


def decays_parameters_of_its_own(make: MakeEnsemble) -> None:
    """Check that weight decay shrinks trainable parameters only."""
    ensemble = make()
    known = {id(parameter) for parameter in ensemble.parameters() if parameter.requires_grad}
    must(all(id(parameter) in known for parameter in ensemble.decaying), "what decays is learned")


def pays_what_it_computes(make: MakeEnsemble) -> None:
    """Check that `numpy_function` gives the members' rewards as they were when it was made."""
    ensemble, inputs = make(), _inputs(8).numpy()
    pay = ensemble.numpy_function()
    with torch.no_grad():
        each = ensemble(torch.from_numpy(inputs)).numpy()
    paid = pay(inputs)
    right = paid.dtype == np.float32 and paid.shape == (MEMBERS, 8)
    must(right, f"float32, one of each member a step, is paid; got {paid.dtype, paid.shape}")
    must(np.allclose(paid, each, rtol=1e-4, atol=1e-4), "what is paid are the members' rewards")
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter.add_(1)
    must(np.array_equal(pay(inputs), paid), "what is paid doesn't follow the ensemble when it changes")


def comes_back_from_disk(network: str | Network, options: dict[str, Any]) -> None:
    """Check that a saved model is loaded with the same weights and rewards, bit for bit."""
    spaces_given = spaces.Box(-np.inf, np.inf, (SIZE - 2,)), spaces.Discrete(2)
    model = RewardModel(*spaces_given, network=network, seed=3, **options)
    with tempfile.TemporaryDirectory() as place:
        model.save(place)
        loaded = RewardModel.load(place, network=None if isinstance(network, str) else network)
    kept, read = model.state_dict(), loaded.state_dict()
    must(list(kept) == list(read) and all(torch.equal(kept[name], read[name]) for name in kept), "weights come back")
    inputs = _inputs(8)
    must(torch.equal(model(inputs), loaded(inputs)), "a model that is read back gives the same rewards")


NETWORK_RULES = (
    gives_one_reward_a_step,
    rewards_a_step_for_itself,
    can_be_learned,
    has_members_of_its_own_seed,
    has_independent_members,
    decays_parameters_of_its_own,
    pays_what_it_computes,
)
