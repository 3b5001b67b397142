"""Arguments of several verbs: a run directory, and the store that belongs to it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.files import sqlite_file

if TYPE_CHECKING:
    from gymnasium import Space

    from rlhf_gym.store import PreferenceStore

RunDir = Annotated[Path, Positional, arg(metavar="DIR")]
MaybeRunDir = Annotated[Path | None, Positional, arg(metavar="[DIR]")]
OfRun = Annotated[str | None, arg(name="run", metavar="NAME")]


def config_of(run_dir: Path) -> RLHFConfig | None:
    """Read the settings of the run in a directory; None if it holds none."""
    file = run_dir / "config.yaml"
    return RLHFConfig.from_run(file) if file.is_file() else None


def config_there(run_dir: Path) -> RLHFConfig:
    """Read the settings of a run.

    Raises:
        BadInput: If the directory holds none.
    """
    if config := config_of(run_dir):
        return config
    raise BadInput(f"{run_dir} holds no run (config.yaml missing); use the --run-dir of a train")


def check_code(config: RLHFConfig, run_dir: Path, *settings: str) -> None:
    """Refuse a run directory that names code which this user never ran, or that links to files elsewhere.

    Args:
        config: The run's settings.
        run_dir: The run directory.
        *settings: Names of the settings that are about to be used.
    """
    from rlhf_gym.config.code import code_named
    from rlhf_gym.runs.strange_files import check_entries
    from rlhf_gym.trust import check_trusted

    check_entries(run_dir)
    check_trusted(code_named(config, *settings), f"{run_dir}")


def store_of(run_dir: Path, url: str | None = None, run: str | None = None, **how: float) -> PreferenceStore:
    """Open the store of a run, which has to exist.

    Args:
        run_dir: The run directory, or one that holds no run.
        url: Another store; None is the one that the run's settings name, or preferences.db.
        run: Which run of the store; None is the run directory's, or every one.
        **how: Further arguments of :class:`PreferenceStore`.
    """
    from rlhf_gym.runs.strange_files import check_entries
    from rlhf_gym.store import FIRST, PreferenceStore

    config = config_of(run_dir)
    check_entries(run_dir)
    if config and not url:
        check_code(config, run_dir, "feedback.store")
    url, file = url or (config.feedback.store if config else None), run_dir / "preferences.db"
    if url is None and not file.is_file():
        raise BadInput(f"{run_dir} holds no preferences.db; use the directory of a run, or name its --store")
    path = sqlite_file(url)
    if path and not Path(path).is_file():
        raise BadInput(f"store {url} is a file that isn't there; name the one that the run writes to")
    run = run or ((config.feedback.run or FIRST) if config else None)
    return PreferenceStore(url or file, run=run, **how)  # type: ignore[arg-type]


def check_named(run_dir: Path | None, store: str | None) -> None:
    """Check that a run directory or a database is named.

    Raises:
        BadInput: If neither is named.
    """
    if run_dir is None and store is None:
        raise BadInput("neither DIR nor --store is given; name a run directory, or the database that runs share")


def spaces_of(config: RLHFConfig, run_dir: Path) -> tuple[Space[Any], Space[Any]]:
    """Return the observation and action spaces of a run's environment."""
    from rlhf_gym.envs import make_env
    from rlhf_gym.segments import Origin

    check_code(config, run_dir, "env_id")
    with closing(make_env(Origin(config.env_id, 0, config.env_kwargs, config.env.fixed_horizon))) as env:
        return env.observation_space, env.action_space


def check_played(*, n_episodes: int, seed: int) -> None:
    """Check the number of episodes to play and their seed."""
    for name, value, least in (("n_episodes", n_episodes, 1), ("seed", seed, 0)):
        if value < least:
            raise BadInput(f"{name} is {value}; use at least {least}")
