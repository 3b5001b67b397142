"""The question of a pre-trained start: its settings, and what they are started from."""

import pytest

from experiments.questions import pretrained
from experiments.questions.pretrained.demonstrations import LENGTH, SEED, SHOWN
from experiments.questions.pretrained.settings import DEMONSTRATIONS, SEEDS, TASKS, demonstrations
from rlhf_gym.envs import load_trajectories


@pytest.mark.parametrize("name", pretrained.SETTINGS)
def test_every_setting_is_a_valid_run_of_one_family_that_starts_where_its_name_says(name):
    config = pretrained.SETTINGS[name].run_config(0)
    assert sum(name in family.settings for family in pretrained.FAMILIES.values()) == 1
    starts = name.endswith(("_start", "_kl", "_kl_target", "_clone", "_random"))
    assert (config.agent.start is not None) == starts
    assert (config.agent.reference == "start") == name.endswith(("_kl", "_kl_target", "_random"))


@pytest.mark.parametrize("task", TASKS)
def test_demonstrations_are_there_of_a_seed_that_no_row_has(task):
    shown = load_trajectories(demonstrations(task))
    assert demonstrations(task).startswith(DEMONSTRATIONS) and SEED not in SEEDS
    assert len(shown) == SHOWN and max(map(len, shown)) == LENGTH


def test_the_answer_tells_parts_of_ppo_s_gain():
    assert set(pretrained.TESTING) <= set(pretrained.SETTINGS)
    runs = {
        f"half_cheetah_{name}": [{"true_return_mean": str(value)}]
        for name, value in (("ppo", 100), ("untrained_policy", 0), ("scratch", 50), ("kl", 75))
    }
    told = pretrained.answer(pretrained.SETTINGS, runs)
    assert "HalfCheetah-v5: 0.50 by 50 labels from scratch, 0.75 by a cloned start that it stays close to" in told
