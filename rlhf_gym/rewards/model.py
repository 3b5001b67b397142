"""The reward model: an ensemble, its inputs, and the scale of its rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.encoding import Encoding, Inputs
from rlhf_gym.rewards.ensembles import Normalisation, make_ensemble
from rlhf_gym.rewards.files import STATISTICS, encoding_of, read_model, write_model
from rlhf_gym.rewards.networks import Network, name_of
from rlhf_gym.rewards.paid import RewardOfSteps
from rlhf_gym.segments import Array, Steps


@final
class RewardModel(nn.Module):
    """Ensemble of M networks (observation, action) -> reward, as in Christiano et al. 2017, section 2.2.3.

    Inputs are standardised with statistics that are frozen between fits; each member's output is scaled (and, where
    that is harmless, shifted) on its own before the members are averaged.

    Args:
        observation_space: Box of any shape; observations are flattened.
        action_space: Discrete (one-hot) or Box.
        ensemble_size: M.
        inputs: What the networks see: s, (s, a) or (s, a, s').
        network: A registered name, `module:function`, or a function D -> module (:mod:`rlhf_gym.rewards.networks`).
        seed: Of the initial weights.
        **options: Of the network, such as `hidden=(64, 64)` of an mlp.

    Raises:
        BadInput: If there is no such network, or it has no such option.
    """

    input_mean: Tensor
    input_std: Tensor
    output_scale: Tensor
    output_shift: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        ensemble_size: int = 3,
        inputs: Inputs = "observation_action",
        network: str | Network = "mlp",
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.encoding = Encoding(observation_space, action_space, inputs)
        self.ensemble_size, self.network, self.options = ensemble_size, name_of(network), options
        self.ensemble = make_ensemble(
            network, self.encoding.size, ensemble_size=ensemble_size, options=options, seed=seed
        )
        self.register_buffer("input_mean", torch.zeros(self.encoding.size))
        self.register_buffer("input_std", torch.ones(self.encoding.size))
        self.register_buffer("output_scale", torch.ones(ensemble_size))
        self.register_buffer("output_shift", torch.zeros(ensemble_size))

    def encode(self, observations: Array, actions: Array, next_observations: Array) -> Tensor:
        """Encode steps, not yet standardised, shape (..., D); arguments as :class:`Encoding` takes them."""
        return torch.from_numpy(self.encoding(observations, actions, next_observations))

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute each member's own reward, neither scaled nor shifted: the one in the likelihood.

        Args:
            inputs: From :meth:`encode`, shape (..., D).

        Returns:
            Shape (M, ...).
        """
        rewards: Tensor = self.ensemble(self.standardise(inputs))
        return rewards

    def standardise(self, inputs: Tensor) -> Tensor:
        """Standardise inputs by the frozen mean and standard deviation, same shape."""
        return (inputs - self.input_mean) / self.input_std

    def reward_function(self) -> RewardOfSteps:
        """Copy the agent's reward function: the mean over members of their normalised rewards, as they are now.

        A later fit doesn't change it, as no advantage may mix two rewards.
        """
        statistics = (getattr(self, name).numpy().copy() for name in STATISTICS)
        return RewardOfSteps(self.encoding, self.ensemble.numpy_function(Normalisation(*statistics)))

    @torch.inference_mode()
    def returns(self, steps: Steps) -> Array:
        """Sum each member's rewards (:meth:`forward`) over the lived steps, undiscounted, shape (M, N)."""
        inputs = self.encode(steps.observations, steps.actions, steps.next_observations)
        rewards = self(inputs) * torch.from_numpy(steps.weights)
        return np.asarray(rewards.sum(dim=-1).numpy())

    @torch.no_grad()
    def freeze_inputs(self, inputs: Tensor) -> None:
        """Take the input statistics from these steps, shape (S, D), and keep them until the next call."""
        std, mean = torch.std_mean(inputs, dim=0, correction=0)
        self.input_mean.copy_(mean)
        self.input_std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))

    @torch.no_grad()
    def rescale(self, inputs: Tensor, *, shift: bool) -> None:
        """Scale each member so that its rewards on these steps, shape (S, D), have unit size.

        Args:
            inputs: From :meth:`encode`.
            shift: True makes mean 0 and standard deviation 1. False only scales, to root mean square 1, and so keeps
                the sign: where episodes terminate, the sign says whether living is good.
        """
        rewards = self(inputs)
        mean = rewards.mean(dim=1) if shift else torch.zeros(self.ensemble_size)
        size = (rewards - mean[:, None]).square().mean(dim=1).sqrt()
        self.output_scale.copy_(1 / size.clamp_min(1e-6))
        self.output_shift.copy_(-mean * self.output_scale)

    def save(self, directory: str | Path) -> None:
        """Write ``model.safetensors`` and ``model.json``, which is all that :meth:`load` needs."""
        described = {
            "ensemble_size": self.ensemble_size,
            "network": self.network,
            "options": self.options,
            **self.encoding.to_json(),
        }
        write_model(Path(directory), described, self.state_dict())

    @classmethod
    def load(
        cls,
        directory: str | Path,
        observation_space: spaces.Space[Any] | None = None,
        action_space: spaces.Space[Any] | None = None,
        *,
        network: Network | None = None,
    ) -> RewardModel:
        """Read what :meth:`save` wrote.

        Args:
            directory: Where it was written.
            observation_space: Only needed by directories of earlier versions, which don't hold their spaces; otherwise
                the weights have to fit them.
            action_space: Likewise.
            network: In place of the one that is named there.

        Raises:
            BadInput: If spaces are missing, the weights don't fit them, or the network can't be imported.
        """
        described, weights = read_model(Path(directory))
        encoding = encoding_of(described, directory, observation_space, action_space)
        model = cls(
            encoding.observation_space,
            encoding.action_space,
            ensemble_size=described["ensemble_size"],
            inputs=encoding.inputs,
            network=network or described["network"],
            **described["options"],
        )
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            given = f"observation space {encoding.observation_space} and action space {encoding.action_space}"
            raise BadInput(  # in one line, which a space of many bounds is not
                f"reward model {directory} doesn't fit {' '.join(given.split())} with network {model.network}; "
                "use the environment and the network it was trained with"
            ) from error
        return model
