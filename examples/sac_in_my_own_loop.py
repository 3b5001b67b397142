"""Own the loop: Stable-Baselines3's SAC, unmodified, on a reward that is learned while it trains.

    python examples/sac_in_my_own_loop.py [--steps 6000]

Transitions in the replay buffer were paid by an older reward. `RelabelledReplay` pays each by the latest reward when it
is sampled (PEBBLE; Lee et al. 2021). Our own loop does the same: `rlhf-gym train --env-id Pendulum-v1 --algo sac`.
"""

import argparse

import numpy as np
from stable_baselines3 import SAC

from rlhf_gym import Preference
from rlhf_gym.agents import RelabelledReplay
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.evaluation import mean_return, play
from rlhf_gym.kinds import choices
from rlhf_gym.queries import choose_queries
from rlhf_gym.queries.schemes.disagreement import disagreement
from rlhf_gym.rewards import RewardLearner, RewardModel
from rlhf_gym.segments import Origin
from rlhf_gym.teachers import OracleTeacher

ENV_ID, ROUNDS, LABELS = "Pendulum-v1", 10, 10


def train(steps):
    """Train for `steps` steps in ten rounds, with ten labels after each round but the last."""
    rng, teacher, preferences = np.random.default_rng(0), OracleTeacher(), []
    recorder = make_vec_env(Origin(ENV_ID, 0), n_envs=1, memory_steps=10_000, rng=rng)
    model = RewardModel(recorder.observation_space, recorder.action_space, inputs="observation", hidden=(32, 32))
    learner = RewardLearner(model, rng=rng, l2=1e-3)
    venv = VecLearnedReward(recorder, model.reward_function())
    settings = {"learning_rate": 1e-3, "gamma": 0.9, "learning_starts": steps // ROUNDS, "seed": 0}
    settings |= {"policy_kwargs": {"net_arch": [64, 64]}, "buffer_size": steps}
    sac = SAC("MlpPolicy", venv, replay_buffer_class=RelabelledReplay, **settings)
    for turn in range(ROUNDS):
        sac.learn(steps // ROUNDS, reset_num_timesteps=turn == 0)
        if turn == ROUNDS - 1:
            return sac
        episodes = recorder.trajectories()
        scheme = {"scheme": disagreement() if turn else None, "candidates_per_query": 10}
        queries = choose_queries(episodes, length=25, n=LABELS, rng=rng, step_scores=learner.step_rewards, **scheme)
        preferences += [Preference(q, answer) for q, answer in zip(queries, teacher.answer(queries), strict=True)]
        fit = learner.fit(choices(preferences))
        learner.rescale(episodes, shift=True)  # Pendulum never terminates, so the mean says nothing
        venv.reward_function = sac.replay_buffer.reward_function = model.reward_function()
        print(f"{len(preferences)} labels: {fit.accuracy_heldout:.0%} of the held-out answers predicted", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=6_000)
    sac = train(parser.parse_args().steps)
    true_return = mean_return(play(sac.predict, ENV_ID, seed=0))
    print(f"true return {true_return:.0f}, mean of 20 episodes; an untrained policy gets about -1,200")
