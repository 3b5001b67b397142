"""Self-supervised features: hidden layers also learn to predict the next observation, without labels (REED)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.encoding import Encoding
from rlhf_gym.rewards.ensembles import BatchedMLP
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.rewards.more.more import More, Situation, Term
from rlhf_gym.segments import Segment, Trajectory

RIDGE = 1e-3  # ridge penalty of a head per step: features may be collinear


def self_supervised(model: RewardModel, *, weight: float = 1.0, batch_size: int = 256) -> More:
    """Add the last hidden layer's error in predicting the next observation (Metcalf et al. 2023, REED).

    A linear head maps that layer, and the action if the networks don't see it, to the step's change of the observation.
    It is the best one for each batch, and is then discarded; all layers but the last learn from its error. In REED
    encoders of states and of actions, shared by all members, with three layers of 256, predict a learned representation
    of the next state (SimSiam with a stopped gradient, or a contrastive distillation), for 20 epochs over a replay
    buffer before each fit. Here observations are a few numbers, which are their own representation and can't collapse;
    each member has layers of its own; steps are those that `query.memory_steps` remembers; and the term is part of each
    fit. Training before each fit was tried first: it changes the features that the last layer reads, and the few
    gradient steps of a fit don't adapt that layer.

    Args:
        model: The model whose networks are fitted.
        weight: Weight of the mean square error, in standard deviations of a step's change; 0 leaves it out.
        batch_size: Environment steps in each gradient step.

    Raises:
        BadInput: On a number out of its range, or networks that aren't an mlp with hidden layers, or see the next
            state.
    """
    if not (weight >= 0 and batch_size >= 1):
        raise BadInput(
            f"reward.more.self_supervised has weight {weight} and batch_size {batch_size}; use at least 0 and 1"
        )
    networks = model.ensemble
    if not isinstance(networks, BatchedMLP) or len(networks.weights) < 2:
        raise BadInput(
            f"reward.more has self_supervised and the model has network {model.network} with {model.options} in an "
            f"ensemble of {model.ensemble_size}; it needs reward.network mlp with hidden layers, and no images "
            "that are seen by convolutions"
        )
    if model.encoding.inputs == "transition":
        raise BadInput(
            "reward.more has self_supervised and reward.inputs is transition, in which there is nothing to predict; "
            "use observation or observation_action"
        )

    def term(about: Situation) -> Term | None:
        if not (weight and about.lately):
            return None
        inputs, beside, changes = transitions(about.model, about.lately)
        inputs = about.model.standardise(inputs)

        def loss() -> Tensor:
            batch = torch.from_numpy(about.rng.integers(len(inputs), size=batch_size))
            return weight * errors(networks, inputs[batch], beside[batch], changes[batch]).sum()

        return loss

    return More(term=term)


def errors(networks: BatchedMLP, inputs: Tensor, beside: Tensor, changes: Tensor) -> Tensor:
    """Compute the mean square error of the best linear prediction from each member's last hidden layer, shape (M,).

    Args:
        networks: M networks.
        inputs: Standardised, shape (S, D).
        beside: Further inputs of the head, shape (S, A).
        changes: Targets of the prediction, shape (S, O).
    """
    ones = torch.ones(len(inputs), 1)
    others = torch.cat([beside, ones], dim=1).expand(networks.ensemble_size, -1, -1)
    seen = torch.cat([networks.hidden(inputs), others], dim=-1)
    with torch.no_grad():  # error and ridge penalty have the same gradient as if the best head depended on the features
        across = seen.transpose(1, 2)
        ridge = RIDGE * len(inputs) * torch.eye(seen.shape[-1])
        head = torch.linalg.solve(across @ seen + ridge, across @ changes)
    found: Tensor = (seen @ head - changes).square().mean(dim=(1, 2))
    return found


def transitions(model: RewardModel, lately: Sequence[Trajectory | Segment]) -> tuple[Tensor, Tensor, Tensor]:
    """Encode steps as the networks' inputs, the action if those lack it, and the change of the observation.

    Returns:
        Inputs that aren't standardised, shape (S, D); actions, shape (S, A) or (S, 0); changes in their own standard
        deviations, shape (S, O).
    """
    own = model.encoding
    steps = [(one.observations[:-1], one.actions, one.observations[1:]) for one in lately]
    before, actions, after = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    with_action = Encoding(own.observation_space, own.action_space, "observation_action", own.observe)
    seen, next_seen = (with_action(observations, actions, after) for observations in (before, after))
    acts = with_action.action_columns
    change = next_seen[:, : acts.start].astype(np.float64) - seen[:, : acts.start]
    change = (change - change.mean(axis=0)) / np.maximum(change.std(axis=0), 1e-6)
    beside = seen[:, acts] if own.inputs == "observation" else seen[:, :0]
    inputs = torch.from_numpy(own(before, actions, after))
    return inputs, torch.from_numpy(beside), torch.from_numpy(change.astype(np.float32))
