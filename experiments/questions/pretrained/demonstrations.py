"""Make the demonstrations to clone: 20 segments of a mediocre policy, PPO on the true reward or goal after few steps.

`python -m experiments.questions.pretrained.demonstrations` makes the missing ones, of which the question `direct` has
one more. The policy acts without exploring, and no row has its seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.harness.controls import TRUE
from experiments.questions.kinds.settings import TASKS
from experiments.questions.pretrained.settings import demonstrations
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import merge
from rlhf_gym.envs import save_trajectories
from rlhf_gym.evaluation import play
from rlhf_gym.rlhf import RLHF
from rlhf_gym.segments import Ending, Segment, Trajectory, sample_segments

SEED, SHOWN, LENGTH = 100, 20, 50
STEPS = {"hold_at_one": 30_000, "pendulum": 50_000, "half_cheetah": 60_000}


def main() -> None:
    """Make and save each task's demonstrations that are missing."""
    for task, steps in STEPS.items():
        where, path = TASKS[task], Path(demonstrations(task))
        if path.exists():
            continue
        config = RLHFConfig.for_env(**merge(where.config, {**TRUE, "seed": SEED, "total_timesteps": steps}))
        rlhf = RLHF(config)
        found = rlhf.learn()
        episodes = play(rlhf.predict, config.env_id, seed=SEED, n_episodes=SHOWN)
        rlhf.close()
        shown = sample_segments(episodes, length=LENGTH, n=SHOWN, rng=np.random.default_rng(SEED))
        path.parent.mkdir(parents=True, exist_ok=True)
        save_trajectories(path, [as_trajectory(segment) for segment in shown])
        print(f"{path}: true return {found['true_return_mean']:.1f}, goal {found['goal_return_mean']}")


def as_trajectory(segment: Segment) -> Trajectory:
    """Make a trajectory of a segment's own steps."""
    ending = Ending.TERMINATED if segment.terminated else Ending.UNFINISHED
    return Trajectory(segment.observations, segment.actions, segment.rewards, ending)


if __name__ == "__main__":
    main()
