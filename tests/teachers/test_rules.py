from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.contracts import check_teacher, example_queries
from rlhf_gym.errors import BadInput
from rlhf_gym.option_flags import take_options
from rlhf_gym.preferences import Answer, Query, Ranking
from rlhf_gym.segments import Origin, Segment
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers.rules import RulesTeacher
from rlhf_gym.teachers.variables import variables_of

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "rules").glob("*.yaml"))
UPRIGHT_THEN_NEAR = """
environment: CartPole-v1
principles:
  - name: upright
    holds: abs(pole_angle) < 0.2
    tolerance: 0.25
  - name: near 1
    quantity: -abs(cart_position - 1)
"""


@pytest.fixture
def rules(tmp_path):
    def write(text=UPRIGHT_THEN_NEAR):
        file = tmp_path / "rules.yaml"
        file.write_text(text)
        return RulesTeacher(str(file))

    return write


def segment(positions, angles, *, actions=None, length=4):
    """Of CartPole; the first state is where it started, which no step led to."""
    lived = len(positions)
    states = np.zeros((lived + 1, 4), np.float32)
    states[1:, 0], states[1:, 2] = positions, angles
    return Segment(
        observations=states,
        actions=np.zeros(lived, np.int64) if actions is None else np.array(actions),
        rewards=np.ones(lived),
        length=length,
        terminated=lived < length,
        earlier_actions=np.zeros(0, np.int64),
    )


def query(*options, kind="comparison"):
    return Query(tuple(options), id="q", kind=kind)


UP = [0.0, 0.0, 0.0, 0.0]
TILTED = [0.0, 0.0, 0.3, 0.3]


def test_the_first_principle_that_tells_segments_apart_decides(rules):
    teacher = rules()
    tilted_and_near, upright_and_far = segment([1] * 4, TILTED), segment([0] * 4, UP)
    assert teacher.answer([query(tilted_and_near, upright_and_far)]) == [Answer.RIGHT]
    assert teacher.decided == {"upright": 1}


def test_within_its_tolerance_the_next_one_does(rules):
    teacher = rules()
    once_tilted = segment([1] * 4, [0, 0, 0, 0.3])  # 3 of 4 steps: 0.25 less
    assert teacher.answer([query(once_tilted, segment([0] * 4, UP))]) == [Answer.LEFT]
    assert teacher.decided == {"near 1": 1}
    assert teacher.decider(query(once_tilted, segment([0] * 4, UP))) == "near 1"


def test_what_none_tells_apart_is_a_tie(rules):
    teacher = rules()
    same = query(segment([0, 2, 0, 2], UP), segment([2, 0, 2, 0], UP))
    assert teacher.answer([same]) == [Answer.TIE]
    assert teacher.decider(same) is None and not teacher.decided


def test_at_steps_that_were_not_lived_no_condition_holds_and_nothing_is_measured(rules):
    teacher = rules()
    fell = segment([1, 1], [0, 0])
    assert teacher.answer([query(fell, segment([0] * 4, UP))]) == [Answer.RIGHT]  # half the steps
    just_before = segment([1, 1, 1], [0, 0, 0])  # three quarters: within the tolerance, and nearer
    assert teacher.answer([query(just_before, segment([0] * 4, UP))]) == [Answer.LEFT]


def test_a_ranking_is_ordered_principle_by_principle(rules):
    options = [segment([1] * 4, TILTED), segment([0] * 4, UP), segment([1] * 4, UP), segment([1] * 4, UP)]
    assert rules().answer([query(*options, kind="ranking")]) == [Ranking(((2, 3), (1,), (0,)))]


def test_weighted_principles_are_added_up(rules):
    text = UPRIGHT_THEN_NEAR.replace("principles:", "order: weighted\nprinciples:")
    asked = query(segment([1] * 4, TILTED), segment([0.75] * 4, UP))  # 0.5 + w 0 beside 1 - w 0.25
    assert rules(text + "    weight: 1.9\n").answer([asked]) == [Answer.RIGHT]
    heavier = rules(text + "    weight: 2.1\n")
    assert heavier.answer([asked]) == [Answer.LEFT]
    assert heavier.decided == {"near 1": 1}


def test_actions_are_variables_too(rules):
    teacher = rules("environment: CartPole-v1\nprinciples:\n  - {name: lefty, quantity: left - right}\n")
    asked = query(segment([0] * 4, UP, actions=[0, 0, 0, 1]), segment([0] * 4, UP, actions=[0, 0, 1, 1]))
    assert teacher.answer([asked]) == [Answer.LEFT]
    assert variables_of("Pendulum-v1").names == ("cos_angle", "sin_angle", "angular_velocity", "torque")


