"""The fit of a reward model to choices by maximum likelihood."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.diverging import are_numbers
from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards.bootstrap import Bootstrap
from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.descent import Likelihood, descend
from rlhf_gym.rewards.figures import figures_of_all, figures_of_members
from rlhf_gym.rewards.left_out import LeftOut, by_linear, by_networks, weigh
from rlhf_gym.rewards.likelihood import smooth
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.rewards.more.more import More, Situation, terms_of, windows_of
from rlhf_gym.rewards.people import learn_sureness
from rlhf_gym.segments import Segment, Trajectory

FIGURES_MOST = 1024  # most choices measured: more would cost time and change figures by less than chance
STATISTICS_MOST = 2**18  # most steps that input statistics are computed from; likewise


@dataclass(frozen=True)
class RewardFit:
    """Losses and accuracies of a fit: means over networks or, with a linear part, those of the mean reward.

    Of more than 1,024 choices, 1,024 evenly spread ones are measured, none of those that the reward made itself;
    without any, a figure is nan. A linear part's held-out figures are optimistic, most so with few answers, because its
    prior has seen them: random answers to 50 queries reach an accuracy of 0.6. So are those with people's sureness,
    which is learned from all answers: three random answers by each of 40 people reach 0.7. `query.heldout` gives an
    unbiased figure.

    Args:
        n: Choices used: one for a comparison, k - 1 for a ranking of k.
        loss: Mean negative log-likelihood of the answers each member was fitted to.
        loss_heldout: Likewise of each member's held-out answers.
        accuracy: Share of the fitted answers that the model predicts; ties count one half.
        accuracy_heldout: Likewise of each member's held-out ones; the weight decay is adapted to them, so they are no
            untouched test set.
        l2: Weight decay at the end.
        steps: Gradient steps taken.
        seconds: Wall time.
        left_out: The options' returns predicted from the other answers.
        sureness: How surely each person chooses, if that was learned (:mod:`rlhf_gym.rewards.people`).
        verdict: A warning if it predicts held-out answers worse than the fit before it
            (:mod:`rlhf_gym.rewards.verdict`); otherwise empty.
    """

    n: int
    loss: float
    loss_heldout: float
    accuracy: float
    accuracy_heldout: float
    l2: float
    steps: int
    seconds: float
    left_out: LeftOut | None = field(default=None, repr=False, compare=False)
    sureness: Mapping[str, float] = field(default_factory=dict)
    verdict: str = field(default="", compare=False)


def fit_reward_model(
    model: RewardModel,
    choices: Sequence[Choice],
    *,
    bootstrap: Bootstrap,
    rng: np.random.Generator,
    data: Dataset | None = None,
    latest: Tensor | None = None,
    steps: int = 60,
    batch_size: int = 16,
    learning_rate: float = 3e-3,
    adam_epsilon: float = 1e-8,
    l2: float = 1e-3,
    l2_sample: int = 128,
    label_noise: float = 0.0,
    label_smoothing: float = 0.0,
    calibrate: bool = False,
    reliability: bool = False,
    more: Sequence[More] = (),
    lately: Sequence[Trajectory | Segment] = (),
) -> RewardFit:
    """Continue to fit a reward model to all choices so far.

    A linear part is refitted to all choices. Its leave-one-out returns have a closed form, and the networks' returns
    are added to those, so that the networks learn what it leaves unexplained, and not what it has memorised.

    The networks' weight decay follows the held-out loss: each member's held-out choices are those its bootstrap weighs
    0, and every tenth step the decay rises if smaller weights would lower the loss on them, and falls if larger ones
    would (the sign of the one-step hypergradient; Luketina et al. 2016, Scalable gradient-based tuning of continuous
    regularization hyperparameters). Biases don't decay, so the decay pulls towards a constant reward and not towards
    zero. The rule of Christiano et al. 2017, a held-out loss of 1.1 to 1.5 times the training loss, was tried first:
    with tens of labels hardly anything but a constant reward reaches that ratio.

    Args:
        model: Changed in place; its input statistics are computed again, its outputs are not rescaled.
        choices: N choices, made from preferences by :func:`rlhf_gym.kinds.choices`.
        bootstrap: The members' weights, kept by the caller over the whole run.
        rng: Source of the batches, and of the draws from the linear part's posterior.
        data: Encoded segments, kept by the caller between fits; None encodes all of them.
        latest: Encoded steps of the current policy, which enter the input statistics together with those of the
            choices, shape (S, D).
        steps: Gradient steps.
        batch_size: Choices per gradient step if each has two options; fewer if they have more, so that a step costs the
            same.
        learning_rate: Of Adam.
        adam_epsilon: Of Adam.
        l2: Initial weight decay, the share by which weights shrink in each gradient step; 0 stays 0.
        l2_sample: Choices drawn for each change of the weight decay, if each has two options; likewise.
        label_noise: See :func:`rlhf_gym.rewards.likelihood.choice_loss`; a linear part takes it as label smoothing.
        label_smoothing: See :func:`rlhf_gym.rewards.likelihood.smooth`.
        calibrate: Whether to weigh linear part and networks by how well they predict held-out answers
            (:func:`rlhf_gym.rewards.stacking.stacked`); for networks alone the weight is a temperature.
        reliability: Whether each choice's log-odds are multiplied by how surely its person chooses, learned from all
            choices (:mod:`rlhf_gym.rewards.people`).
        more: Options that change the networks' fit or add to its loss (:mod:`rlhf_gym.rewards.more`).
        lately: The policy's latest trajectories, for those options that learn from them.

    Raises:
        BadInput: If there is no choice, or the weights come to no finite numbers.
    """
    started = time.perf_counter()
    if not choices:
        raise BadInput("there are no choices to fit to; expected at least one answer that isn't SKIP")
    data = Dataset(model.encoding) if data is None else data
    data.update(choices)
    lived = lived_inputs(data)
    seen = lived if latest is None else torch.cat([lived, latest])
    model.freeze_inputs(seen)
    sureness = learn_sureness(data, model, seen) if reliability else {}
    measured = torch.from_numpy(np.flatnonzero(~data.own))
    some, parts, linear, figures = measured[evenly(len(measured), FIGURES_MOST)], [], None, None
    if model.linear:
        doubt = 1 - (1 - label_smoothing) * (1 - label_noise)
        targets = smooth(data.targets, data.offered, doubt)
        linear = model.linear.fit(data, model.standardise, targets=targets, rng=rng)
        parts.append(by_linear(linear[some]))
    if model.ensemble is not None:
        weights = torch.from_numpy(bootstrap.weights(choices)).float()
        targets = smooth(data.targets, data.offered, label_smoothing)
        fewer = 2 * len(choices) / int(data.offered.sum())
        batch_size = max(1, round(batch_size * fewer))
        own_rng = rng.spawn(1)[0] if more else rng
        windows = windows_of(more, own_rng)
        about = Situation(model, lately, data.lived.shape[1], len(choices), batch_size, windows, own_rng)
        likelihood = Likelihood(
            model.ensemble,
            data,
            model.standardise,
            targets=targets,
            given=linear,
            label_noise=label_noise,
            windows=windows,
        )
        l2 = descend(
            likelihood,
            weights,
            rng=rng,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            adam_epsilon=adam_epsilon,
            l2=l2,
            l2_sample=max(1, round(l2_sample * fewer)),
            terms=terms_of(more, about),
        )
        if not are_numbers(model.ensemble.parameters()):
            raise BadInput("weights of the reward networks are nan or infinite after the fit; use a lower reward."
                           "learning_rate, or inputs of another size")  # fmt: skip
        returns, weights = likelihood.returns(some), weights[:, some]
        parts.append(by_networks(returns, weights))
        if linear is None:
            figures = figures_of_members(data, some, returns, weights, label_noise)
    left_out = weigh(model, data, some, parts, calibrate=calibrate)
    figures = figures or figures_of_all(model, data, some, left_out, label_noise)
    return RewardFit(len(choices), *figures, l2, steps, time.perf_counter() - started, left_out, sureness)


def lived_inputs(data: Dataset) -> Tensor:
    """Collect the encoded lived steps of the choices' options, in order; of many options, of an evenly spread part."""
    rows = data.rows[data.offered]
    if (most := max(1, data.at_once(STATISTICS_MOST) // data.lived.shape[1])) < len(rows):
        rows = rows[evenly(len(rows), most)]
    return data.inputs[rows][data.lived[rows] > 0].float()


def evenly(n: int, most: int) -> Tensor:
    """Pick indices 0..n-1, or `most` of them, evenly spread."""
    return torch.linspace(0, n - 1, min(n, most), dtype=torch.float64).round().long()
