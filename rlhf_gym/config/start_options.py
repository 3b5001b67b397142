"""How a policy is taken over, by a run that starts from it or stays close to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from rlhf_gym.config.bounds import AtLeast, Fraction


@dataclass(frozen=True)
class StartOptions:
    """How a policy is taken over (`agent.start_options`), where its weights aren't copied as they are."""

    episodes: Annotated[int | None, AtLeast(1)] = None
    """Trajectories to clone, at most: the first recorded ones, or this number that a policy plays."""
    steps: Annotated[int | None, AtLeast(1)] = None
    """Steps to clone, at most; None is all of those recorded, and 10,000 of a policy that plays without `episodes`."""
    copy: bool = True
    """Whether weights are copied where class, spaces and layers are the same; if not, the policy plays, too."""
    deterministic: bool = False
    """Whether a policy that plays does so without exploring."""
    epochs: Annotated[int, AtLeast(1)] = 100
    """Passed to :func:`rlhf_gym.agents.clone`, like the options below."""
    batch_size: Annotated[int, AtLeast(1)] = 64
    learning_rate: Annotated[float, AtLeast(0)] = 1e-3
    heldout: Annotated[float, Fraction] = 0.1
    patience: Annotated[int, AtLeast(1)] = 10
    least_std: Annotated[float, AtLeast(0)] = 0.1

    @property
    def cloning(self) -> dict[str, Any]:
        """Arguments of :func:`rlhf_gym.agents.clone`."""
        names = ("epochs", "batch_size", "learning_rate", "heldout", "patience", "least_std")
        return {name: getattr(self, name) for name in names}
