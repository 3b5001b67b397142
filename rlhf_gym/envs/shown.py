"""Steps played to show to the teacher, with other noise than the policy's own, and not for learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import numpy as np

from rlhf_gym.envs.recorder import Recorder
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array

Act = Callable[[Array, Array], Array]
"""(observations (n, *obs), noise factors (n,)) -> actions (n, *act)."""


@final
class ShownSteps:
    """Play a policy in environments separate from those it learns in.

    On-policy rollouts all have the same exploration noise, so comparisons between them say nothing about effort. The
    policy doesn't learn from these steps, and no learned reward is paid in them.

    Args:
        recorder: The environments, and what happened in them.
        noise: Factor of the policy's own noise in each environment: 0 is the deterministic policy, 1 the one that
            learns.

    Raises:
        BadInput: If there is not one factor for each environment.
    """

    def __init__(self, recorder: Recorder, noise: Sequence[float]) -> None:
        if len(noise) != recorder.num_envs:
            raise BadInput(f"noise has {len(noise)} factors for {recorder.num_envs} environments; use one for each")
        self.recorder, self._noise = recorder, np.array(noise, np.float32)
        self._observations: Array | None = None

    @property
    def begun(self) -> bool:
        """Whether any episode has begun."""
        return self._observations is not None

    def play(self, act: Act, *, until: int) -> None:
        """Continue the episodes until the recorder has counted `until` steps.

        Args:
            act: The current policy.
            until: Steps of all environments together, including those of earlier calls.
        """
        while self.recorder.steps < until:
            if self._observations is None:
                self._observations = np.asarray(self.recorder.reset())
            self._observations = np.asarray(self.recorder.step(act(self._observations, self._noise))[0])

    def go_on(self) -> None:
        """Continue the recorder's running episodes instead of resetting."""
        self._observations = self.recorder.observations

    def close(self) -> None:
        """Close the environments."""
        self.recorder.close()
