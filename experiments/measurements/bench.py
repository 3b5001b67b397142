"""The cost of RLHF over plain SB3 PPO: `python -m experiments.measurements.bench [--pairs 5]`.

The runs of a pair follow each other, each in a fresh process, with the same environment, steps and settings of PPO, and
the same evaluation at the end. The ratio is taken pair by pair, so that it holds when the machine's speed drifts.
Imports are not counted, because they would flatter the ratio. Plain PPO is SB3's, with VecNormalize where observations
or rewards are normalised. It runs twice: with the same fused Adam as our run, which SB3 offers as a setting and which
saves some of PPO's time, and with SB3's own Adam, as its users write it. The first comparison is like for like.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecNormalize
from tqdm import tqdm

from experiments.harness.checkout import figures_from
from experiments.harness.fingerprint import code_of
from experiments.harness.older import listed_older, warning
from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents.on_policy import OPTIMIZER
from rlhf_gym.evaluation import mean_return, play
from rlhf_gym.runs.provenance import peak_rss_mb, provenance
from rlhf_gym.segments import Array
from rlhf_gym.sweeps.records import append_rows, read_rows

PAIRS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"labels": 50, "total_timesteps": 60_000},
    "HalfCheetah-v5": {"labels": 200, "total_timesteps": 200_000},
    "Hopper-v5": {"labels": 200, "total_timesteps": 200_000},
    "Pendulum-v1": {"labels": 100, "total_timesteps": 100_000},
}
Kind = Literal["rlhf", "fused", "ppo"]
KINDS: tuple[Kind, ...] = ("rlhf", "fused", "ppo")
"""Ours; plain PPO with the same fused Adam; plain PPO with SB3's own Adam."""
PARTS = ("policy", "reward", "query", "evaluation")


def time_rlhf(config: RLHFConfig) -> dict[str, Any]:
    """Time our whole run, which writes all its files."""
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        summary = RLHF(config.replace(run_dir=f"{directory}/run")).learn()
        summary["wall_seconds"] = time.perf_counter() - started
    return summary


