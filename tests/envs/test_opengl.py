"""MuJoCo takes MUJOCO_GL when it is imported, so each test is a process of its own."""

import os
import subprocess
import sys

import pytest

REPLAY = """
import numpy as np
from rlhf_gym.envs import make_env, replay
from rlhf_gym.segments import Ending, Origin, Trajectory
origin = Origin("Hopper-v5", 0)
try:
    env = make_env(origin)
    first = env.reset(seed=0)[0]
    second = env.step(np.zeros(3))[0]
    replay(Trajectory(np.array([first, second]), np.zeros((1, 3)), np.ones(1), Ending.TERMINATED, origin))
except ValueError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is a screen")
@pytest.mark.parametrize("backend", ["glfw", "misspelt"])  # which fail when drawing, and at the import
def test_it_is_told_in_one_line_where_mujoco_has_no_opengl(backend, tmp_path):
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    run = [sys.executable, "-c", REPLAY]
    told = subprocess.run(
        run, env=env | {"MUJOCO_GL": backend}, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert told.count("\n") == 1
    assert told.startswith(
        f"Hopper-v5 can't be drawn: MuJoCo finds no OpenGL with MUJOCO_GL={backend}; use MUJOCO_GL=egl"
    )
