import ast
import json
import re
import sys
from pathlib import Path

import pytest

from experiments.measurements import peers
from experiments.measurements.peers.environment import NEEDED, REQUIREMENTS, ensure, version
from experiments.measurements.peers.page import latest, page, ratios
from experiments.measurements.peers.run import Job, chosen, in_fresh_process, row, run, same_settings, without_row
from experiments.measurements.peers.settings import CARTPOLE, HALF_CHEETAH, TASKS, TESTING, TUTORIAL, agent_steps
from rlhf_gym.config.mappings import merge
from rlhf_gym.sweeps.records import read_rows

PENDULUM = {"only": ["pendulum_100"], "testing": False}


def pretend(job):
    """Figures as a run gives them, without the run: PPO takes 50 s, learning from answers 80 s, seed 1 twice that."""
    seconds = (50.0 if job.who.endswith("_ppo") else 80.0) * (1 + job.seed % 2)
    return {
        "labels": 100,
        "agent_steps": 100_000,
        "sampling_steps": 4_000,
        "true_return_mean": -150.0 - 10 * job.seed,
        "true_return_std": 90.0,
        "n_eval_episodes": 20,
        "wall_seconds": seconds,
        "cpu_seconds": seconds - 1,
        "wall_seconds_reward": 7.0,
        "wall_seconds_sampling": 3.0,
        "versions": {"torch": "2"},
        "python": "3",
    }


def stopped(job):
    return {"error": "ValueError: too short", "versions": {"torch": "2"}, "python": "3"}


def never(job):
    raise AssertionError(f"{job} was run again")


def done(folder):
    return [(r["task"], r["who"], int(r["seed"]), int(r["repeat"])) for r in read_rows(folder / "runs.csv")]


def test_only_runs_without_a_row_are_done_and_nothing_is_overwritten(tmp_path):
    run(chosen(**PENDULUM, who=["imitation"], seeds=[1]), tmp_path, pretend)
    before = (tmp_path / "runs.csv").read_text()
    jobs = chosen(**PENDULUM, who=["imitation", "imitation_ppo"], seeds=[0, 1])
    run(jobs, tmp_path, pretend)
    assert sorted(done(tmp_path)) == sorted((j.task, j.who, j.seed, 0) for j in jobs)
    after = (tmp_path / "runs.csv").read_text()
    assert after.startswith(before)
    run(jobs, tmp_path, never)
    assert (tmp_path / "runs.csv").read_text() == after


def test_a_run_that_cannot_be_started_is_told_and_leaves_the_others(tmp_path):
    def execute(job):
        if job.seed == 1:
            raise RuntimeError("out of memory")
        return pretend(job)

    failed = run(chosen(**PENDULUM, who=["imitation"]), tmp_path, execute)
    assert failed == {Job("pendulum_100", "imitation", 1): "out of memory"}
    assert done(tmp_path) == [("pendulum_100", "imitation", seed, 0) for seed in (0, 2)]


def test_another_repeat_is_run_beside_the_first(tmp_path):
    for repeat in (0, 1):
        run(chosen(**PENDULUM, who=["imitation"], seeds=[0], repeat=repeat), tmp_path, pretend)
    assert done(tmp_path) == [("pendulum_100", "imitation", 0, 0), ("pendulum_100", "imitation", 0, 1)]
    assert [r["repeat"] for r in latest(read_rows(tmp_path / "runs.csv"))] == ["1"]
    assert "--repeat 1" in read_rows(tmp_path / "runs.csv")[1]["command"]


def test_a_row_of_other_settings_is_refused(tmp_path):
    jobs = chosen(**PENDULUM, who=["imitation"], seeds=[0])
    run(jobs, tmp_path, pretend)
    path = tmp_path / "runs.csv"
    path.write_text(path.read_text().replace('""gamma"": 0.97', '""gamma"": 0.9'))
    with pytest.raises(ValueError, match="pendulum_100 imitation seed 0 with other settings .* use --repeat 1"):
        without_row(jobs, path)


