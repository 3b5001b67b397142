"""Random generators as JSON values: their states are saved and restored."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np


def state_of(rng: np.random.Generator) -> dict[str, Any]:
    """Return a generator's state, and the number of generators spawned from it."""
    return {"state": _plain(rng.bit_generator.state), "spawned": _spawned(rng)}


def go_to(rng: np.random.Generator, saved: Mapping[str, Any]) -> None:
    """Restore in place a generator's state from :func:`state_of`.

    If both were made from one seed, it next spawns what the saved generator would have.

    Raises:
        KeyError: If the state is of another kind of generator.
        ValueError: Likewise.
    """
    rng.bit_generator.state = _like(rng.bit_generator.state, saved["state"])
    if (missing := int(saved["spawned"]) - _spawned(rng)) > 0:
        rng.spawn(missing)


def global_states() -> dict[str, Any]:
    """Return the states of Python's, NumPy's and torch's global generators, which Stable-Baselines3 draws from."""
    import torch  # slow to import, and not needed to draw a clip

    version, internal, following = random.getstate()
    return {
        "python": [version, list(internal), following],
        "numpy": _plain(np.random.get_state(legacy=False)),  # noqa: NPY002
        "torch": bytes(torch.get_rng_state().tolist()).hex(),
    }


def go_to_global(saved: Mapping[str, Any]) -> None:
    """Restore the global generators' states from :func:`global_states`.

    Raises:
        KeyError: If one is missing.
        ValueError: If a state is damaged.
    """
    import torch

    version, internal, following = saved["python"]
    random.setstate((version, tuple(internal), following))
    np.random.set_state(_like(np.random.get_state(legacy=False), saved["numpy"]))  # noqa: NPY002
    torch.set_rng_state(torch.tensor(list(bytes.fromhex(saved["torch"])), dtype=torch.uint8))


def _spawned(rng: np.random.Generator) -> int:
    return int(getattr(rng.bit_generator.seed_seq, "n_children_spawned", 0))


def _plain(state: Any) -> Any:
    """Turn arrays into lists."""
    if isinstance(state, Mapping):
        return {name: _plain(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _like(state: Any, saved: Any) -> Any:
    """Turn lists back into arrays, where `state` has them."""
    if isinstance(state, Mapping):
        return {name: _like(value, saved[name]) for name, value in state.items()}
    return np.array(saved, state.dtype) if isinstance(state, np.ndarray) else saved
