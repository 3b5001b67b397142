"""Every setting of the CartPole experiment, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from experiments.harness.controls import TRUE, UNTRAINED, constant, random_answers, untrained_policy
from experiments.harness.parts import Scale
from experiments.harness.settings import Bound, Family, Setting, shortened
from experiments.questions.cartpole.goals import distance_last_200, episode_length, goal_return
from rlhf_gym.config.mappings import merge
from rlhf_gym.plots import Panel

SEEDS = (0, 1, 2, 3, 4)
TEN_SEEDS = tuple(range(10))  # of settings asked for a part of PPO's gain, and of both ends of that scale
SOLVED = (Bound("true_return_mean", least=475),)
HELD = (Bound("episode_length", least=475), Bound("distance_last_200", most=0.25))
HOLDING = {"episode_length": episode_length, "distance_last_200": distance_last_200, "goal_return": goal_return}
HELD_SCALE = Scale(("hold_at_one_ppo_goal",), "hold_at_one_untrained_policy", "goal_return")
FIXED_SCALE = Scale(("fixed_horizon_ppo_true_reward",), "fixed_horizon_untrained_policy")
HORIZON = 200  # at 500, most of each early episode is the absorbing state, and even the true reward teaches slowly


def _plain(title: str, config: Mapping[str, Any], *, control: bool = True) -> Setting:
    shared = {"env_id": "CartPole-v1", "total_timesteps": 60_000}
    return Setting(title, merge(shared, config), SEEDS, control=control, threshold=SOLVED)


# A reward with a shape is fitted as in MuJoCo's presets; CartPole's preset only has to learn that living is good.
# Chosen on seeds 100 to 103, where 50 labels reach a goal return of 389 instead of 92, and on 100 to 102 for the fixed
# horizon (446).
SHAPED: Mapping[str, Any] = {
    "linear": "quadratic",
    "clip": 5.0,
    "adam_epsilon": 0.01,
    "bootstrap": "folds",
    "calibrate": True,
    "shift": "living",
    "ensemble_size": 3,
    "learning_rate": 3e-3,
    "batch_size": 16,
    "steps": 60,
}
# A cart that is to stand elsewhere leans first and is paid for it fifty steps later. With the preset's gamma (0.98)
# and lambda (0.9), PPO stayed where it had first found its balance, although the learned reward had its peak at the
# target. Chosen on seeds 100 to 109: a mean goal return of 347 instead of 295 (347, too, with a lambda of 0.99).
FAR: Mapping[str, Any] = {"reward_scale": 0.1, "options": {"gamma": 0.997, "gae_lambda": 0.97}}
# Few queries at a time and most of them early: the policy has to follow while its learning rate is high.
HOLD_AT_ONE: Mapping[str, Any] = {
    "env_id": "CartPole-v1",
    "total_timesteps": 100_000,
    "segment_length": 50,
    "feedback": {"goal": "cart_pole_hold_at_one"},
    "query": {"rounds": 40, "schedule_options": {"first_fraction": 0.1, "halving_steps": 40_000}},
    "reward": {"steps": 60},
}
HOLD_AT_ONE_SHAPED: Mapping[str, Any] = merge(HOLD_AT_ONE, {"reward": SHAPED, "agent": FAR})


def _hold(title: str, config: Mapping[str, Any], *, control: bool = True, seeds: tuple[int, ...] = SEEDS) -> Setting:
    more: dict[str, Any] = {"measures": HOLDING, "threshold": HELD, "scale": HELD_SCALE}
    return Setting(title, merge(HOLD_AT_ONE_SHAPED, config), seeds, control=control, **more)


def _fixed(title: str, config: Mapping[str, Any], *, control: bool = True) -> Setting:
    # Episodes don't end early, so it takes more steps to see as many failures before the first answers.
    shared: dict[str, Any] = {
        "env_id": "CartPole-v1",
        "total_timesteps": 100_000,
        "env": {"fixed_horizon": HORIZON},
        "query": {"warm_up_steps": 4096, "rounds": 20},
        "reward": SHAPED,
    }
    if config.get("labels"):  # ask half before the policy has learned anything: the sign must be right first
        shared["query"] |= {"schedule_options": {"first_fraction": 0.5, "halving_steps": 20_000}}
    return Setting(title, merge(shared, config), SEEDS, control=control, scale=FIXED_SCALE)


SETTINGS = {
    "labels_50": _plain("50 labels", {"labels": 50}, control=False),
    "labels_20": _plain("20 labels", {"labels": 20}, control=False),
    "ppo_true_reward": _plain("PPO on the true reward", TRUE),
    "random_answers_50": _plain("50 random answers", random_answers(50)),
    "untrained_reward": _plain("untrained reward model", UNTRAINED),
    "constant_plus_one": _plain("constant reward +1", constant(1.0)),
    "constant_minus_one": _plain("constant reward −1", constant(-1.0)),
    "hold_at_one_50": _hold("hold at x = +1, 50 labels", {"labels": 50}, control=False, seeds=TEN_SEEDS),
    "hold_at_one_100": _hold("hold at x = +1, 100 labels", {"labels": 100}, control=False),
    "hold_at_one_ppo_goal": _hold("PPO on the goal", TRUE, seeds=TEN_SEEDS),
    "hold_at_one_random_answers": _hold("100 random answers", random_answers(100)),
    "hold_at_one_untrained": _hold("untrained reward model", UNTRAINED),
    "hold_at_one_constant": _hold("constant reward +1", constant(1.0)),
    "hold_at_one_untrained_policy": _hold("untrained policy", untrained_policy(4096), seeds=TEN_SEEDS),
    "fixed_horizon_100": _fixed("fixed horizon, 100 labels", {"labels": 100}, control=False),
    "fixed_horizon_ppo_true_reward": _fixed("PPO on the true reward", TRUE),
    "fixed_horizon_random_answers": _fixed("100 random answers", random_answers(100)),
    "fixed_horizon_untrained": _fixed("untrained reward model", UNTRAINED),
    "fixed_horizon_constant": _fixed("constant reward +1", constant(1.0)),
    "fixed_horizon_untrained_policy": _fixed("untrained policy", untrained_policy(100_000)),
}


def _named(start: str) -> tuple[str, ...]:
    return tuple(name for name in SETTINGS if name.startswith(start))


_HELD_OR_FIXED = _named("hold_at_one") + _named("fixed_horizon")
RETURN = Panel("true_return_mean", "true return", limits=(0, 500))
FAMILIES = {
    "labels": Family(
        "CartPole-v1 as it is, 60k steps",
        tuple(name for name in SETTINGS if name not in _HELD_OR_FIXED),
        (replace(RETURN, asked=475),),
    ),
    "hold_at_one": Family(
        "A goal the environment doesn't pay for: hold the cart at x = +1, 100k steps",
        _named("hold_at_one"),
        (
            Panel("episode_length", "episode length [steps]", asked=475, limits=(0, 500)),
            Panel("distance_last_200", "mean |x − 1|, last 200 steps", asked=0.25, limits=(0, None)),
        ),
        curve="steps the pole is up: not the goal",
    ),
    "fixed_horizon": Family(
        f"The leak closed: fixed horizon of {HORIZON}, 100k steps",
        _named("fixed_horizon"),
        (RETURN,),
        curve=f"true return, of {HORIZON}",
    ),
}

_SHORT = {
    "labels": 40,
    "total_timesteps": 1024,
    "query": {"rounds": 2, "warm_up_steps": 256},
    "agent": {"n_envs": 4, "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 4}},
    "evaluation": {"n_episodes": 2},
}
TESTING = shortened(SETTINGS, ("labels_50", "hold_at_one_100"), _SHORT)
