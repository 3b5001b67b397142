"""One run of ours, in its own process: `python -m experiments.measurements.peers.ours TASK WHO SEED [--testing]`."""

from __future__ import annotations

import json
import platform
import tempfile
import time
from typing import Any

import torch
import tyro

from experiments.measurements.peers.settings import EVALUATION_SEED, TASKS, TESTING
from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.reporting import evaluate, return_figures
from rlhf_gym.runs.provenance import provenance


def learn(config: RLHFConfig) -> dict[str, Any]:
    """Learn, then evaluate; return the same figures as imitation's `peer.py`, by the same names."""
    started, cpu_started = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        rlhf = RLHF(config.replace(run_dir=f"{folder}/run"))
        for _ in rlhf.rounds():
            pass
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        episodes = evaluate(rlhf.predict, config, seed=EVALUATION_SEED + config.seed)
        rlhf.close()
    figures = return_figures(episodes, None)
    return {
        "labels": rlhf.labels,
        "wall_seconds_reward": rlhf.stopwatch.parts["reward"],
        "wall_seconds_sampling": rlhf.stopwatch.parts["query"],
        "agent_steps": rlhf.agent.steps,
        "sampling_steps": rlhf.env_steps - rlhf.agent.steps,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        **{name: figures[name] for name in ("true_return_mean", "true_return_std", "n_eval_episodes")},
    }


def main(
    task: tyro.conf.Positional[str],
    who: tyro.conf.Positional[str],
    seed: tyro.conf.Positional[int],
    /,
    testing: bool = False,
) -> None:
    """Run one task with one seed, and print its figures."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # torch's first optimizer imports a lot: not counted
    figures = learn((TESTING if testing else TASKS)[task].runs[who].config(seed))
    print(json.dumps(figures | {"versions": provenance()["versions"], "python": platform.python_version()}))


if __name__ == "__main__":
    tyro.cli(main)
