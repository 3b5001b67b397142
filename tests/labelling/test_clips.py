import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from PIL import Image

from rlhf_gym.envs import make_env, replay
from rlhf_gym.labelling import ClipCache, ClipError, ClipNotReady, clips, drawer
from rlhf_gym.labelling.drawing import draw_clip, prune, write_sheet
from rlhf_gym.labelling.pictures import draw_query, order, pace, sheet
from rlhf_gym.labelling.states import draw_states, eights
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Ending, Origin, Trajectory


def episode(env_id="CartPole-v1", *, seed=0, steps=200):
    """One episode of random actions, ended or cut off after `steps`."""
    env = make_env(Origin(env_id, seed))
    env.action_space.seed(seed)
    observations, actions, rewards, ending = [env.reset(seed=seed)[0].copy()], [], [], Ending.UNFINISHED
    while len(actions) < steps and ending is Ending.UNFINISHED:
        actions.append(env.action_space.sample())
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        observations.append(observation.copy())
        rewards.append(reward)
        ending = Ending.TERMINATED if terminated else Ending.TRUNCATED if truncated else ending
    env.close()
    return Trajectory(np.array(observations), np.array(actions), np.array(rewards, float), ending, Origin(env_id, seed))


def query(name="q", *, length=8, seed=0, **kwargs):
    """Left is cut from the start of a CartPole episode, right runs into the end of another."""
    left, right = episode(seed=seed, **kwargs), episode(seed=seed + 1, **kwargs)
    return Query((left.cut(0, length), right.cut(len(right) - 3, length)), id=name)


