"""What MuJoCo says past Python, so each test is a process of its own."""

import subprocess
import sys

import mujoco
import pytest

pytestmark = pytest.mark.skipif(not hasattr(mujoco, "set_mju_user_warning"), reason="this MuJoCo has no such hook")
MAKE = """
from rlhf_gym.envs import make_env
from rlhf_gym.segments import Origin
make_env(Origin("HalfCheetah-v5", 0)).close()
"""
EXPLODE = """
import mujoco
ball = "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"
model = mujoco.MjModel.from_xml_string(ball)
data = mujoco.MjData(model)
data.qpos[0] = float("nan")
mujoco.mj_step(model, data)
"""


def said(script, directory):
    ran = subprocess.run([sys.executable, "-c", script], cwd=directory, capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    return ran.stderr


def test_what_mujoco_says_of_models_that_nobody_here_can_change_is_not_passed_on(tmp_path):
    assert said(MAKE, tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_any_other_warning_is_said_in_a_line_and_leaves_no_file(tmp_path):
    told = said(MAKE + EXPLODE, tmp_path)
    assert told.startswith("MuJoCo warns: Nan, Inf or huge value in QPOS") and told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_handler_that_is_there_already_stays(tmp_path):
    before = "import mujoco\nmujoco.set_mju_user_warning(lambda message: None)\n"
    assert said(before + MAKE + EXPLODE, tmp_path) == ""
