"""Flags for single options, and flags of earlier versions."""

from functools import reduce

import pytest

from rlhf_gym.cli import parse
from rlhf_gym.config.mappings import merge
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
    others, changes = take_options(words)
    assert (others, reduce(merge, changes)) == (left, named)


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


@pytest.mark.parametrize(
    "words",
    [
        ["--teacher-options", '{"beta": 1}', "--teacher-options.eps-mistake", "0.2"],
        ["--teacher-options.eps-mistake", "0.2", "--teacher-options", '{"beta": 1}'],
        ["--teacher-options", '{"beta": 1}', "--teacher-options", '{"eps_mistake": 0.2}'],
    ],
)
def test_options_in_one_object_and_one_by_one_are_laid_over_each_other(words):
    assert settings("--teacher", "noisy", *words).teacher_options == {"beta": 1, "eps_mistake": 0.2}


def test_of_two_values_of_an_option_the_last_counts_in_whichever_form():
    one, all_ = ["--agent.options.gamma", "0.9"], ["--agent.options", '{"gamma": 0.5}']
    assert settings(*all_, *one).agent.options["gamma"] == 0.9
    assert settings(*one, *all_).agent.options["gamma"] == 0.5


def test_one_object_leaves_the_other_options_of_the_preset_and_an_empty_one_drops_them():
    preset = settings("--env-id", "HalfCheetah-v5").agent.options
    words = ["--env-id", "HalfCheetah-v5", "--agent.options"]
    assert settings(*words, '{"gamma": 0.5}').agent.options == preset | {"gamma": 0.5}
    dropped = settings(*words, "{}", "--agent.options.gamma", "0.5").agent.options
    assert (dropped["gamma"], dropped["log_std_init"], preset["log_std_init"]) == (0.5, 0.0, -1.0)


def test_names_with_options_in_one_object_and_one_by_one_are_laid_over_each_other():
    more = settings("--reward.more", '{"crops": {}}', "--reward.more.pseudo-labels.threshold", "0.9").reward.more
    assert more == {"crops": {}, "pseudo_labels": {"threshold": 0.9}}


def test_options_are_checked_together_with_all_other_flags():
    words = ["--agent.n-envs", "32", "--agent.options.n-steps", "16", "--agent.options.batch-size", "512"]
    options = settings("--env-id", "HalfCheetah-v5", *words).agent.options  # a rollout of its 8 has 128 steps
    assert (options["n_steps"], options["batch_size"]) == (16, 512)


@pytest.mark.parametrize(("words", "came"), [(["5"], "'5'"), (["{beta:", "1}"], "'{beta: 1}'"), ([], "''")])
def test_options_that_are_no_object_are_refused(words, came):
    with pytest.raises(ValueError, match=f"^--teacher-options is {came}; expected one JSON object in quotes, such as"):
        settings("--teacher-options", *words)


def test_an_option_without_a_value_is_refused():
    with pytest.raises(ValueError, match="--agent.options.gamma has no value; expected --agent.options.gamma VALUE"):
        settings("--agent.options.gamma")


@pytest.mark.parametrize("on", [True, False])
def test_a_flag_means_the_same_whatever_the_preset_or_file_says(tmp_path, on):
    file = tmp_path / "file.yaml"
    file.write_text(f"feedback: {{async_labels: {str(on).lower()}}}\nreward: {{calibrate: {str(on).lower()}}}\n")
    for flags, wanted in (
        (["--async-labels", "--reward.calibrate"], True),
        (["--no-async-labels", "--reward.no-calibrate"], False),
    ):
        config = settings("--config", str(file), *flags)
        assert (config.feedback.async_labels, config.reward.calibrate) == (wanted, wanted)