def test_variables_of_one_name_are_refused():
    class Twice(gymnasium.Env):
        observation_space, action_space = spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (1,))
        observation_names, action_names = ["force", "cart speed"], ["force"]

    gymnasium.register("RulesTest/Twice-v0", entry_point=Twice)
    try:
        with pytest.raises(BadInput, match="Twice-v0, where several variables are named force; give each its own name"):
            variables_of("RulesTest/Twice-v0")
    finally:
        del gymnasium.registry["RulesTest/Twice-v0"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_can_be_read_and_say_how_they_are_used(file):
    teacher = RulesTeacher(str(file))
    assert len(teacher.principles) > 1
    assert f"--teacher-options.file examples/rules/{file.name}" in file.read_text()


def test_the_contract_is_kept(rules):
    for kind in ("comparison", "ranking"):
        queries = example_queries(8, kind=kind)
        options = [tuple(replace(option, origin=None) for option in q.options) for q in queries]  # could be CartPole's
        check_teacher(rules, [replace(q, options=of) for q, of in zip(queries, options, strict=True)])


def test_a_run_is_taught_by_rules(tmp_path, rules):
    rules()
    config = RLHFConfig.for_env(
        "CartPole-v1", labels=12, total_timesteps=2048, teacher="rules",
        teacher_options={"file": str(tmp_path / "rules.yaml")},
    )  # fmt: skip
    rlhf = RLHF(config)
    rlhf.learn()
    assert len(rlhf.preferences) >= 12 and {p.teacher for p in rlhf.preferences} == {"rules"}
    assert sum(rlhf.teacher.decided.values()) > 0


def test_a_tenth_is_a_tenth(rules):
    teacher = rules(UPRIGHT_THEN_NEAR.replace("0.25", "0.1").partition("  - name: near")[0])
    held = {n: segment([0] * 10, [0.0] * n + [0.3] * (10 - n), length=10) for n in range(11)}
    for n in range(10):
        assert teacher.answer([query(held[n], held[n + 1])]) == [Answer.TIE]


def test_the_order_of_steps_is_nothing_to_a_quantity(rules):
    text = "environment: CartPole-v1\nprinciples:\n  - {name: near, quantity: -abs(cart_position - 1) ** 2}\n"
    rng = np.random.default_rng(0)
    for weighted in (text, text.replace("principles", "order: weighted\nprinciples")):
        teacher = rules(weighted)
        for _ in range(50):
            positions = rng.normal(size=25)
            there, back = segment(positions, [0] * 25, length=25), segment(positions[::-1], [0] * 25, length=25)
            assert teacher.answer([query(there, back)]) == [Answer.TIE]


def test_rules_for_another_environment_of_the_same_size_are_refused(tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text("environment: HalfCheetah-v5\nprinciples:\n  - {name: fast, quantity: rootx_velocity}\n")
    states, actions = np.zeros((2, 17), np.float32), np.zeros((1, 6), np.float32)
    walked = Segment(states, actions, np.zeros(1), 1, False, actions[:0], Origin("Walker2d-v5", 0))
    with pytest.raises(ValueError, match="segments are of Walker2d-v5 and the variables of HalfCheetah-v5"):
        RulesTeacher(str(file)).answer([query(walked, walked)])


def test_rules_of_another_environment_are_refused_before_anything_is_asked(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("environment: CartPole-v1\nprinciples:\n  - {name: up, holds: abs(pole_angle) < 0.2}\n")
    config = RLHFConfig.for_env("Pendulum-v1", teacher="rules", teacher_options={"file": str(file)})
    with pytest.raises(ValueError, match="mine.yaml', whose rules are for CartPole-v1, and env_id is Pendulum-v1"):
        RLHF(replace(config, run_dir=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_the_rules_that_it_began_with(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(UPRIGHT_THEN_NEAR)
    (tmp_path / "run").mkdir()
    with PreferenceStore(tmp_path / "run" / "preferences.db") as store:
        RulesTeacher(str(file), store)
        assert (tmp_path / "run" / "rules.yaml").read_text() == UPRIGHT_THEN_NEAR
        file.write_text(UPRIGHT_THEN_NEAR.replace("< 0.2", "> 0.2"))
        with pytest.raises(ValueError, match="mine.yaml', which has changed since the run began") as refused:
            RulesTeacher(str(file), store)
        assert "\n" not in str(refused.value)
        file.unlink()
        assert [p.name for p in RulesTeacher(str(file), store).principles] == ["upright", "near 1"]


def test_bad_rules_leave_no_copy(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("principles: []")
    (tmp_path / "run").mkdir()
    with PreferenceStore(tmp_path / "run" / "preferences.db") as store, pytest.raises(ValueError, match="environment"):
        RulesTeacher(str(file), store)
    file.write_text(UPRIGHT_THEN_NEAR.replace("pole_angle", "angle"))
    with PreferenceStore(tmp_path / "run" / "preferences.db") as store, pytest.raises(ValueError, match="no variable"):
        RulesTeacher(str(file), store)
    assert not (tmp_path / "run" / "rules.yaml").exists()


BAD = {
    "environment: CartPole-v1": "has no list of principles",
    "principles: []": "doesn't say for which environment",
    "[1, 2]": "doesn't say for which environment",
    "environment: [": "is no YAML",
    UPRIGHT_THEN_NEAR.replace("CartPole-v1", "CartPoll-v1"): "did you mean",
    UPRIGHT_THEN_NEAR + "order: random": "use one of lexicographic, weighted",
    UPRIGHT_THEN_NEAR + "teacher: me": "which has 'teacher'; it may have environment, env_kwargs, order, principles",
    UPRIGHT_THEN_NEAR.replace("pole_angle", "angle"): "'upright': 'abs(angle) < 0.2': there is no variable 'angle'",
    UPRIGHT_THEN_NEAR.replace("holds", "hold"): "'upright': it has 'hold'; a principle has holds, name, quantity",
    UPRIGHT_THEN_NEAR.replace("0.25", "-1"): "'upright': its tolerance is -1; use a number from 0",
    UPRIGHT_THEN_NEAR + "    holds: 1 > 0": "give it either holds, a condition, or quantity",
    UPRIGHT_THEN_NEAR + "    weight: much": "'near 1': its weight is 'much'; use a number",
    UPRIGHT_THEN_NEAR.replace("near 1", "upright"): "two principles are called 'upright'",
    "environment: CartPole-v1\nprinciples: [up]": "principle 1: it has no name",
    UPRIGHT_THEN_NEAR.replace("abs(pole_angle) < 0.2", "pole_angle + 3"): "'pole_angle + 3' is no condition",
    UPRIGHT_THEN_NEAR.replace("0.25", "true"): "its tolerance is True; use a number from 0",
    UPRIGHT_THEN_NEAR.replace("0.25", "1" * 400): "its tolerance is 1111",
    UPRIGHT_THEN_NEAR.replace("abs(pole_angle) < 0.2", "[1, 2]"): "it has [1, 2] for a formula",
    "environment: CartPole-v1\nprinciples: 2023-13-45": "is no YAML: month must be in 1..12",
    "a: &a [x]\nenvironment: CartPole-v1\norder: [*a, *a]": "it has an alias (*), which rules don't need",
    "environment: " + "[" * 3000: "is no YAML",
}


@pytest.mark.parametrize(("text", "message"), BAD.items(), ids=range(len(BAD)))
def test_bad_rules_are_told_in_one_line(rules, text, message):
    with pytest.raises(ValueError, match="rules.yaml|CartPoll") as refused:
        rules(text)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"teacher_options.file is '.*none.yaml', which can't be read"):
        RulesTeacher(str(tmp_path / "none.yaml"))
    with pytest.raises(ValueError, match=r"teacher_options.file is '5', which can't be read"):
        RulesTeacher(5)


def test_a_file_whose_name_is_a_number_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2024").write_text(UPRIGHT_THEN_NEAR)
    (options,) = take_options(["--teacher-options.file", "2024"])[1][1:]
    assert [p.name for p in RulesTeacher(**options["teacher_options"]).principles] == ["upright", "near 1"]


def test_segments_of_another_environment_are_refused(rules):
    other = Segment(np.zeros((3, 2), np.float32), np.zeros(2, np.int64), np.zeros(2), 2, False, np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="segments have 2 observed numbers and 2 of actions and the variables are 4"):
        rules().answer([query(other, other)])


def test_a_quantity_that_is_not_finite_is_told(rules):
    text = UPRIGHT_THEN_NEAR.replace("-abs(cart_position - 1)", "log(cart_position)")
    told = r"principle 'near 1', log\(cart_position\), gives -inf for step 0 of the left segment of query 'q'"
    with pytest.raises(ValueError, match=told):
        rules(text).answer([query(segment([0] * 4, UP), segment([1] * 4, UP))])
