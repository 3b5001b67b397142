"""Image observations: which spaces have them, the order of their axes, and whether convolutions see them."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from rlhf_gym.errors import BadInput

Images = Literal["cnn", "flat"]
"""How images are seen: by convolutions, or as one long vector of numbers."""
LEAST = 36
"""Pixels a side from which images are seen by convolutions by default: the least for Stable-Baselines3's."""


class Picture(NamedTuple):
    """Sizes and order of an image's axes."""

    channels: int
    height: int
    width: int
    first: bool
    """Whether the channels come before height and width, not after."""


def picture_of(space: spaces.Space[Any]) -> Picture | None:
    """Read an image's axes off its space; None if it is no image.

    An image is what Stable-Baselines3 takes for one (`is_image_space`): uint8 from 0 to 255 with three axes. Channels,
    stacked frames included, are the first axis if it is the smallest, else the last. SB3 is too slow to import here.
    """
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return None
    if space.low.any() or not (space.high == 255).all():
        return None
    a, b, c = space.shape
    return Picture(a, b, c, True) if a <= min(b, c) else Picture(c, a, b, False)


def convolved(setting: str, wanted: Images | None, space: spaces.Space[Any], *, least: int = 1) -> Picture | None:
    """Decide whether observations are seen by convolutions.

    Args:
        setting: Name of the setting, for the message.
        wanted: Its value; None is `cnn` for images of at least 36 pixels a side, and `flat` for all else.
        space: Space of the observations.
        least: Least pixels a side that `cnn` takes.

    Returns:
        The image's axes; None if observations are flat.

    Raises:
        BadInput: If `cnn` is wanted of something else than an image, or of one that is too small.
    """
    picture = picture_of(space)
    side = min(picture.height, picture.width) if picture else 0
    if wanted is None:
        return picture if side >= LEAST else None
    if wanted == "cnn" and side < least:
        what = f"{space.dtype} of shape {space.shape}"
        raise BadInput(
            f"{setting} is cnn and observations are {what}; expected images: uint8 from 0 to 255, three axes, at "
            f"least {least} pixels a side; use flat"
        )
    return picture if wanted == "cnn" else None
