"""Write clips as animated images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from rlhf_gym.envs.remade import remake_env
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Origin

FORMATS = (".gif", ".webp")


def frames_per_second(env_id: str, env_kwargs: Mapping[str, Any] | None = None) -> int:
    """Look up an environment's own frame rate, or 30 if it names none.

    Raises:
        BadInput: If the environment can't be made.
    """
    # MuJoCo's environments know their speed only once they are made.
    env = remake_env(Origin(env_id, seed=0, env_kwargs=env_kwargs or {}))
    env.close()
    return int(env.metadata.get("render_fps") or 30)


def check_format(path: Path) -> None:
    """Refuse a file extension in which clips can't be written.

    Raises:
        BadInput: Naming those that can.
    """
    if path.suffix not in FORMATS:
        raise BadInput(f"clip {path} ends in {path.suffix!r}; use one of {', '.join(FORMATS)}")


def write_clip(frames: Array, path: str | Path, *, fps: float, width: int = 360) -> Path:
    """Write frames as an endlessly looping clip.

    Args:
        frames: uint8, shape (n, height, width, 3).
        path: Ends in .gif (shown everywhere) or .webp (smaller, smoother).
        fps: Frames per second; of fast clips only every second, third, ... frame is kept, about 25 a second at the same
            speed, which makes the file smaller.
        width: Width in pixels, to which frames are scaled.

    Raises:
        BadInput: On no frames, a file extension that can't be written, or `fps` that isn't positive.
    """
    path = Path(path)
    check_format(path)
    if len(frames) == 0:
        raise BadInput(f"clip {path} got no frames; expected at least one")
    if not fps > 0:
        raise BadInput(f"fps is {fps}; use a number above 0")
    every = max(1, round(fps / 25))
    height = round(frames.shape[1] * width / frames.shape[2])
    images = [Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS) for frame in frames[::every]]
    if path.suffix == ".gif":  # one palette for all frames: flat drawings stay flat, and the file small
        palette = images[len(images) // 2].quantize(64)
        images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    path.parent.mkdir(parents=True, exist_ok=True)
    images[0].save(path, save_all=True, append_images=images[1:], duration=round(1000 * every / fps), loop=0)
    return path
