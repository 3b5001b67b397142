"""Direct preference optimisation, step by step: a policy's log-ratio to a cloned one is taken as its advantage."""

from __future__ import annotations

import numpy as np

from rlhf_gym.agents import Agent
from rlhf_gym.agents.likelihood import Std
from rlhf_gym.methods.direct import DirectMethod
from rlhf_gym.methods.policy_fit import Fitting, Scores, check_positive


def dpo(
    agent: Agent,
    rng: np.random.Generator,
    label_noise: float = 0.0,
    label_smoothing: float = 0.0,
    *,
    beta: float = 0.1,
    clone_steps: int = 200,
    steps: int = 400,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    std: Std = None,
) -> DirectMethod:
    """Fit the policy by direct preference optimisation of segments (Rafailov et al. 2023, equation 7, step by step).

    A step scores beta (log pi(a|s) - log pi_ref(a|s)), the advantage for which pi is the optimal policy that stays
    close to pi_ref (Hejna et al. 2024 discuss the relation to CPL). The reference clones all steps seen, of better and
    worse segments, so that online it follows the policy, and each fit starts from it.

    Args:
        agent: Whose policy is fitted.
        rng: Source of the batches.
        label_noise: Of the reward settings.
        label_smoothing: Likewise.
        beta: Cost of departing from the reference.
        clone_steps: Gradient steps of cloning all steps seen, before each fit.
        steps: Gradient steps on the answers in each fit.
        batch_size: Answers in each.
        learning_rate: Of Adam.
        std: As :func:`rlhf_gym.methods.cpl.cpl` takes it.

    Raises:
        BadInput: On a number out of its range, or an agent whose policy can't be fitted.
    """
    check_positive("beta", beta)
    fitting = Fitting(clone_steps, steps, batch_size, learning_rate, label_noise, label_smoothing)
    scores = Scores(lambda own, reference: beta * (own - reference), lambda average: 0.0)
    return DirectMethod(agent, scores, fitting, std=std, name="dpo", rng=rng)
