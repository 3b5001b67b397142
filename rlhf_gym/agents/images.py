"""Images as a policy has them: Stable-Baselines3 puts their channels first, and divides them by 255."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from torch import Tensor

from rlhf_gym.segments import Array


def are_images(space: spaces.Space[Any]) -> bool:
    """Whether Stable-Baselines3 takes observations for images: uint8 from 0 to 255 with 3 axes, one of channels."""
    return is_image_space(space)


def channels_first(observations: Any, space: spaces.Space[Any]) -> Any:
    """Put the channels of images first where the policy's space has them there, and theirs are last.

    Args:
        observations: Array or tensor, shape (S, *obs), as the environment gives them or as the policy has them.
        space: The policy's own.
    """
    shape, given = tuple(space.shape or ()), tuple(observations.shape[1:])
    if given == shape or not are_images(space) or given != (*shape[1:], shape[0]):
        return observations
    return observations.movedim(-1, 1) if isinstance(observations, Tensor) else np.moveaxis(observations, -1, 1)


def channels_last(observations: Array, space: spaces.Space[Any]) -> Array:
    """Undo :func:`channels_first`: put the channels of images last where the environment's space has them there."""
    shape = space.shape or ()
    if are_images(space) and observations.shape[1:] != shape:
        return np.moveaxis(observations, 1, -1)
    return observations
