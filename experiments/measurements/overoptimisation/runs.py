"""The runs: answers are gathered, their reward is frozen, and a fresh policy is trained on it and measured."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.measurements.overoptimisation.figures import Signals, Watch, gold_returns, mean_kl, proxy_returns
from experiments.measurements.overoptimisation.tasks import TRUE, Job, fresh_config, gathering_config
from rlhf_gym.agents.reference import Closeness, Reference
from rlhf_gym.evaluation import play
from rlhf_gym.preferences import Answer
from rlhf_gym.rewards import RewardModel
from rlhf_gym.rlhf import RLHF
from rlhf_gym.segments import Segment, Trajectory

EPISODES = 12
"""Episodes at each look: the even ones choose where to stop, and the odd ones measure the return there."""
NOTHING = dict.fromkeys(Signals._fields, math.nan)


def run(job: Job, steps: int) -> list[dict[str, Any]]:
    """Do a run; return a row for each look at the policy, the first before any update."""
    with tempfile.TemporaryDirectory() as directory:
        labelled = [] if job.labels == TRUE else gather(job, Path(directory) / "gathered")
        return list(trained(job, steps, str(Path(directory) / "gathered"), labelled))


def gather(job: Job, directory: Path) -> list[Segment]:
    """Have the teacher answer about early policies, save the reward model, and return the labelled segments."""
    with closing(RLHF(gathering_config(job))) as rlhf:
        for _ in rlhf.rounds():
            pass
        rlhf.save(directory)
        answered = [p.query for p in rlhf.preferences if p.answer is not Answer.SKIP]
        return list(dict.fromkeys(option for query in answered for option in query.options))


def trained(job: Job, steps: int, directory: str, labelled: list[Segment]) -> Iterator[dict[str, Any]]:
    """Train a fresh policy on the reward model in a directory, and yield a look at the start and after each round."""
    with closing(RLHF(fresh_config(job, directory, steps))) as rlhf:
        look = Look(rlhf, directory, labelled)
        yield look()
        for _ in rlhf.rounds():
            yield look()


class Look:
    """Measures a run's policy in separate episodes, without changing the run's random numbers.

    Args:
        rlhf: The run.
        directory: Directory with the reward model that pays the run.
        labelled: Segments that its answers are about; empty if the true reward is paid.
    """

    def __init__(self, rlhf: RLHF, directory: str, labelled: list[Segment]) -> None:
        self._rlhf, self._rng = rlhf, np.random.default_rng(rlhf.config.seed)
        self._start = Reference(rlhf.agent.sb3.policy, Closeness())
        self._watch: Watch | None = None
        if labelled:
            model = RewardModel.load(Path(directory) / "reward_model")
            self._watch = Watch(model, labelled, rlhf.goal, rlhf.config.segment_length)
            self._pay = model.reward_function()

    def __call__(self) -> dict[str, Any]:
        """Play the policy as it explores, and measure it."""
        rlhf, episodes = self._rlhf, self._played()
        gold = gold_returns(episodes, rlhf.goal)
        proxy = proxy_returns(episodes, self._pay) if self._watch else gold
        signals = self._watch.signals(episodes, self._rng)._asdict() if self._watch else NOTHING
        return {
            "env_steps": rlhf.agent.steps,
            "kl": mean_kl(rlhf.agent.sb3.policy, self._start, episodes),
            "proxy": float(proxy.mean()),
            "gold": float(gold[::2].mean()),
            "gold_again": float(gold[1::2].mean()),
            "episode_length": float(np.mean([len(episode) for episode in episodes])),
            **signals,
        }

    def _played(self) -> list[Trajectory]:
        config = self._rlhf.config
        act = partial(self._rlhf.agent.act, rng=self._rng)
        return play(
            lambda observations: (act(observations, np.ones(len(observations), np.float32)), None),
            config.env_id,
            seed=int(self._rng.integers(2**31)),
            n_episodes=EPISODES,
            env_kwargs=config.env_kwargs,
        )
