"""The reward model: an ensemble of small networks, evaluated in one batched call."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from gymnasium import spaces
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from rlhf_gym.segments import Array, Steps

Inputs = Literal["observation", "observation_action", "transition"]


@final
class RewardModel(nn.Module):
    """Ensemble of M networks (observation, action) -> reward, as in Christiano et al. 2017, section 2.2.3.

    Inputs are standardised with statistics that are frozen between fits; each member's output is scaled (and, where
    that is harmless, shifted) on its own before the members are averaged.

    Args:
        observation_space: Box of any shape; observations are flattened.
        action_space: Discrete (one-hot) or Box.
        ensemble_size: M.
        hidden: Units of each hidden layer (leaky ReLU).
        inputs: What the networks see: s, (s, a) or (s, a, s').
        seed: Of the initial weights.
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
        hidden: Sequence[int] = (64, 64),
        inputs: Inputs = "observation_action",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.observation_shape = tuple(observation_space.shape or ())
        self.n_actions = int(action_space.n) if isinstance(action_space, spaces.Discrete) else None
        self.first_action = int(action_space.start) if isinstance(action_space, spaces.Discrete) else 0
        self.hidden, self.inputs, self.ensemble_size = tuple(hidden), inputs, ensemble_size
        size = math.prod(self.observation_shape) * (2 if inputs == "transition" else 1)
        if inputs != "observation":
            size += self.n_actions or math.prod(action_space.shape or ())
        generator = torch.Generator().manual_seed(seed)
        widths = [size, *hidden, 1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True):
            weight = torch.empty(ensemble_size, fan_in, fan_out).uniform_(-1, 1, generator=generator)
            bias = torch.empty(ensemble_size, 1, fan_out).uniform_(-1, 1, generator=generator)
            self.weights.append(nn.Parameter(weight / math.sqrt(fan_in)))
            self.biases.append(nn.Parameter(bias / math.sqrt(fan_in)))
        with torch.no_grad():  # start as almost constant: what differs between steps is to be learned, not inherited
            self.weights[-1] *= 0.1
            self.biases[-1].zero_()
        self.register_buffer("input_mean", torch.zeros(size))
        self.register_buffer("input_std", torch.ones(size))
        self.register_buffer("output_scale", torch.ones(ensemble_size))
        self.register_buffer("output_shift", torch.zeros(ensemble_size))

    def encode(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """What the networks see, not yet standardised.

        Args:
            observations: Shape (..., *obs), with any leading axes: (S,) or (N, T).
            actions: Shape (..., *act).
            next_observations: Shape (..., *obs).

        Returns:
            float32, shape (..., D).
        """
        lead = observations.shape[: observations.ndim - len(self.observation_shape)]
        parts = [observations.reshape(*lead, -1)]
        if self.inputs != "observation":
            flat = actions.reshape(*lead, -1)
            if self.n_actions is not None:
                flat = (actions.reshape(*lead, 1) - self.first_action) == np.arange(self.n_actions)
            parts.append(flat)
        if self.inputs == "transition":
            parts.append(next_observations.reshape(*lead, -1))
        return np.concatenate(parts, axis=-1, dtype=np.float32, casting="unsafe")

    def encode_steps(self, steps: Steps) -> Tensor:
        """:meth:`encode` of padded segments, shape (N, T, D)."""
        return torch.from_numpy(self.encode(steps.observations, steps.actions, steps.next_observations))

    def forward(self, inputs: Tensor) -> Tensor:
        """Each member's own reward, neither scaled nor shifted: the one the likelihood is about.

        Args:
            inputs: From :meth:`encode`, shape (..., D).

        Returns:
            Shape (M, ...).
        """
        return self.members(self.standardise(inputs))

    def standardise(self, inputs: Tensor) -> Tensor:
        """Inputs with the frozen mean and standard deviation taken out, same shape."""
        return (inputs - self.input_mean) / self.input_std

    def members(self, inputs: Tensor) -> Tensor:
        """:meth:`forward` of inputs that are standardised already."""
        hidden = inputs.reshape(1, -1, inputs.shape[-1]).expand(self.ensemble_size, -1, -1)
        *layers, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in layers:
            hidden = F.leaky_relu(torch.baddbmm(bias, hidden, weight))
        rewards = torch.baddbmm(last[1], hidden, last[0])
        return rewards.reshape(self.ensemble_size, *inputs.shape[:-1])

    def paid(self) -> Callable[[Array, Array, Array, Array], Array]:
        """What the agent is paid from now on: the mean over members of their normalised rewards, as they are now.

        A copy in NumPy, because it is called for a handful of steps at a time, where torch spends most of its time on
        getting started (8 times as long for 8 steps); and because a later fit must not change it within a rollout.

        Returns:
            Function of observations (S, *obs), actions (S, *act), next observations (S, *obs) and terminated (S,), the
            last not used: a step is paid the same whether or not it ends the episode, and what follows pays nothing
            because it is never stepped. It gives float32, shape (S,).
        """
        weights, biases = ([p.detach().numpy().copy() for p in ps] for ps in (self.weights, self.biases))
        # Scales and means that a step would have to work out again are worked into the weights.
        weights[0] = weights[0] / self.input_std.numpy()[:, None]
        biases[0] = biases[0] - self.input_mean.numpy() @ weights[0][:, None]
        share = self.output_scale.numpy()[:, None, None] / self.ensemble_size
        weights[-1] = weights[-1] * share
        constant = (biases.pop() * share).sum() + self.output_shift.numpy().mean()

        def reward(observations: Array, actions: Array, next_observations: Array, terminated: Array) -> Array:
            hidden = self.encode(observations, actions, next_observations)
            for weight, bias in zip(weights[:-1], biases, strict=True):
                hidden = hidden @ weight
                hidden += bias
                np.maximum(hidden, 0.01 * hidden, out=hidden)
            return np.asarray(np.add.reduce(hidden @ weights[-1])[:, 0] + constant)

        return reward

    @torch.inference_mode()
    def returns(self, steps: Steps) -> Array:
        """Each member's undiscounted sum over the lived steps, as :meth:`forward` has it, shape (M, N)."""
        rewards = self(self.encode_steps(steps)) * torch.from_numpy(steps.weights)
        return np.asarray(rewards.sum(dim=-1).numpy())

    @torch.no_grad()
    def freeze_inputs(self, inputs: Tensor) -> None:
        """Take the input statistics from these steps, shape (S, D), and keep them until the next call."""
        std, mean = torch.std_mean(inputs, dim=0, correction=0)
        self.input_mean.copy_(mean)
        self.input_std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))

    @torch.no_grad()
    def freeze_outputs(self, inputs: Tensor, *, shift: bool) -> None:
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
        """Write ``model.safetensors`` and ``model.json``."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: value.contiguous() for name, value in self.state_dict().items()}, directory / "model.safetensors"
        )
        shape = {
            "ensemble_size": self.ensemble_size,
            "hidden": self.hidden,
            "inputs": self.inputs,
        }
        (directory / "model.json").write_text(json.dumps(shape, indent=1) + "\n")

    @classmethod
    def load(
        cls, directory: str | Path, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> RewardModel:
        """Read what :meth:`save` wrote, for the same spaces.

        Raises:
            ValueError: If the weights don't fit these spaces.
        """
        model = cls(observation_space, action_space, **json.loads((Path(directory) / "model.json").read_text()))
        try:
            model.load_state_dict(load_file(Path(directory) / "model.safetensors"))
        except RuntimeError as error:
            spaces_given = f"observation space {observation_space} and action space {action_space}"
            raise ValueError(  # in one line, which a space of many bounds is not
                f"reward model {directory} doesn't fit {' '.join(spaces_given.split())}; "
                "use the environment it was trained on"
            ) from error
        return model
