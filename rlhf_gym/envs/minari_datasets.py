"""Read trajectories from Minari datasets, and write them to new ones."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from inspect import signature
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium import Env, spaces
from gymnasium.envs.registration import EnvSpec

from rlhf_gym.envs.remade import remake_env
from rlhf_gym.envs.replay import replay
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Ending, Origin, Trajectory

try:
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_dataset import parse_dataset_id
except ImportError as error:
    raise ImportError("Minari datasets need Minari: pip install 'rlhf-gym[minari]'") from error

ORIGIN = "rlhf_gym_origin"  # key in a dataset's metadata: the episodes' origin, without seeds
MADE_BY = "rlhf_gym_run"  # likewise: the run and policy that made them
LOSSLESS = (
    {"jpeg_encoding": False} if "jpeg_encoding" in signature(minari.create_dataset_from_buffers).parameters else {}
)


def trajectories_from_minari(dataset_id: str) -> list[Trajectory]:
    """Read all episodes of a dataset that is on this machine; nothing is downloaded.

    Episodes of datasets that :func:`trajectories_to_minari` made have their origins. Other episodes with a known seed
    get one if the first of them replays here, as it may have been recorded with other versions.

    Args:
        dataset_id: Id of the dataset, such as mujoco/hopper/expert-v0.

    Raises:
        BadInput: If it is missing, can't be read, or has observations other than Box, or actions other than Box or
            Discrete.
    """
    try:
        dataset = minari.load_dataset(dataset_id)
        metadata = dataset.storage.metadata
        for what, space, kinds in (
            ("observations", dataset.observation_space, (spaces.Box,)),
            ("actions", dataset.action_space, (spaces.Box, spaces.Discrete)),
        ):
            if not isinstance(space, kinds):
                raise BadInput(f"its {what} are of a {type(space).__name__}; supported: Box, and Discrete actions")
        origin = Origin(**json.loads(metadata[ORIGIN])) if ORIGIN in metadata else None
        seeds = [each.get("seed") for each in dataset.storage.get_episode_metadata(dataset.episode_indices)]
        trajectories = [_trajectory(*of, origin) for of in zip(dataset.iterate_episodes(), seeds, strict=True)]
        return trajectories if origin else _with_origins(trajectories, seeds, dataset.env_spec)
    except FileNotFoundError as error:
        raise BadInput(
            f"minari dataset {dataset_id} isn't on this machine; see `minari list local`, or get it: `minari download "
            f"{dataset_id}`"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise BadInput(f"minari dataset {dataset_id} can't be read: {' '.join(str(error).split())}") from error


def env_id_of_minari(dataset_id: str) -> str | None:
    """Read the id of the environment that a dataset on this machine was recorded in; None if it names none."""
    spec = minari.load_dataset(dataset_id).env_spec
    return None if spec is None else str(spec.id)


def trajectories_to_minari(
    trajectories: Sequence[Trajectory],
    dataset_id: str,
    *,
    env: Env[Any, Any] | None = None,
    made_by: Mapping[str, Any] | None = None,
    **about: Any,
) -> None:
    """Write trajectories as a new dataset on this machine, bit for bit.

    Args:
        trajectories: At least one, all of one environment.
        dataset_id: Id of the new dataset, such as cartpole/expert-v0.
        env: Their environment; None makes the one of their origin.
        made_by: The run and policy that made them, as JSON values; kept in the dataset's metadata as `rlhf_gym_run`.
        **about: As `minari.create_dataset_from_buffers` takes it: author, author_email, algorithm_name, description,
            code_permalink.

    Raises:
        BadInput: If there are none, they are of several environments or name none, or the dataset can't be made.
    """
    origin = _origin(trajectories)
    if env is None and origin is None:
        raise BadInput("trajectories have no origin; give their environment: env=gymnasium.make(...)")
    try:
        parse_dataset_id(dataset_id)
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", UserWarning)  # one for each field in `about` that is missing
            env = env or stack.enter_context(closing(remake_env(cast(Origin, origin))))
            dataset = minari.create_dataset_from_buffers(
                dataset_id,
                [_buffer(trajectory) for trajectory in trajectories],
                env=env if _describes_itself(env) else None,
                observation_space=env.observation_space,
                action_space=env.action_space,
                **LOSSLESS,
                **about,
            )
            more = {ORIGIN: origin and asdict(origin), MADE_BY: made_by and dict(made_by)}
            dataset.storage.update_metadata({name: json.dumps(what) for name, what in more.items() if what})
    except (ValueError, TypeError, OSError) as error:
        raise BadInput(f"minari dataset {dataset_id} can't be made: {' '.join(str(error).split())}") from error


def _origin(trajectories: Sequence[Trajectory]) -> Origin | None:
    """Return the origin that all trajectories share, with seed 0; None if they have none."""
    origins = [trajectory.origin and replace(trajectory.origin, seed=0) for trajectory in trajectories]
    if not origins:
        raise BadInput("got no trajectories to save; expected at least one")
    if other := [origin for origin in origins if origin != origins[0]]:
        raise BadInput(f"trajectories are of {origins[0]} and of {other[0]}; make a dataset of each environment")
    return origins[0]


def _describes_itself(env: Env[Any, Any]) -> bool:
    """Whether Minari can write an environment's spec as JSON, which fails if it was registered as a class."""
    try:
        return env.spec is not None and bool(env.spec.to_json())
    except (ValueError, TypeError):
        return False


def _buffer(trajectory: Trajectory) -> Any:
    last = np.arange(len(trajectory)) == len(trajectory) - 1
    return EpisodeBuffer(
        seed=None if trajectory.origin is None else int(trajectory.origin.seed),
        observations=trajectory.observations,
        actions=trajectory.actions,
        rewards=trajectory.rewards,
        terminations=last & (trajectory.ending is Ending.TERMINATED),
        truncations=last & (trajectory.ending is Ending.TRUNCATED),
        infos={},
    )


def _trajectory(episode: Any, seed: int | None, origin: Origin | None) -> Trajectory:
    ending = Ending.TRUNCATED if episode.truncations[-1] else Ending.UNFINISHED
    return Trajectory(
        episode.observations,
        episode.actions,
        episode.rewards,
        Ending.TERMINATED if episode.terminations[-1] else ending,
        origin if origin is None or seed is None else replace(origin, seed=seed),
    )


def _with_origins(
    trajectories: Sequence[Trajectory], seeds: Sequence[int | None], spec: EnvSpec | None
) -> list[Trajectory]:
    """Add origins to trajectories whose seed is known, if the first of them replays here."""
    seeded = [i for i, seed in enumerate(seeds) if seed is not None]
    if spec is None or not seeded:
        return list(trajectories)
    kwargs = dict(spec.kwargs)
    if spec.id in gymnasium.registry and spec.max_episode_steps != gymnasium.spec(spec.id).max_episode_steps:
        kwargs["max_episode_steps"] = spec.max_episode_steps
    found = list(trajectories)
    for i in seeded:
        found[i] = replace(found[i], origin=Origin(spec.id, int(cast(int, seeds[i])), kwargs))
    try:
        replay(found[seeded[0]], draw=False)
    except (ValueError, TypeError, AssertionError, gymnasium.error.Error):
        return list(trajectories)
    return found
