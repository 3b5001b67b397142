"""The verb that trains new policies on a frozen reward: relearn.

What a verb needs (torch, Stable-Baselines3, Matplotlib) is imported when it runs: ``--help`` shouldn't wait for it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from rlhf_gym.verbs.arguments import RunDir


@dataclass(frozen=True)
class Relearn:
    """Train fresh policies on a run's learned reward, frozen, and compare their true return with the run's own.

    Where they are worth much less and the reward likes them as much, it is right only about what the run's own policy
    did on its way. The results are kept in relearned.json, in the run directory.
    """

    run_dir: RunDir
    """The directory of a finished run that learned a reward."""
    seeds: tuple[int, ...] = ()
    """Seeds of the fresh policies; none takes the three lowest except the run's own."""
    total_timesteps: int | None = None
    """Environment steps of each; None is the run's."""
    out: Path | None = None
    """Folder of their run directories; one that was interrupted is resumed. None keeps none."""
    json: bool = False
    """Print JSON."""
    trust: bool = False
    """Run somebody else's modules that this run's settings name; needed once for each."""

    def run(self) -> None:
        """Train, evaluate, write, print."""
        from rlhf_gym.reward_report import relearn

        found = relearn(
            self.run_dir,
            seeds=self.seeds,
            total_timesteps=self.total_timesteps,
            out=self.out,
            progress=sys.stderr.isatty(),
        )
        if self.json:
            print(json.dumps(found.to_json()))
            return
        print(*found.lines(), f"written to {self.run_dir / 'relearned.json'}", sep="\n")
