"""Sweeps on a real Ray cluster: two nodes on this machine, of one core each."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from rlhf_gym.sweeps.records import read_rows

pytestmark = pytest.mark.slow
pytest.importorskip("ray")

LOOPBACK = ["--node-ip-address", "127.0.0.1"]
RAY = Path(sys.executable).with_name("ray")
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "OMP_NUM_THREADS": "1",
}
SHORT = {
    "env_id": "CartPole-v1",
    "labels": 4,
    "total_timesteps": 1024,
    "query": {"rounds": 1, "warm_up_steps": 128},
    "agent": {"n_envs": 4, "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
}


@contextmanager
def node(*flags):
    """A node of a cluster, in a process group of its own, which is ended at the end."""
    command = [str(RAY), "start", "--block", "--num-cpus", "1", "--disable-usage-stats", *LOOPBACK, *flags]
    process = subprocess.Popen(
        command, env=os.environ | QUIET, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    reader = threading.Thread(target=process.stdout.read, daemon=True)
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ray runtime started" in line:
                break
        else:
            raise RuntimeError("".join(said))
        reader.start()
        yield process
    finally:
        kill(process)
        if reader.ident:
            reader.join()
        process.stdout.close()


def kill(process):
    """As a power cut would."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    port = free_port()
    address = f"127.0.0.1:{port}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    head = ["--head", "--port", str(port), "--include-dashboard", "false"]
    with node(*head), node("--address", address) as second:
        yield second


def plan(folder, seeds):
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({"shared": SHORT, "settings": {"four": {}, "six": {"labels": 6}}, "seeds": seeds}))
    return path


def sweep(file, out, *flags):
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "rlhf_gym.cli", "sweep", str(file), "--out", str(out), "--no-keep-runs", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows(folder):
    return read_rows(folder / "runs.csv")


def test_a_node_that_is_lost_in_the_middle_costs_no_row_and_doubles_none(cluster, tmp_path):
    out = tmp_path / "out"

    def lose_a_node():
        while len(rows(out)) < 2:
            time.sleep(0.1)
        kill(cluster)

    killer = threading.Thread(target=lose_a_node, daemon=True)
    killer.start()
    done = sweep(plan(tmp_path, [0, 1, 2, 3]), out, "--on", "ray://auto")
    assert done.returncode == 0, done.stderr
    killer.join(timeout=1)
    assert not killer.is_alive() and cluster.poll() is not None
    found = [(row["setting"], row["seed"]) for row in rows(out)]
    assert sorted(found) == sorted((setting, str(seed)) for setting in ("four", "six") for seed in range(4))


def test_a_cluster_of_this_machine_gives_the_same_rows_as_processes_do(tmp_path, monkeypatch):
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    file = plan(tmp_path, [0])
    for out, where in (("there", "ray"), ("here", "processes")):
        done = sweep(file, tmp_path / out, "--on", where)
        assert done.returncode == 0, done.stderr
    there, here = (sorted(rows(tmp_path / out), key=lambda row: row["setting"]) for out in ("there", "here"))
    measured = ("wall_seconds", "env_steps_per_second", "peak_rss_mb", "command", "date")
    for one, other in zip(there, here, strict=True):
        assert {k: v for k, v in one.items() if not k.startswith(measured)} == {
            k: v for k, v in other.items() if not k.startswith(measured)
        }


def test_a_cluster_that_is_not_there_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    done = sweep(plan(tmp_path, [0]), tmp_path / "out", "--on", "ray://auto")
    assert done.returncode == 2
    assert "no cluster answers there" in done.stderr.strip().splitlines()[-1]


def test_an_experiment_takes_its_code_along_and_its_rows_name_the_commit(tmp_path):
    command = [sys.executable, "-m", "experiments.run", "cartpole", "--testing", "--on", "ray", "--jobs", "1"]
    command += ["--only", "labels_50", "--results-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | QUIET)
    assert done.returncode == 0, done.stderr
    (row,) = read_rows(tmp_path / "cartpole-testing" / "runs.csv")
    assert len(row["commit"].removesuffix("+dirty")) == 40 and len(row["code"]) == 16
