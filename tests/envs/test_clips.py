import gymnasium
import numpy as np
import pytest
from PIL import Image

from rlhf_gym.envs import frames_per_second, write_clip


def moving_square(n, height=40, width=80):
    """A dark square on white that goes one pixel to the right in each frame, so that no two frames are equal."""
    frames = np.full((n, height, width, 3), 255, np.uint8)
    for i in range(n):
        frames[i, 10:30, i : i + 20] = 20
    return frames


def read(path):
    """Number, size and milliseconds of the frames, and how often they are shown."""
    with Image.open(path) as clip:
        durations = []
        for i in range(clip.n_frames):
            clip.seek(i)
            clip.load()
            durations.append(clip.info["duration"])
        return clip.n_frames, clip.size, durations, clip.info["loop"]


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_a_clip_holds_all_frames_at_the_asked_size_and_loops_for_ever(tmp_path, ending):
    path = write_clip(moving_square(12), tmp_path / f"clip.{ending}", fps=20, width=40)
    assert path == tmp_path / f"clip.{ending}"
    assert read(path) == (12, (40, 20), [50] * 12, 0)


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_frames_are_left_out_where_there_are_too_many_a_second_and_the_speed_stays(tmp_path, ending):
    # 50 a second: every second of 11 frames stays, 40 ms each.
    assert read(write_clip(moving_square(11), tmp_path / f"clip.{ending}", fps=50, width=80)) == (
        6,
        (80, 40),
        [40] * 6,
        0,
    )
    # 125 a second (Hopper): every fifth.
    assert read(write_clip(moving_square(11), tmp_path / f"clip.{ending}", fps=125, width=80)) == (
        3,
        (80, 40),
        [40] * 3,
        0,
    )


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_a_clip_shows_what_the_frames_show(tmp_path, ending):
    frames = moving_square(9)
    with Image.open(write_clip(frames, tmp_path / f"clip.{ending}", fps=10, width=80)) as clip:
        for i, frame in enumerate(frames):
            clip.seek(i)
            # Lossy formats blur edges; over the whole picture that is little.
            assert np.abs(np.asarray(clip.convert("RGB"), int) - frame).mean() < 4


def test_a_single_frame_is_a_clip(tmp_path):
    with Image.open(write_clip(moving_square(1), tmp_path / "clip.gif", fps=30)) as clip:
        assert (clip.n_frames, clip.size) == (1, (360, 180))


def test_missing_folders_are_made_and_paths_may_be_text(tmp_path):
    assert write_clip(moving_square(2), str(tmp_path / "a" / "b" / "clip.gif"), fps=30).is_file()


@pytest.mark.parametrize("name", ["clip.mp4", "clip", "clip.png"])
def test_an_ending_that_can_not_be_written_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=rf"{name} ends in '.*'; use one of .gif, .webp"):
        write_clip(moving_square(2), tmp_path / name, fps=30)


def test_no_frames_are_refused_and_no_file_is_left(tmp_path):
    with pytest.raises(ValueError, match="clip.gif got no frames; expected at least one"):
        write_clip(moving_square(0), tmp_path / "clip.gif", fps=30)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_a_speed_that_is_not_positive_is_refused(tmp_path, fps):
    with pytest.raises(ValueError, match=f"fps is {fps}; use a number above 0"):
        write_clip(moving_square(2), tmp_path / "clip.gif", fps=fps)


# Speed


def test_cartpole_runs_at_fifty_frames_a_second():
    assert frames_per_second("CartPole-v1") == 50


@pytest.mark.parametrize(("env_id", "fps"), [("HalfCheetah-v5", 20), ("Hopper-v5", 125)])
def test_mujoco_runs_at_the_speed_in_its_metadata(env_id, fps):
    env = gymnasium.make(env_id)
    assert frames_per_second(env_id) == env.metadata["render_fps"] == fps
    env.close()


class Slow(gymnasium.Env):
    observation_space = action_space = gymnasium.spaces.Box(-1, 1, (1,))


def test_an_environment_that_names_no_speed_runs_at_thirty():
    gymnasium.register("ClipsTest/Slow-v0", entry_point=Slow)
    try:
        assert frames_per_second("ClipsTest/Slow-v0") == 30
    finally:
        del gymnasium.registry["ClipsTest/Slow-v0"]


def test_the_speed_of_an_unknown_environment_is_refused():
    with pytest.raises(ValueError, match="env_id is 'Cartpole-v1', which Gymnasium doesn't know"):
        frames_per_second("Cartpole-v1")
