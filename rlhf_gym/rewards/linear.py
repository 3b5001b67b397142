"""The linear part of a reward: a posterior over weights of features."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, final

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.encoding import Encoding
from rlhf_gym.rewards.features import SCALES, STRAIGHT, Features, Form, Statistics
from rlhf_gym.rewards.likelihood import choice_loss
from rlhf_gym.rewards.pairs import Pairs, break_up
from rlhf_gym.rewards.posterior import Posterior, fit_posterior, mix
from rlhf_gym.rewards.stacking import stacked
from rlhf_gym.segments import Array

DRAWS_LEAST = 16
AT_ONCE = 1024  # segments whose features are summed up in one go, which bounds the memory it takes
Standardise = Callable[[Tensor], Tensor]


class Weight(NamedTuple):
    """The reward for one standard deviation of a feature, in the answers' log-odds per step."""

    name: str
    value: float
    error: float


@final
class LinearPart(nn.Module):
    """A reward that is linear in features, with a posterior over its weights.

    That few features matter (a Cauchy prior) and that effort is a norm are strong inductive biases. The rewards of
    MuJoCo's tasks have this form, which Christiano et al. 2017 note in footnote 7 but don't use.

    Args:
        encoding: The inputs.
        form: Which features.
        networks: Number of networks that are added to it; each is added to equally many draws.

    Attributes:
        members: Number of posterior draws, S: the least multiple of twice the networks that is at least 16.
    """

    mean: Tensor
    draws: Tensor
    errors: Tensor
    square_means: Tensor
    magnitude_statistics: Tensor
    effort_statistics: Tensor

    def __init__(self, encoding: Encoding, form: Form, networks: int = 0) -> None:
        super().__init__()
        self.form, self.features = form, Features(encoding, form)
        size, squared = self.features.size, len(self.features.squared)
        each = max(networks, 1)
        self.members = 2 * each * math.ceil(DRAWS_LEAST / (2 * each))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("draws", torch.zeros(self.members, size))
        self.register_buffer("errors", torch.zeros(size))
        self.register_buffer("square_means", torch.ones(squared))
        self.register_buffer("magnitude_statistics", torch.tensor([[0.0], [0.0], [1.0]]).repeat(1, squared))
        self.register_buffer("effort_statistics", torch.tensor([0.0, 1.0]))

    @property
    def statistics(self) -> Statistics:
        """What the features are standardised by."""
        return Statistics(self.square_means, self.magnitude_statistics, self.effort_statistics)

    def of(self, inputs: Tensor, standardised: Tensor) -> Tensor:
        """Compute the features of steps, shape (..., F); both arguments have shape (..., D)."""
        features: Tensor = self.features(inputs, standardised, self.statistics)
        return features

    def forward(self, inputs: Tensor, standardised: Tensor) -> Tensor:
        """Compute the reward that each draw gives, shape (S, ...)."""
        return torch.movedim(self.of(inputs, standardised) @ self.draws.T, -1, 0)

    @torch.no_grad()
    def freeze(self, inputs: Tensor, standardise: Standardise) -> None:
        """Take the features' statistics from these steps, shape (S, D)."""
        found = self.features.statistics(inputs, standardise(inputs), standardise(torch.zeros(inputs.shape[1])))
        for buffer, values in zip(self.statistics, found, strict=True):
            buffer.copy_(values)

    @torch.no_grad()
    def fit(self, data: Dataset, standardise: Standardise, *, targets: Tensor, rng: np.random.Generator) -> Tensor:
        """Fit to choices under three priors, and average the fits by how well they predict left-out answers.

        With few answers the evidence has several peaks, and a fit at the wrong one is worthless. Fits are weighted by
        pseudo-BMA (Yao et al. 2018, Using stacking to average Bayesian predictive distributions, section 3.4), since
        the best fit alone would change the reward whenever another one takes the lead.

        Args:
            data: N choices.
            standardise: Standardises inputs.
            targets: Probability with which each option counts as chosen, shape (N, K).
            rng: Source of the draws.

        Returns:
            Leave-one-out returns: those of each option by the answers to all other queries, shape (N, K).
        """
        sums = self.sums(data, standardise)
        if not np.isfinite(sums).all():
            raise BadInput("steps of queries hold inputs that are nan, infinite, or too large to be squared; mend the "
                           "environment, or leave such coordinates out by reward.observe")  # fmt: skip
        rows, offered = data.rows.numpy(), data.offered.numpy()
        sureness = None if data.sureness is None else data.sureness.double().numpy()
        pairs = break_up(sums, rows, offered, targets.double().numpy(), data.weights, sureness).by(data.groups)
        fits = [
            fit_posterior(pairs, self.features.groups, np.array(list(scales.values())), by_evidence=by_evidence)
            for scales, by_evidence in ((SCALES, True), (SCALES, False), (STRAIGHT, False))
        ]
        found = torch.stack([torch.from_numpy(_worth(fit, pairs, sums, rows, data.groups)) for fit in fits])
        shares = softmax([-_loss(returns, data, targets) for returns in found])
        length = math.sqrt(data.lived.shape[1])  # from weights of sums / sqrt(T) to weights of steps
        mixed = mix(fits, shares, self.members, rng=rng)
        for buffer, values in zip((self.mean, self.errors, self.draws), mixed, strict=True):
            buffer.copy_(torch.from_numpy(values / length))
        together: Tensor = torch.tensordot(torch.from_numpy(shares), found, dims=1)
        return together.float()

    def sums(self, data: Dataset, standardise: Standardise) -> Array:
        """Sum the features over each segment's lived steps, over the root of its nominal length, shape (R, F)."""
        at_once = max(1, data.at_once(AT_ONCE * (length := data.lived.shape[1])) // length)
        parts = [
            (self.of(inputs, standardise(inputs)) * lived[..., None]).sum(dim=1)
            for inputs, lived in zip(torch.split(data.inputs, at_once), torch.split(data.lived, at_once), strict=True)
        ]
        return np.asarray(torch.cat(parts).double().numpy() / math.sqrt(data.lived.shape[1]))

    def numpy_function(self, *, each: bool) -> Callable[[Array, Array], Array]:
        """Copy the current rewards into a NumPy function of raw and standardised inputs, shape (S, D).

        Args:
            each: Whether it returns every draw's rewards, shape (members, S), instead of the mean's, shape (1, S).
        """
        weights = (self.draws if each else self.mean[None]).T.numpy().copy()
        statistics = Statistics(*(values.numpy().copy() for values in self.statistics))
        return lambda inputs, standardised: np.asarray((self.features(inputs, standardised, statistics) @ weights).T)

    def by_name(self, inputs: Sequence[str]) -> list[Weight]:
        """List the weights, the largest first.

        Args:
            inputs: Names of the D inputs.
        """
        named = zip(self.features.names(inputs), self.mean.tolist(), self.errors.tolist(), strict=True)
        return sorted((Weight(*one) for one in named), key=lambda weight: -abs(weight.value))


def _worth(posterior: Posterior, pairs: Pairs, sums: Array, rows: Array, groups: Array) -> Array:
    """Compute each option's return by the answers to all other queries, shape (N, K)."""
    without = posterior.left_out(pairs, int(groups.max()) + 1)[groups]
    return np.asarray(np.einsum("nkf,nf->nk", sums[rows], without))


def _loss(returns: Tensor, data: Dataset, targets: Tensor) -> float:
    """Compute the negative log-likelihood of left-out answers, at the temperature that fits them best."""
    kept = torch.from_numpy(~data.own)
    returns, weights = data.surely(returns)[kept], data.weight(kept)
    targets, offered = targets[kept], data.offered[kept]
    (share,) = stacked(returns[None], targets, offered, weights, np.ones(1))
    return (choice_loss(share * returns[None], targets.double(), offered) * weights).sum().item()
