"""The reward model: an ensemble, its inputs, and the scale of its rewards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlhf_gym.errors import BadInput
from rlhf_gym.images import Images
from rlhf_gym.registry import GIVEN
from rlhf_gym.rewards.convolutional import AT_ONCE, make_convolutional, seen_by_convolutions
from rlhf_gym.rewards.encoding import Encoding, Inputs
from rlhf_gym.rewards.ensembles import Ensemble, make_ensemble
from rlhf_gym.rewards.features import Form, mean_and_std
from rlhf_gym.rewards.files import check_size, encoding_of, model_folder, read_model, statistics, write_model
from rlhf_gym.rewards.linear import LinearPart, Weight
from rlhf_gym.rewards.networks import Network, name_of
from rlhf_gym.rewards.normalised import paid_by, pessimistic, spread_of
from rlhf_gym.rewards.paid import RewardOfSteps
from rlhf_gym.segments import Array, Steps
from rlhf_gym.trust import check_trusted, trust

LATER = ("linear.square_means", "linear.magnitude_statistics")
"""Statistics that files of the first models with a linear part lack; they are loaded with their initial values."""


@final
class RewardModel(nn.Module):
    """An ensemble of reward functions (observation, action) -> reward, which agree where answers decide the reward.

    The members are M networks (Christiano et al. 2017, section 2.2.3), posterior draws of a linear part, or sums of
    both, in which the networks learn what the linear part leaves unexplained.

    Inputs are standardised with statistics that are frozen between fits. Each network's output is scaled (and, where
    that is harmless, shifted) separately before members are averaged; draws of a linear part share one scale.

    Args:
        observation_space: Box of any shape, or Discrete; observations are flattened.
        action_space: Discrete (one-hot) or Box.
        ensemble_size: M; 0 leaves the networks out.
        inputs: What the model sees: s, (s, a) or (s, a, s').
        observe: Coordinates of the observation that it sees, such as "0:27"; None is all.
        clip: Number of standard deviations to which standardised inputs are clipped; None doesn't clip.
        linear: Features of the linear part; None leaves it out.
        pessimism: Number of standard deviations over members that are subtracted from the paid reward.
        network: A registered name, `module:function`, or a function D -> module (:mod:`rlhf_gym.rewards.networks`).
        images: How images are seen: `cnn`, by convolutions (:mod:`rlhf_gym.rewards.convolutional`), divided by 255 and
            not standardised; `flat`, like other numbers. None is `cnn` if the network is an mlp that sees whole images
            of at least 36 pixels a side, and `flat` otherwise.
        seed: Of the initial weights.
        **options: Options of the network, such as `hidden=(64, 64)` of an mlp.

    Attributes:
        members: Number of members.

    Raises:
        BadInput: If there is no such network, it has no such option, or nothing is left to learn.
    """

    input_mean: Tensor
    input_std: Tensor
    output_scale: Tensor
    output_shift: Tensor
    shares: Tensor
    paid_shift: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        ensemble_size: int = 3,
        inputs: Inputs = "observation_action",
        observe: str | None = None,
        clip: float | None = None,
        linear: Form | None = None,
        pessimism: float = 0.0,
        network: str | Network = "mlp",
        images: Images | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        if not ensemble_size and not linear:
            raise BadInput("reward.ensemble_size is 0 and there is no reward.linear; use at least one of them")
        self.encoding = Encoding(observation_space, action_space, inputs, observe)
        self.ensemble_size, self.network, self.options = ensemble_size, name_of(network), options
        self.clip, self.pessimism = clip, pessimism
        picture = seen_by_convolutions(self.encoding, images, network=self.network, linear=linear)
        self.images: Images = "cnn" if picture else "flat"
        self.linear = LinearPart(self.encoding, linear, ensemble_size) if linear else None
        size = self.encoding.size
        make = partial(make_convolutional, picture, self.encoding) if picture else partial(make_ensemble, network, size)
        self.ensemble: Ensemble | None = (
            make(ensemble_size=ensemble_size, options=options, seed=seed) if ensemble_size else None
        )
        self.members = self.linear.members if self.linear else ensemble_size
        for name, value in statistics(size, self.members).items():
            self.register_buffer(name, value)
        if picture:
            self.input_std.fill_(255.0)

    def encode(self, observations: Array, actions: Array, next_observations: Array) -> Tensor:
        """Encode steps without standardising them, shape (..., D); arguments as in :meth:`Encoding.__call__`."""
        return torch.from_numpy(self.encoding(observations, actions, next_observations))

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute each member's reward as the likelihood uses it, neither scaled nor shifted.

        Args:
            inputs: From :meth:`encode`, shape (..., D).

        Returns:
            Shape (members, ...).
        """
        if self.images == "cnn" and inputs.ndim > 1:  # standardised a few at a time
            parts = torch.split(inputs.reshape(-1, inputs.shape[-1]), AT_ONCE)
            together = torch.cat([self._networks(self.standardise(part)) for part in parts], dim=1)
            return together.reshape(self.members, *inputs.shape[:-1])
        standardised = self.standardise(inputs)
        if self.linear is None:
            return self._networks(standardised)
        rewards: Tensor = self.shares[0] * self.linear(inputs, standardised)
        if self.ensemble is not None:
            rewards = rewards + self._networks(standardised)[torch.arange(self.members) % self.ensemble_size]
        return rewards

    def _networks(self, standardised: Tensor) -> Tensor:
        assert self.ensemble is not None
        rewards: Tensor = self.shares[1] * self.ensemble(standardised)
        return rewards

    def standardise(self, inputs: Tensor) -> Tensor:
        """Standardise inputs by the frozen mean and standard deviation, and clip them, same shape."""
        standardised = (inputs - self.input_mean) / self.input_std
        return standardised if self.clip is None else standardised.clamp(-self.clip, self.clip)

    def reward_function(self) -> RewardOfSteps:
        """Copy the agent's current reward function: the mean over members of their normalised rewards.

        `pessimism` standard deviations are subtracted. A later fit doesn't change the copy, since no advantage may mix
        two rewards.
        """
        return RewardOfSteps(self.encoding, paid_by(self))

    def disagreement_function(self) -> RewardOfSteps:
        """Copy the members' current disagreement: the standard deviation of their normalised rewards."""
        return RewardOfSteps(self.encoding, spread_of(self))

    @torch.inference_mode()
    def returns(self, steps: Steps) -> Array:
        """Sum each member's rewards (:meth:`forward`) over the lived steps, undiscounted, shape (members, N)."""
        inputs = self.encode(steps.observations, steps.actions, steps.next_observations)
        rewards = self(inputs) * torch.from_numpy(steps.weights)
        return np.asarray(rewards.sum(dim=-1).numpy())

    @torch.no_grad()
    def freeze_inputs(self, inputs: Tensor) -> None:
        """Take the input statistics from these steps, shape (S, D), and keep them until the next call."""
        some = self.encoding.action_columns if self.images == "cnn" else slice(None)
        for buffer, values in zip((self.input_mean, self.input_std), mean_and_std(inputs[:, some]), strict=True):
            buffer[some] = values
        if self.linear:
            self.linear.freeze(inputs, self.standardise)

    @torch.no_grad()
    def rescale(self, inputs: Tensor, *, shift: bool, zero: float | None = None) -> None:
        """Scale the rewards so that they have unit size on these steps, shape (S, D).

        Args:
            inputs: From :meth:`encode`.
            shift: True makes mean 0 and standard deviation 1. False scales to root mean square 1, and so keeps the
                sign: where episodes terminate, the sign says whether living is good.
            zero: Without `shift`, the mean reward over members that is paid as 0; None keeps each member's own 0.
        """
        rewards = self(inputs)
        alike = rewards.mean(dim=0, keepdim=True) if self.linear or zero is not None else rewards
        middle = alike.mean(dim=1) if shift else torch.full((len(alike),), zero or 0.0)
        size = (alike - middle[:, None]).square().mean(dim=1).sqrt().clamp_min(1e-6)
        self.output_scale.copy_(1 / size)
        self.output_shift.copy_(-middle / size)
        self.paid_shift.fill_(0.0)
        if self.pessimism:  # subtracts nothing on average, or living would be worth less where less is known
            normalised = rewards * self.output_scale[:, None] + self.output_shift[:, None]
            self.paid_shift.copy_((normalised.mean(dim=0) - pessimistic(normalised, self.pessimism)).mean())

    def weights_by_name(self, observations: Sequence[str], actions: Sequence[str]) -> list[Weight] | None:
        """List the linear part's weights, the largest first; None if there is no linear part.

        Args:
            observations: Names of the observation's coordinates, all of them.
            actions: Names of the actions' coordinates, or of the actions.

        Raises:
            BadInput: If there are not as many names as coordinates.
        """
        if self.linear is None:
            return None
        share = self.shares[0].item()
        found = self.linear.by_name(self.encoding.names(observations, actions))
        return [Weight(name, share * value, share * error) for name, value, error in found]

    @property
    def described(self) -> dict[str, Any]:
        """The model's settings, as plain JSON values."""
        described = {
            "ensemble_size": self.ensemble_size,
            "network": self.network,
            "options": self.options,
            "clip": self.clip,
            "linear": self.linear.form if self.linear else None,
            "pessimism": self.pessimism,
            **({"images": self.images} if self.images != "flat" else {}),
            **self.encoding.to_json(),
        }
        plain: dict[str, Any] = json.loads(json.dumps(described))
        return plain

    def save(self, directory: str | Path) -> None:
        """Write ``model.safetensors`` and ``model.json``, which is all that :meth:`load` needs."""
        write_model(Path(directory), self.described, self.state_dict())
        if ":" in self.network:
            trust([self.network])  # this user already runs it

    @classmethod
    def load(
        cls,
        directory: str | Path,
        observation_space: spaces.Space[Any] | None = None,
        action_space: spaces.Space[Any] | None = None,
        *,
        network: Network | None = None,
        trust: bool = False,
    ) -> RewardModel:
        """Read what :meth:`save` wrote.

        Args:
            directory: The directory that was written, or a run directory that contains it.
            observation_space: Space that the weights have to fit; needed only for directories of earlier versions,
                which don't hold their spaces.
            action_space: Likewise.
            network: Used in place of the network named there.
            trust: Whether to run the network named there, whoever wrote it.

        Raises:
            BadInput: If there is no reward model, spaces are missing, the weights don't fit them, the network can't be
                imported, or it is code that this user never ran.
        """
        directory = model_folder(directory)
        if not (directory / "model.json").is_file():
            raise BadInput(
                f"{directory} holds no reward model (model.json missing); use a run's directory, or where "
                "RewardModel.save wrote"
            )
        described, weights = read_model(directory)
        name = described["network"]
        if not (network or trust) and ":" in name and not name.startswith(GIVEN):
            check_trusted({"network": name}, f"reward model {directory}")
        encoding = encoding_of(described, directory, observation_space, action_space)
        check_size(described, weights, encoding, directory)
        model = cls(
            encoding.observation_space,
            encoding.action_space,
            ensemble_size=described["ensemble_size"],
            inputs=encoding.inputs,
            observe=encoding.observe,
            network=network or described["network"],
            **{name: described[name] for name in ("clip", "linear", "pessimism") if name in described},
            images=described.get("images", "flat"),
            **described["options"],
        )
        before = {name: value for name, value in model.state_dict().items() if name in LATER}
        try:
            model.load_state_dict(before | weights)
        except RuntimeError as error:
            given = f"observation space {encoding.observation_space} and action space {encoding.action_space}"
            raise BadInput(  # joined to one line: the text of a space may have several
                f"reward model {directory} doesn't fit {' '.join(given.split())} with network {model.network}; "
                "use the environment and the network it was trained with"
            ) from error
        return model
