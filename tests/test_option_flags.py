"""Flags for single options, and flags of earlier versions."""

import pytest

from rlhf_gym.cli import parse
from rlhf_gym.option_flags import take_options


def settings(*words):
    return parse(["train", *words]).settings


@pytest.mark.parametrize(
    ("words", "left", "named"),
    [
        (["--agent.options.gamma", "0.9"], [], {"agent": {"options": {"gamma": 0.9}}}),
        (["--agent.options.learning_rate=1e-3"], [], {"agent": {"options": {"learning_rate": 0.001}}}),
        (["--teacher-options.who", "ann"], [], {"teacher_options": {"who": "ann"}}),
        (["--agent.gamma", "0.9", "--seed", "3"], ["--seed", "3"], {"agent": {"options": {"gamma": 0.9}}}),
        (["--reward.hidden", "8", "4"], [], {"reward": {"network_options": {"hidden": [8, 4]}}}),
        (["--reward.hidden", "8"], [], {"reward": {"network_options": {"hidden": [8]}}}),
        (["--query.first-steps", "64"], ["--query.warm-up-steps", "64"], {}),
        (["--algo", "sac"], ["--algo", "sac"], {"algo": "sac"}),
        (
            ["--reward.source", "true_scaled"],
            ["--reward.source", "normalised_true"],
            {"reward": {"source": "normalised_true"}},
        ),
        (
            ["--agent.n-epochs", "2", "--agent.options.n-epochs", "4", "--algo", "sac", "--algo", "ppo"],
            ["--algo", "sac", "--algo", "ppo"],
            {"agent": {"options": {"n_epochs": 4}}, "algo": "ppo"},
        ),
        (["runs/a", "--seed", "3"], ["runs/a", "--seed", "3"], {}),
    ],
)
def test_options_are_taken_out_of_the_words(words, left, named):
    assert take_options(words) == (left, named)


def test_one_option_is_set_and_the_others_of_the_preset_stay():
    options = settings("--env-id", "CartPole-v1", "--agent.options.gamma", "0.5").agent.options
    assert (options["gamma"], options["n_steps"]) == (0.5, 128)


def test_another_name_leaves_the_options_of_the_presets_behind():
    config = settings("--env-id", "Pendulum-v1", "--algo", "a2c", "--query.schedule", "constant")
    assert (config.algo, config.agent.options, config.query.schedule_options) == ("a2c", {}, {})


def test_flags_of_earlier_versions_are_read():
    config = settings("--reward.source", "constant", "--reward.constant", "-1", "--agent.n-steps", "64")
    assert (config.reward.source_options, config.agent.options["n_steps"]) == ({"value": -1}, 64)


def test_all_options_may_come_as_one_object():
    assert settings("--teacher-options", '{"beta": 2}').teacher_options == {"beta": 2}


def test_an_option_without_a_value_is_refused():
    with pytest.raises(ValueError, match="--agent.options.gamma has no value; expected --agent.options.gamma VALUE"):
        settings("--agent.options.gamma")