@pytest.mark.parametrize(
    ("then", "same"),
    [
        ({"labels": 100, "query": {"rounds": 5}}, True),  # older than query.checks
        ({"labels": 50, "query": {"rounds": 5}}, False),
        ({"labels": 100, "query": {"rounds": 5}, "gone": 1}, False),
        ({"query": {"rounds": 5}}, False),  # older than labels, which isn't at its default now
    ],
)
def test_a_row_older_than_a_setting_ran_with_its_default(then, same):
    now, default = {"labels": 100, "query": {"rounds": 5, "checks": 0.0}}, {"labels": 50, "query": {"checks": 0.0}}
    assert same_settings(then, now, default) is same


def test_who_goes_first_changes_with_the_seed():
    order = [(job.seed, job.who) for job in chosen(**PENDULUM)]
    names = ["rlhf_gym", "rlhf_gym_ppo", "imitation_our_agent", "imitation", "imitation_ppo"]
    assert order == [(s, who) for s in (0, 1, 2) for who in (names if s != 1 else names[::-1])]


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"only": ["pendulum_10"]}, "did you mean pendulum_100"),
        ({"who": ["imitatoin"]}, "did you mean imitation"),
        ({"seeds": [7]}, "seeds has 7; the seeds are 0, 1, 2"),
    ],
)
def test_names_and_seeds_that_are_not_there_are_refused(asked, what):
    with pytest.raises(ValueError, match=what):
        chosen(**asked, testing=False)


def test_a_row_says_what_ran_and_how_to_run_it_again():
    job = Job("half_cheetah_700", "imitation", 2)
    made = row(job, pretend(job))
    assert (
        made["command"] == "python -m experiments.measurements.peers --only half_cheetah_700 --who imitation --seeds 2"
    )
    assert made["env_id"] == "HalfCheetah-v4" and made["versions"] == "torch 2" and made["error"] == ""
    assert json.loads(made["settings"]) == {**HALF_CHEETAH, "seed": 2, "evaluation_seed": 10_002}
    assert list(made) == list(row(job, stopped(job)))  # so that both fit under one header


def test_ours_is_the_preset_with_the_labels_steps_and_seed_of_the_task():
    ours, true = (json.loads(Job("cartpole_200", who, 1).settings) for who in ("rlhf_gym", "rlhf_gym_ppo"))
    assert (ours["labels"], ours["total_timesteps"], ours["seed"], ours["reward"]["source"]) == (
        200,
        60_000,
        1,
        "learned",
    )
    assert ours["segment_length"] == 25  # the preset's
    assert (true["labels"], true["reward"]["source"], true["agent"]) == (0, "true", ours["agent"])


def test_agent_steps_are_whole_rollouts_of_each_iteration_and_one_more():
    assert agent_steps(TUTORIAL) == 49 * 2048 == 100_352
    assert agent_steps(HALF_CHEETAH) == 51 * 12 * 512 == 313_344  # 6,000 each, in rollouts of 512
    assert agent_steps(CARTPOLE) == 6 * 5 * 2048 == 61_440
    # 1,000 in 3: 333, 333, 334 and 333 again, where the third takes one rollout of 111 more than the others.
    uneven = {"total_timesteps": 1000, "n_envs": 1, "ppo": {"n_steps": 111}, "comparisons": {"num_iterations": 3}}
    assert agent_steps(uneven) == (3 + 3 + 4 + 3) * 111


def test_both_ppos_of_imitation_differ_in_nothing_but_what_they_are_paid():
    for task in TASKS.values():
        learned, true = task.runs["imitation"].settings, task.runs["imitation_ppo"].settings
        assert merge(true, {"source": "learned", "total_timesteps": learned["total_timesteps"]}) == learned
        assert learned["labels"] == task.labels and true["total_timesteps"] == agent_steps(learned)


def test_ratios_are_taken_in_pairs_of_one_seed_and_repeat(tmp_path):
    run(chosen(**PENDULUM), tmp_path, pretend)
    rows = read_rows(tmp_path / "runs.csv")
    assert ratios(rows, "imitation", "imitation_ppo", "wall_seconds") == [1.6, 1.6, 1.6]
    assert ratios(rows, "imitation", "imitation_ppo", "cpu_seconds") == pytest.approx([79 / 49, 159 / 99, 79 / 49])
    apart = [dict(r, repeat="1") if r["who"] == "imitation_ppo" else r for r in rows]
    assert ratios(apart, "imitation", "imitation_ppo", "wall_seconds") == []


