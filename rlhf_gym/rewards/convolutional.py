"""Reward networks that see images: each member has its own convolutions, all evaluated together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlhf_gym.errors import BadInput
from rlhf_gym.images import Images, Picture, convolved
from rlhf_gym.rewards.encoding import Encoding
from rlhf_gym.rewards.ensembles import BatchedMLP, Ensemble
from rlhf_gym.rewards.networks import load_network

FILTERS = 16  # of each layer, as Christiano et al. 2017 have them
LAYERS = ((6, 4), (3, 2), (3, 2))  # sides of kernels, and strides
AT_ONCE = 128  # steps evaluated in one go, so that activations stay in the processor's cache


@final
class Convolutional(Ensemble):
    """Three convolutional layers, and a multilayer perceptron on their output and the action.

    A small form of the networks of Christiano et al. 2017, appendix A.2, which have four layers of 16 filters with
    strides of 3, 2, 1 and 1, dropout and batch normalisation, and cost several times as much. Members share no learned
    weights, or they would agree where they know nothing. They share the computation: pixels are read once, by one
    convolution of M times 16 filters, and later layers are convolutions in M groups.

    Args:
        picture: How the image's axes lie.
        size: D, all inputs of a step: the flattened image, the action, and the next image where it is seen, as further
            channels of the first.
        ensemble_size: M.
        actions: Where in the D inputs the action is.
        hidden: Units of each hidden layer of the perceptron.
        seed: Of the initial weights.
    """

    at_once = AT_ONCE

    def __init__(
        self,
        picture: Picture,
        size: int,
        ensemble_size: int,
        *,
        actions: slice,
        hidden: Sequence[int] = (64, 64),
        seed: int,
    ) -> None:
        super().__init__()
        self.ensemble_size, self.picture, self.actions = ensemble_size, picture, actions
        generator = torch.Generator().manual_seed(seed)
        self.kernels, self.biases = nn.ParameterList(), nn.ParameterList()
        channels = picture.channels * (2 if size > actions.stop else 1)
        height, width = picture.height, picture.width
        for side, stride in LAYERS:
            fan_in = channels * side**2
            kernel = torch.empty(ensemble_size * FILTERS, channels, side, side).uniform_(-1, 1, generator=generator)
            if not self.kernels:  # initial filters see differences within an image, not its brightness
                kernel -= kernel.mean(dim=(1, 2, 3), keepdim=True)
            self.kernels.append(nn.Parameter(kernel / math.sqrt(fan_in)))
            self.biases.append(nn.Parameter(torch.zeros(ensemble_size * FILTERS)))
            channels, height, width = FILTERS, math.ceil(height / stride), math.ceil(width / stride)
        found = channels * height * width + actions.stop - actions.start
        self.head = BatchedMLP(found, ensemble_size, hidden=hidden, seed=seed)

    def forward(self, inputs: Tensor) -> Tensor:
        """As :meth:`Ensemble.forward`; images divided by 255."""
        parts = [self._rewards(part) for part in torch.split(inputs.reshape(-1, inputs.shape[-1]), AT_ONCE)]
        return torch.cat(parts, dim=1).reshape(self.ensemble_size, *inputs.shape[:-1])

    def _rewards(self, inputs: Tensor) -> Tensor:
        """Compute the rewards of steps, shape (S, D) to (M, S)."""
        at = self.actions
        images = [self._channels(part) for part in (inputs[:, : at.start], inputs[:, at.stop :]) if part.shape[1]]
        hidden = torch.cat(images, dim=1).contiguous(memory_format=torch.channels_last)
        for layer, ((side, stride), kernel, bias) in enumerate(zip(LAYERS, self.kernels, self.biases, strict=True)):
            hidden = F.pad(hidden, (*_around(hidden.shape[3], side, stride), *_around(hidden.shape[2], side, stride)))
            groups = self.ensemble_size if layer else 1
            hidden = F.leaky_relu(F.conv2d(hidden, kernel, bias, stride=stride, groups=groups))
        found = hidden.reshape(len(inputs), self.ensemble_size, math.prod(hidden.shape[1:]) // self.ensemble_size)
        found = found.transpose(0, 1)
        return self.head.of_members(torch.cat([found, inputs[:, at].expand(self.ensemble_size, -1, -1)], dim=-1))

    def _channels(self, flat: Tensor) -> Tensor:
        channels, height, width, first = self.picture
        if first:
            return flat.reshape(len(flat), channels, height, width)
        return flat.reshape(len(flat), height, width, channels).permute(0, 3, 1, 2)

    @property
    def decaying(self) -> list[Tensor]:
        """The weights of all layers."""
        return [*self.kernels, *self.head.decaying]


def seen_by_convolutions(
    encoding: Encoding, images: Images | None, *, network: str, linear: str | None
) -> Picture | None:
    """Decide whether reward networks see images by convolutions (:func:`rlhf_gym.images.convolved`).

    Args:
        encoding: What they see.
        images: The setting; None is `flat` for other networks than an mlp, and where only parts of images are seen.
        network: Its name.
        linear: Features of the linear part, if there is one.

    Raises:
        BadInput: If there is a linear part, to which single pixels mean little, or the setting can't be met.
    """
    picture, part = convolved("reward.images", images, encoding.observation_space), encoding.observe is not None
    if picture is None or (images is None and part):
        return None
    if linear is not None:
        raise BadInput(
            f"reward.linear is {linear} and observations are images of shape {encoding.observation_space.shape}, whose "
            "pixels mean little one by one; leave reward.linear out, or name what it may see by reward.observe"
        )
    if network == "mlp" and not part:
        return picture
    if images is not None:
        what = f"reward.network is {network}" if network != "mlp" else f"reward.observe is {encoding.observe!r}"
        raise BadInput(f"reward.images is cnn and {what}; convolutions lead to an mlp and see whole images: use flat")
    return None


def make_convolutional(
    picture: Picture, encoding: Encoding, *, ensemble_size: int, options: Mapping[str, Any], seed: int
) -> Convolutional:
    """Make M networks that see the images of an encoding.

    Args:
        picture: How the images' axes lie.
        encoding: How steps are encoded.
        ensemble_size: M.
        options: Options of the perceptron, those of an mlp.
        seed: Of the initial weights.

    Raises:
        BadInput: If an mlp has no such option.
    """
    load_network("mlp", options)
    return Convolutional(picture, encoding.size, ensemble_size, actions=encoding.action_columns, seed=seed, **options)


def _around(length: int, side: int, stride: int) -> tuple[int, int]:
    """Compute the zero padding before and after an axis with which any length has ceil(length / stride) outputs."""
    lacking = max(0, (math.ceil(length / stride) - 1) * stride + side - length)
    return lacking // 2, lacking - lacking // 2
