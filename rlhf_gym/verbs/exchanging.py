"""The verbs that take preferences out and in: export and import.

What a verb needs (torch, Stable-Baselines3, Matplotlib) is imported when it runs: ``--help`` shouldn't wait for it.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from rlhf_gym.config import RLHFConfig
from rlhf_gym.verbs.arguments import RunDir, store_of


@dataclass(frozen=True)
class Export:
    """Write a run's preferences as JSON Lines and Parquet, with a card: a folder that Hugging Face reads."""

    run_dir: RunDir
    """A run directory, finished or not."""
    output: Path | None = None
    """Folder to write; None is export in the run directory."""
    parquet: bool = True
    """Write Parquet too, which needs pyarrow."""

    def run(self) -> None:
        """Write."""
        from rlhf_gym.envs import make_env
        from rlhf_gym.feedback.exchange import export
        from rlhf_gym.segments import Origin

        config, output = RLHFConfig.from_yaml(self.run_dir / "config.yaml"), self.output or self.run_dir / "export"
        with closing(make_env(Origin(config.env_id, 0, config.env_kwargs, config.env.fixed_horizon))) as env:
            spaces = env.observation_space, env.action_space
        with store_of(self.run_dir) as store:
            n = export(store, output, spaces=spaces, parquet=self.parquet)
        print(f"wrote {n} preferences into {output}; to read them: rlhf-gym import {output} --store URL")


@dataclass(frozen=True)
class Import:
    """Take exported preferences over into a run's store, or into any other."""

    path: Annotated[Path, Positional, arg(metavar="PATH")]
    """A folder that export wrote, or a .jsonl or .parquet file of its kind."""
    run_dir: Path | None = None
    """A run directory whose store takes them."""
    store: str | None = None
    """Database URL of a store that takes them, such as sqlite:///preferences.db; made if it isn't there."""

    def run(self) -> None:
        """Read and add."""
        from rlhf_gym.feedback import PreferenceStore
        from rlhf_gym.feedback.exchange import read_preferences

        if (self.run_dir is None) == (self.store is None):
            raise ValueError("import needs one place to put preferences; use either --run-dir DIR or --store URL")
        preferences = read_preferences(self.path)
        with store_of(self.run_dir) if self.run_dir else PreferenceStore(self.store or "") as store:
            new = store.add(preferences)
        print(f"{new} preferences are new, {len(preferences) - new} were there already")
