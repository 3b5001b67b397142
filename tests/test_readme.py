"""What the README tells people to run, runs: every block, in a folder with nothing in it but the README's own files."""

import io
import re
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import gymnasium
import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.cli import main, parse
from rlhf_gym.rewards import RewardModel
from rlhf_gym.runs import read_run
from rlhf_gym.store import PreferenceStore
from tests.blocks import FEW_STEPS, ROOT, forget_modules, run_blocks, sections, small, words_of

README = (ROOT / "README.md").read_text(encoding="utf-8")
BY_PEOPLE = ("Two commands", "Be the teacher")
"""Sections whose blocks need make, or somebody who answers: tests of their own run them."""
SECTIONS = {section.title: section for section in sections(README)}
RUN = [title for title in SECTIONS if title not in BY_PEOPLE]
COMMANDS = [words for s in SECTIONS.values() for language, text in s.blocks if not language for words in words_of(text)]
COMMANDS += [shlex.split(c) for c in re.findall(r"`((?:rlhf-gym|python -m|make) [^`]*)`", README)]


@pytest.fixture(scope="session")
def first_run(tmp_path_factory):
    """The run that "At the command line" makes, which recipes begin with."""
    directory = tmp_path_factory.mktemp("readme") / "first"
    train = ["train", "--env-id", "CartPole-v1", "--labels", "50", "--seed", "0", "--run-dir", str(directory)]
    assert main(small(train)) == 0
    return directory


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in; what is imported or registered from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules, registered = set(sys.modules), set(gymnasium.registry)
    yield tmp_path
    forget_modules(tmp_path, modules)
    for id_ in set(gymnasium.registry) - registered:
        del gymnasium.registry[id_]


def write_files(title: str) -> None:
    SECTIONS[title].write_files()


def test_there_is_something_to_run():
    assert len(RUN) >= 11 and len(COMMANDS) >= 20
    mine = {f"my_{what}.py" for what in ("task", "teachers", "schemes", "networks")}
    assert {name for s in SECTIONS.values() for name in s.files} == mine | {
        "upright.yaml",
        "fast_and_gentle.yaml",
        "plan.yaml",
    }


@pytest.fixture
def short(monkeypatch):
    """Settings for an environment, made in Python, are small ones too."""
    made = RLHFConfig.for_env
    settings = {"query": {"rounds": 2, "warm_up_steps": 512}, "evaluation": {"n_episodes": 2}}
    small = {"total_timesteps": int(FEW_STEPS), **settings}
    monkeypatch.setattr(RLHFConfig, "for_env", lambda env_id, **more: made(env_id, **{**more, **small}))


@pytest.mark.parametrize("title", RUN)
def test_a_section_runs_from_top_to_bottom(title, folder, first_run, short, capsys):
    write_files(title)
    text = "".join(text for _, text in SECTIONS[title].blocks)
    if "runs/first" in text and "--run-dir runs/first" not in text:
        shutil.copytree(first_run, "runs/first")
    run_blocks(SECTIONS[title])
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [c for c in COMMANDS if c[0] == "rlhf-gym"], ids=" ".join)
def test_the_verbs_and_flags_exist(words):
    if "--help" in words:
        pytest.skip("shows help and stops")
    parse(words[1:])


@pytest.mark.parametrize("words", [c for c in COMMANDS if c[:2] == ["python", "-m"]], ids=" ".join)
def test_the_modules_exist(words):
    module, *words = words[2:]
    assert find_spec(module) is not None
    if module in ("experiments.run", "experiments.report"):
        assert words[0] == "NAME" or (ROOT / "experiments" / "questions" / words[0]).is_dir()


@pytest.mark.parametrize("words", [c for c in COMMANDS if c[0] == "make"], ids=" ".join)
def test_the_make_targets_exist(words):
    assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_every_picture_and_file_that_it_names_is_there():
    named = re.findall(r"\]\(([\w./]+)\)", README)
    named += re.findall(r"`((?:results|notebooks|examples)/[\w./]+\.\w+)`", README)
    assert named and not [name for name in named if not (ROOT / name).exists()]


def test_a_run_with_the_recipe_s_teacher_is_recorded_under_its_name_and_not_resumed_without_it(folder, capsys):
    write_files("My own teacher")
    interrupted = ("runs/kept", "runs/lost")
    for directory in interrupted:
        settings = {"labels": 20, "total_timesteps": 4700, "query": {"rounds": 2, "warm_up_steps": 512}}
        named = {"teacher": "my_teachers:Noisy", "teacher_options": {"beta": 5}, "evaluation": {"n_episodes": 2}}
        rlhf = RLHF(RLHFConfig.for_env("CartPole-v1", run_dir=directory, **settings, **named))
        next(rlhf.rounds())
        rlhf.close()
        assert RLHFConfig.from_yaml(f"{directory}/config.yaml").teacher == "my_teachers:Noisy"
    assert main(["resume", "runs/kept"]) == 0
    with PreferenceStore(Path("runs/kept/preferences.db")) as store:
        assert {preference.teacher for preference in store.preferences()} == {"noisy"}
        assert len(store.preferences()) == 20
    Path("my_teachers.py").unlink()
    forget_modules(folder)
    assert main(["resume", "runs/lost"]) == 2
    assert "teacher is 'my_teachers:Noisy' but there is no module 'my_teachers'" in capsys.readouterr().err


def test_the_recipe_s_scheme_and_network_are_in_what_a_run_leaves(folder):
    for title in ("My own query scheme", "My own reward network"):
        write_files(title)
    own = ["--query.scheme", "my_schemes:unlike", "--reward.network", "my_networks:tanh_net"]
    assert main(small(["train", *own, "--reward.network-options.width", "16", "--run-dir", "runs/own"])) == 0
    with PreferenceStore(Path("runs/own/preferences.db")) as store:
        assert {preference.query.why for preference in store.preferences()} == {"uniform", "my_schemes:unlike"}
    model = RewardModel.load("runs/own/reward_model")
    assert (model.network, model.options) == ("my_networks:tanh_net", {"width": 16})
    assert sum(p.numel() for p in model.parameters()) == 5 * (4 * 16 + 16 + 16 + 1)  # five members, four observations


def test_a_ranking_is_typed_at_the_terminal_by_letters(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("cabd\nc=abd\n"))
    train = ["train", "--kind", "ranking", "--query.options", "4", "--labels", "2", "--teacher", "terminal"]
    assert main(small([*train, "--query.schedule", "constant", "--run-dir", "runs/ranked"])) == 0
    with PreferenceStore(Path("runs/ranked/preferences.db")) as store:
        said = [preference.answer.groups for preference in store.preferences()]
    assert said == [((2,), (0,), (1,), (3,)), ((0, 2), (1,), (3,))]


def test_a_run_of_the_recipe_begins_with_another_s_preferences_and_asks_for_no_more_than_labels(folder, first_run):
    shutil.copytree(first_run, "runs/first")
    for labels in ("0", "20"):
        again = ["train", "--preferences", "runs/first", "--labels", labels, "--run-dir", f"runs/{labels}"]
        assert main(small(again)) == 0
        with PreferenceStore(Path(f"runs/{labels}/preferences.db")) as store:
            assert len(store.preferences()) == 50 + int(labels)
    assert read_run("runs/0").config.feedback.preferences == "runs/first"
