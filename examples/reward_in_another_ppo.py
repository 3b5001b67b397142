"""Pay a learned reward to a PPO that isn't Stable-Baselines3's: a small one in torch, under gymnasium.vector.

    python examples/reward_in_another_ppo.py [--reward runs/first/reward_model] [--steps 60000]

Without --reward, one is learned, once. `make_envs` is all that ties this PPO to rlhf_gym.
"""

import argparse
from pathlib import Path

import gymnasium
import torch
from torch import nn
from torch.distributions import Categorical

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.envs import VectorLearnedReward
from rlhf_gym.evaluation import mean_return, play
from rlhf_gym.rewards import RewardModel

ENV_ID, SAVED = "CartPole-v1", "runs/for_another_ppo"
ENVS, ROLLOUT, GAMMA, LAMBDA, CLIP = 8, 128, 0.98, 0.9, 0.2


def make_envs(reward_model):
    """Make environments that pay the learned reward."""
    pay = RewardModel.load(reward_model).reward_function()
    return VectorLearnedReward(gymnasium.make_vec(ENV_ID, ENVS, vectorization_mode="sync"), pay)


def collect(envs, obs, actor, critic):
    """Take ROLLOUT steps in each environment; return what an update needs of them, and the last observations."""
    steps = []
    for _ in range(ROLLOUT):
        policy = Categorical(logits=actor(obs))
        action = policy.sample()
        after, reward, terminated, truncated, infos = envs.step(action.numpy())
        after, real = torch.as_tensor(after), torch.as_tensor(infos["_true_reward"])  # False where it only reset
        reward, terminated = torch.as_tensor(reward).float(), torch.as_tensor(terminated)
        delta = reward + GAMMA * critic(after)[:, 0] * ~terminated - critic(obs)[:, 0]
        ended = terminated | torch.as_tensor(truncated)
        steps.append([obs, action, policy.log_prob(action), critic(obs)[:, 0], real, delta, ended])
        obs = after
    advantage = torch.zeros(ENVS)
    for step in reversed(steps):  # generalised advantage estimation
        *_, delta, ended = step
        advantage = delta + GAMMA * LAMBDA * advantage * ~ended
        step[5:] = [advantage]
    obs_, action, log_prob, value, real, advantage = (torch.cat(column) for column in zip(*steps, strict=True))
    return [part[real] for part in (obs_, action, log_prob, advantage, advantage + value)], obs


def learn(envs, n_steps):
    """Train a policy; returns its network, observations to logits."""
    actor, critic = (
        nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, n)) for n in (2, 1)
    )
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=1e-3)
    obs = torch.as_tensor(envs.reset(seed=0)[0])
    for _ in range(n_steps // (ENVS * ROLLOUT)):
        with torch.no_grad():
            batch, obs = collect(envs, obs, actor, critic)
        for part in (part for _ in range(10) for part in torch.randperm(len(batch[0])).split(128)):
            seen, action, old, advantage, target = (column[part] for column in batch)
            policy = Categorical(logits=actor(seen))
            ratio = (policy.log_prob(action) - old).exp()
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            gain = torch.min(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage).mean()
            loss = 0.5 * (critic(seen)[:, 0] - target).square().mean() - gain - 0.01 * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return actor


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--reward")
    parser.add_argument("--steps", type=int, default=60_000)
    args = parser.parse_args()
    if args.reward is None and not Path(SAVED).exists():
        rlhf = RLHF(RLHFConfig.for_env(ENV_ID, total_timesteps=min(args.steps, 20_000), query={"rounds": 5}))
        rlhf.learn()
        rlhf.save(SAVED)
        rlhf.close()
    torch.manual_seed(0)
    actor = learn(make_envs(args.reward or f"{SAVED}/reward_model"), args.steps)
    episodes = play(lambda obs: (actor(torch.as_tensor(obs)).argmax(dim=1).numpy(), None), ENV_ID, seed=0)
    print(f"true return {mean_return(episodes):.0f} (mean of 20 episodes) after {args.steps} steps on a learned reward")
