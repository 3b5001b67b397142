"""A run's memory doesn't grow with its rounds."""

import subprocess
import sys

import pytest

ROUNDS, MOST_MB = 200, 12.0
TRAIN = """
import sys
from contextlib import closing
from rlhf_gym import RLHF, RLHFConfig

def resident_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024

config = RLHFConfig.from_dict({
    "env_id": "CartPole-v1", "labels": ROUNDS, "total_timesteps": 200 + 128 * ROUNDS, "segment_length": 10,
    "run_dir": sys.argv[1], "query": {"rounds": ROUNDS, "warm_up_steps": 200, "memory_steps": 1000,
    "schedule": "constant"}, "reward": {"network_options": {"hidden": [8]}, "steps": 2, "batch_size": 4},
    "agent": {"n_envs": 4, "net_arch": [8], "options": {"n_steps": 32, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
})
with closing(RLHF(config)) as rlhf:
    for done in rlhf.rounds():
        print(resident_mb())
""".replace("ROUNDS", str(ROUNDS))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory from /proc")
def test_memory_is_flat_over_200_rounds(tmp_path):
    run = [sys.executable, "-c", TRAIN, str(tmp_path / "run")]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    resident = [float(line) for line in done.stdout.splitlines()]
    assert len(resident) == ROUNDS
    print(f"{resident[ROUNDS // 4]:.1f} MB after a quarter of the rounds, {resident[-1]:.1f} MB after all")
    assert resident[-1] - resident[ROUNDS // 4] < MOST_MB
