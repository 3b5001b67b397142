"""What is tried of each algorithm: a function from Optuna's trial to settings, laid over the preset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optuna.trial import Trial

Settings = dict[str, Any]
TARGETS: Mapping[str, Settings] = {
    "every 10": {"target_update_interval": 10, "tau": 1.0},
    "every 200": {"target_update_interval": 200, "tau": 1.0},
    "every 1000": {"target_update_interval": 1000, "tau": 1.0},
    "slowly": {"target_update_interval": 1, "tau": 0.005},
}
"""How DQN's target network follows: all at once, or a little with each step."""
NETS = {"32": [32], "64x64": [64, 64], "128x128": [128, 128], "256x256": [256, 256]}


def ppo(trial: Trial) -> Settings:
    """Steps and size of the update, discounting, exploration; the number of environments stays the preset's."""
    options = {
        "n_steps": trial.suggest_categorical("n_steps", [32, 64, 128, 256, 512]),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128, 256]),
        "n_epochs": trial.suggest_categorical("n_epochs", [4, 10, 20]),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 3e-3, log=True),
        "gamma": trial.suggest_categorical("gamma", [0.9, 0.95, 0.98, 0.99, 0.995]),
        "gae_lambda": trial.suggest_categorical("gae_lambda", [0.8, 0.9, 0.95, 0.98]),
        "clip_range": trial.suggest_categorical("clip_range", [0.1, 0.2, 0.3]),
        "ent_coef": trial.suggest_categorical("ent_coef", [0.0, 0.001, 0.01]),
    }
    return {"agent": {"options": options, "schedule": trial.suggest_categorical("schedule", ["constant", "linear"])}}


def dqn(trial: Trial) -> Settings:
    """How large Q is, how often and how far its network follows, discounting, exploration, and its size."""
    train_freq = trial.suggest_categorical("train_freq", [4, 16, 64, 256])
    share = trial.suggest_categorical("gradient_steps_per_step", [0.25, 0.5, 1.0])
    options = {
        "train_freq": train_freq,
        "gradient_steps": max(1, round(train_freq * share)),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128]),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 3e-3, log=True),
        "gamma": trial.suggest_categorical("gamma", [0.9, 0.95, 0.98, 0.99]),
        **TARGETS[trial.suggest_categorical("target", list(TARGETS))],
        "exploration_fraction": trial.suggest_float("exploration_fraction", 0.1, 0.5),
        "exploration_final_eps": trial.suggest_categorical("exploration_final_eps", [0.02, 0.05, 0.1]),
    }
    scale = trial.suggest_categorical("reward_scale", [0.02, 0.1, 1.0])
    agent = {"net_arch": _net(trial), "options": options, "schedule": _schedule(trial), "reward_scale": scale}
    return {"agent": agent}


def sac(trial: Trial) -> Settings:
    """Size and number of updates, discounting, temperature; of TQC and SBX's SAC likewise."""
    options = {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 3e-3, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [128, 256]),
        "gamma": trial.suggest_categorical("gamma", [0.9, 0.95, 0.98, 0.99]),
        "tau": trial.suggest_categorical("tau", [0.005, 0.01, 0.02]),
        "learning_starts": trial.suggest_categorical("learning_starts", [100, 1000]),
    }
    return {"agent": {"net_arch": _net(trial), "options": options}}


SPACES: Mapping[str, Callable[[Trial], Settings]] = {"ppo": ppo, "dqn": dqn, "sac": sac}


def _net(trial: Trial) -> list[int]:
    return NETS[trial.suggest_categorical("net_arch", list(NETS))]


def _schedule(trial: Trial) -> str:
    return str(trial.suggest_categorical("schedule", ["constant", "linear"]))
