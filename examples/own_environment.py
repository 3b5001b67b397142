"""Teach a policy, in an environment of one's own, a goal that the environment's reward doesn't express.

    python examples/own_environment.py [--steps 40000]

On the command line: `rlhf-gym train --env-id own_environment:Dot-v0 --feedback.goal own_environment:near_zero`, from
the folder of this file.
"""

import argparse

import gymnasium
import numpy as np

from rlhf_gym import RLHF, RLHFConfig


class Dot(gymnasium.Env):
    """Push a dot on a line to the left or to the right."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))  # where it is, and how fast
    action_space = gymnasium.spaces.Discrete(2)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        """Begin anywhere between -1 and 1."""
        super().reset(seed=seed)  # all that is random must come from self.np_random
        self.dot = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.dot, {}

    def step(self, action):
        """Push the dot; the reward is always 0."""
        speed = self.dot[1] + 0.1 * (2 * action - 1)
        self.dot = np.array([self.dot[0] + 0.1 * speed, speed], np.float32)
        return self.dot, 0.0, False, False, {}

    def render(self):
        """Draw the dot and the middle, black and grey on white."""
        frame = np.full((60, 240, 3), 255, np.uint8)
        frame[:, 119:121] = 200  # the middle
        x = int(np.clip(120 + 60 * self.dot[0], 4, 235))
        frame[26:34, x - 4 : x + 4] = 0
        return frame


gymnasium.register("Dot-v0", entry_point=Dot, max_episode_steps=100)


def near_zero(observations, actions, next_observations):
    """Reward each step by the negative distance to the middle."""
    return -np.abs(next_observations[:, 0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40_000)
    config = RLHFConfig.for_env("Dot-v0", labels=50, total_timesteps=parser.parse_args().steps)
    rlhf = RLHF(config, goal=near_zero)
    print(f"untrained: {rlhf.evaluate()['goal_return_mean']:.0f} (sum of -|x| over 100 steps, mean of 20 episodes)")
    print(f"from 50 answers: {rlhf.learn()['goal_return_mean']:.0f}")
    rlhf.close()
