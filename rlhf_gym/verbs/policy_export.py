"""The export of a run's policy for use without this package: `export --policy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rlhf_gym.errors import BadInput
from rlhf_gym.files import check_output
from rlhf_gym.verbs.arguments import check_code, config_there

if TYPE_CHECKING:
    from rlhf_gym.verbs.exchanging import Export


def export_policy(asked: Export, path: Path) -> str:
    """Write a run's policy as a file of plain Stable-Baselines3, and return a message about it.

    Raises:
        BadInput: If the run has no policy yet, names code that this user never ran, another export is asked for too, or
            `path` isn't a new .zip file.
    """
    from rlhf_gym.agents import load_algorithm, write_plain
    from rlhf_gym.saved_policy import saved_policy

    for name in ("output", "no_parquet", "minari"):
        if getattr(asked, name):
            raise BadInput(f"{name} is of another export and policy is {path}; leave one of them out")
    if path.suffix != ".zip" or path.exists():
        raise BadInput(f"policy is {path}; name a new file that ends in .zip")
    check_output("policy", path)
    config = config_there(asked.run_dir)
    check_code(config, asked.run_dir, "env_id", "algo")
    sb3 = saved_policy(asked.run_dir, config).sb3
    for name in ("n_steps", "batch_size", "buffer_size"):  # which are minimal in a policy loaded to predict
        if hasattr(sb3, name) and name in config.agent.options:
            setattr(sb3, name, config.agent.options[name])
    path.parent.mkdir(parents=True, exist_ok=True)
    normalised = write_plain(sb3, path)
    clipped = " Observations beyond 10 standard deviations, which the run's own policy clips, are taken as they are."
    return (
        f"wrote {path}; to load it, with Stable-Baselines3 alone: "
        f"{load_algorithm(config.algo).__name__}.load({str(path)!r}).{clipped if normalised else ''}"
    )
