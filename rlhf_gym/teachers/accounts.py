"""Describe segments in text tables, for teachers who can't watch them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Segment
from rlhf_gym.teachers.variables import Variables, variables_of

MOST_VARIABLES = 24  # a table with more tells a reader little
ROWS = 10


def account(query: Query, *, variables: Sequence[str] | None = None, rows: int = ROWS) -> str:
    """Describe each option of a query in a table of named variables over time.

    Args:
        query: The query; a comparison's options are called left and right, others by number.
        variables: Names of the variables to show; None shows all.
        rows: Number of steps of a segment to show, evenly spread.

    Raises:
        BadInput: If there is no such variable, or there are too many.
    """
    names = query.names if query.kind == "comparison" else tuple(map(str, range(len(query.options))))
    tables = [_table(option, variables, rows) for option in query.options]
    return "\n\n".join(f"Segment {name}:\n{table}" for name, table in zip(names, tables, strict=True))


def _table(segment: Segment, wanted: Sequence[str] | None, rows: int) -> str:
    variables = _variables(segment)
    shown = _shown(variables, wanted)
    values = variables([segment])
    at = np.unique(np.linspace(0, segment.lived - 1, min(rows, segment.lived)).round().astype(int))
    columns = {"step": [str(step + 1) for step in at]}
    columns |= {name: [f"{values[name][step]:.3g}" for step in at] for name in shown}
    if variables.discrete and (chosen := [name for name in shown if name in variables.actions]):
        for name in chosen:
            del columns[name]
        columns["action"] = [variables.actions[int(segment.actions[step])] for step in at]
    lines = [" | ".join(columns), *map(" | ".join, zip(*columns.values(), strict=True))]
    if segment.terminated:
        lines.append(f"The episode ended for good after step {segment.lived} of {segment.length}.")
    return "\n".join(lines)


def _shown(variables: Variables, wanted: Sequence[str] | None) -> Sequence[str]:
    shown = variables.names if wanted is None else wanted
    if unknown := [name for name in shown if name not in variables.names]:
        raise BadInput(
            f"teacher_options.variables has {unknown[0]!r}; the environment has {', '.join(variables.names)}"
        )
    if len(shown) > MOST_VARIABLES:
        raise BadInput(
            f"the environment has {len(shown)} variables, too many for a table; choose at most {MOST_VARIABLES} by "
            f"teacher_options.variables, from {', '.join(variables.names)}"
        )
    return shown


def _variables(segment: Segment) -> Variables:
    """Name a segment's variables after its environment, or by number if that is unknown."""
    if (origin := segment.origin) is not None:
        return _of_environment(origin.env_id, json.dumps(dict(origin.env_kwargs)))
    discrete = np.issubdtype(segment.actions.dtype, np.integer)
    observed = int(np.prod(segment.observations.shape[1:]))
    actions = int(segment.actions.max()) + 1 if discrete else int(np.prod(segment.actions.shape[1:]))
    names = [tuple(f"{what}_{i}" for i in range(n)) for what, n in (("observation", observed), ("action", actions))]
    return Variables(names[0], names[1], discrete)


@cache
def _of_environment(env_id: str, env_kwargs: str) -> Variables:
    return variables_of(env_id, json.loads(env_kwargs))
