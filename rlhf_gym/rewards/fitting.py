"""Maximum likelihood: from preferences to a reward model."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.preferences import Answer, Preference
from rlhf_gym.rewards.likelihood import agreement, preference_logits, preference_loss
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.segments import Array, pad

# Weights shrink by this share in each gradient step.
L2_LEAST, L2_MOST = 1e-5, 1e-2
ADAPT_EVERY = 10  # steps


class Bootstrap:
    """Each member's weight of each preference: Poisson(1), and always the same one.

    Redrawn at every fit, the members' data would even out over a run. A weight of 0 (of probability 1/e) makes the
    preference one of that member's held-out ones, for good. A weight is drawn from the seed and from the query's id, so
    that it outlasts an interruption, and an answer that is taken back; a query that is repeated, or answered by several
    people, is held out as a whole.

    Args:
        ensemble_size: M.
        seed: Of all draws.
    """

    def __init__(self, ensemble_size: int, *, seed: int) -> None:
        self._ensemble_size, self._seed = ensemble_size, seed
        self._drawn: dict[str, Array] = {}

    def weights(self, preferences: Sequence[Preference]) -> Array:
        """Weights of N preferences, shape (M, N)."""
        return np.array([self._of(p.query.repeats or p.query.id) for p in preferences]).T

    def _of(self, name: str) -> Array:
        if name not in self._drawn:
            digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
            rng = np.random.default_rng([self._seed, int.from_bytes(digest, "little")])
            self._drawn[name] = rng.poisson(1.0, size=self._ensemble_size)
        return self._drawn[name]


@dataclass(frozen=True)
class RewardFit:
    """How a fit went; losses and accuracies are means over members, nan where there was nothing to judge by.

    Args:
        n: Preferences used; skipped queries are not.
        loss: Mean negative log-likelihood of the answers each member was fitted to.
        loss_heldout: Likewise of the answers it was not.
        accuracy: Share of the fitted answers that the model gives itself; ties count one half.
        accuracy_heldout: Likewise of the held-out ones, each member judged alone; they steer the weight decay, so this
            is no untouched test set.
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
    preferences: Sequence[Preference],
    *,
    bootstrap: Bootstrap,
    rng: np.random.Generator,
    steps: int = 60,
    batch_size: int = 16,
    learning_rate: float = 3e-3,
    l2: float = 1e-3,
    l2_sample: int = 128,
    random_share: float = 0.0,
) -> RewardFit:
    """Go on fitting a reward model to all preferences so far.

    Weight decay follows the held-out loss: each member's held-out preferences are those its bootstrap weighs 0, and
    every tenth step the decay rises if smaller weights would lower the loss on them, and falls if larger ones would
    (the sign of the one-step hypergradient; Luketina et al. 2016, Scalable gradient-based tuning of continuous
    regularization hyperparameters). Biases don't decay: the pull is towards a constant reward, not towards zero.
    The rule of Christiano et al. 2017, a held-out loss of 1.1 to 1.5 times the training loss, was tried first: with
    tens of labels that ratio is rarely reached by anything but a constant.

    Args:
        model: Changed in place; its input statistics are frozen anew, its outputs are not rescaled.
        preferences: N of them; skipped ones are left out.
        bootstrap: The members' weights, kept by the caller over the whole run.
        rng: Source of the batches.
        steps: Gradient steps.
        batch_size: Preferences in each.
        learning_rate: Of Adam.
        l2: Weight decay to start from: the share by which weights shrink in each gradient step; 0 is none, for good.
        l2_sample: Preferences, drawn anew each time, that the step of the weight decay is taken on.
        random_share: See :func:`rlhf_gym.rewards.likelihood.preference_loss`.

    Raises:
        ValueError: If no preference has an answer.
    """
    started = time.perf_counter()
    used = [preference for preference in preferences if preference.answer is not Answer.SKIP]
    if not used:
        raise ValueError(f"none of {len(preferences)} preferences has an answer; expected at least one")
    weights = torch.from_numpy(bootstrap.weights(used)).float()
    data = _Data(model, used)
    parameters, decaying = list(model.parameters()), list(model.weights)
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, fused=True)
    batches = _batches(len(used), min(batch_size, len(used)), rng)
    for step in range(steps):
        batch = next(batches)
        losses = preference_loss(data.logits(batch), data.targets[batch], random_share=random_share)
        # A member may weigh all of a batch 0; its loss is then 0, where a mean would be 0/0.
        loss = ((losses * weights[:, batch]).sum(dim=1) / weights[:, batch].sum(dim=1).clamp_min(1)).sum()
        for parameter in parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            torch._foreach_mul_(decaying, 1 - l2)
        if l2 > 0 and step % ADAPT_EVERY == ADAPT_EVERY - 1:
            few = len(used) > l2_sample
            some = torch.from_numpy(rng.permutation(len(used))[:l2_sample]) if few else torch.arange(len(used))
            l2 = _adapted(l2, data, some, (weights[:, some] == 0).float(), random_share)
    loss_train, loss_heldout, accuracy, accuracy_heldout = _judge(data, weights, random_share)
    return RewardFit(
        len(used), loss_train, loss_heldout, accuracy, accuracy_heldout, l2, steps, time.perf_counter() - started
    )


