"""Contrastive preference learning: a policy's log-probabilities are taken as advantages."""

from __future__ import annotations

import numpy as np

from rlhf_gym.agents import Agent
from rlhf_gym.agents.likelihood import Std
from rlhf_gym.methods.direct import DirectMethod
from rlhf_gym.methods.policy_fit import Fitting, Scores, check_positive


def cpl(
    agent: Agent,
    rng: np.random.Generator,
    label_noise: float = 0.0,
    label_smoothing: float = 0.0,
    *,
    alpha: float = 0.1,
    bias: float = 0.5,
    clone_steps: int = 200,
    steps: int = 400,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    std: Std = None,
) -> DirectMethod:
    """Fit the policy by contrastive preference learning (Hejna et al. 2024, CPL, arXiv 2310.13639).

    A step scores alpha log pi(a|s), which is the advantage for which pi is the optimal maximum-entropy policy. Answers
    are assumed to compare these advantages, or regret. A teacher who compares sums of rewards also judges the states in
    which segments happen to begin, and most of what is learned is about those: on Pendulum the policy learns nothing
    from 5,000 such answers, and much from as many about regret, with 2,000 `steps` (`results/direct`). The paper's
    setting is a stored set of good and bad segments. Online a bias of 1 got further: 0.5 pulls the policy back to all
    earlier behaviour.

    Args:
        agent: Whose policy is fitted.
        rng: Source of the batches.
        label_noise: Of the reward settings.
        label_smoothing: Likewise.
        alpha: Temperature; 0.1 as in the paper.
        bias: Factor of the scores of options that weren't chosen, lambda; 0.5 as in the paper on dense states, 1 is no
            regulariser.
        clone_steps: Gradient steps of cloning all steps seen, before each fit.
        steps: Gradient steps on the answers in each fit; 0 is behaviour cloning alone.
        batch_size: Answers in each.
        learning_rate: Of Adam.
        std: Standard deviation of continuous actions: a number, "learned", or None for that of `agent.options`
            (`log_std_init`).

    Raises:
        BadInput: On a number out of its range, or an agent whose policy can't be fitted.
    """
    check_positive("alpha", alpha)
    check_positive("bias", bias, most=1.0)
    fitting = Fitting(clone_steps, steps, batch_size, learning_rate, label_noise, label_smoothing)
    scores = Scores(lambda own, reference: alpha * own, lambda average: alpha * average, bias)
    return DirectMethod(agent, scores, fitting, std=std, name="cpl", rng=rng)
