import math
import sys

import numpy as np
import pytest

from rlhf_gym.errors import BadInput
from rlhf_gym.registry import GOALS
from rlhf_gym.teachers import goal_rewards, load_goal

MODULE = """
import numpy as np

def stay(observations, actions, next_observations):
    return -np.abs(next_observations[:, 0])

target = 1.0
"""


@pytest.fixture
def goals_here(tmp_path, monkeypatch):
    """A folder with a module of goals, in which the tests are started; what they import is forgotten again."""
    (tmp_path / "my_own_goals.py").write_text(MODULE)
    (tmp_path / "goals_of_nobody.py").write_text("import not_installed_anywhere")
    (tmp_path / "broken_goals.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in ("my_own_goals", "goals_of_nobody", "broken_goals"):
        sys.modules.pop(name, None)


def test_a_goal_is_found_in_the_folder_where_the_command_is_started(goals_here):
    goal = load_goal("my_own_goals:stay")
    assert goal(None, None, np.array([[2.0], [-0.5]])).tolist() == [-2.0, -0.5]


@pytest.mark.parametrize("name", GOALS)
def test_a_built_in_goal_is_found_by_its_plain_name(name):
    assert load_goal(name).__name__ == name
    assert load_goal(name) is load_goal(f"rlhf_gym.teachers.builtin_goals:{name}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("stay", "or module:name of your own, such as my_module:thing for my_module.py"),
        ("stay", "expected one of cart_pole_hold_at_one, pendulum_spin, "),
        ("half_cheetah_backward", "did you mean half_cheetah_backwards?"),
        ("HopperBackflip", "did you mean hopper_backflip?"),
        ("my_own_goals.stay", "or module:name of your own"),
        ("my_own_goals:", "or module:name of your own"),
        (":stay", "or module:name of your own"),
        ("my_own_goals:stay:here", "or module:name of your own"),
        ("./my_own_goals.py:stay", "or module:name of your own"),
        ("my_own_goals.py:stay", "or module:name of your own"),
        ("..my_own_goals:stay", "or module:name of your own"),
        ("my_other_goals:stay", "there is no module 'my_other_goals'"),
        ("goals_of_nobody:stay", "there is no module 'not_installed_anywhere'"),
        ("broken_goals:stay", "importing 'broken_goals' fails: ZeroDivisionError: division by zero"),
        ("my_own_goals:sty", "'my_own_goals' has no 'sty'; it has: stay"),
        ("my_own_goals:target", "which is 1.0; expected a function of"),
    ],
)
def test_a_goal_that_cannot_be_loaded_is_refused_in_one_line(goals_here, spec, message):
    with pytest.raises(ValueError) as refusal:
        load_goal(spec)
    assert repr(spec) in str(refusal.value)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def rewards_of(goal, steps=3):
    return goal_rewards(goal, np.zeros((steps, 2)), np.zeros(steps), np.ones((steps, 2)))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros((3, 1)), r"returned float64 of shape \(3, 1\) for 3 steps; .* shape \(3,\)"),
        (np.zeros(2), r"shape \(2,\) for 3 steps"),
        (1.0, r"shape \(\) for 3 steps"),
        (None, "expected one real number per step"),
        (np.array(["a", "b", "c"]), "expected one real number per step"),
        (np.zeros(3, complex), "expected one real number per step"),
        ([0.0, np.inf, np.nan], "gives inf for step 1; rewards must be finite"),
    ],
)
def test_a_goal_must_return_one_finite_number_per_step(returned, message):
    with pytest.raises(ValueError, match=message):
        rewards_of(lambda observations, actions, next_observations: returned)


@pytest.mark.parametrize("returned", [[True, False, True], [1, 0, 1], np.array([1, 0, 1], np.float32)])
def test_rewards_of_a_goal_are_double_precision(returned):
    rewards = rewards_of(lambda observations, actions, next_observations: returned)
    assert rewards.dtype == np.float64
    assert rewards.tolist() == [1.0, 0.0, 1.0]


def test_a_goal_cannot_change_what_it_is_shown():
    def vandal(observations, actions, next_observations):
        next_observations -= observations
        return next_observations[:, 0]

    with pytest.raises(ValueError, match="read-only"):
        rewards_of(vandal)


def test_what_a_goal_raises_is_told_in_one_line_with_its_place():
    def broken(observations, actions, next_observations):
        return observations["x"]

    with pytest.raises(BadInput, match=r"goal broken raised IndexError: only .* at .*test_goals.py:\d+; expect"):
        rewards_of(broken)
    with pytest.raises(BadInput, match="goal hypot raised TypeError: .* each an array of 3 steps: mend the goal"):
        rewards_of(math.hypot)
