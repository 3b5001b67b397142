"""Maximum likelihood: from choices to a reward model."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards.bootstrap import Bootstrap
from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.likelihood import accuracy, choice_loss
from rlhf_gym.rewards.model import RewardModel

# Weights shrink by this share in each gradient step.
L2_LEAST, L2_MOST = 1e-5, 1e-2
ADAPT_EVERY = 10  # steps
FIGURES_MOST = 1024  # choices that figures are taken from: more would cost time and change them by less than chance
STATISTICS_MOST = 2**18  # steps that input statistics are taken from; likewise
AT_ONCE = 2**12  # steps evaluated in one go, which bounds the memory it takes


@dataclass(frozen=True)
class RewardFit:
    """Losses and accuracies of a fit, means over members; nan where there were no choices.

    Beyond 1,024 choices they are those of 1,024, evenly spread.

    Args:
        n: Choices used: one for a comparison, k - 1 for a ranking of k.
        loss: Mean negative log-likelihood of the answers each member was fitted to.
        loss_heldout: Likewise of the answers it was not.
        accuracy: Share of the fitted answers that the model gives itself; ties count one half.
        accuracy_heldout: Likewise of the held-out ones, each member alone; they steer the weight decay, so this is no
            untouched test set.
        l2: Weight decay at the end.
        steps: Gradient steps taken.
        seconds: Wall time.
    """

    n: int
    loss: float
    loss_heldout: float
    accuracy: float
    accuracy_heldout: float
    l2: float
    steps: int
    seconds: float


def fit_reward_model(
    model: RewardModel,
    choices: Sequence[Choice],
    *,
    bootstrap: Bootstrap,
    rng: np.random.Generator,
    data: Dataset | None = None,
    steps: int = 60,
    batch_size: int = 16,
    learning_rate: float = 3e-3,
    l2: float = 1e-3,
    l2_sample: int = 128,
    label_noise: float = 0.0,
) -> RewardFit:
    """Go on fitting a reward model to all choices so far.

    Weight decay follows the held-out loss: each member's held-out choices are those its bootstrap weighs 0, and
    every tenth step the decay rises if smaller weights would lower the loss on them, and falls if larger ones would
    (the sign of the one-step hypergradient; Luketina et al. 2016, Scalable gradient-based tuning of continuous
    regularization hyperparameters). Biases don't decay: the pull is towards a constant reward, not towards zero.
    The rule of Christiano et al. 2017, a held-out loss of 1.1 to 1.5 times the training loss, was tried first: with
    tens of labels that ratio is rarely reached by anything but a constant.

    Args:
        model: Changed in place; its input statistics are frozen anew, its outputs are not rescaled.
        choices: N of them, as :func:`rlhf_gym.kinds.choices` makes them of preferences.
        bootstrap: The members' weights, kept by the caller over the whole run.
        rng: Source of the batches.
        data: Encoded segments, kept by the caller between fits; None encodes all of them.
        steps: Gradient steps.
        batch_size: Choices between two in each; among more options fewer, so that a step costs the same.
        learning_rate: Of Adam.
        l2: Weight decay to start from: the share by which weights shrink in each gradient step; 0 is none, for good.
        l2_sample: Choices, drawn anew each time, that the step of the weight decay is taken on; likewise.
        label_noise: See :func:`rlhf_gym.rewards.likelihood.choice_loss`.

    Raises:
        BadInput: If there is no choice.
    """
    started = time.perf_counter()
    if not choices:
        raise BadInput("there are no choices to fit to; expected at least one answer that isn't SKIP")
    n = len(choices)
    weights = torch.from_numpy(bootstrap.weights(choices)).float()
    data = Dataset(model.encoding) if data is None else data
    data.update(choices)
    fewer = 2 * n / int(data.offered.sum())
    batch_size, l2_sample = (max(1, round(size * fewer)) for size in (batch_size, l2_sample))
    model.freeze_inputs(_lived_inputs(data))
    likelihood = _Likelihood(model, data, label_noise)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decaying = model.ensemble.decaying
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, fused=True)
    batches = _batches(n, min(batch_size, n), rng)
    for step in range(steps):
        batch = next(batches)
        losses = likelihood.losses(batch)
        # A member may weigh all of a batch 0; its loss is then 0, where a mean would be 0/0.
        loss = ((losses * weights[:, batch]).sum(dim=1) / weights[:, batch].sum(dim=1).clamp_min(1)).sum()
        for parameter in parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if decaying:
            with torch.no_grad():
                torch._foreach_mul_(decaying, 1 - l2)
        if decaying and l2 > 0 and step % ADAPT_EVERY == ADAPT_EVERY - 1:
            sample = torch.from_numpy(rng.permutation(n)[:l2_sample]) if n > l2_sample else torch.arange(n)
            l2 = _adapted(l2, likelihood, sample, decaying, heldout=weights[:, sample] == 0)
    figures = _figures(likelihood, weights)
    return RewardFit(n, *figures, l2=l2, steps=steps, seconds=time.perf_counter() - started)


@final
class _Likelihood:
    """Likelihood of the choices under a model."""

    def __init__(self, model: RewardModel, data: Dataset, label_noise: float) -> None:
        self.model, self.data, self.label_noise = model, data, label_noise
        # Standardised once, unless there is far more than a fit will look at.
        self._standardised = model.standardise(data.inputs) if len(data) <= FIGURES_MOST else None

    def losses(self, batch: Tensor) -> Tensor:
        """Compute the negative log-likelihood of some choices, with gradients, shape (M, N)."""
        rows, offered = self.data.rows[batch], self.data.offered[batch]
        returns = _spread(self._returns(rows[offered]), offered)
        return choice_loss(returns, self.data.targets[batch], offered, label_noise=self.label_noise)

    @torch.no_grad()
    def measured(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Measure loss and accuracy of many choices, without gradients, both of shape (M, N)."""
        offered, targets = self.data.offered[batch], self.data.targets[batch]
        distinct, places = torch.unique(self.data.rows[batch][offered], return_inverse=True)
        at_once = max(1, AT_ONCE // self.data.lived.shape[1])
        each = torch.cat([self._returns(rows) for rows in distinct.split(at_once)], dim=1)
        returns = _spread(each[:, places], offered)
        loss = choice_loss(returns, targets, offered, label_noise=self.label_noise)
        return loss, accuracy(returns, targets, offered)

    def _returns(self, rows: Tensor) -> Tensor:
        """Sum each member's rewards over the lived steps of some segments, shape (M, rows)."""
        if self._standardised is not None:
            inputs = self._standardised[rows]
        else:
            inputs = self.model.standardise(self.data.inputs[rows])
        rewards: Tensor = self.model.ensemble(inputs) * self.data.lived[rows]
        return rewards.sum(dim=-1)


def _spread(returns: Tensor, offered: Tensor) -> Tensor:
    """Put the offered options' returns, shape (M, options), in their places, shape (M, N, K)."""
    if returns.shape[1] == offered.numel():
        return returns.reshape(-1, *offered.shape)
    places = returns.new_zeros(len(returns), *offered.shape)
    places[:, offered] = returns
    return places


def _lived_inputs(data: Dataset) -> Tensor:
    """Encoded lived steps of the choices' options, in order, or as many as statistics need, evenly spread."""
    rows = data.rows[data.offered]
    if (most := max(1, STATISTICS_MOST // data.lived.shape[1])) < len(rows):
        rows = rows[_evenly(len(rows), most)]
    return data.inputs[rows][data.lived[rows] > 0]


def _evenly(n: int, most: int) -> Tensor:
    """Pick indices 0..n-1, or `most` of them, evenly spread."""
    return torch.linspace(0, n - 1, min(n, most), dtype=torch.float64).round().long()


def _batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Pass over 0..n-1 in random order, endlessly."""
    while True:
        order = torch.from_numpy(rng.permutation(n))
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Compute each member's weighted mean, nan where a member has no weight, shape (M,)."""
    return (values * weights).sum(dim=1) / weights.sum(dim=1)


def _figures(likelihood: _Likelihood, weights: Tensor) -> tuple[float, float, float, float]:
    """Compute training and held-out loss, training and held-out accuracy."""
    some = _evenly(weights.shape[1], FIGURES_MOST)
    weights = weights[:, some]
    heldout = (weights == 0).float()
    figures = [_mean(values, w).nanmean().item() for values in likelihood.measured(some) for w in (weights, heldout)]
    return figures[0], figures[1], figures[2], figures[3]


def _adapted(
    l2: float, likelihood: _Likelihood, sample: Tensor, decaying: Sequence[Tensor], *, heldout: Tensor
) -> float:
    """Change weight decay by a tenth, in the direction that would have lowered the held-out loss.

    Luketina et al. 2016, reduced to its sign.
    """
    loss = (likelihood.losses(sample) * heldout).sum()
    gradients = torch.autograd.grad(loss, decaying, allow_unused=True)
    # How the held-out loss changes as all weights grow: positive means that they had better shrink.
    growth = sum(float((g * w.detach()).sum()) for g, w in zip(gradients, decaying, strict=True) if g is not None)
    return min(max(l2 * math.exp(0.1 * np.sign(growth)), L2_LEAST), L2_MOST)
