"""The parts of a run, and the steps of the loop that need several of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from rlhf_gym.answers import Answers
from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import Recorder, ShownSteps, VecLearnedReward
from rlhf_gym.methods import Lately, Method
from rlhf_gym.preferences import Query
from rlhf_gym.queries import (
    Part,
    Scheme,
    choose_queries,
    due,
    is_heldout,
    make_heldout,
    make_planned,
    mix,
    runs_into_termination,
)
from rlhf_gym.runs import RunDirectory
from rlhf_gym.segments import Trajectory
from rlhf_gym.teachers import Goal

Streams = dict[str, np.random.Generator]


@dataclass(frozen=True)
class Parts:
    """The parts of a run.

    Args:
        config: All settings, which name what was handed over as Python objects.
        goal: The teacher's reward function; None where that is the environment's own.
        recorder: The environments, and what happened in them lately.
        shown: Steps played to be shown alone; None without any.
        venv: The same as `recorder`, paid by the method.
        method: Turns answers into a better policy.
        plan: What each round is to do.
        scheme: Chooses queries; None is uniform.
        options: Segments of each query.
        run: The run directory; None keeps everything in memory.
        answers: What was asked and answered.
        finished: Rounds that an interrupted run had finished.
        rng: A generator for each part.
        evaluation_seed: Of the episodes that the policy is evaluated in.
    """

    config: RLHFConfig
    goal: Goal | None
    recorder: Recorder
    shown: ShownSteps | None
    venv: VecLearnedReward
    method: Method
    plan: list[Part]
    scheme: Scheme | None
    options: int
    run: RunDirectory | None
    answers: Answers
    finished: int
    rng: Streams
    evaluation_seed: int

    @property
    def recorders(self) -> list[Recorder]:
        """Of the steps learned from, and of those played to be shown if there are any."""
        return [self.recorder, *([self.shown.recorder] if self.shown else [])]

    @property
    def env_steps(self) -> int:
        """Environment steps so far, all of them."""
        return sum(recorder.steps for recorder in self.recorders)

    def collect(self) -> list[Trajectory]:
        """Collect the latest trajectories; first do the warm-up and play what is to be shown, unless that was done."""
        if self.config.warm_up_steps and not self.recorder.steps:
            observations = self.venv.reset()
            while self.recorder.steps < self.config.warm_up_steps:
                actions, _ = self.method.agent.predict(observations, deterministic=False)  # type: ignore[arg-type]
                observations = self.venv.step(actions)[0]
            self.venv.pop_episodes()  # nothing learned was paid in them, so no round reports them
            self.method.begin(self.lately())
        if self.shown:
            act = partial(self.method.agent.act, rng=self.rng["shown"])
            self.shown.play(act, until=self._part_now().shown)
        return [trajectory for recorder in self.recorders for trajectory in recorder.trajectories()]

    def _part_now(self) -> Part:
        """Find the latest round that begins where the agent is."""
        begins = np.cumsum([0, *(part.steps for part in self.plan[:-1])])
        return self.plan[int(np.searchsorted(begins, self.method.agent.steps, side="right")) - 1]

    def lately(self) -> Lately:
        """Collect the latest trajectories learned from, and whether rewards may be shifted.

        A loaded run has its queries alone. Where an episode has terminated, the reward's sign says whether living is
        good, and must be kept.
        """
        auto = self.config.reward.shift != "never"
        if self.recorder.steps:
            return Lately(self.recorder.trajectories(), auto and not any(r.terminations for r in self.recorders))
        seen = [segment for preference in self.answers.preferences for segment in preference.query.options]
        return Lately(seen, auto and not any(segment.terminated for segment in seen))

    def choose(self, n: int) -> list[Query]:
        """Choose the next `n` queries, planned repeats, checks and held-out ones among them.

        Raises:
            BadInput: If fewer can be asked.
        """
        settings, method, rng = self.config.query, self.method, self.rng["queries"]
        trajectories, fitted = self.collect(), self.method.version > 0
        asked, here = self.answers.asked, self.answers.asked_here
        length, candidates = self.config.segment_length, settings.candidates_per_query
        planned = make_planned(
            self.answers.preferences,
            trajectories,
            n,
            repeats=settings.repeats,
            checks=settings.checks if fitted else 0.0,
            length=length,
            candidates_per_query=candidates,
            step_scores=method.step_scores,
            asked=asked,
            rng=rng,
        )
        how: dict[str, Any] = {"length": length, "options": self.options, "kind": self.config.kind, "rng": rng}
        n_heldout = min(due(here, n, settings.heldout, is_heldout), n - len(planned))
        heldout = make_heldout(trajectories, n_heldout, asked=[*asked, *planned], **how)
        chosen = choose_queries(
            trajectories,
            n=n - len(planned) - len(heldout),
            scheme=self.scheme if fitted else None,
            name=settings.scheme,
            candidates_per_query=candidates,
            step_scores=method.step_scores,
            encode=method.encode,
            asked=[*asked, *planned, *heldout],
            terminated=due(here, n, settings.terminated, runs_into_termination),
            **how,
        )
        step, version = method.agent.steps, method.version
        queries = mix(chosen, [*planned, *heldout], rng=rng)
        return [q if q.repeats else replace(q, policy_step=step, reward_version=version) for q in queries]

    @contextmanager
    def discarded_if_empty(self) -> Iterator[None]:
        """Empty the directory for another try if the run fails on bad input before the first answer."""
        try:
            yield
        except ValueError:
            answers = self.answers
            # People may have given some that were not read yet.
            if self.run and not answers.preferences and (answers.people is None or not answers.store.counts().asked):
                self.close()
                self.run.discard()
            raise

    def close(self) -> None:
        """Close TensorBoard's file, the environments, the store and the directory."""
        self.method.agent.close()
        self.venv.close()
        if self.shown:
            self.shown.close()
        self.answers.close()
        if self.run:
            self.run.close()
