"""The cost of RLHF over plain SB3 SAC: `python -m experiments.measurements.off_policy_cost [--pairs 3]`.

As in `experiments.measurements.bench` for PPO, the runs of a pair follow each other, each in a fresh process, with the
same environment, steps, settings of SAC and evaluation; imports aren't counted. Plain SAC runs on the true reward, with
the fused Adam that ours has or with SB3's own. Times are CPU seconds, on which other work on the machine has less
effect.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from stable_baselines3 import SAC
from stable_baselines3.common.env_util import make_vec_env

from experiments.harness.checkout import figures_from
from experiments.measurements.bench import spread
from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents.off_policy import OPTIMIZER
from rlhf_gym.evaluation import mean_return, play
from rlhf_gym.runs.provenance import provenance
from rlhf_gym.sweeps.records import append_rows

Kind = Literal["rlhf", "fused", "sac"]
KINDS: tuple[Kind, ...] = ("rlhf", "fused", "sac")
"""Ours; plain SAC with the same fused Adam; plain SAC with SB3's own."""


def time_rlhf(config: RLHFConfig) -> float:
    """Do our run, writing all its files, and return its true return."""
    with tempfile.TemporaryDirectory() as directory:
        return float(RLHF(config.replace(run_dir=f"{directory}/run")).learn()["true_return_mean"])


def time_sac(config: RLHFConfig, *, fused: bool) -> float:
    """Run plain SAC for as many steps, with the same warm-up, saved and evaluated like ours; return its true return."""
    venv = make_vec_env(config.env_id, n_envs=config.agent.n_envs, seed=config.seed, env_kwargs=config.env_kwargs)
    torch.set_num_threads(config.agent.torch_threads)
    options = dict(config.agent.options)
    options["learning_starts"] += config.warm_up_steps
    sac = SAC(
        "MlpPolicy",
        venv,
        seed=config.seed,
        device="cpu",
        policy_kwargs={"optimizer_kwargs": dict(OPTIMIZER)} if fused else {},
        **options,
    )
    sac.learn(config.total_timesteps)
    with tempfile.TemporaryDirectory() as directory:
        sac.save(f"{directory}/policy.zip")
    seed, episodes = config.seed, config.evaluation.n_episodes
    return mean_return(
        play(lambda o: sac.predict(o, deterministic=True), config.env_id, seed=seed, n_episodes=episodes)
    )


def in_fresh_process(env_id: str, kind: Kind, seed: int, total_timesteps: int) -> dict[str, float]:
    """Do one timed run in a new process."""
    command = [sys.executable, "-m", "experiments.measurements.off_policy_cost", "--one", kind, str(seed)]
    command += ["--env-id", env_id, "--total-timesteps", str(total_timesteps)]
    return figures_from(command)


def pair(env_id: str, seed: int, total_timesteps: int) -> dict[str, Any]:
    """Do one pair of runs, ours between both kinds of plain SAC; which of these goes first changes with the seed."""
    order: tuple[Kind, ...] = ("fused", "rlhf", "sac") if seed % 2 == 0 else ("sac", "rlhf", "fused")
    done = {kind: in_fresh_process(env_id, kind, seed, total_timesteps) for kind in order}
    ours = done["rlhf"]["cpu_seconds"]
    return {
        "env_id": env_id,
        "seed": seed,
        "total_timesteps": total_timesteps,
        "fused_ratio": ours / done["fused"]["cpu_seconds"],
        "ratio": ours / done["sac"]["cpu_seconds"],
        **{f"{kind}_{name}": value for kind in KINDS for name, value in done[kind].items()},
    }


def main(
    env_id: str = "Pendulum-v1",
    total_timesteps: int = 6000,
    pairs: int = 3,
    one: tuple[Kind, int] | None = None,
    results: Path | None = None,
) -> None:
    """Time pairs of runs and print their ratios.

    Args:
        env_id: Environment; SAC has its preset.
        total_timesteps: Environment steps of each run.
        pairs: Number of pairs.
        one: Time one run only and print its figures: kind, seed.
        results: A CSV file that each pair is appended to.
    """
    if one is not None:
        kind, seed = one
        torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # untimed: torch's first optimizer imports a lot
        config = RLHFConfig.for_env(env_id, algo="sac", seed=seed, total_timesteps=total_timesteps)
        started = time.process_time()
        reached = time_rlhf(config) if kind == "rlhf" else time_sac(config, fused=kind == "fused")
        print(json.dumps({"cpu_seconds": time.process_time() - started, "true_return": reached}))
        return
    rows = [pair(env_id, seed, total_timesteps) for seed in range(pairs)]
    if results is not None:
        made = provenance("python -m experiments.measurements.off_policy_cost")
        append_rows(results, [row | {name: made[name] for name in ("commit", "machine", "python")} for row in rows])
    print(f"{env_id}, {total_timesteps} steps, {pairs} pairs, processor time of ours ÷ plain SAC")
    print(f"with the same fused Adam: {spread([row['fused_ratio'] for row in rows], 3)}")
    print(f"with SB3's own Adam: {spread([row['ratio'] for row in rows], 3)}")


if __name__ == "__main__":
    tyro.cli(main)
