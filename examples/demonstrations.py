"""Learn CartPole from what an expert shows: demonstrations beside comparisons, or corrections.

    python examples/demonstrations.py [--steps 40000]

On the command line: `rlhf-gym train --reward.source true --labels 0 --run-dir runs/expert`, and then
`rlhf-gym train --kind demonstration=0.3,comparison=0.7 --demonstrator runs/expert`.
"""

import argparse

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.envs import save_trajectories
from rlhf_gym.evaluation import play

ENV_ID = "CartPole-v1"


def learn(steps, **settings):
    """Learn by these settings; return the run, and the true return of its policy."""
    rlhf = RLHF(RLHFConfig.for_env(ENV_ID, labels=50, total_timesteps=steps, **settings))
    found = rlhf.learn()
    rlhf.close()
    return rlhf, found["true_return_mean"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40_000)
    steps = parser.parse_args().steps
    expert, true_return = learn(steps, reward={"source": "true"})
    print(f"the expert, who is paid the true reward: {true_return:.0f}")
    expert.agent.save("expert.zip")  # Stable-Baselines3's own file; a run directory will do as well
    save_trajectories("expert.safetensors", play(expert.predict, ENV_ID, seed=0, n_episodes=5))
    for kind, demonstrator in (
        ("demonstration=0.3,comparison=0.7", "expert.safetensors"),
        ("correction", "expert.zip"),  # needs a policy: a recording can't go on from any state
    ):
        _, true_return = learn(steps, kind=kind, feedback={"demonstrator": demonstrator})
        print(f"50 answers of kind {kind}, shown by {demonstrator}: {true_return:.0f}")