@pytest.fixture(scope="module", autouse=True)
def patience():
    """However busy this machine is, a clip is waited for until it is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ClipCache.wait.__kwdefaults__, "timeout", 600.0)
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory, patience):
    with ClipCache(tmp_path_factory.mktemp("run") / "clips", width=120) as opened:
        yield opened


@pytest.fixture(scope="module")
def clip(cache):
    return cache.wait(query())


# In step


def test_both_sides_have_the_same_size_and_the_same_number_of_ticks(clip):
    left, right = clip.frames("left"), clip.frames("right")
    assert left.shape == right.shape == (len(clip.order["left"]), 80, 120, 3)
    assert (clip.width, clip.height) == (120, 80)


def test_every_step_is_shown_as_the_environment_draws_it(clip):
    drawn = replay(query().left)
    for frame, picture in zip(clip.frames("left"), drawn, strict=False):
        small = Image.fromarray(picture).resize((120, 80), Image.Resampling.LANCZOS)
        assert np.abs(frame.astype(int) - np.asarray(small)).mean() < 3


def test_pictures_of_a_sheet_do_not_run_into_each_other(tmp_path):
    light, dark = np.full((12, 16, 3), 250, np.uint8), np.zeros((12, 16, 3), np.uint8)
    light, dark = (Image.fromarray(picture).resize((16, eights(12))) for picture in (light, dark))
    whole, columns = sheet([light, dark, dark, light])
    write_sheet(whole, tmp_path / "left.jpg")
    both = np.asarray(Image.open(tmp_path / "left.jpg"), int)
    assert columns == 2 and both.shape == (32, 32, 3)
    assert np.ptp(both[:16, :16]) <= 4 and np.ptp(both[:16, 16:]) <= 4


def test_after_an_ending_the_last_frame_is_held_dimmed_in_a_red_frame(clip):
    left, right = clip.frames("left").astype(int), clip.frames("right").astype(int)
    lived, held = right[3], right[4:]
    assert lived[:, :, :].mean() > held[0].mean() + 50
    red, green, blue = held[0][0, 60]
    assert red > 150 and green < 90 and blue < 90
    assert all(np.array_equal(held[0], frame) for frame in held)
    assert np.array_equal(left[8], left[-1])  # went on: nothing is marked


def test_films_open_in_any_viewer_with_the_time_of_the_clip(clip):
    for side in ("left", "right"):
        with Image.open(clip.film(side)) as film:
            milliseconds = 0
            for number in range(film.n_frames):
                film.seek(number)
                film.load()
                milliseconds += film.info["duration"]
            assert film.size == (120, 80) and film.info["loop"] == 0
            assert milliseconds == len(clip.order[side]) * clip.milliseconds


def cut(lived, length, *, terminated):
    ending = Ending.TERMINATED if terminated else Ending.UNFINISHED
    states = np.arange(lived + 1.0)[:, None]
    return Trajectory(states, np.zeros(lived), np.zeros(lived), ending).cut(0, length)


@pytest.mark.parametrize(
    ("lived", "length", "terminated", "ticks"),
    [
        (4, 4, False, [0, 1, 2, 3, 4, 4, 4]),  # went on: the last picture is held
        (4, 4, True, [0, 1, 2, 3, 4, 5, 5]),  # 5 is the marked one
        (2, 4, True, [0, 1, 2, 3, 3, 3, 3]),
        (2, 4, False, [0, 1, 2, 3, 3, 3, 3]),  # a time limit
    ],
)
def test_which_picture_is_shown_at_each_tick(lived, length, terminated, ticks):
    slow = pace(length, fps=30)._replace(every=1, hold=2)
    assert order(cut(lived, length, terminated=terminated), slow) == ticks


def test_where_every_third_step_is_shown_the_last_one_is_too():
    third = pace(8, fps=30)._replace(every=3, hold=1)
    assert order(cut(8, 8, terminated=False), third) == [0, 1, 2, 3, 3]  # steps 0, 3, 6, 8
    assert order(cut(4, 8, terminated=True), third) == [0, 1, 2, 3, 3]  # steps 0, 3, 4, then the mark


@pytest.mark.parametrize(
    ("length", "fps", "every", "milliseconds", "slowdown"),
    [
        (50, 20, 1, 50, 1),  # HalfCheetah: its own speed
        (25, 50, 1, 60, 3),  # CartPole: half a second is stretched to 1.5
        (100, 50, 2, 40, 1),  # every second of 50 frames a second
        (1000, 50, 9, 180, 1),  # at most 120 pictures
    ],
)
def test_clips_keep_the_speed_of_the_environment_but_last_long_enough_to_be_seen(
    length, fps, every, milliseconds, slowdown
):
    assert pace(length, fps)[:3] == (every, milliseconds, slowdown)


# Ahead


def test_a_clip_that_was_drawn_ahead_is_there_at_once(cache):
    wanted = [query(f"ahead {i}") for i in range(3)]
    cache.ahead(wanted)
    cache.wait(wanted[-1])
    assert all(cache.wait(one, timeout=0) for one in wanted)


def test_many_who_wait_for_the_same_clip_get_the_same(cache):
    found = []
    people = [threading.Thread(target=lambda: found.append(cache.wait(query("shared")).directory)) for _ in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(found) == 4 and len(set(found)) == 1


def test_the_same_id_with_another_content_is_another_clip(cache):
    assert cache.place(query("q", seed=0)) != cache.place(query("q", seed=5))
    assert cache.place(query("q")) == cache.place(query("q"))


def test_clips_are_found_again_by_a_cache_that_opens_the_folder_anew(cache, clip):
    with ClipCache(cache.directory, width=120) as again:
        before = clip.sheet("left").stat().st_mtime_ns
        assert again.wait(query()) == clip
        assert clip.sheet("left").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda clip: clip.sheet("left").write_bytes(b""),
        lambda clip: os.truncate(clip.sheet("right"), 300),
        lambda clip: clip.sheet("left").unlink(),
        lambda clip: (clip.directory / "clip.json").write_text('{"width": 40, '),
    ],
    ids=["an empty sheet", "half a sheet", "no sheet", "half a manifest"],
)
def test_a_damaged_clip_is_drawn_again(cache, damage):
    clip = cache.wait(query("damaged"))
    damage(clip)
    assert cache.wait(query("damaged")) == clip
    assert len(clip.frames("left")) == len(clip.frames("right"))


def test_a_clip_that_stays_damaged_is_told_and_not_drawn_for_ever(cache, monkeypatch):
    clip = cache.wait(query("lasting"))
    clip.sheet("left").write_bytes(b"")
    monkeypatch.setattr(clips.shutil, "rmtree", lambda *_, **__: None)  # as where it can't be removed
    with pytest.raises(ClipError, match=f"the clip of query lasting can't be read: .*; remove {clip.directory}"):
        cache.wait(query("lasting"))
    assert cache.drawing(query("lasting")).done()


def test_a_clip_is_safe_from_a_power_cut_before_it_has_its_name(tmp_path, monkeypatch):
    done, sync, rename = [], os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda file: (done.append(os.fstat(file).st_ino), sync(file)))
    monkeypatch.setattr(Path, "rename", lambda path, to: (done.append("named"), rename(path, to))[1])
    draw_clip(query(), tmp_path / "clip", width=40, draw="states", films=True, max_bytes=10**9)
    *synced, named = done
    assert named == "named" and set(synced) == {file.stat().st_ino for file in (tmp_path / "clip").iterdir()}


def test_when_the_drawing_process_dies_the_next_clip_starts_another(tmp_path):
    with ClipCache(tmp_path, width=40) as cache:
        cache.wait(query("before"))
        os.kill(cache._drawer.pids[0], signal.SIGKILL)
        with pytest.raises(ClipNotReady, match="ended unexpectedly; ask again"):
            cache.wait(query("after"))
        assert cache.wait(query("after")).width == 40


# An environment whose drawing ends the process, as a broken OpenGL driver does, unless a file says that it is mended.
BROKEN = """
import os
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Broken(CartPoleEnv):
    def __init__(self, mended, **kwargs):
        super().__init__(**kwargs)
        self.mended = mended

    def render(self):
        if not os.path.exists(self.mended):
            os.write(2, b"no screen found\\n")
            os._exit(3)
        return super().render()

