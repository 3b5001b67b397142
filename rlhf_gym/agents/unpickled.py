"""Read the pickled settings of a policy.zip without running any code that they name."""

from __future__ import annotations

import base64
import importlib
import io
import json
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from gymnasium import Space
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn, optim

PACKAGES = ("stable_baselines3", "sb3_contrib", "gymnasium", "torch", "rlhf_gym")
CLASSES = (Space, BasePolicy, BaseFeaturesExtractor, nn.Module, optim.Optimizer)
"""Classes of `PACKAGES` derived from these are allowed, as making one has no side effects."""
NUMPY = {
    "numpy": ("dtype", "ndarray"),
    **dict.fromkeys(("numpy.core.multiarray", "numpy._core.multiarray"), ("_reconstruct", "scalar")),
    **dict.fromkeys(("numpy.core.numeric", "numpy._core.numeric"), ("_frombuffer",)),
    "numpy.random._pickle": ("__generator_ctor", "__bit_generator_ctor", "__randomstate_ctor"),
    "numpy.random._pcg64": ("PCG64",),
    "numpy.random._mt19937": ("MT19937",),
    "numpy.random.bit_generator": ("__pyx_unpickle_SeedSequence", "SeedSequence"),
    "collections": ("OrderedDict",),
}
"""Names in a pickle of arrays, numbers and random generators, by module."""


class Strange(pickle.UnpicklingError):
    """A pickle names something else, which could run code."""


# The unpickler in Python, because 9 bytes can make the one in C allocate 64 GB.
class _Unpickler(pickle._Unpickler):
    """Unpickle only these classes and functions."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the class or function that a pickle names.

        Raises:
            Strange: If it isn't allowed.
        """
        if name in NUMPY.get(module, ()):
            return getattr(importlib.import_module(module), name)
        if module.partition(".")[0] in PACKAGES and name.isidentifier():
            found = getattr(importlib.import_module(module), name, None)
            if isinstance(found, type) and issubclass(found, CLASSES) and found.__module__ == module:
                return found
        raise Strange(f"{module}:{name}")


def settings_in(path: str | Path, wanted: Iterable[str]) -> dict[str, Any]:
    """Read some of an algorithm's settings from its policy.zip.

    Args:
        path: File of Stable-Baselines3's `save`.
        wanted: Names of settings; missing ones are left out.

    Raises:
        Strange: If one of them names code that isn't Stable-Baselines3's, torch's, Gymnasium's, or ours.
        ValueError: If the file is damaged; damaged pickles may raise other errors too.
    """
    with ZipFile(path) as archive:
        held = json.loads(archive.read("data"))
    return {name: _value(held[name]) for name in wanted if name in held}


def _value(content: Any) -> Any:
    if isinstance(content, dict) and ":serialized:" in content:
        return _Unpickler(io.BytesIO(base64.b64decode(content[":serialized:"]))).load()
    return content
