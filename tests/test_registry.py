"""Names: what is registered is there, dotted names are found, and what can't be is told in one line."""

import ast
import sys
from pathlib import Path

import pytest

from rlhf_gym.errors import BadInput
from rlhf_gym.registry import (
    GOALS,
    SOURCES,
    TABLES,
    TEACHERS,
    check_name,
    check_options,
    dotted_name,
    load,
    make,
    source_entry,
    teacher_entry,
)
from rlhf_gym.teachers import Teacher, builtin_goals

NAMES = [(setting, name) for setting, table in TABLES.items() for name in table]
MODULE = """
def noisy(*, goal=None, seed, beta=1.0):
    return (goal, seed, beta)

def eager(reward):
    return reward

three = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a module, in which a command is started; what it imports is forgotten again."""
    (tmp_path / "my_own_things.py").write_text(MODULE)
    (tmp_path / "my_broken_things.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in ("my_own_things", "my_broken_things"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("setting", "name"), NAMES)
def test_everything_that_is_registered_is_there(setting, name):
    assert load(setting, name) is not None


def test_every_built_in_goal_is_registered():
    tree = ast.parse(Path(builtin_goals.__file__).read_text())
    written = [f.name for f in tree.body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")]
    assert list(GOALS) == written


def test_what_a_name_means_is_a_column_of_its_line():
    assert {name for name, entry in TEACHERS.items() if entry.people} == {"terminal", "web", "store"}
    assert {name for name, entry in TEACHERS.items() if entry.control} == {"random"}
    assert {name for name, entry in SOURCES.items() if entry.labels} == {"learned"}
    assert {name for name, entry in SOURCES.items() if entry.control} == set(SOURCES) - {"learned"}
    assert SOURCES["constant"].titled({}) == "constant reward +1"
    assert SOURCES["constant"].titled({"value": -2}) == "constant reward −2"


def test_of_ones_own_names_nothing_special_is_known():
    assert not teacher_entry("mine:Noisy").people and not teacher_entry("mine:Noisy").control
    assert source_entry("mine:bonus").control and not source_entry("mine:bonus").labels


def test_a_dotted_name_is_found_in_the_folder_where_the_command_is_started(here):
    assert load("teacher", "my_own_things:noisy").__name__ == "noisy"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ORACLE", "teacher is 'ORACLE'; did you mean oracle? expected one of oracle, noisy"),
        ("orakle", "teacher is 'orakle'; did you mean oracle? expected one of oracle, noisy, rules, principles, judge"),
        ("my_own_things.noisy", "or module:name of your own, such as my_module:thing for my_module.py"),
        ("my_own_things.py:noisy", "or module:name"),
        ("my_own_things:", "or module:name"),
        (":noisy", "or module:name"),
        ("my_other_things:noisy", "teacher is 'my_other_things:noisy' but there is no module 'my_other_things'"),
        ("my_broken_things:noisy", "importing 'my_broken_things' fails: ZeroDivisionError: division by zero; mend"),
        ("my_own_things:nosy", "'my_own_things' has no 'nosy'; it has: noisy, eager"),
        ("given:ann", "teacher was given as a Python object, ann; hand it over again: RLHF.resume or RLHF.load"),
    ],
)
def test_a_name_that_cannot_be_found_is_refused_in_one_line(here, name, message):
    with pytest.raises(ValueError) as refused:
        load("teacher", name)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_whether_a_dotted_name_is_there_is_found_out_only_when_it_is_used():
    check_name("teacher", "nobodys:thing")


def test_a_factory_gets_of_what_is_offered_what_it_names():
    offered = {"goal": "g", "store": "s", "seed": 3}
    assert make("teacher", f"{__name__}:_factory", {"beta": 2.0}, **offered) == ("g", 3, 2.0)


def _factory(*, goal, seed, beta=1.0):
    return (goal, seed, beta)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bet": 2}, "has no option bet; did you mean beta?"),
        ({"xyz": 2}, "has no option xyz; it takes beta"),
        ({"seed": 2}, "has no option seed; it takes beta"),  # the loop's
        ({"beta": "2"}, "teacher_options.beta is '2'; use a number"),
        ({"beta": True}, "teacher_options.beta is True; use a number"),
        ({"beta": None}, "teacher_options.beta is None; use a number"),
        ({"tries": 2.5}, "teacher_options.tries is 2.5; use a whole number"),
    ],
)
def test_options_are_those_of_the_factory(options, message):
    with pytest.raises(ValueError, match=message):
        check_options("teacher", "mine", _numbers, options, {"goal": None, "seed": 0})


def test_numbers_may_be_what_their_parameter_says_and_nothing_else_is_held_against_it():
    offered = {"goal": None, "seed": 0}
    check_options("teacher", "mine", _numbers, {"beta": 2, "tries": None, "words": 3}, offered)
    check_options("teacher", "mine", _factory, {"beta": "2"}, offered)


def _numbers(*, goal, seed, beta: float = 1.0, tries: "int | None" = None, words: str = ""):
    return (goal, seed, beta, tries, words)


def test_what_a_factory_needs_and_nobody_gives_is_named(here):
    with pytest.raises(
        ValueError, match="teacher my_own_things:eager needs reward; set teacher_options.reward, or give it a default"
    ):
        make("teacher", "my_own_things:eager", {}, seed=0)
    with pytest.raises(ValueError, match="teacher is 'my_own_things:three', which is 3; expected a function or class"):
        make("teacher", "my_own_things:three", {})
    with pytest.raises(ValueError, match="Unfinished', a class that doesn't say how to do answer; write"):
        make("teacher", f"{__name__}:Unfinished", {})


class Unfinished(Teacher):
    name = "unfinished"


def test_only_what_can_be_imported_again_has_a_dotted_name():
    assert dotted_name(_factory) == f"{__name__}:_factory"
    assert dotted_name(lambda: 0) is None
    assert dotted_name(3) is None


def test_what_does_not_tell_its_parameters_is_refused() -> None:
    with pytest.raises(BadInput, match="doesn't tell its parameters"):
        make("teacher", "builtins:dict", {})


def test_what_takes_its_arguments_by_place_alone_is_refused() -> None:
    with pytest.raises(BadInput, match=r"which takes x by place alone; name one whose parameters have names"):
        make("query.scheme", "math:sin", {})


def test_a_goal_of_other_arguments_is_refused_by_their_names(here: Path) -> None:
    with pytest.raises(BadInput, match="can't be called with 3 arguments .* a function of observations, actions, next"):
        load("feedback.goal", "my_own_things:eager")
