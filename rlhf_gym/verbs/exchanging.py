"""The verbs that export and import preferences.

What a verb needs (torch, Stable-Baselines3, Matplotlib) is imported when it runs: ``--help`` shouldn't wait for it.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from rlhf_gym.errors import BadInput
from rlhf_gym.files import check_output, sqlite_file
from rlhf_gym.verbs.arguments import OfRun, RunDir, config_of, config_there, spaces_of, store_of


@dataclass(frozen=True)
class Export:
    """Write a run's preferences as JSON Lines and Parquet with a Hugging Face card, its episodes, or its policy."""

    run_dir: RunDir
    """A run directory, finished or not."""
    output: Path | None = None
    """Folder to write; None is export in the run directory."""
    no_parquet: FlagCreatePairsOff[bool] = False
    """Leave Parquet out; to write it needs pyarrow."""
    minari: Annotated[str | None, arg(metavar="ID")] = None
    """Write a Minari dataset of this name instead, such as cartpole/mine-v0: episodes of the run, true rewards."""
    episodes: Literal["policy", "queries"] = "policy"
    """With --minari, which episodes: policy plays whole ones with the run's final policy, deterministic, on the
    unmodified environment; queries plays again those that its answered queries were cut from, up to the last step
    shown."""
    n_episodes: int = 20
    """With --minari, number of episodes that the policy plays."""
    seed: int = 0
    """With --minari, the seed from which these episodes' seeds are drawn."""
    policy: Path | None = None
    """Write the policy into this file instead, for Stable-Baselines3 without this package, which policy.zip needs if
    observations are normalised; this file has the normalisation in its weights."""
    trust: bool = False
    """Run somebody else's modules that this run's settings or queries name; needed once for each."""

    def run(self) -> None:
        """Write the preferences, episodes or policy."""
        for name, default in (("episodes", "policy"), ("n_episodes", 20), ("seed", 0)):
            if self.minari is None and getattr(self, name) != default:
                raise BadInput(f"{name} is of a Minari dataset; name it, as in --minari {self.run_dir.name}/policy-v0")
        if self.policy is not None:
            from rlhf_gym.verbs.policy_export import export_policy

            print(export_policy(self, self.policy))
            return
        if self.minari is not None:
            from rlhf_gym.verbs.minari_export import export_to_minari

            print(export_to_minari(self, self.minari))
            return
        from rlhf_gym.store.exchange import export

        config, output = config_there(self.run_dir), self.output or self.run_dir / "export"
        check_output("output", output, folder=True)
        with store_of(self.run_dir) as store:
            store.check_one_run()
            n = export(store, output, spaces=spaces_of(config, self.run_dir), parquet=not self.no_parquet)
        place = shlex.quote(str(output))
        print(f"wrote {n} preferences into {output}; to read them: rlhf-gym import {place} --store URL")


@dataclass(frozen=True)
class Import:
    """Add exported preferences to a run's store, or to any other."""

    path: Annotated[Path, Positional, arg(metavar="PATH")]
    """A folder that export wrote, or a .jsonl or .parquet file of its kind."""
    run_dir: Path | None = None
    """A run directory whose store takes them."""
    store: str | None = None
    """Database URL of a store that takes them, such as sqlite:///preferences.db; made if it isn't there."""
    of_run: OfRun = None
    """Which of the runs that share that store takes them; None is the only one."""
    trust: bool = False
    """Run somebody else's modules that these preferences, or the run's settings, name; needed once for each."""

    def run(self) -> None:
        """Read and add the preferences."""
        from rlhf_gym.store import PreferenceStore
        from rlhf_gym.store.exchange import Exported, add_preferences, wanted_by_run

        if (self.run_dir is None) == (self.store is None):
            raise BadInput("import needs one place to put preferences; use either --run-dir DIR or --store URL")
        preferences, wanted = Exported(self.path), None
        if self.run_dir and (config := config_of(self.run_dir)):
            wanted = wanted_by_run(config.env_id, *spaces_of(config, self.run_dir), config.segment_length)
        there, run, file = self.run_dir, self.of_run, sqlite_file(self.store)
        if run and file and not Path(file).is_file():
            raise BadInput(f"store {self.store} is a file that isn't there, so it has no run {run}; leave out --run")
        with store_of(there, run=run) if there else PreferenceStore(self.store or "", run=run) as store:
            if store.in_memory:
                raise BadInput(f"store is {self.store}, which is gone when this ends; use sqlite:///preferences.db")
            store.check_one_run()
            added = add_preferences(preferences, store, wanted)
        print(f"{added.new} preferences are new, {added.known} were there already")
