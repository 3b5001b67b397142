import json
from pathlib import Path

import numpy as np
import pytest

from experiments.harness.results import read_results
from experiments.harness.settings import choose, known_columns, load
from experiments.questions import cartpole
from experiments.questions.cartpole.goals import distance_last_200, episode_length, goal_return, hold_at_one
from experiments.questions.cartpole.settings import HELD_SCALE
from experiments.questions.label_efficiency.settings import HELD_NOTE
from rlhf_gym.plots import Panel
from rlhf_gym.segments import Ending, Trajectory
from rlhf_gym.teachers import load_goal

RESULTS = Path(__file__).parents[2] / "results"


def episode(places):
    """An episode whose cart goes to these places, one a step, from x = 50."""
    observations = np.zeros((len(places) + 1, 4))
    observations[:, 0] = [50, *places]
    return Trajectory(observations, np.zeros(len(places), int), np.ones(len(places)), Ending.TRUNCATED)


def test_goal_pays_one_at_plus_one_and_fades_by_e_every_half_metre():
    places = np.zeros((3, 4))
    places[:, 0] = [1, 1.5, 0]
    rewards = hold_at_one(np.full((3, 4), 7.0), np.zeros(3), places)
    assert rewards == pytest.approx([1, np.exp(-1), np.exp(-2)])


def test_goal_is_found_by_the_name_in_the_settings():
    config = cartpole.SETTINGS["hold_at_one_100"].run_config(0)
    assert load_goal(config.feedback.goal) is hold_at_one


def test_distance_is_of_the_last_200_steps_of_each_episode():
    long, short = episode([-9] * 300 + [1.25] * 200), episode([0, 2, 1])
    assert distance_last_200([long]) == 0.25
    assert distance_last_200([short]) == pytest.approx(2 / 3)
    assert distance_last_200([long, short]) == pytest.approx((0.25 + 2 / 3) / 2)  # a mean of episodes, not of steps


def test_length_and_goal_return_are_means_over_episodes():
    episodes = [episode([1, 1, 1]), episode([0])]
    assert episode_length(episodes) == 2
    assert goal_return(episodes) == pytest.approx((3 + np.exp(-2)) / 2)


@pytest.mark.parametrize("name", cartpole.SETTINGS)
def test_every_setting_is_a_valid_run_on_five_explicit_seeds_or_ten(name):
    setting = cartpole.SETTINGS[name]
    ten = name in ("hold_at_one_50", "hold_at_one_ppo_goal", "hold_at_one_untrained_policy")
    assert setting.seeds == tuple(range(10 if ten else 5))
    configs = [setting.run_config(seed) for seed in setting.seeds[:2]]
    assert [config.seed for config in configs] == [0, 1]
    config = configs[0]
    assert config.evaluation.n_episodes == 20
    assert setting.control == (config.reward.source != "learned" or config.teacher == "random")


@pytest.mark.parametrize("family", cartpole.FAMILIES)
def test_settings_of_a_family_share_steps_environment_and_threshold(family):
    settings = [cartpole.SETTINGS[name] for name in cartpole.FAMILIES[family].settings]
    configs = [setting.run_config(0) for setting in settings]
    assert len({(c.env, c.feedback, c.evaluation) for c in configs}) == 1
    assert len({c.total_timesteps for c in configs if c.agent.options["learning_rate"]}) == 1
    assert len({setting.threshold for setting in settings}) == 1
    assert {config.reward.source for config in configs} == {"learned", "true", "untrained", "constant"}
    assert "random" in {config.teacher for config in configs}


def test_every_setting_belongs_to_one_family():
    assert sorted(name for family in cartpole.FAMILIES.values() for name in family.settings) == sorted(
        cartpole.SETTINGS
    )


def test_every_panel_shows_something_that_is_measured():
    for family in cartpole.FAMILIES.values():
        for setting in (cartpole.SETTINGS[name] for name in family.settings):
            measured = {"true_return_mean", *setting.measures}
            assert {panel.measure for panel in family.panels if isinstance(panel, Panel)} <= measured


def test_untrained_policy_never_learns():
    assert cartpole.SETTINGS["fixed_horizon_untrained_policy"].run_config(0).agent.options["learning_rate"] == 0


def test_testing_settings_carry_names_of_real_ones():
    assert set(cartpole.TESTING) <= set(cartpole.SETTINGS)


def test_unknown_experiments_and_settings_are_refused():
    with pytest.raises(ValueError, match="there is no experiment 'cartpool'"):
        load("cartpool")
    with pytest.raises(ValueError, match="there is no experiment '../cartpole'"):
        load("../cartpole")
    with pytest.raises(ValueError, match="unknown setting label_50; did you mean labels_50?"):
        choose(cartpole, testing=False, only=["label_50"])


def test_every_setting_of_a_run_has_a_column_with_a_dotted_name():
    config = cartpole.SETTINGS["labels_50"].run_config(3)
    columns = known_columns("cartpole", "labels_50", config)
    assert (columns["experiment"], columns["setting"], columns["seed"]) == ("cartpole", "labels_50", 3)
    assert (columns["labels"], columns["agent.n_envs"], columns["env_kwargs"]) == (50, 8, "{}")
    assert json.loads(columns["agent.options"]) == config.agent.options
    assert columns["reward.network_options"] == '{"hidden": [32, 32]}' and columns["teacher_options"] == "{}"
    assert columns["env.fixed_horizon"] is None
    assert "run_dir" not in columns


def test_what_other_pages_say_of_the_held_cart_is_in_the_rows():
    rows = read_results("cartpole", results_dir=RESULTS).runs
    labels, constant = (HELD_SCALE.part(f"hold_at_one_{name}", rows) for name in ("50", "constant"))
    assert f"50 labels reach {labels.middle:.2f} of" in HELD_NOTE.replace("\n", " ")
    assert f"reaches {constant.middle:.2f} [{constant.low:.2f}, {constant.high:.2f}]" in HELD_NOTE.replace("\n", " ")
