"""Penalise PPO and A2C for diverging from a reference policy.

The agent maximises the sum of r - beta KL(pi || pi_ref) (Ziegler et al. 2019, equation 2). The exact divergence is
subtracted from the rewards. It is the same for every action in a state, so by itself it would only lead to states where
both policies agree. What pulls the policy towards the reference in a state is the gradient of the divergence there,
E[grad log pi(a|s) log(pi(a|s) / pi_ref(a|s))]. The advantage of the action taken is therefore reduced by beta times the
difference between its log-ratio and the divergence, which is the log-ratio's mean. Ziegler et al. subtract the
log-ratio from the rewards instead, which has the same mean but adds noise from later steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy

from rlhf_gym.agents.reference import Reference


@final
class StayClose(BaseCallback):
    """Penalise each rollout of PPO or A2C for diverging from a reference, before the algorithm trains on it.

    By then SB3 has computed returns and advantages, and has added bootstrapped values at time limits to the rewards.
    These values stay; returns and advantages are recomputed.
    """

    def __init__(self, reference: Reference) -> None:
        super().__init__()
        self.reference = reference

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        model: Any = self.model
        charge(model.rollout_buffer, model.policy, self.reference, self.locals)


def charge(buffer: RolloutBuffer, policy: ActorCriticPolicy, reference: Reference, last: Mapping[str, Any]) -> None:
    """Subtract beta KL from a rollout's rewards, and adapt beta.

    Args:
        buffer: A full buffer, whose rewards, returns and advantages are changed.
        policy: The policy that collected it.
        reference: The reference policy, whose beta is adapted.
        last: `values` and `dones` after the last step, as SB3's `collect_rollouts` has them.
    """
    shape = buffer.rewards.shape
    flat = (array.reshape(-1, *array.shape[2:]) for array in (buffer.observations, buffer.actions))
    nats, ratios = (each.reshape(shape) for each in reference.compare(policy, *flat))
    beta = np.float32(reference.beta)
    buffer.rewards -= beta * nats
    buffer.compute_returns_and_advantage(last_values=last["values"], dones=last["dones"])
    buffer.advantages -= beta * (ratios - nats)  # mean 0, so the returns (the critic's targets) omit it
    reference.adapt(float(nats.mean()))