def test_no_ratio_is_taken_of_wall_times_on_a_shared_machine(tmp_path):
    run(chosen(**PENDULUM), tmp_path, pretend)
    rows = [dict(r, wall_seconds="89") if r["who"] == "imitation" else r for r in read_rows(tmp_path / "runs.csv")]
    # 79 CPU seconds in 89 are 0.89, of seeds 0 and 2; seed 1 has 159 and keeps its ratio.
    assert ratios(rows, "imitation", "imitation_ppo", "wall_seconds") == [0.89]
    assert len(ratios(rows, "imitation", "imitation_ppo", "cpu_seconds")) == 3


def test_the_page_has_a_line_for_each_with_its_figures(tmp_path):
    run(chosen(**PENDULUM), tmp_path, pretend)
    text = page(tmp_path / "runs.csv")
    assert "imitation takes 1.0 (1.0 to 1.0) times the CPU seconds of rlhf_gym." in text
    # Fitting: 7 of 80, of 160 and of 80 s. Steps per CPU s: 104,000 / 79, / 159 and / 79, whose median is 1,316.
    line = "| -160 (-170 to -150) | 3 | 100 | 100,000 | 4,000 | 80 | 79 | 9 | 1.60 | 1.61 | 1316 |"
    assert f"| **imitation** {line}" in text and f"| **rlhf_gym** {line}" in text
    assert (
        "PPO on the true reward | -160 (-170 to -150) | 3 | 100 | 100,000 | 4,000 | 50 | 49 | 14 |  |  | 2122 |" in text
    )
    assert "## Pendulum-v1, 100 labels" in text and "HalfCheetah, 700 labels" not in text
    assert '"fragment_length": 100' in text and (peers.__doc__ or "").strip() in text


def test_the_page_says_what_a_run_stopped_with(tmp_path):
    run(chosen(only=["cartpole_200"], who=["imitation"], testing=False), tmp_path, stopped)
    assert "| **imitation** | stops with `ValueError: too short` | 3 |" in page(tmp_path / "runs.csv")


def test_a_page_without_rows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no runs"):
        page(tmp_path / "runs.csv")


@pytest.mark.slow
def test_ours_runs_from_end_to_end(tmp_path):
    jobs = chosen(who=["rlhf_gym", "rlhf_gym_ppo"], testing=True)
    run(jobs, tmp_path, lambda job: in_fresh_process(job, peer_python=Path("not needed")))
    ours, true = read_rows(tmp_path / "runs.csv")
    assert (ours["labels"], true["labels"]) == ("20", "0")
    assert (ours["agent_steps"], ours["sampling_steps"]) == ("1024", "512")  # a rollout wouldn't fit another time
    assert (true["agent_steps"], true["sampling_steps"]) == ("2048", "0")
    for found in (ours, true):
        assert -2000 < float(found["true_return_mean"]) < 0 < float(found["cpu_seconds"])
        assert float(found["wall_seconds_reward"]) < float(found["wall_seconds"])
    assert float(ours["wall_seconds_reward"]) > 0
    assert TESTING["pendulum_20"].title in page(tmp_path / "runs.csv", testing=True)


def test_the_script_of_imitation_imports_nothing_of_ours():
    tree = ast.parse(Path(peers.__file__).with_name("peer.py").read_text())
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    modules |= {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert not {str(name).split(".")[0] for name in modules} & {"rlhf_gym", "experiments"}


def test_every_requirement_is_pinned_to_one_version():
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+(  # .*)?", line) for line in lines)
    names = [line.split("==")[0].lower() for line in lines]
    assert len(names) == len(set(names)) and {"imitation", "gymnasium", "stable-baselines3", "torch"} <= set(names)


def test_a_python_that_the_pins_are_not_for_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.measurements.peers.environment.version", lambda python: "3.13")
    with pytest.raises(ValueError, match=f"is Python 3.13; imitation's pins need {NEEDED}"):
        ensure(tmp_path / "venv")
    assert not (tmp_path / "venv").exists()


def test_a_python_that_is_not_there_is_refused():
    assert version(sys.executable) == f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(ValueError, match="python is no-such-python, which can't be run"):
        version("no-such-python")
