"""An id that this process alone knows is told of before anybody's time goes into it."""

import importlib
import sys

import gymnasium
import pytest

from rlhf_gym.envs import make_env
from rlhf_gym.envs.registered import only_here
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Origin

MODULE = """
import gymnasium, numpy as np

class Mine(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

gymnasium.register("RegisteredTestMine-v0", entry_point=Mine, max_episode_steps=9)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with a module in it, which nothing has put on the module path."""
    (tmp_path / "registered_test.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield tmp_path
    gymnasium.registry.pop("RegisteredTestMine-v0", None)
    sys.modules.pop("registered_test", None)


def test_ids_of_gymnasium_itself_are_known_everywhere():
    for env_id in ("CartPole-v1", "HalfCheetah-v5", "Blackjack-v1", "phys2d/CartPole-v1"):
        assert only_here(env_id) is None


def test_an_id_that_names_its_module_is_known_wherever_that_is_and_found_in_the_working_folder(here):
    env_id = "registered_test:RegisteredTestMine-v0"
    make_env(Origin(env_id, 0)).close()
    assert only_here(env_id) is None


def test_an_id_that_a_script_or_notebook_registered_is_told_of_with_the_remedy():
    class Mine(gymnasium.Env):
        pass

    for entry in (Mine, lambda: Mine(), "__main__:Mine", "gymnasium.envs.classic_control:CartPoleEnv"):
        if not isinstance(entry, str):
            entry.__module__ = "__main__"
        gymnasium.register("RegisteredTestScript-v0", entry_point=entry)
        told = only_here("RegisteredTestScript-v0")
        del gymnasium.registry["RegisteredTestScript-v0"]
        assert told == (
            "env_id RegisteredTestScript-v0 is known to this process alone, and neither to clips nor to rlhf-gym "
            "evaluate, watch, label and resume: register it in a file of its own, such as my_envs.py, and use env_id "
            "my_envs:RegisteredTestScript-v0"
        )


def test_an_id_that_an_imported_module_registered_is_told_of_with_the_name_of_the_module(here):
    sys.path.append(str(here))
    importlib.import_module("registered_test")
    told = only_here("RegisteredTestMine-v0")
    assert told.endswith("as in env_id registered_test:RegisteredTestMine-v0")


def test_a_class_without_an_id_is_refused_saying_how_it_gets_one(here):
    with pytest.raises(BadInput) as caught:
        make_env(Origin("registered_test:Mine", 0))
    assert str(caught.value) == (
        "env_id is 'registered_test:Mine', which Gymnasium doesn't know; registered_test has it, and registers no id: "
        "add gymnasium.register(id='Mine-v0', entry_point='registered_test:Mine', max_episode_steps=1000) to it, and "
        "use registered_test:Mine-v0"
    )


def test_a_module_that_lies_elsewhere_is_asked_to_be_gone_to():
    with pytest.raises(BadInput, match="No module named 'lies_elsewhere'; start from the folder that the module lies"):
        make_env(Origin("lies_elsewhere:Mine-v0", 0))


def test_what_a_module_or_a_constructor_raises_is_told_with_its_place(here):
    (here / "registered_test.py").write_text("raise RuntimeError('no licence')\n")
    place = here / "registered_test.py"
    with pytest.raises(BadInput, match=f"can't be made: RuntimeError: no licence, at {place}:1$"):
        make_env(Origin("registered_test:RegisteredTestMine-v0", 0))
