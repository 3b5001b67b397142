"""Learn CartPole-v1 from 50 oracle answers, once: `python -m experiments.demo`.

Trains, prints the return beside the stored results of the controls, and writes a curve and a video.
"""

from __future__ import annotations

import sys
from contextlib import closing
from itertools import count
from pathlib import Path

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.cli import main as rlhf_gym
from rlhf_gym.sweeps.records import read_rows

RESULTS = Path(__file__).parents[1] / "results" / "cartpole"
BESIDE = {
    "labels_50": "50 labels",
    "ppo_true_reward": "PPO on the true reward",
    "random_answers_50": "50 random answers",
    "untrained_reward": "untrained reward model",
    "constant_plus_one": "constant reward +1",
    "constant_minus_one": "constant reward -1",
}


def main() -> int:
    """Train, compare, draw."""
    run_dir = next(path for i in count(1) if not (path := Path(f"runs/demo-{i}")).exists())
    print("CartPole-v1 from 50 answers of an oracle; PPO never sees the environment's reward.", flush=True)
    with closing(RLHF(RLHFConfig.for_env("CartPole-v1", labels=50, run_dir=run_dir))) as rlhf:
        summary = rlhf.learn(progress=True)
    print(f"\ntrue return, 20 episodes of the unmodified environment (500 is the most)\n{'this run':<28}", end="")
    print(f"{summary['true_return_mean']:6.1f} ± {summary['true_return_std']:.1f}")
    stored = {row["setting"]: row for row in read_rows(RESULTS / "summary.csv") if row["measure"] == "true_return_mean"}
    for setting, title in BESIDE.items():
        if row := stored.get(setting):
            iqm, low, high = (float(row[name]) for name in ("iqm", "min", "max"))
            print(f"{title:<28}{iqm:6.1f}   ({low:.1f} to {high:.1f}, {row['n_seeds']} seeds, stored)")
    print("Stored: interquartile mean (lowest to highest) in results/cartpole/summary.csv.")
    print("The constant reward +1 shows what CartPole gives away by ending; results/cartpole/README.md says more.\n")
    return rlhf_gym(["plot", str(run_dir), "--output", str(run_dir / "curve.png")]) or rlhf_gym(["watch", str(run_dir)])


if __name__ == "__main__":
    sys.exit(main())
