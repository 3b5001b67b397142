"""Learn CartPole from a teacher of one's own who makes mistakes, and see how much they matter.

    python examples/own_teacher.py [--steps 30000]

On the command line: `rlhf-gym train --teacher own_teacher:Noisy --teacher-options.beta 0.1`, from this file's folder.
"""

import argparse

import numpy as np

from rlhf_gym import RLHF, Answer, RLHFConfig
from rlhf_gym.contracts import check_teacher
from rlhf_gym.kinds import find_kind
from rlhf_gym.teachers import OracleTeacher, Teacher, goal_returns, true_returns


class Noisy(Teacher):
    """Prefer by the odds exp(beta * return): Boltzmann-rational, as the likelihood of the fit assumes.

    If Gumbel noise is added to several numbers, the n-th is the largest with probability softmax(numbers)[n], and their
    order is a ranking of Plackett and Luce.
    """

    name, kinds = "noisy", ("comparison", "ranking")  # kinds of feedback that it can give

    def __init__(self, *, seed, goal=None, beta=1.0):  # the run gives seed and goal; beta is an option
        self.rng, self.beta = np.random.default_rng(seed), beta
        self.returns = goal_returns(goal) if goal else true_returns

    def answer(self, queries):
        """Answer each query by its kind."""
        return [find_kind(query.kind).answer(self.worth(query)) for query in queries]

    def worth(self, query):
        """Judge each option, with noise."""
        return self.beta * self.returns(query.options) + self.rng.gumbel(size=len(query.options))


def learn(beta, steps):
    """Learn from 50 answers; return the share of them that name the better segment, and the true return."""
    teacher = Noisy(seed=0, beta=beta)
    rlhf = RLHF(RLHFConfig.for_env("CartPole-v1", labels=50, total_timesteps=steps), teacher=teacher)
    found = rlhf.learn()
    truth = OracleTeacher().answer([preference.query for preference in rlhf.preferences])
    pairs = [(p.answer, true) for p, true in zip(rlhf.preferences, truth, strict=True) if true is not Answer.TIE]
    rlhf.close()
    return np.mean([said is true for said, true in pairs]), found["true_return_mean"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=30_000)
    check_teacher(lambda: Noisy(seed=0))
    for beta in (0.01, 1.0):
        right, true_return = learn(beta, parser.parse_args().steps)
        print(f"beta {beta}: {right:.0%} of the answers name the better segment; true return {true_return:.0f}")
