"""The command line where people really run it: in pipes, other locales, accounts without a name, and from scripts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlhf_gym import cli
from rlhf_gym.config import RLHFConfig
from rlhf_gym.contracts import example_queries
from rlhf_gym.store import PreferenceStore, StoredRun
from rlhf_gym.teachers import People, saying
from rlhf_gym.teaching import how_to_answer
from rlhf_gym.verbs import labelling
from rlhf_gym.verbs.how_shown import can_be_drawn, say_how_shown, why_not_drawn
from rlhf_gym.verbs.labelling import Label

CLI = [sys.executable, "-m", "rlhf_gym.cli"]


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]], ids=" ".join)
def test_a_closed_pipe_ends_the_command_without_a_word(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run([*CLI, *words], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert ended.stderr == ""
    assert ended.returncode == cli.NOBODY_READS or "train" in words  # rich ends its own printing, with 1


def test_another_broken_pipe_than_that_of_the_output_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Label) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(Label, "run", broken)
    assert cli.main(["label", "somewhere"]) == 2
    assert "Broken pipe" in capsys.readouterr().err


def test_a_locale_that_lacks_a_character_gets_a_question_mark(tmp_path: Path) -> None:
    with PreferenceStore(tmp_path / "preferences.db"):
        pass
    plain = os.environ | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "settings.yaml").write_text('env_id: "CartPole-v1"\nlabels: "é"\n', encoding="utf-8")
    ended = subprocess.run(
        [*CLI, "train", "--config", str(tmp_path / "settings.yaml")], env=plain, capture_output=True, text=True
    )
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1, ended.stderr
    ended = subprocess.run([*CLI, "quality", str(tmp_path)], env=plain, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_an_account_without_a_name_labels_under_its_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(labelling.getpass, "getuser", nobody)
    assert Label(tmp_path).name == f"user {os.getuid()}"
    assert Label(tmp_path, who="Ann").name == "Ann"


def settings(teacher: str, **given: object) -> RLHFConfig:
    return RLHFConfig.from_dict({"env_id": "CartPole-v1", "labels": 5, "teacher": teacher, **given})


@pytest.mark.parametrize(("teacher", "web"), [("web", " --web"), ("terminal", ""), ("store", "")])
def test_from_python_it_is_said_by_which_command_answers_are_given(
    teacher: str, web: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    told = how_to_answer(settings(teacher, run_dir="my run"))
    assert told.endswith(f"in another terminal: rlhf-gym label '{tmp_path}/my run'{web}")


def test_a_store_without_a_run_directory_is_named_without_its_password() -> None:
    told = how_to_answer(settings("store", feedback={"store": "postgresql+psycopg://ann:s3cret@host/name"}))
    assert told.endswith("rlhf-gym label DIR --store postgresql+psycopg://ann@host/name")


def test_who_waits_for_people_says_so_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("rlhf_gym.teachers.people.pause", lambda: None)
    waiting = saying("answers are waited for")
    for _ in range(3):
        waiting()
    assert capsys.readouterr().err == "\nanswers are waited for\n"


def test_a_teacher_of_people_made_from_settings_says_how_to_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from contextlib import closing

    from rlhf_gym.rlhf import RLHF

    class Enough(Exception):
        pass

    def stop() -> None:
        raise Enough

    monkeypatch.setattr("rlhf_gym.teachers.people.pause", stop)
    run = settings("web", run_dir=str(tmp_path / "run"), total_timesteps=3000, query={"first_steps": 200})
    with closing(RLHF(run)) as rlhf, pytest.raises(Enough):
        rlhf.learn()
    assert isinstance(rlhf.teacher, People)
    assert f"rlhf-gym label {tmp_path / 'run'} --web\n" in capsys.readouterr().err


# What people will see

ROOM = """
import gymnasium
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv

class Undrawn(CartPoleEnv):
    metadata = {"render_modes": []}

class Fickle(CartPoleEnv):
    def reset(self, **how):
        observation, info = super().reset(**how)
        self.state = observation + np.random.default_rng().normal(size=4)
        return np.array(self.state, np.float32), info

gymnasium.register("Undrawn-v0", Undrawn, max_episode_steps=100)
gymnasium.register("Fickle-v0", Fickle, max_episode_steps=100)
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shown_room.py").write_text(ROOM)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("RLHF_GYM_TRUST", "1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.usefixtures("room")
def test_before_anybody_sits_down_it_is_said_that_plots_are_shown_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    for env_id, why in [("Undrawn-v0", "can't be drawn: its render_modes are []"), ("Fickle-v0", "doesn't replay")]:
        run = settings("web").replace(env_id=f"shown_room:{env_id}")
        say_how_shown(run)
        said = capsys.readouterr().err
        assert said.startswith(f"people can't be shown shown_room:{env_id} itself; plots of its observations are shown")
        assert why in said and said.count("\n") == 1
        say_how_shown(run, draw="replay")
        assert "leave out --draw replay to plot them" in capsys.readouterr().err
        say_how_shown(run, draw="states")
        assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("room")
def test_only_what_can_be_drawn_is_said_to_be_watched() -> None:
    assert not can_be_drawn(settings("oracle").replace(env_id="shown_room:Undrawn-v0"))
    assert can_be_drawn(settings("oracle"))


def test_of_what_can_be_drawn_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert why_not_drawn(settings("web")) == ""
    say_how_shown(settings("web"))
    assert capsys.readouterr().err == ""


def test_the_page_plots_what_can_not_be_drawn_and_the_terminal_has_plots_of_its_own(tmp_path: Path) -> None:
    query = example_queries(1)[0]
    for own, page, terminal in (("auto", "auto", "replay"), ("states", "states", "states")):
        with PreferenceStore(run=StoredRun("mine", draw=own)) as store:
            store.post([query])
            assert Label(tmp_path, web=True)._drawn(store, None, query) == page  # as the query's run has it
            assert Label(tmp_path)._drawn(store, None, query) == terminal
            assert Label(tmp_path, web=True)._drawn(store, "replay", query) == "replay"  # the run directory's word
            assert Label(tmp_path, draw="states")._drawn(store, "replay", query) == "states"  # and the command's
