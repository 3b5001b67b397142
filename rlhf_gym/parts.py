"""The parts of a run, and the steps of the loop that need several of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from rlhf_gym.answers import Answers
from rlhf_gym.asking import Asking
from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import Recorder, ShownSteps, VecLearnedReward
from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import find_kind
from rlhf_gym.methods import Lately, Method, explore
from rlhf_gym.preferences import CHECK, HELDOUT, MIRRORED, REPEAT, Query, marked, new_mark
from rlhf_gym.queries import (
    AskedBefore,
    Insertion,
    Part,
    Scheme,
    begins,
    choose_queries,
    due,
    is_heldout,
    make_heldout,
    make_planned,
    mix,
    runs_into_termination,
)
from rlhf_gym.runs import RunDirectory
from rlhf_gym.runs.budget import Budget
from rlhf_gym.segments import Segment, Trajectory
from rlhf_gym.teachers import Goal, NoisyTeacher, OracleTeacher, RandomTeacher

Streams = dict[str, np.random.Generator]


class Asked(NamedTuple):
    """Share and number of options of the queries of a kind."""

    share: float
    """Share of the queries, from 0 to 1."""
    options: int
    """Segments of each query."""


def heldout_kind(kinds: Mapping[str, Asked]) -> tuple[str, int]:
    """Pick the kind of held-out queries, whose answers are measured pair by pair, and its number of options."""
    found = next((kind for kind in kinds if kind in ("comparison", "ranking")), "comparison")
    return found, kinds[found].options if found in kinds else 2


@dataclass(frozen=True)
class Parts:
    """The parts of a run.

    Args:
        config: All settings, which also name the Python objects that were handed over.
        goal: The teacher's reward function; None where that is the environment's own.
        recorder: The environments, with their latest steps recorded.
        shown: Plays the steps that are only shown; None without any.
        venv: The environments of `recorder`, paid by the method.
        method: Turns answers into a better policy.
        plan: Plan of each round.
        scheme: Chooses queries among candidates, or makes them; None is uniform.
        kinds: Share of the queries, and number of their options, by kind of feedback.
        run: The run directory; None keeps everything in memory.
        answers: Queries and answers so far.
        asking: Asks for further answers.
        finished: Rounds that an interrupted run had finished.
        rng: A generator for each part.
        evaluation_seed: Seed of the evaluation's episodes.
        recorded: Trajectories recorded elsewhere, which queries are cut from; empty where they are the policy's own.
        explore_steps: Environment steps in which the agent explores before the first query.
        restart_round: Number of the round before whose training the policy begins anew; None if it never does.
        budgets: Successive budgets of a run that went on with a larger one.
        mark: The run's mark, which its query ids end with.
        before: Tracks the queries asked before that could be drawn again.
    """

    config: RLHFConfig
    goal: Goal | None
    recorder: Recorder
    shown: ShownSteps | None
    venv: VecLearnedReward
    method: Method
    plan: list[Part]
    scheme: Scheme | Insertion | None
    kinds: Mapping[str, Asked]
    run: RunDirectory | None
    answers: Answers
    asking: Asking
    finished: int
    rng: Streams
    evaluation_seed: int
    recorded: Sequence[Trajectory] = ()
    explore_steps: int = 0
    restart_round: int | None = None
    budgets: Sequence[Budget] = ()
    mark: str = field(default_factory=new_mark)
    before: AskedBefore = field(default_factory=AskedBefore)

    @property
    def recorders(self) -> list[Recorder]:
        """Recorders of the steps learned from, and of those only shown, if there are any."""
        return [self.recorder, *([self.shown.recorder] if self.shown else [])]

    @property
    def env_steps(self) -> int:
        """Environment steps so far, those only shown included."""
        return sum(recorder.steps for recorder in self.recorders)

    def collect(self) -> list[Trajectory]:
        """Collect the trajectories to cut queries from: recorded ones if there are any, or else the latest.

        If not done yet, first do the warm-up, explore, and play the steps to be shown.
        """
        if self.config.warm_up_steps and not self.recorder.steps:
            observations = self.venv.reset()
            while self.recorder.steps < self.config.warm_up_steps:
                actions, _ = self.method.agent.predict(observations, deterministic=False)  # type: ignore[arg-type]
                observations = self.venv.step(actions)[0]
            self.venv.pop_episodes()  # no learned reward was paid in them, so no round reports them
            self.method.begin(self.lately())
        if self.explore_steps and not self.method.agent.steps:
            self._explore()
        if self.recorded:
            return list(self.recorded)
        if self.shown:
            act = partial(self.method.agent.act, rng=self.rng["shown"])
            self.shown.play(act, until=self._part_now().shown)
        return [trajectory for recorder in self.recorders for trajectory in recorder.trajectories()]

    def _explore(self) -> None:
        """Let the agent explore, then restore the reward that it was paid before."""
        paid = self.venv.reward_function, self.venv.zero, self.venv.unit
        explore(self.method.agent, self.recorder.trajectories, steps=self.explore_steps)
        self.method.agent.pay(*paid)
        self.venv.pop_episodes()
        self.method.begin(self.lately())

    def _part_now(self) -> Part:
        """Find the latest round that has begun by the agent's current step."""
        begun = np.searchsorted(begins(self.plan, self.explore_steps), self.method.agent.steps, side="right")
        return self.plan[int(begun) - 1]

    def lately(self) -> Lately:
        """Collect the latest trajectories learned from, and whether rewards may be shifted.

        Before the policy has any, take those recorded elsewhere, or, in a loaded run, the segments of its queries. If
        an episode has terminated, rewards must not be shifted, because their sign says whether living is good.
        """
        auto = self.config.reward.shift != "never"
        if self.recorder.steps:
            return Lately(self.recorder.trajectories(), auto and not any(r.terminations for r in self.recorders))
        asked = [segment for preference in self.answers.preferences for segment in preference.query.options]
        seen: Sequence[Trajectory | Segment] = self.recorded or asked
        return Lately(seen, auto and not any(segment.terminated for segment in seen))

    def choose(self, n: int) -> list[Query]:
        """Choose the next `n` queries, repeats, checks and held-out ones included.

        A scheme that has to wait for answers may choose fewer.

        Raises:
            BadInput: If fewer can be asked, or `n` is no whole number of at least 0.
        """
        if not isinstance(n, Integral) or n < 0:
            raise BadInput(f"n is {n!r}; use a whole number of queries, at least 0")
        settings, method, rng = self.config.query, self.method, self.rng["queries"]
        trajectories, fitted = self.collect(), self.method.version > 0
        asked, here = self.answers.asked, self.answers.asked_here
        length, candidates = self.config.segment_length, settings.candidates_per_query
        there = self.before.there(asked, trajectories, length)
        planned = make_planned(
            (preference for preference in self.answers.preferences if not find_kind(preference.query.kind).made),
            trajectories,
            n,
            repeats=settings.repeats,
            checks=settings.checks if fitted else 0.0,
            length=length,
            candidates_per_query=candidates,
            step_scores=method.step_scores,
            asked=there,
            rng=rng,
        )
        how: dict[str, Any] = {"length": length, "rng": rng}
        kind, options = heldout_kind(self.kinds)
        n_heldout = min(due(here, n, settings.heldout, is_heldout), n - len(planned))
        heldout = make_heldout(trajectories, n_heldout, asked=[*there, *planned], kind=kind, options=options, **how)
        chosen: list[Query] = []
        for kind, wanted in self._kinds_due(here, n - len(planned) - len(heldout)).items():
            if isinstance(self.scheme, Insertion):
                chosen += self.scheme.choose(
                    trajectories,
                    n=wanted,
                    preferences=self.answers.preferences,
                    waiting=self.answers.open,
                    terminated=due(here, wanted, settings.terminated, runs_into_termination),
                    **how,
                )
                continue
            chosen += choose_queries(
                trajectories,
                n=wanted,
                scheme=self.scheme if fitted and not find_kind(kind).made else None,
                name=settings.scheme,
                candidates_per_query=candidates,
                step_scores=method.step_scores,
                encode=method.encode,
                asked=[*asked, *planned, *heldout, *chosen],
                there=[*there, *planned, *heldout, *chosen],
                terminated=due([*here, *chosen], wanted, settings.terminated, runs_into_termination),
                kind=kind,
                options=self.kinds[kind].options,
                **how,
            )
        step, version = method.agent.steps, method.version
        queries = mix(chosen, [*planned, *heldout], rng=rng)
        told = [q if q.repeats else replace(q, policy_step=step, reward_version=version) for q in queries]
        return [marked(query, self.mark) for query in told]

    def _kinds_due(self, asked: Sequence[Query], n: int) -> dict[str, int]:
        """Divide the next `n` queries among the kinds, so that each has its share of all queries."""
        if len(self.kinds) == 1:
            return dict.fromkeys(self.kinds, n) if n else {}
        here = Counter(query.kind for query in asked if query.why not in (REPEAT, MIRRORED, CHECK, HELDOUT))
        total, due = sum(here[kind] for kind in self.kinds), dict.fromkeys(self.kinds, 0)
        for number in range(n):
            owed = {k: of.share * (total + number + 1) - here[k] - due[k] for k, of in self.kinds.items()}
            due[max(owed, key=lambda kind: owed[kind])] += 1
        return {kind: wanted for kind, wanted in due.items() if wanted}

    @contextmanager
    def discarded_if_empty(self) -> Iterator[None]:
        """Empty the run directory if the run fails in its first round, unless people have answered its queries."""
        try:
            yield
        except Exception:
            if self.run and self._cost_nobody():
                with suppress(Exception):  # an environment that has failed may not close
                    self.close()
                self.run.discard()
            raise

    def _cost_nobody(self) -> bool:
        """Test whether nothing was asked yet, or its answers cost nothing to get again."""
        if isinstance(self.answers.teacher, OracleTeacher | NoisyTeacher | RandomTeacher):
            if self.config.feedback.store is None:  # a store elsewhere isn't emptied
                return True
        try:
            return not self.answers.store.counts().asked  # counts answers of people that were not read yet, too
        except Exception:  # the store can't be reached
            return False

    def close(self) -> None:
        """Close TensorBoard's file, the environments, the store and the directory."""
        with ExitStack() as stack:  # each is closed, even if another one raises; the last one first
            if self.run:
                stack.callback(self.run.close)
            stack.callback(self.answers.close)
            if self.shown:
                stack.callback(self.shown.close)
            stack.callback(self.venv.close)
            stack.callback(self.method.agent.close)
