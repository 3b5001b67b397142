"""The ablation of what a fit may take beside the answers: settings, answer, and the measurement without a run."""

import numpy as np
import pytest

from experiments.measurements import more_offline
from experiments.questions import more_from_labels
from experiments.questions.more_from_labels.settings import FAMILIES, NETWORKS, OPTIONS, SETTINGS, TASKS, TESTING
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import merge
from rlhf_gym.registry import MORE


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_a_valid_run_of_one_family(name: str) -> None:
    config = SETTINGS[name].run_config(0)
    assert config.labels == (0 if SETTINGS[name].control else 50)
    assert sum(name in family.settings for family in FAMILIES.values()) == 1


@pytest.mark.parametrize("task", TASKS)
def test_each_option_is_laid_over_networks_alone_and_nothing_else_is(task: str) -> None:
    plain = RLHFConfig.for_env(**merge(TASKS[task].config, NETWORKS))
    assert plain.reward.linear is None and plain.reward.more == {}
    for name, (_, config) in OPTIONS.items():
        assert SETTINGS[f"{task}_{name}"].run_config(0) == plain.replace(**config)


def test_every_registered_option_is_tried_alone_and_all_of_them_together() -> None:
    alone = {
        name
        for _, config in OPTIONS.values()
        if len(more := config.get("reward", {}).get("more", {})) == 1
        for name in more
    }
    assert alone == set(MORE) == set(SETTINGS["hold_at_one_all"].run_config(0).reward.more)


def test_what_is_tested_is_there_and_the_answer_is_one_sentence() -> None:
    assert set(TESTING) <= set(SETTINGS)
    rows = {name: [{"true_return_mean": "5", "goal_reached": "5"}] * 3 for name in SETTINGS}
    for task in TASKS:
        rows[f"{task}_ppo"] = [{"true_return_mean": "10", "goal_reached": "10"}] * 3
        rows[f"{task}_untrained_policy"] = [{"true_return_mean": "0", "goal_reached": "0"}] * 3
    answer = more_from_labels.answer(SETTINGS, rows)
    assert answer.startswith(
        "Part of PPO's gain, CartPole-v1 at x = +1: networks alone 0.50, labels smoothed by 0.1 0.50"
    )
    assert answer.endswith("; ahead of networks alone on every task: none.") and ". " not in answer
    for task in TASKS:
        rows[f"{task}_crops"] = [{"true_return_mean": "6", "goal_reached": "6"}] * 3
    rows["hold_at_one_pseudo_labels"] = rows["hold_at_one_crops"]
    assert more_from_labels.answer(SETTINGS, rows).endswith("; ahead of networks alone on every task: crops.")


def test_a_difference_is_told_with_its_standard_error_over_seeds() -> None:
    found = {
        "plain": np.array([[0.8, 0.5, 10], [0.6, 0.3, 10]]),
        "pseudo_labels": np.array([[0.5, 0.4, 20], [0.5, 0.4, 30]]),
    }
    *_, plain, other = more_offline.table("hold_at_one", found)
    assert plain == "| networks alone | 0.700 | +0.000 ± 0.000 | 0.400 | +0.000 ± 0.000 | 10 |"
    # Accuracy: differences -0.3 and -0.1, standard deviation 0.1414, over the root of 2; correlation: -0.1 and 0.1.
    assert other == "| pseudo-labels | 0.500 | −0.200 ± 0.100 | 0.400 | +0.000 ± 0.100 | 25 |"


@pytest.mark.slow
def test_the_reward_is_fitted_offline_and_judged_by_fresh_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(more_offline, "FITTED", (25, 50))
    pool = more_offline.gather("hold_at_one", steps=4096)
    assert not {id(one) for one in pool.asked} & {id(one) for one in pool.fresh}
    accuracy, correlation, milliseconds = more_offline.measure("hold_at_one", "plain", pool, 0)
    assert accuracy > 0.6 and correlation > 0.2 and milliseconds > 0
    assert more_offline.measure("hold_at_one", "plain", pool, 0)[:2] == (accuracy, correlation)
