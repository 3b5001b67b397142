import math

import numpy as np
import pytest

from rlhf_gym.teachers.expressions import LONGEST, Expression

X = np.array([-2.0, 0.0, 0.5, 3.0])
Y = np.array([1.0, 1.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", X),
        ("2", [2, 2, 2, 2]),
        ("-x + 2 * y - 1 / y", -X + 2 * Y - 1 / Y),
        ("x ** 2", X**2),
        ("abs(x) < 1", [0, 1, 1, 0]),
        ("0 <= x < 3", [0, 1, 1, 0]),
        ("x > 0 and y > 1", [0, 0, 1, 1]),
        ("x > 0 or y <= 1", [1, 1, 1, 1]),
        ("not x > 0", [1, 1, 0, 0]),
        ("(x > 0) + (y > 1)", [0, 0, 2, 2]),
        ("max(x, y) - min(x, y)", abs(X - Y)),
        ("sqrt(y) * exp(-x) + log(y)", np.sqrt(Y) * np.exp(-X) + np.log(Y)),
        ("arctan2(sin(x), cos(x))", np.arctan2(np.sin(X), np.cos(X))),
        ("1 < 2", [1, 1, 1, 1]),
        ("  x\n", X),
    ],
)
def test_a_formula_is_computed_at_every_step(text, expected):
    assert Expression(text, ["x", "y"])({"x": X, "y": Y}) == pytest.approx(np.array(expected, float))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pole_angel < 1", "no variable 'pole_angel'; did you mean pole_angle? there are cart_position, pole_angle"),
        ("z", "there is no variable 'z'; there are cart_position, pole_angle"),
        ("x <", "is no formula"),
        ("", "is no formula"),
        ("__import__('os').system('true')", "is neither a number, a variable"),
        ("print(1)", "there is no function 'print'; there are abs, sqrt"),
        ("abs(pole_angle, 1)", "abs takes 1 and got 2"),
        ("max(pole_angle)", "max takes 2 and got 1"),
        ("pole_angle.real", "'pole_angle.real' is neither a number, a variable"),
        ("[pole_angle]", "is neither a number, a variable"),
        ("'text'", "is neither a number, a variable"),
        ("True", "is neither a number, a variable"),
        ("1j", "is neither a number, a variable"),
        ("pole_angle if 1 else 2", "is neither a number, a variable"),
        ("pole_angle == 1", "is neither a number, a variable"),
        ("abs(pole_angle, *[1])", "abs takes 1 and got 2"),
        ("1 + " * LONGEST + "1", f"use at most {LONGEST}"),
        ("-" * (LONGEST - 1) + "1", "is no formula"),
        ("1" * 400, "is no formula"),
        ("0x" + "f" * 400, "is no formula"),
        ("min(1, 2, key=3)", "is neither a number, a variable"),
    ],
)
def test_anything_else_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=".") as refused:
        Expression(text, ["pole_angle", "cart_position"])
    assert "\n" not in str(refused.value) and message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "condition"), [("x < 1", True), ("not x > 1 or x > 2", True), ("x + 1", False), ("abs(x)", False)]
)
def test_a_condition_is_told_from_a_quantity(text, condition):
    assert Expression(text, ["x"]).is_condition is condition


def test_what_is_not_finite_stays_so():
    assert np.isnan(Expression("log(x)", ["x"])({"x": np.array([-1.0])})).all()
    assert Expression("9 ** 9 ** 9", ["x"])({"x": np.zeros(2)}).tolist() == [math.inf, math.inf]
