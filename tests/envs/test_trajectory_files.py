"""Trajectories are written and read bit for bit."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from rlhf_gym.envs import load_trajectories, save_trajectories
from rlhf_gym.segments import Ending, Origin, Trajectory


def bits(trajectory):
    arrays = (trajectory.observations, trajectory.actions, trajectory.rewards)
    return [(a.dtype, a.shape, a.tobytes()) for a in arrays], trajectory.ending, trajectory.origin


def examples():
    rng = np.random.default_rng(0)
    strange = rng.normal(size=(5, 2, 3))
    strange[0, 0] = [np.nan, -0.0, np.inf]
    return [
        Trajectory(strange, rng.integers(3, size=4), np.zeros(4, np.float32), Ending.TERMINATED),
        Trajectory(
            rng.normal(size=(2, 7)).astype(np.float32)[:, ::2],  # not contiguous
            rng.normal(size=(1, 2)).astype(np.float16),
            np.array([1e300]),
            Ending.TRUNCATED,
            Origin("A-v0", np.int64(7), {"bounds": [0.5, float("inf")], "name": "x"}, 20),
        ),
        Trajectory(np.zeros((2, 1), np.uint8), np.zeros(1, np.int64), np.ones(1), Ending.UNFINISHED, Origin("A-v0", 8)),
    ]


def test_what_is_read_is_what_was_written(tmp_path):
    save_trajectories(tmp_path / "some", examples())
    read = load_trajectories(tmp_path / "some")
    assert [bits(one) for one in read] == [bits(one) for one in examples()]


def test_another_file_is_replaced(tmp_path):
    save_trajectories(tmp_path / "some", examples())
    save_trajectories(tmp_path / "some", examples()[:1])
    assert len(load_trajectories(tmp_path / "some")) == 1


def test_nothing_and_what_json_can_not_say_are_refused(tmp_path):
    with pytest.raises(ValueError, match="got no trajectories to save"):
        save_trajectories(tmp_path / "some", [])
    (one,) = examples()[2:]
    odd = Trajectory(one.observations, one.actions, one.rewards, one.ending, Origin("A-v0", 0, {"f": print}))
    with pytest.raises(ValueError, match="env_kwargs of Trajectory.* can't be saved: .*not JSON serializable"):
        save_trajectories(tmp_path / "some", [odd])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["missing", "text", "others", "half", "folder"])
def test_another_file_is_refused_in_one_line(what, tmp_path):
    path = tmp_path / "some"
    if what == "text":
        path.write_text("left")
    if what == "others":
        save_file({"a": np.zeros(3)}, path)
    if what == "half":
        save_trajectories(path, examples())
        path.write_bytes(path.read_bytes()[:-40])
    if what == "folder":
        path.mkdir()
    with pytest.raises(ValueError, match="some can't be read: .*; use a file of save_trajectories") as refused:
        load_trajectories(path)
    assert "\n" not in str(refused.value)
