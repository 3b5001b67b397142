"""Several objectives at once: a reward model each, by the answers of a teacher each, paid as their weighted sum."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rlhf_gym import RLHF
from rlhf_gym.config import RLHFConfig
from rlhf_gym.methods.objectives import _together
from rlhf_gym.rewards import RewardFit
from rlhf_gym.rewards.paid import weighted
from rlhf_gym.teachers import OracleTeacher

LEFT, RIGHT = "left of the middle", "right of the middle"


def position(segments):
    return np.array([segment.observations[:-1, 0].sum() for segment in segments])


def settings(weights=None):
    return RLHFConfig.from_dict(
        {
            "labels": 1,
            "total_timesteps": 1200,
            "method": "objectives",
            "method_options": {"weights": {RIGHT: 1.0, LEFT: 1.0} if weights is None else weights},
            "query": {"rounds": 2, "warm_up_steps": 600},
            "agent": {"n_envs": 2, "options": {"n_steps": 64, "batch_size": 64}},
        }
    )


def taught(config, n=30):
    """A run with answers of two teachers, who want the opposite of each other."""
    rlhf = RLHF(config)
    rlhf.collect()
    queries = rlhf.ask(n)
    for name, wants in ((RIGHT, 1), (LEFT, -1)):
        teacher = OracleTeacher(values=lambda segments, wants=wants: wants * position(segments))
        rlhf.tell(queries, teacher.answer(queries), teacher=name)
    rlhf.fit_reward()
    return rlhf


def steps(rlhf):
    trajectories = rlhf.collect()
    parts = [(t.observations[:-1], t.actions, t.observations[1:]) for t in trajectories]
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def test_each_objective_is_learned_from_its_own_teacher():
    rlhf = taught(settings())
    at = steps(rlhf)
    for name, sign in ((RIGHT, 1), (LEFT, -1)):
        reward = rlhf.method.learners[name].step_rewards(*at).mean(axis=0)
        assert sign * np.corrcoef(reward, at[0][:, 0])[0, 1] > 0.7
    rlhf.close()


def test_the_weighted_sum_is_what_is_paid_and_what_queries_are_chosen_by():
    rlhf = taught(settings({RIGHT: 2.0, LEFT: 0.5}))
    at, learners = steps(rlhf), rlhf.method.learners
    each = {name: learner.model.reward_function()(*at) for name, learner in learners.items()}
    paid = weighted([learner.model.reward_function() for learner in learners.values()], [2.0, 0.5])(*at, None)
    np.testing.assert_allclose(paid, 2 * each[RIGHT] + 0.5 * each[LEFT], rtol=1e-5)
    assert np.corrcoef(paid, at[0][:, 0])[0, 1] > 0.7
    raw = {name: learner.step_rewards(*at) for name, learner in learners.items()}
    np.testing.assert_allclose(rlhf.method.step_scores(*at), 2 * raw[RIGHT] + 0.5 * raw[LEFT], rtol=1e-4, atol=1e-5)
    rlhf.improve(rlhf.agent.portion)
    rlhf.close()


def test_an_objective_of_weight_zero_is_learned_and_not_paid():
    rlhf = taught(settings({RIGHT: 1.0, LEFT: 0.0}))
    at = steps(rlhf)
    np.testing.assert_array_equal(
        weighted([m.model.reward_function() for m in rlhf.method.learners.values()], [1.0, 0.0])(*at, None),
        rlhf.method.learners[RIGHT].model.reward_function()(*at),
    )
    rlhf.close()


def test_an_objective_without_answers_adds_nothing_to_the_reward():
    rlhf = taught(settings({RIGHT: 1.0, "lefft": 5.0}))
    at, method = steps(rlhf), rlhf.method
    expected = method.learners[RIGHT].step_rewards(*at)
    np.testing.assert_allclose(method.step_scores(*at), expected, rtol=1e-4, atol=1e-5)
    rlhf.improve(rlhf.agent.portion)
    reward = method.learners[RIGHT].model.reward_function()
    np.testing.assert_allclose(rlhf.venv.reward_function(*at, None), reward(*at), rtol=1e-5)
    rlhf.close()


def test_a_saved_run_comes_back_with_every_objective(tmp_path):
    rlhf = taught(settings())
    rlhf.save(tmp_path / "saved")
    at = steps(rlhf)
    before = {name: learner.step_rewards(*at) for name, learner in rlhf.method.learners.items()}
    rlhf.close()
    loaded = RLHF.load(tmp_path / "saved")
    for name, learner in loaded.method.learners.items():
        np.testing.assert_array_equal(learner.step_rewards(*at), before[name])
    loaded.close()


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({}, "method_options.weights is {}; give objectives"),
        ({"a": 0.0}, "not all of them 0"),
        ({"a": "much"}, "weights is {'a': 'much'}"),
        ([1.0], r"weights is \[1.0\]"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weights, told):
    with pytest.raises(ValueError, match=told):
        RLHF(settings(weights))


def test_a_name_that_nobody_answers_under_is_told_of_once_beside_those_who_did(capsys):
    rlhf = taught(settings({RIGHT: 1.0, "lefft": 1.0}))
    told = f"method_options.weights names lefft, who answered nothing so far, and not {LEFT}, whose answers are left"
    assert told in capsys.readouterr().err
    rlhf.fit_reward()
    assert told not in capsys.readouterr().err
    rlhf.close()
    taught(settings({RIGHT: 1.0, LEFT: 1.0})).close()
    assert "who answered nothing" not in capsys.readouterr().err


def test_a_name_that_nobody_will_ever_answer_under_is_refused(tmp_path):
    taught(settings().replace(run_dir=str(tmp_path / "run"))).close()
    config = settings({RIGHT: 1.0, "lefft": 1.0}).replace(labels=0, feedback={"preferences": str(tmp_path / "run")})
    told = f"names lefft, who answered nothing in .*run, and labels is 0; name some of {LEFT}, {RIGHT}"
    with pytest.raises(ValueError, match=told):
        RLHF(config)


def test_answers_of_nobody_who_is_named_are_refused():
    rlhf = RLHF(settings({"fast": 1.0}))
    rlhf.collect()
    queries = rlhf.ask(4)
    rlhf.tell(queries, OracleTeacher().answer(queries))
    if rlhf.answers.choices:
        with pytest.raises(ValueError, match="names fast, and answers are by oracle; name teachers"):
            rlhf.fit_reward()
    rlhf.close()


def test_a_figure_that_one_of_the_fits_lacks_is_the_others():
    known = RewardFit(n=3, loss=0.5, loss_heldout=0.7, accuracy=1.0, accuracy_heldout=0.8, l2=0.1, steps=1, seconds=2.0)
    lacking = replace(known, n=1, loss=1.5, loss_heldout=math.nan, accuracy_heldout=math.nan)
    both = _together([lacking, known])
    assert (both.n, both.loss, both.loss_heldout, both.accuracy_heldout) == (4, 1.0, 0.7, 0.8)
    assert math.isnan(_together([lacking, lacking]).loss_heldout)


def test_another_reward_than_its_own_is_refused():
    with pytest.raises(ValueError, match="reward.source is true and method is objectives, which pays what its own"):
        RLHFConfig.from_dict({"method": "objectives", "labels": 0, "reward": {"source": "true"}})


@pytest.mark.parametrize("damage", [None, "{", '{"objectives": 3, "version": 1}', '{"objectives": []}'])
def test_a_list_of_objectives_that_is_lost_or_damaged_is_named(tmp_path, damage):
    rlhf = RLHF(settings())
    rlhf.save(tmp_path)
    rlhf.close()
    names = tmp_path / "reward_model" / "objectives.json"
    names.write_text(damage) if damage else names.unlink()
    with pytest.raises(ValueError, match=r"objectives.json can't be read: .*; bring it back"):
        RLHF.load(tmp_path)
