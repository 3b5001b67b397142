"""Save and restore weights, optimizers and random keys of SBX's algorithms (Stable-Baselines3 in JAX) as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from stable_baselines3.common.base_class import BaseAlgorithm

from rlhf_gym.segments import Array

WEIGHTS = "policy.safetensors"


def in_jax(sb3_class: type[BaseAlgorithm]) -> bool:
    """Test whether an algorithm is one of SBX's, whose networks are no torch modules."""
    return any(each.__module__.partition(".")[0] == "sbx" for each in sb3_class.__mro__)


def arrays(sb3: BaseAlgorithm) -> dict[str, Array]:
    """Collect the arrays of an SBX algorithm's train states and random keys, by their path.

    Returns:
        Arrays of any shape under names such as ``policy.actor_state.params['params']['Dense_0']['kernel']``.
    """
    from jax.tree_util import keystr, tree_flatten_with_path

    return {
        f"{place}.{name}{keystr(path)}": np.asarray(leaf)
        for place, owner, name in _states(sb3)
        for path, leaf in tree_flatten_with_path(getattr(owner, name))[0]
    }


def write_arrays(sb3: BaseAlgorithm, folder: Path) -> None:
    """Write these :func:`arrays` to a file; SBX itself has them only in the pickled part of its policy.zip."""
    save_file(arrays(sb3), folder / WEIGHTS)


def restore_arrays(sb3: BaseAlgorithm, folder: Path) -> None:
    """Restore in place what :func:`write_arrays` wrote.

    Raises:
        OSError: If the file is missing.
        SafetensorError: If it is damaged.
        KeyError: If it is of another algorithm.
        ValueError: If an array has another shape.
    """
    from jax.tree_util import keystr, tree_flatten_with_path, tree_unflatten

    saved = load_file(folder / WEIGHTS)
    for place, owner, name in _states(sb3):
        leaves, structure = tree_flatten_with_path(getattr(owner, name))
        taken = [_like(leaf, saved, f"{place}.{name}{keystr(path)}") for path, leaf in leaves]
        setattr(owner, name, tree_unflatten(structure, taken))


def _like(leaf: Any, saved: dict[str, Array], name: str) -> Any:
    """Convert a saved array to the type of a leaf: an array of JAX, or one of Python's numbers."""
    import jax.numpy as jnp

    array = saved[name]
    if array.shape != np.shape(leaf):
        raise ValueError(f"{name} has shape {array.shape}, expected {np.shape(leaf)}")
    return jnp.asarray(array, leaf.dtype) if hasattr(leaf, "dtype") else type(leaf)(array.item())


def _states(sb3: BaseAlgorithm) -> Iterator[tuple[str, Any, str]]:
    """Find the train states and random keys of an algorithm and its policy: place, owner and attribute."""
    from flax.training.train_state import TrainState
    from jax import Array as JaxArray

    for place, owner in (("", sb3), ("policy", sb3.policy)):
        for name, value in vars(owner).items():
            if isinstance(value, TrainState | JaxArray):
                yield place, owner, name
