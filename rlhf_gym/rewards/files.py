"""A reward model as files: its description as JSON, its weights as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.encoding import Encoding


def statistics(size: int, members: int) -> dict[str, Tensor]:
    """Make the arrays of a model that belong to no part of it, as they are before the first fit."""
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


def read_model(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what :func:`write_model` wrote, also in earlier versions, which knew one network and wrote no spaces."""
    described = json.loads((directory / "model.json").read_text())
    weights: dict[str, Tensor] = load_file(directory / "model.safetensors")
    known = statistics(*weights["input_mean"].shape, *weights["output_scale"].shape)
    if "network" not in described:
        weights = {name if name in known else f"ensemble.{name}": value for name, value in weights.items()}
        described = {**described, "network": "mlp", "options": {"hidden": described["hidden"]}}
    return described, {**known, **weights}


def encoding_of(
    described: Mapping[str, Any],
    directory: str | Path,
    observation_space: spaces.Space[Any] | None,
    action_space: spaces.Space[Any] | None,
) -> Encoding:
    """Make the encoding that ``model.json`` describes, of the given spaces if there are any.

    Raises:
        BadInput: If there are none, here or there.
    """
    if observation_space is not None and action_space is not None:
        return Encoding(observation_space, action_space, described["inputs"], described.get("observe"))
    if "observation_space" not in described:
        raise BadInput(
            f"reward model {directory} was written by an earlier version, without its spaces; use "
            "RewardModel.load(directory, env.observation_space, env.action_space)"
        )
    return Encoding.from_json(described)
