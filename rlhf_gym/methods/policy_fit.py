"""The fit of a policy to choices, by its log-probabilities of the segments' actions.

Segments are compared by sums over steps of scores that are usually below 0, so a segment that ends early would score
higher only for being short (or lower, where densities are above 1). But after a termination the episode is in an
absorbing state, where no action is better than another, so each of those steps gets the score of an average step: in
CPL, alpha times the mean log-probability that the reference gives the steps seen; in DPO 0, as policy and reference
agree there. Long and short segments of average actions then score alike, and what a segment scores beyond that is a sum
over its lived steps. The score is a constant without a gradient, so an answer that prefers living longer raises the
likelihood of the longer segment's actions, as any answer does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.agents.likelihood import ActorLikelihood
from rlhf_gym.diverging import are_numbers, is_out_of_range
from rlhf_gym.errors import BadInput
from rlhf_gym.methods.contrast import contrastive_loss
from rlhf_gym.rewards import Dataset, Encoding, accuracy
from rlhf_gym.rewards.fitting import FIGURES_MOST, evenly
from rlhf_gym.rewards.likelihood import smooth

AT_ONCE = 2**13  # steps evaluated in one go, which bounds the memory it takes
CHOICES_AT_ONCE = 64
CLONED_AT_ONCE = 512  # steps in each gradient step of cloning: they are cheap


class Scores(NamedTuple):
    """How a method scores steps by their log-probabilities."""

    of_step: Callable[[Tensor, Tensor], Tensor]
    """(the policy's log-probabilities, the reference's) -> the steps' scores, all of one shape."""
    not_lived: Callable[[float], float]
    """(mean log-probability that the reference gives the steps seen) -> score of a step after a termination."""
    bias: float = 1.0
    """Factor of the scores of options that weren't chosen (:func:`contrastive_loss`)."""


