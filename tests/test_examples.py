"""Every script in examples/ does what it says, on few steps; its public parts are all it needs."""

import io
import re
import runpy
import shutil
import sys
from pathlib import Path

import gymnasium
import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.cli import main

EXAMPLES = Path(__file__).parents[1] / "examples"
STEPS = {
    "demonstrations": 2048,
    "offline_from_an_export": 2048,
    "offline_from_minari": 1600,
    "own_environment": 4096,
    "own_teacher": 4096,
    "reward_in_another_ppo": 4096,
    "sac_in_my_own_loop": 1000,
}
SAYS = {
    "demonstrations": r"the expert, .*: \d+\n(50 answers of kind .*, shown by expert.*: \d+\n){2}",
    "offline_from_an_export": r"50 preferences: \d+% of .*\n.* \d+ before, \d+ after 2048 steps",
    "offline_from_minari": r"100 answers: \d+% of .*\ncorrelation with the true return .*: 0.\d\d\nwrote runs/offline",
    "own_environment": r"untrained: -\d+ .*\nfrom 50 answers: -\d+",
    "own_teacher": r"beta 0.01: \d+% .*\nbeta 1.0: \d+% of the answers name the better segment; true return \d+",
    "reward_in_another_ppo": r"true return \d+ \(mean of 20 episodes\) after 4096 steps on a learned reward",
    "sac_in_my_own_loop": r"(\d+ labels: \d+% of .*\n){9}true return -\d+",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with the examples beside it; what is imported or registered there is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    registered = set(gymnasium.registry)
    yield tmp_path
    sys.modules.pop("own_environment", None)
    for id_ in set(gymnasium.registry) - registered:
        del gymnasium.registry[id_]


def test_every_script_is_run_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(STEPS)


@pytest.mark.parametrize("name", STEPS)
def test_an_example_runs_and_says_what_came_of_it(name, folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--steps", str(STEPS[name])])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert re.search(SAYS[name], capsys.readouterr().out)


@pytest.mark.parametrize("name", ["offline_from_an_export", "reward_in_another_ppo"])
def test_what_an_example_collects_serves_the_next_time_too(name, folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--steps", "2048"])
    for _ in range(2):
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    first, second = re.findall(r"true return.*", capsys.readouterr().out)
    assert first == second  # the same reward, and the same seed


@pytest.mark.parametrize("name", STEPS)
def test_an_example_imports_nothing_private(name):
    text = (EXAMPLES / f"{name}.py").read_text()
    assert not re.findall(r"(?:import|from) .*\b_\w+|rlhf\w*\._", text)


def test_an_example_takes_the_files_of_another_run(folder, monkeypatch, capsys):
    settings = {"labels": 20, "total_timesteps": 2048, "query": {"rounds": 1}, "evaluation": {"n_episodes": 2}}
    rlhf = RLHF(RLHFConfig.for_env("CartPole-v1", run_dir="runs/mine", **settings))
    rlhf.learn()
    rlhf.close()
    assert main(["export", "runs/mine"]) == 0
    for name, flag, value in (
        ("offline_from_an_export", "--export", "runs/mine/export"),
        ("reward_in_another_ppo", "--reward", "runs/mine/reward_model"),
    ):
        monkeypatch.setattr(sys, "argv", [name, flag, value, "--steps", "1024"])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert "20 preferences: " in capsys.readouterr().out
    assert [path.name for path in Path("runs").iterdir()] == ["mine"]


def test_an_environment_of_ones_own_is_found_in_the_working_folder_by_every_verb(folder, monkeypatch, capsys):
    shutil.copy(EXAMPLES / "own_environment.py", folder)
    own = {"env_id": "own_environment:Dot-v0", "feedback": {"goal": "own_environment:near_zero"}}
    few = {"labels": 10, "total_timesteps": 6144, "query": {"rounds": 2}, "evaluation": {"n_episodes": 2}}
    rlhf = RLHF(RLHFConfig.from_dict({**own, **few, "run_dir": "runs/dot", "teacher": "store"}))
    monkeypatch.setattr(sys, "stdin", io.StringIO("left\n" * 10))
    rlhf.ask(10)
    rlhf.close()
    forget()
    assert main(["label", "runs/dot", "--draw", "states", "--who", "ann"]) == 0
    for words in (
        ["resume", "runs/dot"],
        ["evaluate", "runs/dot", "--n-episodes", "2"],
        ["watch", "runs/dot", "--output", "dot.gif"],
        ["plot", "runs/dot", "--output", "dot.png"],
        ["export", "runs/dot"],
        ["quality", "runs/dot"],
        ["import", "runs/dot/export", "--store", "sqlite:///taken.db"],
    ):
        forget()
        assert main(words) == 0, words
    said = capsys.readouterr().out
    assert "10 answers, all kept" in said
    assert "own_environment:Dot-v0: true return 0.0 ± 0.0" in said and "goal return -" in said
    assert all(Path(name).is_file() for name in ("dot.gif", "dot.png", "runs/dot/export/preferences.jsonl"))


def forget():
    """Begin as a new process would: the module neither imported nor registered."""
    sys.modules.pop("own_environment", None)
    gymnasium.registry.pop("Dot-v0", None)
