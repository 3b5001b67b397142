"""Choices as arrays, kept from one fit to the next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rlhf_gym.preferences import Choice
from rlhf_gym.rewards.encoding import Encoding
from rlhf_gym.rewards.growing import Growing
from rlhf_gym.segments import Array, Segment, pad

AT_ONCE = 1024  # segments encoded in one go, which bounds the memory it takes


@final
class Dataset:
    """The choices of a run; each segment is encoded once for all its choices and fits.

    Args:
        encoding: What the networks see.

    Attributes:
        inputs: Encoded steps of segments, not standardised, shape (R, T, D); some of the R rows may be unused. They
            have the encoding's dtype, so that bytes stay bytes until a batch is standardised.
        lived: 1 for a lived step, 0 for padding, shape (R, T).
        rows: Row of each option's segment; 0 where none is offered, shape (N, K).
        offered: Whether there is an option, bool, shape (N, K).
        targets: Probability with which each option was chosen, shape (N, K).
        groups: Index of each choice's group, which is held out as a whole, shape (N,).
        weights: How much each choice counts, shape (N,).
        people: Names of the teachers who chose.
        person: Index into `people` of each choice's teacher, shape (N,).
        sided: Whether a bias to the first option's side may have decided the choice, bool, shape (N,).
        own: Whether the learned reward made the choice itself, bool, shape (N,).
        sureness: Factor of each choice's log-odds, shape (N,); None, to which every update resets it, is 1 for all.
    """

    inputs: Tensor
    lived: Tensor
    rows: Tensor
    offered: Tensor
    targets: Tensor
    groups: Array
    weights: Array
    people: Sequence[str]
    person: Array
    sided: Array
    own: Array
    sureness: Tensor | None

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._row: dict[Segment, int] = {}
        self._free: list[int] = []
        self._inputs = np.zeros((0, 0, encoding.size), encoding.dtype)
        self._lived = np.zeros((0, 0), np.float32)
        self._forget()
        self.update(())

    def __len__(self) -> int:
        """Number of choices N."""
        return len(self.targets)

    def at_once(self, steps: int) -> int:
        """See :meth:`Encoding.at_once`."""
        return self._encoding.at_once(steps)

    def surely(self, returns: Tensor, some: Tensor | slice = slice(None)) -> Tensor:
        """Multiply options' returns by the sureness of their choices, same shape.

        Args:
            returns: Shape (..., n, K).
            some: Indices of the n choices that they belong to.
        """
        return returns if self.sureness is None else returns * self.sureness[some][:, None]

    def weight(self, some: Tensor | slice = slice(None)) -> Tensor:
        """Return the weights of some choices, float32, shape (n,)."""
        return torch.from_numpy(self.weights).float()[some]

    def update(self, choices: Sequence[Choice]) -> None:
        """Replace the choices, encode new segments, and drop segments that are in no choice.

        If the choices begin with those of the last call, only the new ones are processed.

        Args:
            choices: N choices, in the order by which batches index them.

        Raises:
            ValueError: If segments differ in nominal length.
        """
        kept = self._growing.kept(choices)
        options = list(chain.from_iterable(choice.options for choice in choices[kept:]))
        distinct = dict.fromkeys(options)
        if not kept:
            self._forget()
            for gone in [segment for segment in self._row if segment not in distinct]:
                self._free.append(self._row.pop(gone))
        new = [segment for segment in distinct if segment not in self._row]
        length = max(new[0].length, 1) if new else 1
        at_once = max(1, self._encoding.at_once(AT_ONCE * length) // length)
        for start in range(0, len(new), at_once):
            self._encode(new[start : start + at_once])
        self.inputs, self.lived = torch.from_numpy(self._inputs), torch.from_numpy(self._lived)
        self._append(choices[kept:], np.fromiter(map(self._row.__getitem__, options), np.int64, len(options)))
        self._growing.keep(choices)

    def _forget(self) -> None:
        """Remove all choices."""
        self._growing = Growing()
        self._group, self._person = dict[str, int](), dict[str, int]()
        self.groups, self.weights, self.person = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64)
        self.sided, self.own = np.zeros(0, bool), np.zeros(0, bool)
        self.rows, self.offered = torch.zeros((0, 2), dtype=torch.long), torch.zeros((0, 2), dtype=torch.bool)
        self.targets = torch.zeros((0, 2))

    def _append(self, choices: Sequence[Choice], rows: Array) -> None:
        """Append choices whose options are in these rows."""
        counts = np.fromiter((len(choice.options) for choice in choices), np.int64, len(choices))
        offered = np.arange(counts.max(initial=2)) < counts[:, None]
        targets, padded = np.zeros(offered.shape, np.float32), np.zeros(offered.shape, np.int64)
        targets[offered] = list(chain.from_iterable(choice.target for choice in choices))
        padded[offered] = rows
        self.rows = _longer_and_wider(self.rows, padded)
        self.offered = _longer_and_wider(self.offered, offered)
        self.targets = _longer_and_wider(self.targets, targets)
        groups = [self._group.setdefault(choice.group, len(self._group)) for choice in choices]
        person = [self._person.setdefault(choice.teacher, len(self._person)) for choice in choices]
        self.groups = np.append(self.groups, np.array(groups, np.int64))
        self.weights = np.append(self.weights, [choice.weight for choice in choices])
        self.person = np.append(self.person, np.array(person, np.int64))
        self.sided = np.append(self.sided, np.array([choice.sided for choice in choices], bool))
        self.own = np.append(self.own, np.array([choice.own for choice in choices], bool))
        self.people, self.sureness = list(self._person), None

    def _encode(self, segments: Sequence[Segment]) -> None:
        lengths = {segment.length for segment in segments}
        if self._row:
            lengths.add(self._inputs.shape[1])
        if len(lengths) != 1:
            raise ValueError(f"segments last {' and '.join(map(str, sorted(lengths)))} steps; expected one length")
        steps = pad(segments)
        rows = self._rows_for(len(segments), lengths.pop())
        if steps.observations.dtype != self._encoding.observation_space.dtype:  # imported: any number
            self._inputs = self._inputs.astype(np.float32, copy=False)
        self._inputs[rows] = self._encoding(steps.observations, steps.actions, steps.next_observations)
        self._lived[rows] = steps.weights
        self._row.update(zip(segments, rows, strict=True))

    def _rows_for(self, n: int, length: int) -> list[int]:
        """Reserve `n` unused rows, lengthening the arrays when they are full."""
        if not self._row:
            self._free = list(range(len(self._inputs)))[::-1]
        if self._inputs.shape[1] != length:
            self._inputs = np.zeros((0, length, self._encoding.size), self._inputs.dtype)
            self._lived, self._free = np.zeros((0, length), np.float32), []
        if (lacking := n - len(self._free)) > 0:
            old = len(self._inputs)
            room = old + max(lacking, old // 2)
            self._free = [*range(room - 1, old - 1, -1), *self._free]
            self._inputs, self._lived = _longer(self._inputs, room), _longer(self._lived, room)
        return [self._free.pop() for _ in range(n)]


def _longer(array: Array, rows: int) -> Array:
    longer = np.zeros((rows, *array.shape[1:]), array.dtype)  # rows take no memory before they are written
    longer[: len(array)] = array
    return longer


def _longer_and_wider(one: Tensor, other: Array) -> Tensor:
    """Append the rows of `other` to those of `one`, padding the narrower ones with zeros, shape (N, K)."""
    width = max(one.shape[1], other.shape[1])
    return torch.cat([functional.pad(part, (0, width - part.shape[1])) for part in (one, torch.from_numpy(other))])
