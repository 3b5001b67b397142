"""RLHF: the main loop. Collect, ask, answer, fit, improve."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np
from tqdm import tqdm

from rlhf_gym.agents import improve
from rlhf_gym.asking import Asking
from rlhf_gym.assembly import (
    make_agent,
    make_recorder,
    make_reward,
    make_teacher,
    open_store,
    random_streams,
    reward_function,
    true_size,
)
from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import VecLearnedReward
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.queries import SCHEDULES, choose_queries, make_planned, mix
from rlhf_gym.reporting import (
    answer_figures,
    episode_figures,
    evaluate,
    fit_figures,
    log_round,
    return_figures,
    time_figures,
)
from rlhf_gym.rewards import RewardFit
from rlhf_gym.runs import Round, RunDirectory, Stopwatch, unfinished_run
from rlhf_gym.runs.checkpoint import Checkpoint, next_round
from rlhf_gym.runs.provenance import peak_rss_mb, provenance
from rlhf_gym.runs.saved import SavedRun
from rlhf_gym.segments import Array, Trajectory
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import Teacher, Waiting, load_goal, pause

CHECKPOINTS = "checkpoints"
CHECKPOINT_SECONDS = 60.0  # between checkpoints of a run that nobody's time went into


@final
class RLHF:
    """Learn a policy from preferences.

    Args:
        config: All settings.
        teacher: Who answers; None takes `config.teacher`.
        waiting: Called again and again while answers are missing that people are to give.

    Raises:
        ValueError: On settings that don't fit the environment, a `run_dir` that already holds a run, or a store that
            holds another run's queries.
    """

    def __init__(
        self,
        config: RLHFConfig,
        *,
        teacher: Teacher | None = None,
        waiting: Waiting = pause,
        _resume: bool = False,
    ) -> None:
        self.config = config
        self._next_round = next_round(Path(config.run_dir or "") / CHECKPOINTS) if _resume else 0
        kept = open_store(config, finished_rounds=self._next_round) if _resume else None
        rng = random_streams(config.seed)
        # Of the streams that the run began with, or was resumed with before, it takes up none: it would see and ask the
        # same again. Whatever is posted changes the number of queries asked.
        self._rng = random_streams(config.seed, self._next_round, kept.counts().asked) if kept else rng
        self.goal = load_goal(config.feedback.goal) if config.feedback.goal else None
        self.recorder = make_recorder(config, self._rng["envs"])
        # Before the agent, which opens its TensorBoard file there.
        self.run = RunDirectory(config.run_dir, resume=_resume) if config.run_dir else None
        self.store = kept or self._begin_files()
        self.teacher = teacher or make_teacher(config, self.goal, self.store, waiting, self._rng["teacher"])
        each = config.feedback.people_per_query
        self.asking = Asking(self.store, self.teacher, ask=self.ask, labels=config.labels, people_per_query=each)
        self.venv = VecLearnedReward(self.recorder)
        self.agent = make_agent(config, self.venv, self._rng["agent"])
        self.reward = make_reward(config, self.venv, rng["model"], rng["reward"])
        self.venv.reward_function = reward_function(
            self.config, self.goal, self.reward.model
        )  # from the start, or the true reward would be paid
        self.stopwatch = Stopwatch()
        self._fit: RewardFit | None = None
        self._last_checkpoint = time.monotonic()
        self._evaluation_seed = int(rng["evaluation"].integers(2**31))

    def _begin_files(self) -> PreferenceStore:
        """The store of a new run, and beside it what whoever labels or resumes looks up."""
        if self.run:
            self.config.to_yaml(self.run / "config.yaml")
            self.run.write_json("provenance.json", provenance())
        try:
            return open_store(self.config)
        except BaseException:
            if self.run:
                self.run.discard()
            raise

    @classmethod
    def resume(cls, directory: str | Path, *, teacher: Teacher | None = None, waiting: Waiting = pause) -> RLHF:
        """A run that was interrupted, to go on after its last finished round, with every answer given so far.

        Policy, reward model and what was recorded are those of the last checkpoint; episodes begin anew, and random
        numbers are drawn from new streams. Without a checkpoint the run begins again, with the answers.

        Args:
            directory: Its run directory.
            teacher: Who answers; None takes the run's own.
            waiting: As for a new run.

        Raises:
            ValueError: If the directory holds no run, a finished one, or a damaged one.
        """
        resumed = cls(unfinished_run(directory), teacher=teacher, waiting=waiting, _resume=True)
        try:
            resumed._take_up()
        except BaseException:
            resumed.close()
            raise
        return resumed

    def rounds(self) -> Iterator[Round]:
        """Run the loop; each turn of it yields what it did."""
        self._begin()
        wanted = 0
        for number, (labels, rollouts) in enumerate(self.plan()):
            wanted += labels
            if number < self._next_round:
                continue
            known = {(p.query.id, p.teacher) for p in self.preferences}
            with self.stopwatch.timing("query"):
                self._ask_until(wanted, last=wanted == self.config.labels)
            fit = self.fit_reward() if self._enough_is_new() else None
            self.improve(rollouts)
            new = [p for p in self.preferences if (p.query.id, p.teacher) not in known]
            done = self._report(number, new, fit)
            self._keep(number)
            yield done

    def plan(self) -> list[tuple[int, int]]:
        """Labels and rollouts of PPO of every round; a run has no more rounds than rollouts."""
        query, size = self.config.query, self.config.rollout_steps
        rollouts = (self.config.total_timesteps - self.config.watched_steps) // size
        borders = np.linspace(0, rollouts, min(query.rounds, rollouts) + 1).round().astype(int)
        steps = self.config.watched_steps + borders[:-1] * size
        labels = SCHEDULES[query.schedule](
            self.config.labels, steps, first_fraction=query.first_fraction, halving_steps=query.halving_steps
        )
        return list(zip(labels, np.diff(borders).tolist(), strict=True))

    def learn(self, *, progress: bool = False) -> dict[str, Any]:
        """Run all rounds, then judge the policy.

        Args:
            progress: Show a bar.

        Returns:
            The contents of ``summary.json``; with a `run_dir` it and the other files are there too.
        """
        planned = self.config.watched_steps + sum(n for _, n in self.plan()) * self.config.rollout_steps
        with tqdm(total=planned, unit="step", disable=not progress, leave=False) as bar:
            try:
                for done in self.rounds():
                    bar.set_postfix(labels=done.labels, true_return=f"{done.true_return:.1f}")
                    bar.update(done.env_steps - bar.n)
            except ValueError:
                if self.run and self._nothing_is_lost():  # the directory can be used again
                    self.close()
                    self.run.discard()
                raise
        summary = self.judge()
        if self.run:
            self.save(self.run.path)
            self.run.write_json("summary.json", summary)
        return summary

    def _nothing_is_lost(self) -> bool:
        """Whether nobody has given an answer; people may have given some that were not read yet."""
        return not self.preferences and (self.asking.people is None or not self.store.counts().asked)

    # 1 watch, 2 choose

    @property
    def env_steps(self) -> int:
        """Environment steps so far, the watched ones included."""
        return self.recorder.steps

    @property
    def preferences(self) -> list[Preference]:
        """Every answer that stands, SKIP included."""
        return self.asking.preferences

    @property
    def labels(self) -> int:
        """Answered queries so far; skipped ones are not labels."""
        return self.asking.labels

    def collect(self) -> list[Trajectory]:
        """What the current policy did lately; before any policy update it is watched first."""
        if self.env_steps == 0:
            observations = self.venv.reset()
            while self.env_steps < self.config.watched_steps:
                observations = self.venv.step(self.agent.predict(observations)[0])[0]  # type: ignore[arg-type]
            self.venv.pop_episodes()  # nothing learned was paid in them, so no round reports them
        return self.recorder.trajectories()

    def ask(self, n: int, people: int = 1) -> list[Query]:
        """Choose `n` queries and post them to the store, for so many people to answer each.

        Raises:
            ValueError: If fewer can be asked.
        """
        settings, rng = self.config.query, self._rng["queries"]
        how: dict[str, Any] = {
            "length": self.config.segment_length,
            "candidates_per_query": settings.candidates_per_query,
            "probabilities": self.reward.probabilities,
            "rng": rng,
        }
        trajectories = self.collect()
        checks = settings.checks if self.reward.version else 0.0
        planned = make_planned(self.preferences, trajectories, n, repeats=settings.repeats, checks=checks, **how)
        scheme = settings.scheme if self.reward.version else "uniform"
        new = choose_queries(trajectories, n=n - len(planned), scheme=scheme, **how)
        step, version = self.agent.num_timesteps, self.reward.version
        new = [replace(query, policy_step=step, reward_version=version) for query in new]
        queries = mix(new, planned, rng=rng)
        self.store.post(queries, people=people)
        return queries

    # 4 into the store

    def tell(
        self,
        queries: Sequence[Query],
        answers: Sequence[Answer],
        *,
        teacher: str | None = None,
        shown_at: float | None = None,
    ) -> None:
        """Keep the answers to queries that :meth:`ask` posted.

        Args:
            queries: What was asked.
            answers: One for each.
            teacher: Who answered; None is the run's own teacher.
            shown_at: When the queries were shown, seconds since 1970; None where nobody looked.

        Raises:
            ValueError: If there are not as many answers as queries.
        """
        self.asking.tell(queries, answers, who=teacher or self.teacher.name, shown_at=shown_at)

    # 5 maximum likelihood

    def fit_reward(self) -> RewardFit:
        """Fit the reward model to all answers, and pay it from the next rollout on."""
        with self.stopwatch.timing("reward"):
            fit = self.reward.fit(choices(self.preferences))
            self.reward.rescale(self.recorder.trajectories(), shift=self._may_shift())
        self.asking.fitted()
        self._fit = fit
        return fit

    # 6 PPO on the learned reward

    def improve(self, rollouts: int) -> None:
        """Train the policy for so many rollouts of PPO, paid by the reward as it is now."""
        self.venv.reward_function = reward_function(self.config, self.goal, self.reward.model)
        if self.config.reward.source == "true_scaled":
            self.venv.zero, self.venv.unit = true_size(self.collect(), self.goal, shift=self._may_shift())
        with self.stopwatch.timing("policy"):
            improve(
                self.agent,
                timesteps=rollouts * self.config.rollout_steps,
                total_timesteps=sum(n for _, n in self.plan()) * self.config.rollout_steps,
                schedule=self.config.agent.schedule,
                clip_range=self.config.agent.clip_range,
            )

    def predict(self, observation: Array, *, deterministic: bool = True) -> tuple[Array, Any]:
        """The policy's action for one observation or a batch, as `PPO.predict` answers."""
        return self.agent.predict(observation, deterministic=deterministic)

    def save(self, directory: str | Path) -> None:
        """Write settings, policy, reward model and preferences; :meth:`load` reads them back.

        Raises:
            ValueError: If the directory holds another run, or is a file.
        """
        saved = SavedRun(Path(directory))
        elsewhere = self.run is None or saved.path.resolve() != self.run.path.resolve()
        if elsewhere:
            RunDirectory(saved.path).close()
        saved.write(self.config, self.agent, self.reward.model)
        if elsewhere or not saved.has_preferences:
            saved.add_preferences(self.preferences)

    @classmethod
    def load(cls, directory: str | Path) -> RLHF:
        """A run as :meth:`save` or :meth:`learn` left it, to predict with, look into, and fit further in memory.

        Raises:
            ValueError: If the directory doesn't hold one, or its database is damaged.
        """
        saved = SavedRun(Path(directory))
        saved.check()
        loaded = cls(saved.config().replace(run_dir=None, feedback={"store": None}))
        loaded.agent, loaded.reward.model = saved.agent(loaded.venv), saved.model(loaded.venv)
        loaded.venv.reward_function = reward_function(loaded.config, loaded.goal, loaded.reward.model)
        loaded.asking.preferences = saved.preferences()
        # The last fit came after the queries that were chosen by the one before it.
        loaded.reward.version = 1 + max((p.query.reward_version for p in loaded.preferences), default=-1)
        return loaded

    def close(self) -> None:
        """Let go of the environments, the store and TensorBoard's file."""
        self.agent.logger.close()
        self.venv.close()
        self.store.close()
        if self.run:
            self.run.close()

    # What the loop stands on

    @property
    def learned(self) -> bool:
        """Whether a reward is learned at all; the controls pay something else."""
        return self.config.reward.source == "learned"

    def _may_shift(self) -> bool:
        """Where an episode has terminated, the reward's sign says whether living is good, and must be kept."""
        return self.config.reward.shift == "auto" and self.recorder.terminations == 0

    def _begin(self) -> None:
        if self.asking.people and not (self.run or self.config.feedback.store):
            raise ValueError(f"teacher is {self.teacher.name}, who answers through a store; set run_dir or store")
        if not self._next_round:
            self.stopwatch = Stopwatch()
        if self.config.watched_steps and not self.env_steps:
            with self.stopwatch.timing("query"):
                self.reward.rescale(self.collect(), shift=self._may_shift())

    def _ask_until(self, wanted: int, *, last: bool) -> None:
        """Get so many labels in all, or as many as people have given meanwhile; when all are asked, all are needed."""
        if not self.learned:
            return
        if not self._asynchronous or last:
            self.asking.until(wanted)
            return
        feedback, plan = self.config.feedback, self.plan()
        per_round = sum(rollouts for _, rollouts in plan) * self.config.rollout_steps / len(plan)
        self.asking.meanwhile(
            wanted,
            oldest_step=self.agent.num_timesteps - feedback.stale_rounds * per_round,
            outstanding=feedback.outstanding if self.reward.version else None,
            first=feedback.refit_answers,
        )

    def _enough_is_new(self) -> bool:
        enough = self.config.feedback.refit_answers if self._asynchronous and self.reward.version else 1
        return self.learned and self.labels > 0 and self.asking.unfitted() >= enough

    @property
    def _asynchronous(self) -> bool:
        return self.config.feedback.async_labels and self.asking.people is not None

    # What outlasts an interruption

    def _keep(self, number: int) -> None:
        """Leave a checkpoint after a round if people gave it their time, or it is a while since the last one."""
        if self.run is None or (
            self.asking.people is None and time.monotonic() - self._last_checkpoint < CHECKPOINT_SECONDS
        ):
            return
        self._last_checkpoint = time.monotonic()
        Checkpoint(
            round=number,
            agent=self.agent,
            model=self.reward.model,
            reward_version=self.reward.version,
            l2=self.reward.l2,
            trajectories=self.recorder.trajectories(),
            env_steps=self.env_steps,
            terminations=self.recorder.terminations,
            parts=dict(self.stopwatch.parts),
            seconds=self.stopwatch.seconds,
        ).save(self.run / CHECKPOINTS)

    def _take_up(self) -> None:
        """Go on from the last checkpoint, with all answers that are in the store."""
        assert self.run
        self.asking.take_up()
        if point := Checkpoint.latest(self.run / CHECKPOINTS, self.venv):
            logger, self.agent = self.agent.logger, point.agent
            self.agent.set_logger(logger)
            self.recorder.restore(point.trajectories, steps=point.env_steps, terminations=point.terminations)
            self.reward.model, self.reward.version, self.reward.l2 = point.model, point.reward_version, point.l2
            self.stopwatch = Stopwatch(point.parts, point.seconds)
        self.run.forget_rounds_from(self._next_round)

    def _report(self, number: int, new: Sequence[Preference], fit: RewardFit | None) -> Round:
        done = Round(
            round=number,
            env_steps=self.env_steps,
            labels=self.labels,
            asked=len(self.preferences),
            **episode_figures(self.venv.pop_episodes()),
            **fit_figures(fit),
            **answer_figures(new, self.reward.probabilities),
            seconds=self.stopwatch.seconds,
        )
        if self.run:
            self.run.add_round(done)
            log_round(self.agent, done)
        return done

    def judge(self) -> dict[str, Any]:
        """Play the deterministic policy on the unmodified environment: the contents of ``summary.json``."""
        config, watch = self.config, self.stopwatch
        with watch.timing("evaluation"):
            episodes = evaluate(self.predict, config, seed=self._evaluation_seed)
        accuracy = fit_figures(self._fit)["reward_accuracy_heldout"]
        return {
            "env_id": config.env_id,
            "seed": config.seed,
            "teacher": self.teacher.name if self.learned else None,
            "reward_source": config.reward.source,
            "labels": self.labels,
            "asked": len(self.preferences),
            "total_timesteps": self.env_steps,
            **return_figures(episodes, self.goal),
            # JSON knows no nan, which it is where nothing was held out.
            "reward_accuracy_heldout": accuracy if math.isfinite(accuracy) else None,
            **time_figures(watch.seconds, watch.parts, self.env_steps),
            "peak_rss_mb": peak_rss_mb(),
        }