@dataclass(frozen=True)
class Fitting:
    """How a policy is fitted.

    Args:
        clone_steps: Gradient steps in which the reference continues to clone all steps seen, before each fit.
        steps: Gradient steps on choices, starting from the reference.
        batch_size: Choices per gradient step if each has two options; fewer if they have more, so that a step costs the
            same.
        learning_rate: Of Adam, in both.
        label_noise: See :func:`rlhf_gym.rewards.choice_loss`.
        label_smoothing: See :func:`rlhf_gym.rewards.likelihood.smooth`.

    Raises:
        BadInput: On a number out of its range.
    """

    clone_steps: int
    steps: int
    batch_size: int
    learning_rate: float
    label_noise: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("clone_steps", 0), ("steps", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise BadInput(f"method_options.{name} is {value!r}; use a whole number, at least {least}")
        check_positive("learning_rate", self.learning_rate)


def check_positive(name: str, value: object, *, most: float = np.inf) -> None:
    """Refuse an option that isn't a number above 0 and at most `most`.

    Raises:
        BadInput: Naming it.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= most:
        limit = "" if most == np.inf else f", at most {most:g}"
        raise BadInput(f"method_options.{name} is {value!r}; use a number above 0{limit}")


class Fitted(NamedTuple):
    """Result of a fit."""

    loss: float
    """Mean over the choices."""
    accuracy: float
    """Share of the answers that the policy predicts; ties count one half."""
    average: float
    """Mean log-probability that the reference gives the steps seen."""


@final
class PolicyFit:
    """One fit: the reference clones all steps seen, and the policy is fitted to the choices from there.

    Args:
        data: All choices.
        encoding: How their steps are encoded: as observations and actions.
        actor: The policy; changed in place.
        reference: Continues from the last fit; likewise.
        scores: Scores of the method.
        how: Settings of the fit.
        rng: Source of the batches.
    """

    def __init__(
        self,
        data: Dataset,
        encoding: Encoding,
        actor: ActorLikelihood,
        reference: ActorLikelihood,
        scores: Scores,
        how: Fitting,
        *,
        rng: np.random.Generator,
    ) -> None:
        self._data, self._encoding, self._scores, self._how, self._rng = data, encoding, scores, how, rng
        self._actor, self._reference = actor, reference
        # By option, not by row: a segment in two queries has one row, or two after a resume.
        self._lived = (data.lived[data.rows] > 0) & data.offered[..., None]
        self._reference_logs, self._average = torch.zeros(self._lived.shape), 0.0

    def run(self, *, normalise: bool = True) -> Fitted:
        """Fit the policy, and return the result.

        Args:
            normalise: Whether a policy that normalises its observations takes their statistics from all steps seen, in
                place of those it has.

        Raises:
            BadInput: If the weights diverge.
        """
        seen = self._data.inputs[self._data.rows[self._data.offered]][self._lived[self._data.offered]]
        if normalise:
            self._reference.normalise(split(self._encoding, seen)[0].numpy())
        self._train(self._reference, self._how.clone_steps, lambda: self._cloning_loss(seen))
        self._actor.become(self._reference)
        logs = log_probabilities(self._reference, self._encoding, seen)
        self._reference_logs[self._lived], self._average = logs, logs.mean().item()
        data, targets = self._data, smooth(self._data.targets, self._data.offered, self._how.label_smoothing)
        size = max(1, min(len(data), round(self._how.batch_size * 2 * len(data) / int(data.offered.sum()))))
        weights = torch.from_numpy(data.weights).float()

        def loss() -> Tensor:
            some = torch.from_numpy(self._rng.choice(len(data), size, replace=False))
            return (self._losses(self.segment_scores(some), targets, some) * weights[some]).mean()

        self._train(self._actor, self._how.steps, loss)
        return self._figures()

    def segment_scores(self, some: Tensor) -> Tensor:
        """Score the options of some choices by the policy, shape (n, K); 0 where none is offered."""
        offered = self._data.offered[some]
        rows, lived = self._data.rows[some][offered], self._lived[some][offered]
        own = self._actor(*split(self._encoding, self._data.inputs[rows][lived]))
        each = torch.full(lived.shape, self._scores.not_lived(self._average))
        each[lived] = self._scores.of_step(own, self._reference_logs[some][offered][lived])
        scores = torch.zeros(offered.shape)
        scores[offered] = each.sum(dim=1)
        return scores

    def _cloning_loss(self, seen: Tensor) -> Tensor:
        some = torch.from_numpy(self._rng.integers(len(seen), size=min(CLONED_AT_ONCE, len(seen))))
        return -self._reference(*split(self._encoding, seen[some])).mean()

    def _train(self, actor: ActorLikelihood, steps: int, loss: Callable[[], Tensor]) -> None:
        optimizer = torch.optim.Adam(actor.trained(), lr=self._how.learning_rate, fused=True)
        try:
            for _ in range(steps):
                optimizer.zero_grad()
                loss().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                actor.hold_std()
        except (ValueError, RuntimeError) as error:  # torch's
            if not is_out_of_range(error):
                raise
            raise self._diverged() from error
        optimizer.zero_grad()  # SB3 saves no gradients, and a copy needs none
        if not are_numbers(actor.policy.parameters()):
            raise self._diverged()

    def _diverged(self) -> BadInput:
        return BadInput(
            f"the policy's weights became nan or infinite in a fit; use method_options.learning_rate < "
            f"{self._how.learning_rate}, or a larger method_options.std or agent.options.log_std_init"
        )

    def _losses(self, scores: Tensor, targets: Tensor, some: Tensor) -> Tensor:
        how = {"bias": self._scores.bias, "label_noise": self._how.label_noise}
        return contrastive_loss(scores, targets[some], self._data.offered[some], **how)

    @torch.no_grad()
    def _figures(self) -> Fitted:
        """Measure all choices, or :data:`FIGURES_MOST` of them, evenly spread."""
        data, some = self._data, evenly(len(self._data), FIGURES_MOST)
        scores = torch.cat([self.segment_scores(part) for part in torch.split(some, CHOICES_AT_ONCE)])
        right = accuracy(scores[None], data.targets[some], data.offered[some])
        return Fitted(self._losses(scores, data.targets, some).mean().item(), right.mean().item(), self._average)


def split(encoding: Encoding, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Split encoded steps, shape (S, D), into observations (S, *obs) and actions, as a policy takes both."""
    columns, inputs = encoding.action_columns, inputs.float()
    observations = inputs[:, : columns.start].reshape(-1, *encoding.observation_shape)
    actions = inputs[:, columns]
    return observations, actions if encoding.continuous_actions else actions.argmax(dim=1)


@torch.no_grad()
def log_probabilities(actor: ActorLikelihood, encoding: Encoding, inputs: Tensor) -> Tensor:
    """Compute log-probabilities of encoded steps, shape (S, D), without gradients; shape (S,)."""
    return torch.cat([actor(*split(encoding, part)) for part in torch.split(inputs, AT_ONCE)])
