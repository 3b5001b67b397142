"""A reward model as files: its description as JSON, its weights as safetensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.rewards.encoding import Encoding

FILES = ("model.json", "model.safetensors")


def statistics(size: int, members: int) -> dict[str, Tensor]:
    """Make the initial values of a model's own buffers, those that belong to neither of its parts."""
    return {
        "input_mean": torch.zeros(size),
        "input_std": torch.ones(size),
        "output_scale": torch.ones(members),
        "output_shift": torch.zeros(members),
        "shares": torch.ones(2),  # of linear part and networks
        "paid_shift": torch.zeros(()),
    }


def write_model(directory: Path, described: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Write ``model.json`` and ``model.safetensors``."""
    directory.mkdir(parents=True, exist_ok=True)
    # Cloned: a module may use one tensor twice, which safetensors refuses.
    separate = {name: value.detach().clone().contiguous() for name, value in weights.items()}
    save_file(separate, directory / "model.safetensors")
    (directory / "model.json").write_text(json.dumps(described, indent=1) + "\n")


def model_digest(place: str | Path) -> str:
    """Compute a digest of a reward model's files; "" if there is none."""
    files = [model_folder(place) / name for name in FILES]
    if not all(file.is_file() for file in files):
        return ""
    return f"sha256-{hashlib.sha256(b''.join(file.read_bytes() for file in files)).hexdigest()[:16]}"


def model_folder(place: str | Path) -> Path:
    """Return a reward model's folder: `reward_model` in a run directory, or `place` itself."""
    folder = Path(place) / "reward_model"
    return folder if folder.is_dir() else Path(place)


def read_model(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what :func:`write_model` wrote, also in earlier versions, which knew one network and wrote no spaces."""
    with damaged_model(directory):
        described = json.loads((directory / "model.json").read_text(encoding="utf-8"))
        weights: dict[str, Tensor] = load_file(directory / "model.safetensors")
        known = statistics(*weights["input_mean"].shape, *weights["output_scale"].shape)
        if "network" not in described:
            weights = {name if name in known else f"ensemble.{name}": value for name, value in weights.items()}
            described = {**described, "network": "mlp", "options": {"hidden": described["hidden"]}}
        check_types(described)
    return described, {**known, **weights}


@contextmanager
def damaged_model(place: Path) -> Iterator[None]:
    """Turn errors in reading a reward model into a BadInput of one line that names it."""
    try:
        yield
    except BadInput as error:
        raise error
    except (SafetensorError, *UNREADABLE) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise BadInput(f"reward model {place} is damaged: {reason}; restore it from a copy") from error


def check_types(described: Mapping[str, Any]) -> None:
    """Refuse a description whose values have other types than :func:`write_model` writes.

    Raises:
        TypeError: Naming the first such value.
    """
    wanted = {"ensemble_size": int, "network": str, "options": dict, "inputs": str}
    for name, kind in wanted.items():
        if type(described[name]) is not kind:
            raise TypeError(f"{name} is {described[name]!r}; expected {kind.__name__}")
    if described["ensemble_size"] < 0:
        raise TypeError(f"ensemble_size is {described['ensemble_size']}; expected at least 0")
    hidden = described["options"].get("hidden", [1])
    if described["network"] == "mlp" and not (
        isinstance(hidden, list) and all(type(n) is int and n > 0 for n in hidden)
    ):
        raise TypeError(f"hidden is {hidden!r}; expected numbers of units")


def check_size(
    described: Mapping[str, Any], weights: Mapping[str, Tensor], encoding: Encoding, directory: str | Path
) -> None:
    """Refuse a description of more weights than the file holds, before they are allocated.

    Raises:
        BadInput: Naming what is too large.
    """
    there, hidden = sum(array.numel() for array in weights.values()), described["options"].get("hidden", ())
    units = [size for size in hidden if isinstance(size, int)] if isinstance(hidden, list) else []
    layers = sum(a * b for a, b in zip([1, *units], [*units, 1], strict=True))
    if layers * described["ensemble_size"] > there or described["ensemble_size"] > there or encoding.size > there:
        raise BadInput(
            f"reward model {directory} holds {there} numbers, fewer than {described['ensemble_size']} networks of "
            f"{encoding.size} inputs and {hidden} hidden units; restore it from a copy"
        )


def encoding_of(
    described: Mapping[str, Any],
    directory: str | Path,
    observation_space: spaces.Space[Any] | None,
    action_space: spaces.Space[Any] | None,
) -> Encoding:
    """Make the encoding that ``model.json`` describes, with the given spaces if both are given.

    Raises:
        BadInput: If spaces are neither given nor stored.
    """
    if observation_space is not None and action_space is not None:
        return Encoding(observation_space, action_space, described["inputs"], described.get("observe"))
    if "observation_space" not in described:
        raise BadInput(
            f"reward model {directory} was written by an earlier version, without its spaces; use "
            "RewardModel.load(directory, env.observation_space, env.action_space)"
        )
    with damaged_model(Path(directory)):
        return Encoding.from_json(described)