gymnasium.register("Broken-v0", Broken)
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Makes queries that the process which draws them dies of, until the file `mended` is there."""
    (tmp_path / "broken_room.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("RLHF_GYM_TRUST", "1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def make(name):
        kwargs = {"mended": str(tmp_path / "mended")}
        one = query(name)
        origins = [
            Origin("broken_room:Broken-v0", side.origin.seed, env_kwargs=kwargs) for side in (one.left, one.right)
        ]
        return replace(one, options=tuple(replace(s, origin=o) for s, o in zip(one.options, origins, strict=True)))

    yield make
    gymnasium.registry.pop("Broken-v0", None)


def test_a_process_that_dies_of_every_drawing_is_told_the_third_time_and_forgotten_when_it_draws_again(
    broken, tmp_path
):
    with ClipCache(tmp_path / "clips", width=40) as cache:
        for _ in range(2):
            with pytest.raises(ClipNotReady, match="the process that drew query a ended unexpectedly; ask again"):
                cache.wait(broken("a"))
        for name in ("a", "b"):
            with pytest.raises(ClipError) as refusal:
                cache.wait(broken(name))
            assert not isinstance(refusal.value, ClipNotReady)
            said = str(refusal.value)
            assert f"query {name} can't be shown, as the process that draws has died" in said and "\n" not in said
            assert "times in a row; --draw states plots the obs" in said and "last words were 'no screen found'" in said
        (tmp_path / "mended").touch()
        assert cache.wait(broken("b")).width == 40
        (tmp_path / "mended").unlink()
        with pytest.raises(ClipNotReady):
            cache.wait(broken("c"))


def test_a_death_ends_one_drawing_and_those_behind_it_get_their_turn(broken, tmp_path):
    with ClipCache(tmp_path / "clips", width=40) as cache:
        cache.ahead([broken("a"), query("b")])
        assert cache.wait(query("b")).width == 40
        with pytest.raises(ClipNotReady):
            cache.wait(broken("a"))


def test_a_clip_that_its_process_dies_of_is_told_though_others_are_drawn_between(broken, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "DEATHS", 2)  # sooner than for a person
    with ClipCache(tmp_path / "clips", width=40) as cache:
        with pytest.raises(ClipNotReady):
            cache.wait(broken("a"))
        cache.wait(query("b"))
        with pytest.raises(ClipError, match="the process that draws has died") as refusal:
            cache.wait(broken("a"))
        assert not isinstance(refusal.value, ClipNotReady)


@pytest.mark.parametrize("draw", ["replay", "auto"])
def test_a_clip_that_could_not_be_written_is_drawn_again_once_there_is_room(draw, tmp_path, monkeypatch):
    (tmp_path / "clips").touch()  # a file where the folder is to be, as root may write anywhere
    with ClipCache(tmp_path / "clips", width=40, draw=draw) as cache:
        with pytest.raises(
            ClipError, match="q can't be shown just now, as its clip can't be written: .*make room"
        ) as no:
            cache.wait(query())
        assert "--draw states" not in str(no.value) and str(tmp_path) not in no.value.told
        (tmp_path / "clips").unlink()
        with pytest.raises(ClipError, match="can't be written"):  # it isn't tried all the time
            cache.wait(query())
        monkeypatch.setattr(clips, "AGAIN_AFTER", 0.0)
        drawn = cache.wait(query())
        assert (drawn.width, drawn.instead) == (40, "")


HANGS = BROKEN.replace("os._exit(3)", "__import__('time').sleep(600)")


@pytest.fixture
def hanging(tmp_path, monkeypatch, broken):
    """Makes queries whose drawing never ends, until the file `mended` is there."""
    (tmp_path / "broken_room.py").write_text(HANGS)
    return broken


def seconds_for_drawing(cache, seconds):
    (_, process), *_ = cache._drawer._working
    process._seconds = seconds


def wait_for(path):
    while not path.exists():
        time.sleep(0.01)


def test_a_drawing_that_hangs_is_given_up_and_those_behind_it_get_their_turn(hanging, tmp_path):
    with ClipCache(tmp_path / "clips", width=40) as cache:
        cache.wait(query("a"))  # so that the process has begun
        seconds_for_drawing(cache, 1.0)
        with pytest.raises(
            ClipError, match="query hung can't be shown: drawing it took longer than 1 s; --draw states"
        ):
            cache.wait(hanging("hung"))
        seconds_for_drawing(cache, 120.0)
        assert cache.wait(query("b")).width == 40


def test_what_somebody_looks_at_is_drawn_before_what_was_queued_ahead():
    order = []
    with closing(drawer.Drawer(processes=1)) as draws:
        draws.submit(partial(time.sleep, 0.5)).add_done_callback(lambda _: order.append("under way"))
        queued = {name: draws.submit(gc.collect, place) for name, place in (("c", 2), ("b", 1), ("a", 0), ("d", 2))}
        for name, drawn in queued.items():
            drawn.add_done_callback(lambda _, name=name: order.append(name))
        draws.hurry(queued["c"], 0)
        draws.hurry(queued["b"], 2)  # no sooner than it comes
        for drawn in queued.values():
            drawn.result(600)
    assert order == ["under way", "a", "c", "b", "d"]


def test_a_second_process_draws_once_many_clips_wait_and_not_for_one_person(tmp_path):
    with closing(drawer.Drawer(processes=2)) as draws:
        few = [draws.submit(gc.collect) for _ in range(drawer.JOBS_EACH)]
        assert len(draws._working) == 1
        hold = tmp_path / "hold"
        waits = [draws.submit(partial(wait_for, hold)) for _ in range(2 * drawer.JOBS_EACH)]
        for drawn in few:
            drawn.result(600)
        while sum(drawn.running() for drawn in waits) < 2:  # both at once
            time.sleep(0.01)
        assert len(set(draws.pids)) == 2
        hold.touch()
        for drawn in waits:
            drawn.result(600)
    assert not draws.pids


def test_nothing_is_kept_in_memory_of_a_clip_that_is_there(tmp_path):
    with ClipCache(tmp_path / "clips", width=40) as cache:
        cache.wait(query("a"))
        cache.wait(query("a"))
        assert not (cache._drawings or cache._instead or cache._deaths)


def test_what_hangs_does_not_keep_the_cache_from_closing(hanging, tmp_path, monkeypatch):
    monkeypatch.setattr(drawer, "ENDS_WITHIN", 0.1)
    cache = ClipCache(tmp_path / "clips", width=40)
    waiting = cache.drawing(hanging("hung"))
    cache.close()
    assert waiting.done()
    with pytest.raises(ClipError, match="clips aren't drawn any more"):
        cache.wait(query("late"))


def test_where_drawing_fails_the_observations_are_plotted_and_why_is_told(broken, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "DEATHS", 1)  # sooner than for a person
    bare = query("bare")
    bare = replace(bare, options=(replace(bare.left, origin=None), bare.right))
    with ClipCache(tmp_path / "clips", width=80, draw="auto", films=False) as cache:
        clip = cache.wait(bare)
        assert "query bare can't be shown: " in clip.instead and "has no origin" in clip.instead
        assert clip.frames("left").shape == clip.frames("right").shape
        assert cache.wait(query("drawn")).instead == ""
        assert "has died 1 times in a row" in cache.wait(broken("deadly")).instead
    with ClipCache(tmp_path / "clips", width=80, draw="auto", films=False) as again:
        assert again.wait(bare) == clip


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
print("the script runs", flush=True)
from test_clips import query
from rlhf_gym.labelling import ClipCache
with ClipCache(sys.argv[2], width=40) as cache:
    print(cache.wait(query()).width, flush=True)
"""


