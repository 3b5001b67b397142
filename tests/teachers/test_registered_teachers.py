from pathlib import Path

import numpy as np
import pytest

from rlhf_gym.contracts import check_teacher
from rlhf_gym.registry import TEACHERS, make

RULES = Path(__file__).parents[2] / "examples" / "rules"
OPTIONS = {"rules": {"file": str(RULES / "cart_pole_at_one.yaml")}}  # the contract's queries could be CartPole's


BESIDE_ITS_SERVER = "judge"  # test_judge.py holds it to the contract


@pytest.mark.parametrize("name", [n for n, entry in TEACHERS.items() if not entry.people and n != BESIDE_ITS_SERVER])
@pytest.mark.parametrize("goal", [None, lambda observations, *_: np.abs(observations[:, 0])], ids=["true", "goal"])
def test_every_registered_teacher_but_people_keeps_the_contract(name, goal):
    check_teacher(
        lambda: make("teacher", name, OPTIONS.get(name, {}), goal=goal, seed=0, store=None, waiting=None, name=name)
    )
