"""One run of `imitation`, inside its own virtual environment: `python peer.py < settings.json > figures.json`.

Imports nothing of ours. The settings are those of `experiments/measurements/peers/settings.py`, as JSON, with a seed.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from contextlib import redirect_stdout
from importlib import metadata
from typing import Any

import gymnasium
import numpy as np
import torch
from imitation.algorithms import preference_comparisons as pc
from imitation.policies.base import FeedForward32Policy, NormalizeFeaturesExtractor
from imitation.rewards.reward_nets import BasicRewardNet, NormalizedRewardNet
from imitation.util import logger
from imitation.util.networks import RunningNorm
from imitation.util.util import make_vec_env
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnvWrapper

PACKAGES = ("imitation", "gymnasium", "stable_baselines3", "torch", "numpy", "mujoco")


class CountedSteps(VecEnvWrapper):
    """Counts every step of every environment."""

    steps = 0

    def reset(self) -> Any:
        """Reset without counting."""
        return self.venv.reset()

    def step_wait(self) -> Any:
        """Step, and count one step for each environment."""
        self.steps += self.num_envs
        return self.venv.step_wait()


class TimedRewardTrainer(pc.BasicRewardTrainer):
    """Adds up the seconds spent on fitting the reward."""

    seconds = 0.0

    def train(self, *args: Any, **kwargs: Any) -> None:
        """Fit, and take the time."""
        started = time.perf_counter()
        super().train(*args, **kwargs)
        self.seconds += time.perf_counter() - started


class TimedAgentTrainer(pc.AgentTrainer):
    """Adds up the seconds spent on sampling trajectories to ask about."""

    seconds = 0.0

    def sample(self, steps: int) -> Any:
        """Sample, and take the time."""
        started = time.perf_counter()
        sampled = super().sample(steps)
        self.seconds += time.perf_counter() - started
        return sampled


def make_agent(settings: dict[str, Any], venv: Any) -> PPO:
    """Make a PPO with the policy of imitation's tutorial and scripts."""
    normalize = {
        "features_extractor_class": NormalizeFeaturesExtractor,
        "features_extractor_kwargs": {"normalize_class": RunningNorm},
    }
    return PPO(
        FeedForward32Policy,
        venv,
        policy_kwargs=normalize if settings["normalize_observations"] else {},
        seed=settings["seed"],
        device="cpu",
        **settings["ppo"],
    )


def learn_from_answers(settings: dict[str, Any], venv: CountedSteps, folder: str) -> tuple[PPO, dict[str, float]]:
    """Learn as imitation's tutorial does."""
    rng = np.random.default_rng(settings["seed"])
    net: Any = BasicRewardNet(venv.observation_space, venv.action_space, normalize_input_layer=RunningNorm)
    if settings["normalize_reward"]:
        net = NormalizedRewardNet(net, RunningNorm)
    trainer = TimedRewardTrainer(
        pc.PreferenceModel(net), loss=pc.CrossEntropyRewardLoss(), epochs=settings["reward_epochs"], rng=rng
    )
    agent = make_agent(settings, venv)
    generator = TimedAgentTrainer(agent, net, venv, exploration_frac=settings["exploration_frac"], rng=rng)
    comparisons = pc.PreferenceComparisons(
        generator,
        net,
        fragmenter=pc.RandomFragmenter(warning_threshold=0, rng=rng),
        preference_gatherer=pc.SyntheticGatherer(temperature=settings["temperature"], rng=rng),
        reward_trainer=trainer,
        custom_logger=logger.configure(folder, ["csv"]),
        **settings["comparisons"],
    )
    comparisons.train(total_timesteps=settings["total_timesteps"], total_comparisons=settings["labels"])
    return agent, {
        "labels": len(comparisons.dataset),
        "wall_seconds_reward": trainer.seconds,
        "wall_seconds_sampling": generator.seconds,
    }


def learn(settings: dict[str, Any], folder: str) -> tuple[PPO, dict[str, Any]]:
    """Learn from answers, or from the true reward; return the agent, and counts and times as figures."""
    started, cpu_started = time.perf_counter(), time.process_time()
    torch.manual_seed(settings["seed"])  # or the reward network would be another one each time
    rng = np.random.default_rng(settings["seed"])
    venv = CountedSteps(make_vec_env(settings["env_id"], rng=rng, n_envs=settings["n_envs"]))
    if settings["source"] == "true":
        agent = make_agent(settings, venv)
        agent.set_logger(logger.configure(folder, ["csv"]))
        agent.learn(settings["total_timesteps"])
        figures: dict[str, Any] = {"labels": 0, "wall_seconds_reward": 0.0, "wall_seconds_sampling": 0.0}
    else:
        agent, figures = learn_from_answers(settings, venv, folder)
    figures |= {"agent_steps": agent.num_timesteps, "sampling_steps": venv.steps - agent.num_timesteps}
    figures |= {"wall_seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu_started}
    return agent, figures


def evaluate(agent: PPO, settings: dict[str, Any]) -> dict[str, float]:
    """Measure true returns of the deterministic policy on the unmodified environment, with a seed for each episode."""
    env = gymnasium.make(settings["env_id"])
    seeds = np.random.default_rng(settings["evaluation_seed"]).integers(2**31, size=settings["n_episodes"])
    returns = []
    for seed in seeds:
        observation, _ = env.reset(seed=int(seed))
        total, over = 0.0, False
        while not over:
            action, _ = agent.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            over = terminated or truncated
        returns.append(total)
    return {
        "true_return_mean": float(np.mean(returns)),
        "true_return_std": float(np.std(returns)),
        "n_eval_episodes": len(returns),
    }


def main() -> None:
    """Read settings, run, write figures. A ValueError or RuntimeError of the run is a result, and is written, too."""
    settings = json.load(sys.stdin)
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # torch's first optimizer imports a lot: not counted
    with redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as folder:
        try:
            agent, figures = learn(settings, folder)
            figures |= evaluate(agent, settings)
        except (ValueError, RuntimeError) as error:
            figures = {"error": f"{type(error).__name__}: {error}"}
    versions = {name: metadata.version(name) for name in PACKAGES}
    json.dump(figures | {"versions": versions, "python": platform.python_version()}, sys.stdout)


if __name__ == "__main__":
    main()