def time_ppo(config: RLHFConfig, *, fused: bool = False) -> dict[str, Any]:
    """Time plain SB3 PPO on the true reward, saved and evaluated like ours; with our fused Adam, or with SB3's own."""
    started = time.perf_counter()
    agent, settings = config.agent, dict(config.agent.options)
    venv = make_vec_env(config.env_id, n_envs=agent.n_envs, seed=config.seed, env_kwargs=config.env_kwargs)
    normalize: Callable[[Array], Any] = np.asarray
    observations, rewards = agent.normalize_observations is not False, agent.normalize_rewards
    if observations or rewards:
        gamma = settings["gamma"]
        venv = normalized = VecNormalize(venv, norm_obs=observations, norm_reward=rewards, gamma=gamma)
        normalize = normalized.normalize_obs
    if agent.schedule == "linear":
        for name in ("learning_rate", "clip_range"):
            settings[name] = LinearSchedule(settings[name], 0.0, 1.0)
    torch.set_num_threads(agent.torch_threads)
    policy_kwargs: dict[str, Any] = {"net_arch": list(agent.net_arch or (64, 64))}
    policy_kwargs |= {"log_std_init": settings.pop("log_std_init")} | ({"optimizer_kwargs": OPTIMIZER} if fused else {})
    ppo = PPO("MlpPolicy", venv, seed=config.seed, device="cpu", policy_kwargs=policy_kwargs, **settings)
    # Round down to whole rollouts as ours does, the warm-up's steps included; SB3 would round up.
    rollout = agent.n_envs * settings["n_steps"]
    ppo.learn(config.total_timesteps // rollout * rollout)
    with tempfile.TemporaryDirectory() as directory:
        ppo.save(f"{directory}/policy.zip")
    episodes = play(
        lambda observations: ppo.predict(normalize(observations), deterministic=True),
        config.env_id,
        env_kwargs=config.env_kwargs,
        n_episodes=config.evaluation.n_episodes,
        seed=config.seed,
    )
    return {
        "true_return_mean": mean_return(episodes),
        "total_timesteps": ppo.num_timesteps,
        "wall_seconds": time.perf_counter() - started,
        "peak_rss_mb": peak_rss_mb(),
    }


def in_fresh_process(env_id: str, kind: Kind, seed: int, total_timesteps: int | None) -> dict[str, Any]:
    """Do one timed run in a new process."""
    command = [sys.executable, "-m", "experiments.measurements.bench", "--one", env_id, kind, str(seed)]
    command += ["--total-timesteps", str(total_timesteps)] if total_timesteps else []
    return figures_from(command)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and range."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Make a table with one line per task, medians over pairs with ranges; columns that older pairs lack stay empty."""
    lines = [
        "| task | pairs | wall time ours ÷ PPO with the same fused Adam | ours ÷ PPO with SB3's own Adam | ours s | "
        "PPO s, fused | PPO s | policy s | reward s | query s | evaluation s | "
        "steps per s, ours | PPO | memory ours − PPO, MB |",
        "|---" * 14 + "|",
    ]
    for env_id, steps in dict.fromkeys((row["env_id"], int(row["total_timesteps"])) for row in rows):
        found = [row for row in rows if (row["env_id"], int(row["total_timesteps"])) == (env_id, steps)]

        def of(name: str, digits: int = 1, found: Sequence[dict[str, Any]] = found) -> str:
            values = [row[name] for row in found if row.get(name, "") != ""]
            return spread(values, digits) if values else ""

        cells = [str(len(found)), of("fused_ratio", 3), of("ratio", 3)]
        cells += [of(f"{kind}_seconds") for kind in KINDS]
        cells += [of(f"{part}_seconds") for part in PARTS]
        cells += [of("rlhf_steps_per_second", 0), of("ppo_steps_per_second", 0), of("extra_mb", 0)]
        labels = int(found[0]["labels"])
        lines.append(f"| {env_id}, {steps} steps, {labels} labels | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def settings(env_id: str, total_timesteps: int | None = None) -> dict[str, Any]:
    """Labels and steps of both runs of a pair."""
    return PAIRS[env_id] | ({"total_timesteps": total_timesteps} if total_timesteps else {})


def pair(env_id: str, seed: int, total_timesteps: int | None = None) -> dict[str, Any]:
    """Do one pair of runs, ours between both kinds of plain PPO; which of these goes first changes with the seed."""
    order: tuple[Kind, ...] = ("fused", "rlhf", "ppo") if seed % 2 == 0 else ("ppo", "rlhf", "fused")
    done = {kind: in_fresh_process(env_id, kind, seed, total_timesteps) for kind in order}
    ours, plain, fused = done["rlhf"], done["ppo"], done["fused"]
    config = RLHFConfig.for_env(env_id, seed=seed, **settings(env_id, total_timesteps))
    return {
        "env_id": env_id,
        "seed": seed,
        **settings(env_id, total_timesteps),
        "ratio": ours["wall_seconds"] / plain["wall_seconds"],
        "rlhf_seconds": ours["wall_seconds"],
        "ppo_seconds": plain["wall_seconds"],
        "rlhf_env_steps": ours["total_timesteps"],
        "ppo_env_steps": plain["total_timesteps"],
        **{f"{part}_seconds": ours[f"wall_seconds_{part}"] for part in PARTS},
        "rlhf_steps_per_second": ours["total_timesteps"] / ours["wall_seconds"],
        "ppo_steps_per_second": plain["total_timesteps"] / plain["wall_seconds"],
        "extra_mb": ours["peak_rss_mb"] - plain["peak_rss_mb"],
        "rlhf_true_return": ours["true_return_mean"],
        "ppo_true_return": plain["true_return_mean"],
        "fused_ratio": ours["wall_seconds"] / fused["wall_seconds"],
        "fused_seconds": fused["wall_seconds"],
        "code": code_of(config),
    }


def of_commit(path: Path, commit: str) -> list[dict[str, Any]]:
    """Read every pair run at a commit, its figures as numbers."""
    texts = "env_id commit machine python code"
    return [
        {name: value if name in texts.split() or value == "" else float(value) for name, value in row.items()}
        for row in read_rows(path)
        if row["commit"] == commit
    ]


def answer(rows: Sequence[dict[str, Any]]) -> str:
    """Say what a whole run costs, beside PPO with the same fused Adam if that was timed."""
    fused = all(row.get("fused_ratio", "") != "" for row in rows)
    name, adam = ("fused_ratio", "the same fused Adam") if fused else ("ratio", "SB3's own Adam, where ours is fused")
    ratios = [median(row[name] for row in rows if row["env_id"] == task) for task in {row["env_id"] for row in rows}]
    return (
        f"A whole run takes {min(ratios):.2f} to {max(ratios):.2f} times the wall time of plain SB3 PPO with {adam}, "
        "by task."
    )


def page(path: Path) -> str:
    """Make the text of the page from the pairs of the commit timed last."""
    last = read_rows(path)[-1]
    rows, how = of_commit(path, last["commit"]), (__doc__ or "").partition("\n\n")[2]
    code = "\n".join([*warning("bench", listed_older(path.parents[1])), ""])
    return (
        f"<!-- Made by `make bench`. -->\n# What it costs over plain PPO\n\n"
        f"**{answer(rows)}**\n\n{how}\n```\nmake bench\n```\n\n{code}{table(rows)}\n\n"
        f"Median (range) of all pairs run at one commit; `pairs.csv` has every pair ever run. "
        f"{last['machine']}; Python {last['python']}; commit {last['commit']}.\n"
    )


def main(
    pairs: int = 5,
    tasks: tuple[str, ...] = tuple(PAIRS),
    total_timesteps: int | None = None,
    one: tuple[str, Kind, int] | None = None,
    results_dir: Path = Path("results"),
) -> None:
    """Time pairs of runs and print one table.

    Args:
        pairs: Pairs of runs for each task; if more than 1, an uncounted one goes first; 0 only writes the page.
        tasks: Environments to time.
        total_timesteps: Steps of each run instead of the task's own, such as 1000000 to see what memory they take.
        one: Time one run only and print its figures: task, kind, seed.
        results_dir: Each pair is appended to `bench/pairs.csv` in it, and `bench/README.md` is rewritten.
    """
    if one is not None:
        env_id, kind, seed = one
        torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # untimed: torch's first optimizer imports a lot
        config = RLHFConfig.for_env(env_id, seed=seed, **settings(env_id, total_timesteps))
        done = time_rlhf(config) if kind == "rlhf" else time_ppo(config, fused=kind == "fused")
        print(json.dumps(done, default=float))
        return
    made, kept = provenance("python -m experiments.measurements.bench"), results_dir / "bench" / "pairs.csv"
    for env_id in tasks:
        for seed in tqdm(range(-(pairs > 1), pairs), desc=env_id, unit="pair"):
            row = pair(env_id, abs(seed), total_timesteps)
            if seed >= 0:  # the first of several warms the machine's caches
                append_rows(kept, [row | {k: made[k] for k in ("commit", "machine", "python")}])
    written = page(kept)
    (results_dir / "bench" / "README.md").write_text(written, encoding="utf-8")
    print(written)


if __name__ == "__main__":
    tyro.cli(main)
