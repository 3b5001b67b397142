"""Formulas over named variables, parsed from text without running any of it as code."""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any, final

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array

LONGEST = 500  # characters
OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: np.logical_not,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    "abs": (1, np.abs),
    "sqrt": (1, np.sqrt),
    "exp": (1, np.exp),
    "log": (1, np.log),
    "sin": (1, np.sin),
    "cos": (1, np.cos),
    "arctan2": (2, np.arctan2),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
}
"""Number of arguments and implementation of each function."""


@final
class Expression:
    """One formula, such as `abs(pole_angle) < 0.2 and cart_position > 0`.

    It may hold numbers, variables, + - * / **, comparisons, and, or, not, and the functions of :data:`FUNCTIONS`.

    Args:
        text: The formula.
        variables: Names of the known variables.

    Raises:
        BadInput: If it is no such formula, or names an unknown variable.
    """

    def __init__(self, text: str, variables: Collection[str]) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise BadInput(f"a formula has {len(text)} characters; use at most {LONGEST}")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
            self._check(self._tree, variables)
        except BadInput:
            raise
        except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError) as error:
            raise BadInput(f"{text!r} is no formula: {getattr(error, 'msg', None) or error}") from error

    @property
    def is_condition(self) -> bool:
        """Whether the formula is a condition: a comparison, or a combination by and, or, not."""
        tree = self._tree
        return isinstance(tree, ast.Compare | ast.BoolOp) or (
            isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not)
        )

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """Compute the formula for S steps.

        Args:
            values: Values of each variable, shape (S,).

        Returns:
            float64, shape (S,); a condition is 1 where it holds and 0 where it doesn't.
        """
        steps = len(next(iter(values.values())))
        with np.errstate(all="ignore"):  # callers check for values that aren't finite
            return np.broadcast_to(np.asarray(_value(self._tree, values), np.float64), (steps,))

    def _check(self, tree: ast.AST, variables: Collection[str]) -> None:
        match tree:
            case ast.Constant(value=bool()) | ast.Constant(value=complex()):
                pass
            case ast.Constant(value=(int() | float()) as value):
                float(value)  # raises OverflowError if it is too large
                return
            case ast.Name(id=name):
                if name not in variables:
                    raise BadInput(self._unknown(name, variables))
                return
            case ast.BinOp(op=op) | ast.UnaryOp(op=op) | ast.BoolOp(op=op) if type(op) in OPERATORS:
                return self._check_all(tree, variables)
            case ast.Compare(ops=ops) if all(type(op) in OPERATORS for op in ops):
                return self._check_all(tree, variables)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
                if len(arguments) != FUNCTIONS[name][0]:
                    raise BadInput(f"{self.text!r}: {name} takes {FUNCTIONS[name][0]} and got {len(arguments)}")
                for argument in arguments:
                    self._check(argument, variables)
                return
            case ast.Call(func=ast.Name(id=name)) if name not in FUNCTIONS:
                raise BadInput(f"{self.text!r}: there is no function {name!r}; there are {', '.join(FUNCTIONS)}")
        part = ast.get_source_segment(self.text.strip(), tree) or self.text
        raise BadInput(
            f"{self.text!r}: {part!r} is neither a number, a variable, + - * / **, a comparison by < <= > >=, and, or, "
            f"not, nor a function ({', '.join(FUNCTIONS)})"
        )

    def _check_all(self, tree: ast.AST, variables: Collection[str]) -> None:
        for child in ast.iter_child_nodes(tree):
            if isinstance(child, ast.expr):
                self._check(child, variables)

    def _unknown(self, name: str, variables: Collection[str]) -> str:
        near = difflib.get_close_matches(name, variables, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"{self.text!r}: there is no variable {name!r}; {hint}there are {', '.join(sorted(variables))}"


def _value(tree: Any, values: Mapping[str, Array]) -> Any:
    match tree:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](_number(left, values), _number(right, values))
        case ast.UnaryOp(op=op, operand=operand):
            return OPERATORS[type(op)](_number(operand, values))
        case ast.BoolOp(op=op, values=parts):
            found = _value(parts[0], values)
            for part in parts[1:]:
                found = OPERATORS[type(op)](found, _value(part, values))
            return found
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [_number(side, values) for side in (left, *others)]
            pairs = zip(ops, sides, sides[1:], strict=False)
            return np.logical_and.reduce(
                np.broadcast_arrays(*[OPERATORS[type(op)](before, after) for op, before, after in pairs])
            )
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name][1](*[_number(argument, values) for argument in arguments])
    raise AssertionError(tree)


def _number(tree: Any, values: Mapping[str, Array]) -> Any:
    """Compute a part as numbers; a condition is 1 or 0."""
    return np.asarray(_value(tree, values), np.float64)