def test_a_script_without_a_main_guard_is_not_run_again_by_the_process_that_draws(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, tmp_path / "script.py", os.path.dirname(__file__), tmp_path / "clips"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("the script runs\n40\n", "")


PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from test_clips import query
from rlhf_gym.labelling import ClipCache
if __name__ == "__main__":
    cache = ClipCache(sys.argv[2], width=40)
    cache.wait(query())
    print(cache._drawer.pids[0], flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals of Unix")
def test_the_drawing_process_goes_when_its_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    here = os.path.dirname(__file__)
    with subprocess.Popen([sys.executable, script, here, tmp_path / "clips"], stdout=subprocess.PIPE) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        if not alive(worker):
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the drawing process outlived its parent by 10 s")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# Bounded


def test_the_folders_not_looked_at_for_longest_go_first(tmp_path):
    for age, name in enumerate(["newest", "middle", "oldest", "keep"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clip.json").write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    (tmp_path / "videos").mkdir()  # somebody's own
    (tmp_path / "videos" / "mine.mp4").write_bytes(bytes(1000))
    os.utime(tmp_path / "videos", (0, 0))
    prune(tmp_path, max_bytes=250, keep=tmp_path / "keep")
    assert sorted(os.listdir(tmp_path)) == ["keep", "newest", "videos"]


def test_the_cache_stays_within_its_bound_and_draws_again_what_it_has_removed(tmp_path):
    with ClipCache(tmp_path, width=40, max_bytes=1) as cache:
        first = cache.wait(query("first"))
        second = cache.wait(query("second"))
        assert os.listdir(tmp_path) == [second.directory.name]
        assert cache.wait(query("first")).sheet("left").exists()
        assert first.directory.exists()


# When there is no clip


def test_a_query_without_origin_is_refused_with_a_way_out(cache):
    bare = query("bare")
    with pytest.raises(ClipError, match=r"query bare can't be shown: .* has no origin .*; --draw states plots the obs"):
        cache.wait(replace(bare, options=(replace(bare.left, origin=None), bare.right)))


def test_a_query_that_does_not_replay_is_refused_every_time(cache):
    wrong = query("wrong")
    wrong = replace(wrong, options=(wrong.left, replace(wrong.right, observations=wrong.right.observations + 1)))
    for _ in range(2):
        with pytest.raises(ClipError, match="query wrong can't be shown: CartPole-v1 doesn't replay") as refusal:
            cache.wait(wrong)
        assert "\n" not in str(refusal.value)


def test_a_clip_that_takes_too_long_is_no_end(tmp_path):
    with ClipCache(tmp_path, width=40) as cache:
        with pytest.raises(ClipError, match="the clip of query late isn't ready after 0 s; ask again"):
            cache.wait(query("late"), timeout=0)
        assert cache.wait(query("late")).width == 40


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"draw": "film"}, "draw is 'film'; use one of auto, replay, states"),
        ({"width": 8}, "width is 8; use at least 16"),
        ({"max_bytes": 0}, "max_bytes is 0; use at least 1"),
        ({"seconds": 0}, "seconds is 0; use at least 1"),
        ({"processes": 0}, "processes is 0; use at least 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(tmp_path, wrong, told):
    with pytest.raises(ValueError, match=told):
        ClipCache(tmp_path, **wrong)


# State variables


def test_states_are_drawn_without_an_environment(tmp_path):
    with ClipCache(tmp_path, width=200, draw="states", films=False) as cache:
        bare = query("bare")
        bare = replace(bare, options=(replace(bare.left, origin=None), bare.right))
        clip = cache.wait(bare)
        assert clip.frames("left").shape == clip.frames("right").shape
        assert not np.array_equal(clip.frames("left")[0], clip.frames("left")[5])
        assert not clip.film("left").exists()


def test_both_sides_are_plotted_on_the_same_scale():
    def line(values):
        states = np.array(values, float)[:, None]
        return Trajectory(states, np.zeros(len(values) - 1), np.zeros(len(values) - 1), Ending.UNFINISHED).cut(0, 4)

    low, high = line([0, 0, 0, 0, 0]), line([1, 1, 1, 1, 1])
    drawn = draw_states(Query((low, high), id="q"), every=2, width=160)

    def heights(picture):
        red, _, blue = np.moveaxis(np.asarray(picture, int), -1, 0)
        return np.nonzero(blue - red > 100)[0].mean()

    assert heights(drawn["left"][-1]) > heights(drawn["right"][-1]) + 50  # rows count downwards
    assert len(drawn["left"]) == 3  # steps 0, 2, 4


def test_a_plot_of_an_ending_is_framed_and_still_to_be_read():
    def ends(steps):
        states = np.arange(steps + 1.0)[:, None]
        return Trajectory(states, np.zeros(steps), np.zeros(steps), Ending.TERMINATED).cut(0, 6)

    drawn = draw_query(Query((ends(3), ends(6)), id="q"), draw="states", width=160)[1]
    last, mark = (np.asarray(picture, int) for picture in drawn["left"][-2:])
    assert mark[0, 80].tolist() == [200, 30, 45]
    assert np.array_equal(mark[4:90, 4:-4], last[4:90, 4:-4])


@pytest.mark.parametrize("shape", [(9, 12), (9, 12, 1), (9, 12, 3), (3, 9, 12)])
def test_observations_that_are_pictures_are_shown_as_they_are(shape):
    states = np.zeros((4, *shape), np.uint8)
    states[3] = 255
    seen = Trajectory(states, np.zeros(3), np.zeros(3), Ending.UNFINISHED).cut(0, 3)
    drawn = draw_states(Query((seen, seen), id="q"), every=2, width=160)["left"]
    assert [picture.size for picture in drawn] == [(160, 120)] * 3
    assert [np.asarray(picture).mean() for picture in drawn] == [0, 0, 255]  # steps 0, 2, 3


def test_an_observation_that_is_one_number_is_plotted():
    places = Trajectory(np.arange(4), np.zeros(3), np.zeros(3), Ending.UNFINISHED).cut(0, 3)
    assert len(draw_states(Query((places, places), id="q"), every=1, width=160)["left"]) == 4


def test_numbers_that_look_like_pictures_are_no_curves():
    pictures = Trajectory(np.zeros((3, 4, 4)), np.zeros(2), np.zeros(2), Ending.UNFINISHED).cut(0, 2)
    with pytest.raises(
        ValueError, match=r"observations have shape \(4, 4\) and type float64; draw='states' shows vectors"
    ):
        draw_states(Query((pictures, pictures), id="q"), every=1, width=100)


def test_the_manifest_is_plain_json(clip):
    told = json.loads((clip.directory / "clip.json").read_text())
    assert sorted(told) == ["columns", "height", "instead", "milliseconds", "order", "slowdown", "width"]
