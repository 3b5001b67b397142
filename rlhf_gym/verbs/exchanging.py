"""The verbs that take preferences out and in: export and import.

What a verb needs (torch, Stable-Baselines3, Matplotlib) is imported when it runs: ``--help`` shouldn't wait for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.verbs.arguments import RunDir, config_of, spaces_of, store_of

if TYPE_CHECKING:
    from rlhf_gym.preferences import Preference


@dataclass(frozen=True)
class Export:
    """Write a run's preferences as JSON Lines and Parquet, with a card, which Hugging Face reads; or its episodes."""

    run_dir: RunDir
    """A run directory, finished or not."""
    output: Path | None = None
    """Folder to write; None is export in the run directory."""
    no_parquet: bool = False
    """Leave Parquet out; to write it needs pyarrow."""
    minari: Annotated[str | None, arg(metavar="ID")] = None
    """Write a Minari dataset of this name instead, such as cartpole/mine-v0: episodes of the run, true rewards."""
    episodes: Literal["policy", "queries"] = "policy"
    """With --minari, which: whole ones, played now by the run's final policy, deterministic, on the unmodified
    environment; or the beginnings of those that its answered queries were cut from, played again up to the last step
    that was shown."""
    n_episodes: int = 20
    """With --minari, how many the policy plays."""
    seed: int = 0
    """With --minari, what these episodes' seeds are drawn from."""

    def run(self) -> None:
        """Write."""
        if self.minari is not None:
            from rlhf_gym.verbs.minari_export import export_to_minari

            print(export_to_minari(self, self.minari))
            return
        for name, default in (("episodes", "policy"), ("n_episodes", 20), ("seed", 0)):
            if getattr(self, name) != default:
                raise BadInput(f"{name} is of a Minari dataset; name it, as in --minari {self.run_dir.name}/policy-v0")
        from rlhf_gym.store.exchange import export

        config, output = RLHFConfig.from_yaml(self.run_dir / "config.yaml"), self.output or self.run_dir / "export"
        with store_of(self.run_dir) as store:
            n = export(store, output, spaces=spaces_of(config), parquet=not self.no_parquet)
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
        from rlhf_gym.store import PreferenceStore
        from rlhf_gym.store.exchange import read_preferences

        if (self.run_dir is None) == (self.store is None):
            raise BadInput("import needs one place to put preferences; use either --run-dir DIR or --store URL")
        preferences = read_preferences(self.path)
        if self.run_dir and (config := config_of(self.run_dir)):
            _check_fit(preferences, config)
        with store_of(self.run_dir) if self.run_dir else PreferenceStore(self.store or "") as store:
            new = store.add(preferences)
        print(f"{new} preferences are new, {len(preferences) - new} were there already")


def _check_fit(preferences: Iterable[Preference], config: RLHFConfig) -> None:
    """Refuse preferences about another environment's observations or actions than a run's."""
    observation, action = (space.shape for space in spaces_of(config))
    for query in (preference.query for preference in preferences):
        for side, segment in (("left", query.left), ("right", query.right)):
            for name, array, shape in (
                ("observations", segment.observations, observation),
                ("actions", segment.actions, action),
            ):
                if array.shape[1:] != shape:
                    raise BadInput(
                        f"{name} of the {side} segment of query {query.id} have shape {array.shape[1:]} each and the "
                        f"run's environment, {config.env_id}, has {shape}; import them into a run of their own "
                        f"environment, or into a store of their own with --store URL"
                    )
