"""What the README tells people to run, runs: every block, in a folder with nothing in it but the README's own files."""

import io
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from glob import glob
from importlib.util import find_spec
from pathlib import Path

import gymnasium
import pytest
import yaml

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.cli import main, parse
from rlhf_gym.rewards import RewardModel
from rlhf_gym.runs import read_run
from rlhf_gym.store import PreferenceStore

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALL = {"--query.rounds": "2", "--query.warm-up-steps": "512", "--evaluation.n-episodes": "2"}
"""What makes a run short."""
FEW_STEPS, FEW_UPDATES = "2600", "700"
"""Of a run, and of one that updates its policy after every step."""
BY_PEOPLE = ("Two commands", "Be the teacher")
"""Sections whose blocks need make, or somebody who answers: tests of their own run them."""


@dataclass(frozen=True)
class Section:
    """A heading and the blocks under it, each with its language."""

    title: str
    blocks: list[tuple[str, str]]

    @property
    def files(self) -> dict[str, str]:
        """What is to be written to a file, by the name in its first line."""
        texts = [text for language, text in self.blocks if language in ("python", "yaml")]
        named = {re.match(r"# (\w+\.(?:py|yaml))\n", text): text for text in texts}
        return {match[1]: text for match, text in named.items() if match}


def sections() -> list[Section]:
    parts = re.split(r"^##+ (.*)\n", README, flags=re.MULTILINE)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    found = [Section(title, re.findall(r"```(\w*)\n(.*?)```", text, flags=re.DOTALL)) for title, text in pairs]
    return [section for section in found if section.blocks]


def words_of(block: str) -> list[list[str]]:
    """The words of each command of a block, as a shell makes them of it: loops, variables and quotes included."""
    told = "; ".join(rf'{name}() {{ printf "%s\037" {name} "$@"; echo; }}' for name in ("rlhf-gym", "python", "make"))
    run = subprocess.run(["bash", "-euc", f"{told}\n{block}"], capture_output=True, text=True, check=True)
    assert not run.stderr
    return [line.split("\037")[:-1] for line in run.stdout.splitlines()]


SECTIONS = {section.title: section for section in sections()}
RUN = [title for title in SECTIONS if title not in BY_PEOPLE]
COMMANDS = [words for s in SECTIONS.values() for language, text in s.blocks if not language for words in words_of(text)]
COMMANDS += [shlex.split(c) for c in re.findall(r"`((?:rlhf-gym|python -m|make) [^`]*)`", README)]


def small(words: list[str]) -> list[str]:
    """The same command with small settings, those that it has of its own replaced."""
    if words[:1] == ["sweep"]:
        shrink(Path(words[1]))
    if words[:1] != ["train"]:
        return words
    for flag, value in {**SMALL, "--total-timesteps": FEW_UPDATES if "--algo" in words else FEW_STEPS}.items():
        at = words.index(flag) if flag in words else len(words)
        words = [*words[:at], flag, value, *words[at + 2 :]]
    return words


def shrink(plan: Path) -> None:
    """Make the runs of a sweep short, and few."""
    sweep = yaml.safe_load(plan.read_text())
    sweep["shared"] |= {"total_timesteps": int(FEW_STEPS), "query": {"rounds": 2, "warm_up_steps": 512}}
    sweep["shared"]["evaluation"] = {"n_episodes": 2}
    plan.write_text(yaml.safe_dump(sweep | {"seeds": sweep["seeds"][:1]}))


def run_command(words: list[str]) -> None:
    """Do what a command does, in this process."""
    program, *words = words
    words = [path for word in words for path in (sorted(glob(word)) if "*" in word else [word])]
    if program == "rlhf-gym":
        assert main(small(words)) == 0
    elif words[0] == "-c":
        exec(compile(words[1], "-c", "exec"), {})
    else:
        runpy.run_path(words[0], run_name="__main__")


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


def forget_modules(place: Path, known: set[str] = frozenset()) -> None:
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(place)):
            del sys.modules[name]


def write_files(title: str) -> None:
    for name, text in SECTIONS[title].files.items():
        Path(name).write_text(text)


def test_there_is_something_to_run():
    assert len(RUN) >= 11 and len(COMMANDS) >= 20
    mine = {f"my_{what}.py" for what in ("task", "teachers", "schemes", "networks")}
    assert {name for s in SECTIONS.values() for name in s.files} == mine | {"upright.yaml", "fast_and_gentle.yaml"}


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
    for language, block in SECTIONS[title].blocks:
        if block in SECTIONS[title].files.values():
            continue  # the commands below it name it
        if language == "python":
            Path("block.py").write_text(block)
            names = runpy.run_path("block.py", run_name="__main__")
            if "rlhf" in names:
                names["rlhf"].close()
        else:
            for words in words_of(block):
                run_command(words)
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
