"""Search spaces by algorithm: functions that turn suggestions into settings, laid over the preset."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.trial import BaseTrial
from stable_baselines3 import A2C, DQN, PPO, SAC

from rlhf_gym import RLHFConfig

Settings = dict[str, Any]
TARGETS: Mapping[str, Settings] = {
    "every 10": {"target_update_interval": 10, "tau": 1.0},
    "every 200": {"target_update_interval": 200, "tau": 1.0},
    "every 1000": {"target_update_interval": 1000, "tau": 1.0},
    "slowly": {"target_update_interval": 1, "tau": 0.005},
}
"""How DQN's target network is updated: all at once at intervals, or a little with each step."""
NETS = ("32", "64x64", "128x128", "256x256")
OWN_NET = "SB3's"


class Suggested:
    """Settings suggested by Optuna, whose choices always include the preset's own values.

    Args:
        trial: The trial that suggests.
        own: The preset's values, by parameter name.
    """

    def __init__(self, trial: BaseTrial, own: Mapping[str, Any]) -> None:
        self._trial, self._own = trial, own

    def one_of(self, name: str, values: Sequence[Any]) -> Any:
        """Suggest one of `values`, or the preset's own."""
        own = [self._own[name]] if name in self._own and self._own[name] not in values else []
        return self._trial.suggest_categorical(name, [*values, *own])

    def between(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Suggest a number between `low` and `high`, a range widened to include the preset's."""
        own = self._own.get(name, low)
        return self._trial.suggest_float(name, min(low, own), max(high, own), log=log)


def ppo(suggested: Suggested) -> Settings:
    """Suggest PPO's updates, discounting and exploration; the number of environments stays the preset's."""
    one_of = suggested.one_of
    options = {
        "n_steps": one_of("n_steps", [32, 64, 128, 256, 512]),
        "batch_size": one_of("batch_size", [64, 128, 256]),
        "n_epochs": one_of("n_epochs", [4, 10, 20]),
        "learning_rate": suggested.between("learning_rate", 1e-4, 3e-3, log=True),
        "gamma": one_of("gamma", [0.9, 0.95, 0.98, 0.99, 0.995]),
        "gae_lambda": one_of("gae_lambda", [0.8, 0.9, 0.95, 0.98]),
        "clip_range": one_of("clip_range", [0.1, 0.2, 0.3]),
        "ent_coef": one_of("ent_coef", [0.0, 0.001, 0.01]),
    }
    return {"agent": {"options": options, "schedule": _schedule(suggested)}}


def a2c(suggested: Suggested) -> Settings:
    """Suggest A2C's updates, discounting and exploration; the number of environments stays the preset's."""
    one_of = suggested.one_of
    options = {
        "n_steps": one_of("n_steps", [5, 8, 16, 32, 64]),
        "learning_rate": suggested.between("learning_rate", 1e-4, 1e-2, log=True),
        "gamma": one_of("gamma", [0.9, 0.95, 0.98, 0.99]),
        "gae_lambda": one_of("gae_lambda", [0.8, 0.9, 0.95, 1.0]),
        "ent_coef": one_of("ent_coef", [0.0, 0.001, 0.01]),
        "vf_coef": one_of("vf_coef", [0.25, 0.5, 1.0]),
        "normalize_advantage": one_of("normalize_advantage", [False, True]),
        "use_rms_prop": one_of("use_rms_prop", [False, True]),
    }
    return {"agent": {"options": options, "schedule": _schedule(suggested)}}


def dqn(suggested: Suggested) -> Settings:
    """Suggest DQN's reward scale, updates, target network, discounting, exploration and network size."""
    one_of = suggested.one_of
    train_freq = one_of("train_freq", [4, 16, 64, 256])
    share = one_of("gradient_steps_per_step", [0.25, 0.5, 1.0])
    options = {
        "train_freq": train_freq,
        "gradient_steps": max(1, round(train_freq * share)),
        "batch_size": one_of("batch_size", [64, 128]),
        "learning_rate": suggested.between("learning_rate", 1e-4, 3e-3, log=True),
        "gamma": one_of("gamma", [0.9, 0.95, 0.98, 0.99]),
        **TARGETS.get(one_of("target", list(TARGETS)), {}),
        "exploration_fraction": suggested.between("exploration_fraction", 0.1, 0.5),
        "exploration_final_eps": suggested.between("exploration_final_eps", 0.02, 0.1),
    }
    scale = one_of("reward_scale", [0.02, 0.1, 1.0])
    return {"agent": {**_net(suggested), "options": options, "schedule": _schedule(suggested), "reward_scale": scale}}


def sac(suggested: Suggested) -> Settings:
    """Suggest SAC's learning rate, batch size, discounting, target updates, steps before learning and network size."""
    one_of = suggested.one_of
    options = {
        "learning_rate": suggested.between("learning_rate", 1e-4, 3e-3, log=True),
        "batch_size": one_of("batch_size", [128, 256]),
        "gamma": one_of("gamma", [0.9, 0.95, 0.98, 0.99]),
        "tau": one_of("tau", [0.005, 0.01, 0.02]),
        "learning_starts": one_of("learning_starts", [100, 1000]),
    }
    return {"agent": {**_net(suggested), "options": options}}


ALGORITHMS: Mapping[str, Callable[..., Any]] = {"ppo": PPO, "a2c": A2C, "dqn": DQN, "sac": SAC}
SPACES: Mapping[str, Callable[[Suggested], Settings]] = {"ppo": ppo, "a2c": a2c, "dqn": dqn, "sac": sac}


def what_has(config: RLHFConfig) -> Settings:
    """Read the tuned parameters' values from a configuration, by parameter name."""
    agent = config.agent
    defaults = inspect.signature(ALGORITHMS[config.algo]).parameters
    options = {name: value.default for name, value in defaults.items()} | dict(agent.options)
    has: Settings = {**options, "schedule": agent.schedule, "reward_scale": agent.reward_scale}
    has["net_arch"] = OWN_NET if agent.net_arch is None else "x".join(map(str, agent.net_arch))
    if config.algo == "dqn":
        has["gradient_steps_per_step"] = options["gradient_steps"] / options["train_freq"]
        targets = (name for name, target in TARGETS.items() if target.items() <= options.items())
        has["target"] = next(targets, "as the preset")
    return has


def _net(suggested: Suggested) -> Settings:
    sizes = suggested.one_of("net_arch", NETS)
    return {"net_arch": None if sizes == OWN_NET else [int(size) for size in sizes.split("x")]}


def _schedule(suggested: Suggested) -> str:
    return str(suggested.one_of("schedule", ["constant", "linear"]))
