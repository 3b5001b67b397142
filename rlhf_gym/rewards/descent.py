"""The fit of reward networks: gradient descent on the likelihood of choices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.ensembles import Ensemble
from rlhf_gym.rewards.likelihood import choice_loss
from rlhf_gym.rewards.more import Term
from rlhf_gym.rewards.more.more import Windows

# Bounds of the share by which weights shrink in each gradient step.
L2_LEAST, L2_MOST = 1e-5, 1e-2
ADAPT_EVERY = 10  # steps
KEPT_MOST = 1024  # most choices whose inputs are standardised once per fit; of more, a fit uses only some
KEPT_NUMBERS = 2**25  # most such inputs, 128 MB, which images soon exceed
GRADIENT_AT_ONCE = 2**18  # steps in one backward pass
AT_ONCE = 2**12  # steps evaluated in one go, which bounds the memory it takes


def descend(
    likelihood: Likelihood,
    weights: Tensor,
    *,
    rng: np.random.Generator,
    steps: int,
    batch_size: int,
    learning_rate: float,
    adam_epsilon: float,
    l2: float,
    l2_sample: int,
    terms: Sequence[Term] = (),
) -> float:
    """Take gradient steps on batches of choices, and adapt the weight decay to the held-out loss.

    Args:
        likelihood: Of the choices; its networks are changed in place.
        weights: Of each choice in each member's loss, shape (M, N); where it is 0, the choice is held out.
        rng: Source of the batches.
        steps: Gradient steps.
        batch_size: Choices in each.
        learning_rate: Of Adam.
        adam_epsilon: Epsilon of Adam; gradients much smaller than it have no effect.
        l2: Initial weight decay, the share by which weights shrink in each gradient step; 0 stays 0.
        l2_sample: Number of choices drawn for each change of the weight decay.
        terms: Added to the loss of each gradient step.

    Returns:
        The weight decay at the end.
    """
    n, networks = weights.shape[1], likelihood.networks
    parameters = [parameter for parameter in networks.parameters() if parameter.requires_grad]
    decaying = networks.decaying
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, eps=adam_epsilon, fused=True)
    batches = _batches(n, min(batch_size, n), rng)
    for step in range(steps):
        batch = next(batches)
        # If a member weighs a whole batch 0, its loss is 0 and not 0/0.
        weight = weights[:, batch].sum(dim=1).clamp_min(1)
        for parameter in parameters:
            parameter.grad = None
        for number, some in enumerate(torch.split(batch, likelihood.at_once or len(batch))):
            loss = ((likelihood.losses(some, whole=False) * weights[:, some]).sum(dim=1) / weight).sum()
            for term in terms if number == 0 else ():
                loss = loss + term()
            loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if decaying:
            with torch.no_grad():
                torch._foreach_mul_(decaying, 1 - l2)
        if decaying and l2 > 0 and step % ADAPT_EVERY == ADAPT_EVERY - 1:
            sample = torch.from_numpy(rng.permutation(n)[:l2_sample]) if n > l2_sample else torch.arange(n)
            l2 = _adapted(l2, likelihood, sample, decaying, heldout=weights[:, sample] == 0)
    return l2


@final
class Likelihood:
    """Likelihood of the choices under an ensemble.

    Args:
        networks: The ensemble.
        data: N choices.
        standardise: Standardises inputs for the networks.
        targets: Probability with which each option counts as chosen, shape (N, K).
        given: Return of each option to which the networks' is added, shape (N, K), of which a window counts the share
            of its steps; None is 0.
        label_noise: See :func:`rlhf_gym.rewards.likelihood.choice_loss`.
        windows: Chooses the lived steps that count where `whole` is False; None is all.

    Attributes:
        at_once: Choices in one backward pass; None is the whole batch.
    """

    def __init__(
        self,
        networks: Ensemble,
        data: Dataset,
        standardise: Callable[[Tensor], Tensor],
        *,
        targets: Tensor,
        given: Tensor | None = None,
        label_noise: float = 0.0,
        windows: Windows | None = None,
    ) -> None:
        self.networks, self.data, self.label_noise, self.targets = networks, data, label_noise, targets
        self._standardise, self._given, self._windows = standardise, given, windows
        steps = data.lived.shape[1] * data.rows.shape[1]
        self.at_once = None if networks.at_once is None else max(1, networks.at_once // steps)
        kept = self.at_once is None and len(data) <= KEPT_MOST and data.inputs.numel() <= KEPT_NUMBERS
        self._standardised = standardise(data.inputs) if kept else None

    def losses(self, batch: Tensor, *, whole: bool = True) -> Tensor:
        """Compute the negative log-likelihood of some choices, with gradients, shape (M, N).

        Args:
            batch: Indices of the choices.
            whole: Whether all lived steps count, instead of only those in windows.
        """
        rows, offered = self.data.rows[batch], self.data.offered[batch]
        lived = self.data.lived[rows[offered]]
        given = None if self._given is None else self._given[batch]
        if self._windows is not None and not whole:
            of = lived.sum(dim=-1)
            lived = self._windows(self.data.lived[rows].masked_fill(~offered[..., None], 1))[offered]
            if given is not None:
                given = given * _spread((lived.sum(dim=-1) / of)[None], offered)[0]
        returns = _spread(self._returns(rows[offered], lived), offered)
        if given is not None:
            returns = returns + given
        returns = self.data.surely(returns, batch)
        return choice_loss(returns, self.targets[batch], offered, label_noise=self.label_noise)

    @torch.no_grad()
    def returns(self, some: Tensor) -> Tensor:
        """Compute each member's return of the options of some choices, without gradients, shape (M, n, K)."""
        offered = self.data.offered[some]
        distinct, places = torch.unique(self.data.rows[some][offered], return_inverse=True)
        at_once = max(1, self.data.at_once(AT_ONCE) // self.data.lived.shape[1])
        each = torch.cat([self._returns(rows, self.data.lived[rows]) for rows in distinct.split(at_once)], dim=1)
        return _spread(each[:, places], offered)

    def _returns(self, rows: Tensor, lived: Tensor) -> Tensor:
        """Sum each member's rewards over the lived steps of segments, shape (rows, T) to (M, rows)."""
        if self._standardised is not None:
            inputs = self._standardised[rows]
        else:
            inputs = self._standardise(self.data.inputs[rows])
        rewards: Tensor = self.networks(inputs) * lived
        return rewards.sum(dim=-1)


def _spread(returns: Tensor, offered: Tensor) -> Tensor:
    """Scatter the offered options' returns, shape (M, options), to shape (M, N, K), with 0 elsewhere."""
    if returns.shape[1] == offered.numel():
        return returns.reshape(-1, *offered.shape)
    places = returns.new_zeros(len(returns), *offered.shape)
    places[:, offered] = returns
    return places


def _batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Yield full batches of 0..n-1 endlessly, reshuffled in each pass."""
    while True:
        order = torch.from_numpy(rng.permutation(n))
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def _adapted(
    l2: float, likelihood: Likelihood, sample: Tensor, decaying: Sequence[Tensor], *, heldout: Tensor
) -> float:
    """Change the weight decay by a tenth, in the direction that lowers the held-out loss.

    The direction is the sign of the hypergradient of Luketina et al. 2016.
    """
    data, growth = likelihood.data, 0.0
    at_once = max(1, data.at_once(GRADIENT_AT_ONCE) // (data.lived.shape[1] * data.rows.shape[1]))
    at_once = likelihood.at_once or at_once
    for some, without in zip(torch.split(sample, at_once), torch.split(heldout, at_once, dim=1), strict=True):
        loss = (likelihood.losses(some) * without * data.weight(some)).sum()
        gradients = torch.autograd.grad(loss, decaying, allow_unused=True)
        # Derivative of the held-out loss as all weights grow; where it is positive, they should shrink.
        growth += sum(float((g * w.detach()).sum()) for g, w in zip(gradients, decaying, strict=True) if g is not None)
    return min(max(l2 * math.exp(0.1 * np.sign(growth)), L2_LEAST), L2_MOST)