class _Data:
    """The preferences as tensors, on a model whose input statistics are taken from them."""

    def __init__(self, model: RewardModel, preferences: Sequence[Preference]) -> None:
        steps = pad([side for p in preferences for side in (p.query.left, p.query.right)])
        self.model = model
        inputs = model.encode_steps(steps)
        self.weights = torch.from_numpy(steps.weights)
        model.freeze_inputs(inputs[self.weights > 0])
        self.inputs = model.standardise(inputs).reshape(len(preferences), 2, *inputs.shape[1:])
        self.weights = self.weights.reshape(len(preferences), 2, -1)
        self.targets = torch.tensor([Answer(p.answer).target for p in preferences])

    def logits(self, batch: Tensor | slice) -> Tensor:
        """Shape (M, N)."""
        rewards = self.model.members(self.inputs[batch]) * self.weights[batch]
        return preference_logits(rewards[:, :, 0], rewards[:, :, 1])


def _batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Endless passes over 0..n-1 in random order."""
    while True:
        order = torch.from_numpy(rng.permutation(n))
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean for each member, nan where a member has no weight, shape (M,)."""
    return (values * weights).sum(dim=1) / weights.sum(dim=1)


@torch.no_grad()
def _judge(data: _Data, weights: Tensor, random_share: float) -> tuple[float, float, float, float]:
    """Training and held-out loss, training and held-out accuracy."""
    logits = data.logits(slice(None))
    losses = preference_loss(logits, data.targets, random_share=random_share)
    right = agreement(logits, data.targets)
    heldout = (weights == 0).float()
    figures = [_mean(values, w).nanmean().item() for values in (losses, right) for w in (weights, heldout)]
    return figures[0], figures[1], figures[2], figures[3]


def _adapted(l2: float, data: _Data, some: Tensor, heldout: Tensor, random_share: float) -> float:
    """A tenth more weight decay if that would have lowered the held-out loss, a tenth less if it would have raised it.

    Luketina et al. 2016, reduced to its sign.
    """
    losses = preference_loss(data.logits(some), data.targets[some], random_share=random_share)
    parameters = [*data.model.weights]
    gradients = torch.autograd.grad((losses * heldout).sum(), parameters)
    # How the held-out loss changes as all weights grow: positive means that they had better shrink.
    growth = sum(float((g * w.detach()).sum()) for g, w in zip(gradients, parameters, strict=True))
    return min(max(l2 * math.exp(0.1 * np.sign(growth)), L2_LEAST), L2_MOST)
