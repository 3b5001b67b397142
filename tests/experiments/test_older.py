"""Every table of results is of the present code, or is named as older; a run's code is what makes its result."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

from experiments.harness import fingerprint
from experiments.harness.fingerprint import canonical, code_of, has_part
from experiments.harness.older import is_fresh, listed_older, stale
from experiments.harness.results import read_results
from experiments.harness.settings import known_columns, names
from experiments.questions import cartpole, mujoco
from rlhf_gym.config import RLHFConfig
from rlhf_gym.rlhf import RLHF
from rlhf_gym.sweeps.records import read_rows

RESULTS = Path(__file__).parents[2] / "results"
OTHER = {"bench": "pairs.csv", "peers": "runs.csv", "page_waits": "runs.csv"}


@pytest.fixture
def changed(monkeypatch):
    """Change the code of a module, as if its file had been edited."""
    parsed = fingerprint._parsed
    caches = (fingerprint._reached, fingerprint._imported, fingerprint._module, fingerprint._definition)

    def change(module, edit):
        tree = ast.parse(edit(Path(fingerprint._path(module)).read_text(encoding="utf-8")))
        monkeypatch.setattr(fingerprint, "_parsed", lambda name: tree if name == module else parsed(name))
        for cache in caches:
            cache.cache_clear()

    yield change
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("name", [name for name in names() if (RESULTS / name / "runs.csv").exists()])
def test_a_table_is_of_the_present_code_or_is_named_as_older_and_not_both(name):
    results, listed = read_results(name, results_dir=RESULTS), listed_older(RESULTS)
    older = {f"{name}/{key}" for key, family in results.families.items() if stale(results, family)}
    named = {table for table in listed if table.startswith(f"{name}/")}
    assert older - named == set(), (
        "confirm these (python -m experiments.run NAME --confirm), run them again (--retire), or say why not"
    )
    assert named - older == set(), "these are of the present code; take them off results/older.txt"


@pytest.mark.parametrize("folder", OTHER)
def test_measurements_that_are_not_of_the_present_code_are_named_as_older(folder):
    last = read_rows(RESULTS / folder / OTHER[folder])[-1]
    fresh = bool(last.get("code")) and last["code"] == code_of(RLHFConfig.for_env(last["env_id"]))
    assert fresh is (folder not in listed_older(RESULTS))


def test_a_line_that_says_no_reason_is_refused(tmp_path):
    (tmp_path / "older.txt").write_text("# why\n\nmujoco/ant: run before\n")
    assert listed_older(tmp_path) == {"mujoco/ant": "run before"}
    (tmp_path / "older.txt").write_text("mujoco/ant\n")
    with pytest.raises(ValueError, match=r"line 1, is 'mujoco/ant'; expected `table: why`"):
        listed_older(tmp_path)


def test_comments_docstrings_and_layout_are_not_code():
    one = 'def f(x):\n    """Add."""\n    # one\n    return x + 1\n'
    other = "def f(x): return (x\n  + 1)"
    assert canonical(ast.parse(one)) == canonical(ast.parse(other)) != canonical(ast.parse(other.replace("1", "2")))


def test_a_change_of_what_fits_the_reward_is_one_to_learned_runs_and_none_to_ppo_on_the_true_reward(changed):
    learned, true = (mujoco.SETTINGS[f"hopper_{name}"].run_config(0) for name in ("50", "ppo_true_reward"))
    before = code_of(learned), code_of(true)
    changed("rlhf_gym.rewards.fitting", lambda text: text + "\nMORE = 1\n")
    after = code_of(learned), code_of(true)
    assert (after[0] == before[0], after[1] == before[1]) == (False, True)


def test_a_change_of_the_agent_is_one_to_both(changed):
    configs = [mujoco.SETTINGS[f"hopper_{name}"].run_config(0) for name in ("50", "ppo_true_reward")]
    before = [code_of(config) for config in configs]
    changed("rlhf_gym.agents.on_policy", lambda text: text.replace("1e-5", "1e-4"))
    assert not set(before) & {code_of(config) for config in configs}


def test_a_new_goal_beside_the_run_s_own_changes_nothing_and_its_own_does(changed):
    config = cartpole.SETTINGS["hold_at_one_100"].run_config(0)
    before, module = code_of(config), "rlhf_gym.teachers.builtin_goals"
    changed(module, lambda text: text.replace("return -1 - np", "return -2 - np").replace("[:, 8]", "[:, 7]"))
    assert code_of(config) == before
    changed(module, lambda text: text.replace("- 1.0) / 0.5)", "- 1.0) / 0.4)"))
    assert code_of(config) != before


def test_what_a_run_s_settings_have_no_use_for_is_never_called_in_it():
    config = RLHFConfig.for_env(
        "CartPole-v1",
        labels=12,
        total_timesteps=712,
        segment_length=10,
        query={"rounds": 4, "warm_up_steps": 200},
        reward={"linear": "quadratic", "calibrate": True, "network_options": {"hidden": [8]}, "steps": 5},
        agent={"n_envs": 4, "options": {"n_steps": 32, "batch_size": 64, "n_epochs": 1}},
        evaluation={"n_episodes": 2},
    )
    rooms = [f"rlhf_gym.{room}" for rooms, used in fingerprint.UNUSED for room in rooms if not used(config)]
    assert len(rooms) == sum(len(rooms) for rooms, _ in fingerprint.UNUSED)
    for room in rooms:
        importlib.import_module(room)
    called = set()
    sys.setprofile(lambda frame, event, _: called.add(frame.f_globals.get("__name__", "")) if event == "call" else None)
    try:
        RLHF(config).learn()
    finally:
        sys.setprofile(None)
    assert {"rlhf_gym.agents.on_policy", "rlhf_gym.rewards.fitting"} <= called
    assert [name for name in called if any(name == room or name.startswith(f"{room}.") for room in rooms)] == []


def test_a_change_of_what_it_has_no_use_for_leaves_a_run_as_it_was(changed):
    without, among = (mujoco.SETTINGS[f"{name}_50"].run_config(0) for name in ("hopper", "ant"))  # Ant's are shown some
    before = code_of(without), code_of(among)
    changed("rlhf_gym.agents.exploring", lambda text: text + "\nMORE = 1\n")
    assert code_of(without) == before[0] and code_of(among) != before[1]


def test_what_only_keeps_or_shows_a_run_has_no_part(changed):
    config = mujoco.SETTINGS["hopper_50"].run_config(0)
    before = code_of(config)
    for module in ("rlhf_gym.store.database", "rlhf_gym.runs.directory", "rlhf_gym.envs.clips"):
        changed(module, lambda text: text + "\nMORE = 1\n")
        assert code_of(config) == before


def test_measures_are_part_of_a_run_s_code():
    setting = cartpole.SETTINGS["hold_at_one_100"]
    assert code_of(setting.run_config(0)) != code_of(setting.run_config(0), setting.measures.values())


def test_settings_of_the_reward_have_no_part_in_what_ppo_reaches_on_the_true_reward():
    learned, true = (mujoco.SETTINGS[f"hopper_{name}"].run_config(0) for name in ("50", "ppo_true_reward"))
    assert has_part("reward.steps", learned) and not has_part("reward.steps", true)
    normalised = true.replace(reward={"source": "normalised_true"})
    for name in ("reward.shift", "query.memory_steps"):
        assert has_part(name, normalised) and not has_part(name, true)
    assert all(has_part(name, true) for name in ("agent.options", "reward.source", "feedback.goal", "query.rounds"))


def test_a_row_is_fresh_by_its_settings_and_its_code():
    setting = mujoco.SETTINGS["hopper_50"]
    known = known_columns("mujoco", "hopper_50", setting.run_config(1))
    row = {name: "" if value is None else str(value) for name, value in known.items()}
    row["code"] = code_of(setting.run_config(1))
    assert is_fresh("mujoco", "hopper_50", setting, row)
    assert not is_fresh("mujoco", "hopper_50", setting, row | {"code": "older"})
    assert not is_fresh("mujoco", "hopper_50", setting, row | {"reward.steps": "61"})
    assert not is_fresh("mujoco", "hopper_50", setting, {k: v for k, v in row.items() if k != "reward.steps"})
