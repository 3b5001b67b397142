"""The principles of a constitution, one by one: each under its own name, as if it were alone."""

import json

import numpy as np
import pytest

from rlhf_gym import RLHF
from rlhf_gym.config import RLHFConfig
from rlhf_gym.preferences import Answer, Level, Query
from rlhf_gym.segments import Ending, Trajectory
from rlhf_gym.teachers.principles import PrinciplesTeacher
from rlhf_gym.teachers.several import Open

RULES = """
environment: CartPole-v1
principles:
  - name: right
    quantity: cart_position
    tolerance: 100
  - name: upright
    holds: abs(pole_angle) < 0.1
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return str(path)


def segment(position, angle):
    observations = np.zeros((5, 4), np.float32)
    observations[:, 0], observations[:, 2] = position, angle
    return Trajectory(observations, np.zeros(4, np.int64), np.zeros(4), Ending.TRUNCATED).cut(0, 4)


def query(id_="q", kind="comparison"):
    return Query((segment(1.0, 0.2), segment(0.0, 0.0)), id=id_, kind=kind)


def test_each_principle_answers_alone_without_tolerance(file):
    teacher = PrinciplesTeacher(file)
    assert teacher.each == 2
    replies = teacher.replies([Open(query(), wanted=2)])
    assert [(reply.who, reply.answer) for reply in replies] == [("right", Answer.LEFT), ("upright", Answer.RIGHT)]


def test_only_those_answer_that_have_not_and_as_many_as_are_wanted(file):
    waiting = [Open(query("a"), 1, ()), Open(query("b"), 2, ("right",)), Open(query("c"), 2, ())]
    replies = PrinciplesTeacher(file).replies(waiting)
    assert [(reply.query.id, reply.who) for reply in replies] == [
        ("a", "right"),
        ("b", "upright"),
        ("c", "right"),
        ("c", "upright"),
    ]


def test_each_rates_by_what_it_has_seen_itself(file):
    teacher, rated = PrinciplesTeacher(file), []
    for number, (position, angle) in enumerate([(0.0, 0.0), (1.0, 0.5)]):
        asked = Query((segment(position, angle),), id=str(number), kind="rating-2")
        rated += [(reply.who, reply.answer) for reply in teacher.replies([Open(asked, 2)])]
    assert rated[2:] == [("right", Level(2, 2)), ("upright", Level(1, 2))]


def test_what_each_has_seen_is_kept_with_a_run(file):
    def rates(teacher, position):
        asked = Query((segment(position, 0.0),), id=str(position), kind="rating-9")
        return [(reply.who, reply.answer) for reply in teacher.replies([Open(asked, 2)])]

    kept, fresh = PrinciplesTeacher(file), PrinciplesTeacher(file)
    for position in (0.0, 1.0, 2.0):
        rates(kept, position)
    fresh.restore_state(json.loads(json.dumps(kept.save_state())))
    assert rates(fresh, 0.5) == rates(kept, 0.5) != rates(PrinciplesTeacher(file), 0.5)


def test_a_run_learns_a_reward_of_each_principle_from_one_set_of_answers(file):
    rlhf = RLHF(
        RLHFConfig.from_dict(
            {
                "labels": 40,
                "total_timesteps": 1200,
                "teacher": "principles",
                "teacher_options": {"file": file},
                "method": "objectives",
                "method_options": {"weights": {"right": 1.0, "upright": 2.0}},
                "query": {"rounds": 3, "warm_up_steps": 600},
                "agent": {"n_envs": 2, "options": {"n_steps": 64, "batch_size": 64}},
            }
        )
    )
    *_, done = rlhf.rounds()
    assert (done.labels, len({p.query.id for p in rlhf.preferences})) == (40, 20)
    by = {name: [p for p in rlhf.preferences if p.teacher == name] for name in ("right", "upright")}
    assert [len(mine) for mine in by.values()] == [20, 20]
    at = [(t.observations[:-1], t.actions, t.observations[1:]) for t in rlhf.collect()]
    steps = tuple(np.concatenate(arrays) for arrays in zip(*at, strict=True))
    goes_with_position = {
        name: np.corrcoef(learner.step_rewards(*steps).mean(axis=0), steps[0][:, 0])[0, 1]
        for name, learner in rlhf.method.learners.items()
    }
    assert goes_with_position["right"] > max(0.3, goes_with_position["upright"])
    rlhf.close()


def test_what_would_have_to_be_shown_is_not_asked_of_principles(file):
    assert "demonstration" not in PrinciplesTeacher.kinds
    config = RLHFConfig(teacher="principles", teacher_options={"file": file}, kind="correction")
    with pytest.raises(ValueError, match="principles can't answer a correction; it answers comparison"):
        RLHF(config)
