import math
from collections import Counter

import numpy as np
import pytest

from rlhf_gym.contracts import TEACHER_RULES, check_teacher, example_queries
from rlhf_gym.preferences import Answer, Query, Ranking
from rlhf_gym.segments import Segment
from rlhf_gym.teachers import OracleTeacher, RandomTeacher, Teacher, goal_returns, true_returns
from rlhf_gym.teachers.teacher import state_as_json

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
    rule(make, [*example_queries(12, kind="ranking"), *example_queries(4, seed=1)])


def test_the_contract_catches_a_teacher_that_looks_at_the_batch():
    class Comparer(Teacher):
        name = "comparer"

        def answer(self, queries):
            return [Answer.LEFT if len(queries) > 1 else Answer.RIGHT for _ in queries]

    with pytest.raises(AssertionError, match="one by one"):
        check_teacher(Comparer)


class Counting(OracleTeacher):
    """Its state is its number of answers, of any type."""

    def __init__(self, as_type):
        super().__init__()
        self.given, self.as_type = as_type(0), as_type

    def answer(self, queries):
        self.given = self.as_type(int(self.given) + len(queries))
        return super().answer(queries)

    def save_state(self):
        return {"given": self.given, "by": [self.given]}

    def restore_state(self, state):
        assert state["by"] == [state["given"]] and type(state["given"]) is int
        self.given = self.as_type(state["given"])


@pytest.mark.parametrize("as_type", [int, np.int64, np.array])
def test_a_state_may_hold_numpys_numbers(as_type):
    check_teacher(lambda: Counting(as_type), example_queries(4))


class Holding(OracleTeacher):
    def __init__(self, state):
        super().__init__()
        self.state = state

    def save_state(self):
        return {"state": self.state}


def test_a_state_that_isnt_json_is_refused_by_the_teachers_name():
    told = (
        r"save_state of teacher oracle returned \{.*\}, which can't be written as JSON \(it holds a complex\); return"
    )
    with pytest.raises(ValueError, match=told):
        state_as_json(Holding(1j))
    with pytest.raises(AssertionError, match=f"its state can be saved: {told}"):
        check_teacher(lambda: Holding(1j), example_queries(4))


def test_the_contract_catches_a_teacher_that_forgets_a_query():
    class Forgetful(Teacher):
        name = "forgetful"

        def answer(self, queries):
            return [Answer.LEFT] * (len(queries) - 1)

    with pytest.raises(AssertionError, match="8 queries got 7 answers"):
        check_teacher(Forgetful)


def test_the_contract_catches_a_teacher_that_answers_a_ranking_by_a_side():
    class Leftist(Teacher):
        name = "leftist"

        def answer(self, queries):
            return [Answer.LEFT for _ in queries]

    with pytest.raises(AssertionError, match="a ranking gets an answer of its kind: query '0-0' is a ranking of 3"):
        check_teacher(Leftist)
    check_teacher(Leftist, example_queries(8))


def test_oracle_ranks_by_the_sum_of_true_rewards_and_ties_equal_ones():
    options = (segment(1, 1), segment(3), segment(2), segment(-1))
    [ranking] = OracleTeacher().answer([Query(options, id="q", kind="ranking")])
    assert ranking == Ranking(((1,), (0, 2), (3,)))


def test_values_of_ones_own_take_the_place_of_a_sum():
    def longest(segments):
        return np.array([s.lived for s in segments])

    assert ask(OracleTeacher(values=longest), segment(0, 0), segment(9)) is Answer.LEFT
    with pytest.raises(ValueError, match="got both a goal and values; give one of them"):
        OracleTeacher(lambda o, a, n: o[:, 0], values=longest)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            lambda segments: [1.0],
            r"values returned float64 of shape \(1,\) for 2 segments; expected one real number",
        ),
        (lambda segments: ["a", "b"], r"values returned <U1 of shape \(2,\) for 2 segments"),
        (
            lambda segments: [0.0, math.nan],
            "values returned nan for the right segment of query 'q'; worth must be",
        ),
    ],
)
def test_values_that_are_no_worth_are_refused(values, told):
    with pytest.raises(ValueError, match=told):
        ask(OracleTeacher(values=values), segment(0), segment(0))


def test_returns_are_exact_sums_over_lived_steps_whatever_stands_beside():
    segments = [segment(*[0.1] * 10, length=10), segment(1e100, 1.0, -1e100), segment(2)]
    assert true_returns(segments).tolist() == [1.0, 1.0, 2.0]  # added up one by one, 0.1 gives 0.9999999999999999
    assert goal_returns(lambda obs, actions, next_obs: next_obs[:, 0])(segments).tolist() == [55.0, 6.0, 1.0]


def test_a_sum_too_large_for_a_float_is_infinite_with_its_sign():
    assert true_returns([segment(1e308, 1e308), segment(-1e308, -1e308)]).tolist() == [math.inf, -math.inf]


def test_a_return_that_is_not_finite_is_refused_by_step_and_segment():
    with pytest.raises(ValueError, match="the environment gives nan for step 1 of segment 1; rewards must be finite"):
        true_returns([segment(1, 1), segment(1, math.nan)])
    three = Query((segment(1), segment(1, math.inf), segment(2)), id="q", kind="ranking")
    with pytest.raises(ValueError, match="the environment gives inf for step 1 of the b segment of query 'q'"):
        OracleTeacher().answer([three])


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


def test_random_rankings_are_every_order_equally_often():
    answers = RandomTeacher(seed=0).answer(example_queries(1, kind="ranking") * 6000)
    orders = Counter(answer.groups for answer in answers)
    # 5 standard deviations of Binomial(6000, 1/6) are 144.
    assert len(orders) == 6 and all(abs(n - 1000) < 144 for n in orders.values())


def test_another_seed_gives_other_random_answers():
    queries = example_queries(1) * 64
    assert RandomTeacher(seed=0).answer(queries) != RandomTeacher(seed=1).answer(queries)
