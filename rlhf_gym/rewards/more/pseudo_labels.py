"""Pseudo-labels: the model's own answers to unlabelled pairs that it is sure of (SURF)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.descent import Likelihood
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.rewards.more.more import More, Situation, Term
from rlhf_gym.segments import Segment, Trajectory, count_windows, cut_windows

OWN = "pseudo-label"
"""Group of all of these choices, which no member holds out."""
PAIRS_MOST = 512  # most pairs in each fit, which bounds the time it takes


def pseudo_labels(threshold: float = 0.95, weight: float = 1.0, ratio: int = 4, pairs: int = 10) -> More:
    """Add choices whose answer the ensemble is sure of to every fit (Park et al. 2022, section 4.1).

    They aren't labels: they aren't counted, stored or held out, and neither the figures of a fit nor its linear part
    use them. In SURF each network makes its own in each gradient step; here the members' mean probability makes them
    once, before the fit.

    Args:
        threshold: Least probability of the preferred option, from 0.5 to 1; SURF takes 0.95 to 0.999.
        weight: Weight of the term relative to that of the answers (lambda of SURF), multiplied by the share of pairs
            that reach the threshold.
        ratio: Pseudo-labels per answer in a gradient step (mu of SURF).
        pairs: Pairs of recent segments tried per answer, at most 512 in all.

    Raises:
        BadInput: On a number out of its range.
    """
    for name, value, most in (("threshold", threshold, 1), ("weight", weight, np.inf)):
        least = 0.5 if name == "threshold" else 0
        if not least <= value <= most:
            raise BadInput(f"reward.more.pseudo_labels.{name} is {value}; use a number from {least} to {most}")
    for name, number in (("ratio", ratio), ("pairs", pairs)):
        if not number >= 1:
            raise BadInput(f"reward.more.pseudo_labels.{name} is {number}; use at least 1")

    def term(about: Situation) -> Term | None:
        looked_at = recent_pairs(about.lately, about.length, min(pairs * about.choices, PAIRS_MOST), about.rng)
        own = sure(about.model, looked_at, threshold)
        if not own:
            return None
        data = Dataset(about.model.encoding)
        data.update(own)
        assert about.model.ensemble is not None  # noqa: S101
        likelihood = Likelihood(
            about.model.ensemble,
            data,
            about.model.standardise,
            targets=data.targets,
            given=_linear(about.model, data),
            windows=about.windows,
        )
        share = weight * len(own) / len(looked_at)

        def loss() -> Tensor:
            batch = torch.from_numpy(about.rng.permutation(len(own))[: ratio * about.batch_size])
            return share * likelihood.losses(batch, whole=False).mean(dim=1).sum()

        return loss

    return More(term=term)


def sure(model: RewardModel, pairs: Sequence[tuple[Segment, Segment]], threshold: float) -> list[Choice]:
    """Answer those pairs for which the members' mean probability reaches the threshold.

    Args:
        model: The model, as it is now.
        pairs: Pairs of segments of one length.
        threshold: Least probability of the preferred option.
    """
    if not pairs:
        return []
    data = Dataset(model.encoding)
    data.update([Choice(pair, (0.5, 0.5), OWN) for pair in pairs])
    with torch.no_grad():
        returns = (model(data.inputs) * data.lived).sum(dim=-1)[:, data.rows]
        left = torch.sigmoid(returns[..., 0] - returns[..., 1]).mean(dim=0).tolist()
    answers = [
        (pair, (1.0, 0.0) if p > 0.5 else (0.0, 1.0), max(p, 1 - p)) for pair, p in zip(pairs, left, strict=True)
    ]
    return [Choice(pair, target, OWN) for pair, target, probable in answers if probable >= threshold]


def recent_pairs(
    lately: Sequence[Trajectory | Segment], length: int, n: int, rng: np.random.Generator
) -> list[tuple[Segment, Segment]]:
    """Draw pairs of different recent segments, `n` of them or as many as there are."""
    trajectories = [one for one in lately if isinstance(one, Trajectory)]
    segments = [one for one in lately if isinstance(one, Segment) and one.length == length]
    if trajectories:
        counts = count_windows(trajectories, length)
        numbers = rng.choice(int(counts.sum()), size=min(2 * n, int(counts.sum())), replace=False)
        segments = cut_windows(trajectories, counts, numbers, length)
    else:
        segments = [segments[i] for i in rng.permutation(len(segments))[: 2 * n]]
    return list(zip(segments[::2], segments[1::2], strict=False))


@torch.no_grad()
def _linear(model: RewardModel, data: Dataset) -> Tensor | None:
    """Compute the linear part's return of each option, shape (n, 2); None without a linear part."""
    if model.linear is None:
        return None
    each: Tensor = model.linear(data.inputs, model.standardise(data.inputs)).mean(dim=0) * data.lived
    return each.sum(dim=-1)[data.rows]
