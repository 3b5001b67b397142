"""Train the policies that demonstrate: PPO on the true reward, or on the goal, with a seed that no row has.

`python -m experiments.questions.kinds.experts` trains the missing ones.
"""

from __future__ import annotations

from pathlib import Path

from experiments.harness.controls import TRUE
from experiments.questions.kinds.settings import TASKS, expert
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import merge
from rlhf_gym.rlhf import RLHF

SEED = 100


def main() -> None:
    """Train and save each missing policy."""
    for task, where in TASKS.items():
        path = Path(expert(task))
        if path.exists():
            continue
        rlhf = RLHF(RLHFConfig.for_env(**merge(where.config, {**TRUE, "seed": SEED})))
        found = rlhf.learn()
        path.parent.mkdir(parents=True, exist_ok=True)
        rlhf.agent.sb3.save(path)
        rlhf.close()
        print(f"{path}: true return {found['true_return_mean']:.1f}, goal {found['goal_return_mean']}")


if __name__ == "__main__":
    main()
