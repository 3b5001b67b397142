"""Replay episodes from the segments that were cut from them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

import numpy as np

from rlhf_gym.envs.remade import remake_env
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Ending, Segment, Trajectory


def beginnings(segments: Iterable[Segment]) -> list[Trajectory]:
    """Replay each episode that segments were cut from, up to the end of its last segment.

    Args:
        segments: Segments; those without an origin are left out.

    Returns:
        One trajectory per episode, in the order of their first segments; an episode continued in several ways gives
        several. The ending is UNFINISHED if the episode went on after its last segment.

    Raises:
        BadInput: If an environment can't be made, or doesn't replay.
    """
    kept: dict[int, list[tuple[Segment, Array]]] = {}
    for segment in segments:
        if segment.origin is None:
            continue
        actions = np.concatenate([segment.earlier_actions, segment.actions])
        alike = kept.setdefault(segment.origin.seed, [])
        same = [i for i, (other, others) in enumerate(alike) if _one_goes_on(segment, actions, other, others)]
        if not same:
            alike.append((segment, actions))
        elif len(actions) > len(alike[same[0]][1]):
            alike[same[0]] = segment, actions
    return [beginning(segment) for alike in kept.values() for segment, _ in alike]


def _one_goes_on(segment: Segment, actions: Array, other: Segment, others: Array) -> bool:
    """Whether two segments are of the same episode, and the actions of one begin those of the other."""
    both = min(len(actions), len(others))
    return segment.origin == other.origin and np.array_equal(actions[:both], others[:both])


def beginning(segment: Segment) -> Trajectory:
    """Replay a segment's episode from its start to the segment's end, with the environment's own rewards.

    Raises:
        BadInput: If it has no origin, or the replayed observations differ from the stored ones.
    """
    if (origin := segment.origin) is None:
        raise BadInput(f"{segment!r} has no origin to play it again from; record it through envs.make_vec_env")
    actions = np.concatenate([segment.earlier_actions, segment.actions])
    rewards, ending = [], Ending.UNFINISHED
    with closing(remake_env(origin)) as env:
        seen = [np.array(env.reset(seed=origin.seed)[0])]
        for action in actions:
            observation, reward, terminated, truncated, _ = env.step(action)
            seen.append(np.array(observation))  # a copy: an environment may return the same array each time
            rewards.append(float(reward))
            ending = Ending.TERMINATED if terminated else Ending.TRUNCATED if truncated else Ending.UNFINISHED
    observations = np.stack(seen).astype(segment.observations.dtype)
    if not np.array_equal(observations[segment.start :], segment.observations):
        raise BadInput(
            f"{origin.env_id} doesn't replay: the episode with seed {origin.seed} differs from the stored segment at "
            f"step {segment.start}; it may depend on more than its seed and actions"
        )
    return Trajectory(observations, actions, np.array(rewards), ending, origin)
