"""Other learners than PPO as data: each has its preset, what it is paid, and its controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.harness.controls import TRUE, TRUE_SCALED, Settings, constant, random_answers
from experiments.harness.parts import Scale
from experiments.harness.settings import Bound, Family, Setting, shortened
from rlhf_gym.config.mappings import merge
from rlhf_gym.plots import Panel

SEEDS, ONE_SEED = (0, 1, 2, 3, 4), (0,)
LABELS = {"cartpole": 50, "mujoco": 100, "short": 50}
SOLVED = (Bound("true_return_mean", least=475),)
UNTRAINED = "untrained_policy"
MUJOCO = {"half_cheetah": "HalfCheetah-v5", "hopper": "Hopper-v5", "walker2d": "Walker2d-v5"}


def untrained(steps: int = 4096) -> Settings:
    """Keep the initial policy: a run that ends before its learning starts."""
    return {**constant(1.0), "total_timesteps": steps, "agent": {"options": {"learning_starts": steps}}}


def _cartpole(title: str, config: Settings, *, control: bool = True) -> Setting:
    shared: dict[str, Any] = {"env_id": "CartPole-v1", "algo": "dqn"}
    return Setting(title, merge(shared, config), SEEDS, control=control, threshold=SOLVED)


CARTPOLE = {
    "cartpole_dqn": _cartpole("50 labels", {"labels": LABELS["cartpole"]}, control=False),
    "cartpole_dqn_true_reward": _cartpole("DQN on the true reward", TRUE),
    "cartpole_dqn_random_answers": _cartpole("50 random answers", random_answers(LABELS["cartpole"])),
    "cartpole_dqn_constant": _cartpole("constant reward +1", constant(1.0)),
    "cartpole_dqn_constant_minus_one": _cartpole("constant reward −1", constant(-1.0)),
    "cartpole_dqn_unscaled": _cartpole(
        "50 labels, the reward not scaled down", {"labels": LABELS["cartpole"], "agent": {"reward_scale": 1.0}}
    ),
}
PAID: Mapping[str, tuple[str, Settings]] = {
    "sac": ("100 labels", {"labels": LABELS["mujoco"]}),
    "sac_true_reward": ("SAC on the true reward", TRUE),
    "sac_scaled": ("SAC on the true reward, scaled", TRUE_SCALED),
    "sac_random_answers": ("100 random answers", random_answers(LABELS["mujoco"])),
    "sac_constant": ("constant reward +1", constant(1.0)),
    UNTRAINED: ("untrained policy", untrained()),
}


def scale(task: str) -> Scale:
    """Count the better of the SACs on the true reward as 1, and the untrained policy as 0."""
    return Scale((f"{task}_sac_true_reward", f"{task}_sac_scaled"), f"{task}_{UNTRAINED}")


def _mujoco(task: str, name: str) -> Setting:
    title, config = PAID[name]
    shared: dict[str, Any] = {"env_id": MUJOCO[task], "algo": "sac", "total_timesteps": 200_000}
    return Setting(title, merge(shared, config), SEEDS, control=name != "sac", scale=scale(task))


SHORT_RUNS: Mapping[str, tuple[str, Settings]] = {
    "a2c": ("A2C, CartPole-v1", {"env_id": "CartPole-v1", "algo": "a2c", "total_timesteps": 60_000}),
    "trpo": ("TRPO, CartPole-v1", {"env_id": "CartPole-v1", "algo": "sb3_contrib:TRPO", "total_timesteps": 60_000}),
    "td3": ("TD3, Pendulum-v1", {"env_id": "Pendulum-v1", "algo": "td3", "total_timesteps": 20_000}),
    "pendulum_sac": ("SAC, Pendulum-v1", {"env_id": "Pendulum-v1", "algo": "sac", "total_timesteps": 20_000}),
    "tqc": ("TQC, Pendulum-v1", {"env_id": "Pendulum-v1", "algo": "sb3_contrib:TQC", "total_timesteps": 20_000}),
    "sbx_sac": ("SBX's SAC, Pendulum-v1", {"env_id": "Pendulum-v1", "algo": "sbx:SAC", "total_timesteps": 20_000}),
}


def _short(name: str, *, random: bool) -> Setting:
    title, config = SHORT_RUNS[name]
    answers = random_answers(LABELS["short"]) if random else {"labels": LABELS["short"]}
    return Setting(f"{title}, 50 {'random answers' * random or 'labels'}", merge(config, answers), ONE_SEED, random)


SETTINGS = (
    CARTPOLE
    | {f"{task}_{name}": _mujoco(task, name) for name in PAID for task in MUJOCO}
    | {f"{name}{'_random' * random}": _short(name, random=random) for name in SHORT_RUNS for random in (False, True)}
)
RETURN = Panel("true_return_mean", "true return")
FAMILIES = (
    {"cartpole": Family("DQN on CartPole-v1, 80k steps", tuple(CARTPOLE), (RETURN,))}
    | {
        task: Family(f"SAC on {env_id}, 200k steps", tuple(f"{task}_{name}" for name in PAID), (RETURN,))
        for task, env_id in MUJOCO.items()
    }
    | {
        "short": Family(
            "One short run of each other learner, beside random answers",
            tuple(f"{name}{'_random' * random}" for name in SHORT_RUNS for random in (False, True)),
            (),
            figure=False,
        )
    }
)
_SHORTENED = {
    "labels": 20,
    "total_timesteps": 1500,
    "query": {"rounds": 2, "warm_up_steps": 400},
    "agent": {"net_arch": [32], "options": {"learning_starts": 100, "train_freq": 50, "gradient_steps": 10}},
    "evaluation": {"n_episodes": 2},
}
TESTING = shortened(SETTINGS, ("cartpole_dqn", "td3"), _SHORTENED)
