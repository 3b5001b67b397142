"""Image observations of policies, for which Stable-Baselines3 puts channels first and divides by 255."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from torch import Tensor

from rlhf_gym.segments import Array


def are_images(space: spaces.Space[Any]) -> bool:
    """Test whether Stable-Baselines3 treats observations as images: uint8 from 0 to 255, 3 axes, one for channels."""
    return is_image_space(space)


def channels_first(observations: Any, space: spaces.Space[Any]) -> Any:
    """Move the channels of images first if the policy's space has them first and the observations last.

    Args:
        observations: Array or tensor, shape (S, *obs), in the environment's layout or the policy's.
        space: The policy's observation space.
    """
    shape, given = tuple(space.shape or ()), tuple(observations.shape[1:])
    if given == shape or not are_images(space) or given != (*shape[1:], shape[0]):
        return observations
    return observations.movedim(-1, 1) if isinstance(observations, Tensor) else np.moveaxis(observations, -1, 1)


def channels_last(observations: Array, space: spaces.Space[Any]) -> Array:
    """Undo :func:`channels_first`: move the channels of images last if the environment's space has them there."""
    shape = space.shape or ()
    if are_images(space) and observations.shape[1:] != shape:
        return np.moveaxis(observations, 1, -1)
    return observations
