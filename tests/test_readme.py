"""What the README tells people to run, runs."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from rlhf_gym.cli import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line.split("#")[0].strip() for language, text in BLOCKS if not language for line in text.splitlines()]
COMMANDS += re.findall(r"`((?:rlhf-gym|python -m|make) [^`]*)`", README)


def test_there_is_something_to_run():
    assert len(PYTHON) >= 2 and len(COMMANDS) >= 8


@pytest.mark.parametrize("text", PYTHON, ids=lambda text: text.strip().splitlines()[-1])
def test_the_python_runs_as_it_stands(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(text, "README.md", "exec"), names)
    names["rlhf"].close()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("rlhf-gym")])
def test_the_verbs_and_flags_exist(command):
    words = shlex.split(command)[1:]
    if "--help" in words:
        pytest.skip("shows help and stops")
    parse(words)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m")])
def test_the_modules_exist(command):
    module, *words = command.split()[2:]
    assert find_spec(module) is not None
    if module in ("experiments.run", "experiments.report"):
        assert words[0] == "NAME" or (ROOT / "experiments" / "questions" / words[0]).is_dir()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_the_make_targets_exist(command):
    target = command.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_every_picture_and_file_that_it_names_is_there():
    named = re.findall(r"\]\(([\w./]+)\)", README) + re.findall(r"`((?:results|notebooks)/[\w./]+\.\w+)`", README)
    assert named and not [name for name in named if not (ROOT / name).exists()]
