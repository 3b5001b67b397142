"""Generators are put back where they were, by plain JSON."""

import json
import random
from typing import Any

import numpy as np
import pytest
import torch

from rlhf_gym.generators import global_states, go_to, go_to_global, state_of


def plain(state: dict[str, Any]) -> dict[str, Any]:
    """As it comes back from a file."""
    found: dict[str, Any] = json.loads(json.dumps(state))
    return found


def draws(rng: np.random.Generator) -> list[float]:
    return [*rng.random(5), float(rng.integers(9)), *rng.normal(size=3), rng.spawn(1)[0].random()]


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_a_generator_goes_on_where_another_one_was_with_those_it_spawns(kind: Any) -> None:
    one, other = np.random.Generator(kind(3)), np.random.Generator(kind(3))
    draws(one)
    one.integers(3, dtype=np.uint8)  # so that half a number is left over
    go_to(other, plain(state_of(one)))
    assert draws(one) == draws(other)


def test_the_state_of_another_kind_of_generator_is_refused() -> None:
    with pytest.raises((KeyError, ValueError)):
        go_to(np.random.default_rng(0), state_of(np.random.Generator(np.random.SFC64(0))))


def test_global_generators_go_on_where_they_were() -> None:
    def drawn() -> list[float]:
        return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(1).item()]  # noqa: NPY002

    random.gauss(0, 1), np.random.randn()  # noqa: NPY002, B018  of which each has another one at hand
    state = plain(global_states())
    first = drawn()
    drawn()
    go_to_global(state)
    assert drawn() == first
