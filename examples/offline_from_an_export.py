"""Fit a reward to exported preferences, without a loop, and train a plain PPO on it.

    python examples/offline_from_an_export.py [--export runs/first/export] [--steps 40000]

Without --export, 50 answers about an untrained policy are collected, once. All of it on the command line:
`rlhf-gym train --preferences DIR --labels 0`.
"""

import argparse
from pathlib import Path

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.envs import VecLearnedReward
from rlhf_gym.evaluation import mean_return, play
from rlhf_gym.kinds import choices
from rlhf_gym.rewards import RewardLearner, RewardModel
from rlhf_gym.store.exchange import export, read_preferences, read_spaces

ENV_ID, EXPORT = "CartPole-v1", "runs/offline_export"


def collect(directory, labels=50):
    """Ask an oracle about an untrained policy, and export its answers."""
    rlhf = RLHF(RLHFConfig.for_env(ENV_ID, labels=labels))
    queries = rlhf.ask(labels)
    rlhf.tell(queries, rlhf.teacher.answer(queries))
    export(rlhf.store, directory, spaces=(rlhf.venv.observation_space, rlhf.venv.action_space), parquet=False)
    rlhf.close()


def fit(directory):
    """Fit a reward model to exported preferences, and return its reward function."""
    preferences = read_preferences(directory)
    model = RewardModel(*read_spaces(directory), ensemble_size=5, inputs="observation", hidden=(32, 32))
    learner = RewardLearner(model, rng=np.random.default_rng(0), l2=1e-3, steps=200, learning_rate=1e-2)
    fitted = learner.fit(choices(preferences))
    seen = [segment for preference in preferences for segment in preference.query.options]
    learner.rescale(seen, shift=False)  # to unit size; episodes end early here, so the sign has to stay
    print(f"{len(preferences)} preferences: {fitted.accuracy_heldout:.0%} of the held-out answers predicted")
    return model.reward_function()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--export")
    parser.add_argument("--steps", type=int, default=40_000)
    args = parser.parse_args()
    if args.export is None and not Path(EXPORT).exists():
        collect(EXPORT)
    venv = VecLearnedReward(make_vec_env(ENV_ID, n_envs=8, seed=0), fit(args.export or EXPORT))
    ppo = PPO("MlpPolicy", venv, n_steps=128, batch_size=128, gamma=0.98, gae_lambda=0.9, learning_rate=1e-3, seed=0)
    before = mean_return(play(ppo.predict, ENV_ID, seed=0))
    after = mean_return(play(ppo.learn(args.steps).predict, ENV_ID, seed=0))
    print(f"true return, mean of 20 episodes: {before:.0f} before, {after:.0f} after {args.steps} steps")
