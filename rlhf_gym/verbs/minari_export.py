"""The export of a run's episodes as a Minari dataset: `export --minari`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.registry import source_entry
from rlhf_gym.verbs.arguments import config_there, store_of
from rlhf_gym.verbs.looking import play_run

if TYPE_CHECKING:
    from rlhf_gym.segments import Trajectory
    from rlhf_gym.verbs.exchanging import Export


def export_to_minari(asked: Export, dataset_id: str) -> str:
    """Write a run's episodes as a new Minari dataset, and return a message about it.

    Raises:
        BadInput: If the run isn't finished, its episodes can't be played again, or the dataset can't be made.
        ImportError: If Minari isn't installed.
    """
    from rlhf_gym.envs.minari_datasets import trajectories_to_minari

    for name in ("output", "no_parquet"):
        if getattr(asked, name):
            raise BadInput(f"{name} is of exported preferences and minari is {dataset_id}; leave one of them out")
    if not re.fullmatch(r".+-v\d+", dataset_id):
        raise BadInput(f"--minari is {dataset_id!r}; expected a name with a version, such as cartpole/mine-v0")
    if asked.episodes == "policy":
        config, trajectories = play_run(asked.run_dir, n_episodes=asked.n_episodes, seed=asked.seed)
        what, how = "episodes of its final policy", {"policy": "final, deterministic", "seed": asked.seed}
    else:
        config, trajectories = _asked_about(asked)
        what, how = "beginnings of episodes that its queries were cut from", {"policy": "of the round that asked"}
    made_by = {"run": asked.run_dir.resolve().name, "run_seed": config.seed, "algo": config.algo, **how}
    words = f"{len(trajectories)} {what}"
    learned = _learned(config)
    trajectories_to_minari(
        trajectories,
        dataset_id,
        made_by=made_by | learned,
        algorithm_name=f"{config.algo}, paid {learned['reward']}",
        description=f"rlhf_gym run {made_by['run']}, seed {config.seed}: {words}; rewards are the environment's own.",
    )
    mean = sum(trajectory.true_return for trajectory in trajectories) / len(trajectories)
    return f"wrote {words}, mean true return {mean:.4g}, as Minari dataset {dataset_id}"


def _asked_about(asked: Export) -> tuple[RLHFConfig, list[Trajectory]]:
    """Play the beginnings of the episodes that a run's answered queries were cut from."""
    from rlhf_gym.envs.beginnings import beginnings

    config = config_there(asked.run_dir)
    with store_of(asked.run_dir) as store:
        options = [option for preference in store.preferences() for option in preference.query.options]
    if not any(option.origin for option in options):
        raise BadInput(
            f"{asked.run_dir} holds {len(options)} segments, none of which says how its episode began; use --episodes "
            "policy"
        )
    return config, beginnings(options)


def _learned(config: RLHFConfig) -> dict[str, Any]:
    """Describe the reward that the policy was trained on."""
    if not source_entry(config.reward.source).labels:
        return {"reward": config.reward.source}
    return {
        "reward": f"a reward learned from {config.labels} answers of teacher {config.teacher}",
        "labels": config.labels,
        "kind": config.kind,
        "teacher": config.teacher,
    }
