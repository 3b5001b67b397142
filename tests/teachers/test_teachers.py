import math

import numpy as np
import pytest

from rlhf_gym.contracts import TEACHER_RULES, check_teacher, example_queries
from rlhf_gym.preferences import Answer, Query
from rlhf_gym.segments import Segment
from rlhf_gym.teachers import OracleTeacher, RandomTeacher, Teacher

TEACHERS = {
    "oracle": OracleTeacher,
    "oracle with a goal": lambda: OracleTeacher(lambda obs, actions, next_obs: obs[:, 0] + np.exp(next_obs[:, 1])),
    "random": lambda: RandomTeacher(seed=7),
}


def segment(*rewards, length=5, positions=None):
    """A segment paid `rewards`; the one number it observes is `positions`, the first position included."""
    lived = len(rewards)
    positions = range(lived + 1) if positions is None else positions
    return Segment(
        observations=np.array(positions, np.float32)[:, None],
        actions=np.zeros(lived, np.int64),
        rewards=np.array(rewards, np.float64),
        length=length,
        terminated=lived < length,
        earlier_actions=np.zeros(0, np.int64),
    )


def ask(teacher, left, right, id="q"):
    return teacher.answer([Query((left, right), id=id)])[0]


@pytest.mark.parametrize("rule", TEACHER_RULES)
@pytest.mark.parametrize("make", TEACHERS.values(), ids=TEACHERS)
def test_teachers_keep_the_contract(make, rule):
    rule(make, example_queries(40))


def test_the_contract_catches_a_teacher_that_looks_at_the_batch():
    class Comparer(Teacher):
        name = "comparer"

        def answer(self, queries):
            return [Answer.LEFT if len(queries) > 1 else Answer.RIGHT for _ in queries]

    with pytest.raises(AssertionError, match="one by one"):
        check_teacher(Comparer)


def test_the_contract_catches_a_teacher_that_forgets_a_query():
    class Forgetful(Teacher):
        name = "forgetful"

        def answer(self, queries):
            return [Answer.LEFT] * (len(queries) - 1)

    with pytest.raises(AssertionError, match="8 queries got 7 answers"):
        check_teacher(Forgetful)


def test_oracle_prefers_the_larger_sum_of_true_rewards():
    # 1 - 2 + 4 = 3 against 2 + 0 + 0.5 = 2.5
    assert ask(OracleTeacher(), segment(1, -2, 4, length=3), segment(2, 0, 0.5, length=3)) is Answer.LEFT
    assert ask(OracleTeacher(), segment(2, 0, 0.5, length=3), segment(1, -2, 4, length=3)) is Answer.RIGHT


def test_oracle_counts_nothing_after_a_termination():
    # Living pays 1: five steps beat three. Living costs 1: three beat five.
    assert ask(OracleTeacher(), segment(1, 1, 1, 1, 1), segment(1, 1, 1)) is Answer.LEFT
    assert ask(OracleTeacher(), segment(-1, -1, -1, -1, -1), segment(-1, -1, -1)) is Answer.RIGHT


def test_equal_constant_rewards_over_equally_many_steps_are_a_tie():
    fifty = [0.1] * 50
    assert ask(OracleTeacher(), segment(1, 1, 1), segment(1, 1, 1)) is Answer.TIE
    assert ask(OracleTeacher(), segment(*fifty, length=50), segment(*fifty, length=50)) is Answer.TIE


def test_the_order_of_the_same_rewards_makes_no_difference():
    forwards, backwards = (0.1, 0.2, 0.3), (0.3, 0.2, 0.1)
    assert (0.1 + 0.2) + 0.3 != (0.3 + 0.2) + 0.1  # added up one by one, they differ by rounding alone
    assert ask(OracleTeacher(), segment(*forwards), segment(*backwards)) is Answer.TIE


def test_there_is_no_tolerance_beyond_rounding():
    assert ask(OracleTeacher(), segment(1.0), segment(math.nextafter(1.0, 2.0))) is Answer.RIGHT


def test_oracle_with_a_goal_sums_the_goal_over_lived_steps():
    # |next position| summed: 1 + 2 = 3 against 5; the environment's own rewards say the opposite.
    left, right = segment(9, 9, positions=[0, 1, 2]), segment(0, positions=[0, 5])
    assert ask(OracleTeacher(lambda obs, actions, next_obs: np.abs(next_obs[:, 0])), left, right) is Answer.RIGHT
    # |position|: 0 + 1 against 0
    assert ask(OracleTeacher(lambda obs, actions, next_obs: np.abs(obs[:, 0])), left, right) is Answer.LEFT


def test_a_goal_is_called_once_for_all_steps():
    calls = []

    def goal(observations, actions, next_observations):
        calls.append((observations.shape, actions.shape, next_observations.shape))
        return np.zeros(len(actions))

    queries = [Query((segment(1, 1), segment(1, 1, 1)), id="a"), Query((segment(1), segment(1, 1)), id="b")]
    assert OracleTeacher(goal).answer(queries) == [Answer.TIE, Answer.TIE]
    assert calls == [((8, 1), (8,), (8, 1))]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_true_reward_that_is_not_finite_is_refused_by_the_name_of_its_step(bad):
    queries = [Query((segment(1, 1), segment(1)), id="a"), Query((segment(1), segment(1, 1, bad, 1)), id="b")]
    with pytest.raises(ValueError, match=f"environment gives {bad} for step 2 of the right segment of query 'b'"):
        OracleTeacher().answer(queries)


def test_a_goal_that_gives_nan_is_refused_by_the_name_of_its_step():
    def roots(observations, actions, next_observations):
        return np.sqrt(np.where(next_observations[:, 0] == 3, np.nan, 1))

    with pytest.raises(ValueError, match="goal roots gives nan for step 2 of the left segment of query 'q'"):
        ask(OracleTeacher(roots), segment(0, 0, 0), segment(0))


def test_with_a_goal_the_true_rewards_are_not_looked_at():
    def still(observations, actions, next_observations):
        return np.zeros(len(actions))

    assert ask(OracleTeacher(still), segment(math.nan), segment(1)) is Answer.TIE


def test_random_answers_are_a_fair_coin():
    answers = RandomTeacher(seed=0).answer(example_queries(1) * 10_000)
    assert set(answers) == {Answer.LEFT, Answer.RIGHT}
    # 5 standard deviations of Binomial(10000, 1/2) are 250.
    assert abs(answers.count(Answer.LEFT) - 5000) < 250


def test_another_seed_gives_other_random_answers():
    queries = example_queries(1) * 64
    assert RandomTeacher(seed=0).answer(queries) != RandomTeacher(seed=1).answer(queries)
