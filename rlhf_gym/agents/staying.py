"""PPO and A2C, charged for straying from a reference policy.

The agent maximises the sum of r - beta KL(pi || pi_ref) (Ziegler et al. 2019, equation 2). The divergence is exact, and
subtracted from the rewards. But of the step itself it says nothing about one action rather than another, so that alone
it would only lead to states where both policies agree. What pulls the policy towards the reference in a state is the
gradient of the divergence there, E[grad log pi(a|s) log pi(a|s) / pi_ref(a|s)]; the advantage of the action taken is
therefore less by beta times its log-ratio's distance from the mean, which is the divergence. Ziegler et al. subtract
the log-ratio alone: it has the same mean, and in later steps noise.
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
    """Charge each rollout of PPO or A2C for straying from a reference, before the algorithm trains on it.

    SB3 has computed returns and advantages by then, and has added the value of what a time limit cut off to the
    rewards; these stay, and returns and advantages are computed again.
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
        buffer: Full; rewards, returns and advantages are changed.
        policy: The one that played it.
        reference: The other.
        last: `values` and `dones` after the last step, as SB3's `collect_rollouts` has them.
    """
    shape = buffer.rewards.shape
    flat = (array.reshape(-1, *array.shape[2:]) for array in (buffer.observations, buffer.actions))
    nats, ratios = (each.reshape(shape) for each in reference.compare(policy, *flat))
    beta = np.float32(reference.beta)
    buffer.rewards -= beta * nats
    buffer.compute_returns_and_advantage(last_values=last["values"], dones=last["dones"])
    buffer.advantages -= beta * (ratios - nats)  # of mean 0: the returns, which are the critic's targets, have none
    reference.adapt(float(nats.mean()))
