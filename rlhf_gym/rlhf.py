"""RLHF: the main loop. Collect, ask, answer, fit, improve."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import safe_mean
from tqdm import tqdm

from rlhf_gym.agents import improve
from rlhf_gym.assembly import (
    make_agent,
    make_recorder,
    make_reward,
    make_teacher,
    random_streams,
    reward_function,
    true_size,
)
from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import VecLearnedReward
from rlhf_gym.evaluation import goal_return, play
from rlhf_gym.feedback import PreferenceStore, Teacher, load_goal
from rlhf_gym.provenance import peak_rss_mb, provenance
from rlhf_gym.queries import SCHEDULES, choose_queries, disagreement
from rlhf_gym.rewards import RewardFit, RewardModel
from rlhf_gym.runs import Round, RunDirectory, Stopwatch
from rlhf_gym.segments import Answer, Array, Preference, Query, Trajectory

SAVED = ("config.yaml", "policy.zip", "reward_model", "preferences.db")


class RLHF:
    """Learn a policy from preferences.

    Args:
        config: All settings.
        teacher: Who answers; None takes `config.teacher`.

    Raises:
        ValueError: On settings that don't fit the environment, or a `run_dir` that already holds a run.
    """

    def __init__(self, config: RLHFConfig, *, teacher: Teacher | None = None) -> None:
        self.config = config
        self._rng = rng = random_streams(config.seed)
        self.goal = load_goal(config.feedback.goal) if config.feedback.goal else None
        self.teacher = teacher or make_teacher(config, self.goal, rng["teacher"])
        self.recorder = make_recorder(config, rng["envs"])
        # Before the agent, which opens its TensorBoard file there.
        self.run = RunDirectory(config.run_dir) if config.run_dir else None
        self.venv = VecLearnedReward(self.recorder)
        self.agent = make_agent(config, self.venv, rng["agent"])
        self.reward = make_reward(config, self.venv, rng["model"], rng["reward"])
        self.venv.reward_function = reward_function(
            self.config, self.goal, self.reward.model
        )  # from the start, or the true reward would be paid
        self.store = PreferenceStore(self.run / "preferences.db") if self.run else PreferenceStore()
        self.preferences: list[Preference] = []
        self.stopwatch = Stopwatch()
        self._fit: RewardFit | None = None
        self._evaluation_seed = int(self._rng["evaluation"].integers(2**31))

    def rounds(self) -> Iterator[Round]:
        """Run the loop; each turn of it yields what it did."""
        self._begin()
        wanted = 0
        for number, (labels, rollouts) in enumerate(self.plan()):
            wanted += labels
            queries = self._ask_until(wanted) if self.learned else []
            fit = self.fit_reward() if queries else None
            self.improve(rollouts)
            yield self._report(number, queries, fit)

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
                if self.run and not self.preferences:  # nothing is lost, and the directory can be used again
                    self.close()
                    self.run.discard()
                raise
        summary = self.judge()
        if self.run:
            self.save(self.run.path)
            self.run.write_json("summary.json", summary)
        return summary

    # 1 watch, 2 choose

    @property
    def env_steps(self) -> int:
        """Environment steps so far, the watched ones included."""
        return self.recorder.steps

    @property
    def labels(self) -> int:
        """Answered queries so far; skipped ones are not labels."""
        return sum(preference.answer is not Answer.SKIP for preference in self.preferences)

    def collect(self) -> list[Trajectory]:
        """What the current policy did lately; before any policy update it is watched first."""
        if self.env_steps == 0:
            observations = self.venv.reset()
            while self.env_steps < self.config.watched_steps:
                observations = self.venv.step(self.agent.predict(observations)[0])[0]  # type: ignore[arg-type]
            self.venv.pop_episodes()  # nothing learned was paid in them, so no round reports them
        return self.recorder.trajectories()

    def ask(self, n: int) -> list[Query]:
        """Choose `n` queries and post them to the store.

        Raises:
            ValueError: If fewer can be asked.
        """
        queries = choose_queries(
            self.collect(),
            length=self.config.segment_length,
            n=n,
            scheme=self.config.query.scheme if self.reward.version else "uniform",
            candidates_per_query=self.config.query.candidates_per_query,
            probabilities=self.reward.probabilities,
            rng=self._rng["queries"],
        )
        queries = [
            replace(q, policy_step=self.agent.num_timesteps, reward_version=self.reward.version) for q in queries
        ]
        self.store.post(queries)
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
        if len(queries) != len(answers):
            raise ValueError(f"{len(answers)} answers came to {len(queries)} queries; give one answer a query")
        who, now = teacher or self.teacher.name, time.time()
        self.store.record_all([q.id for q in queries], answers, teacher=who, shown_at=shown_at, answered_at=now)
        told = {q.id: Preference(q, a, who, shown_at, now) for q, a in zip(queries, answers, strict=True)}
        # A second answer takes the place of the first, in the store as here.
        self.preferences = list(({p.query.id: p for p in self.preferences} | told).values())

    # 5 maximum likelihood

    def fit_reward(self) -> RewardFit:
        """Fit the reward model to all answers, and pay it from the next rollout on."""
        with self.stopwatch.timing("reward"):
            fit = self.reward.fit(self.preferences)
            self.reward.scale(self.recorder.trajectories(), shift=self._may_shift())
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
        directory = Path(directory)
        elsewhere = self.run is None or directory.resolve() != self.run.path.resolve()
        if elsewhere:
            RunDirectory(directory)
        self.config.to_yaml(directory / "config.yaml")
        self.agent.save(directory / "policy.zip")
        self.reward.model.save(directory / "reward_model")
        if elsewhere:
            with closing(PreferenceStore(directory / "preferences.db")) as store:
                store.post([preference.query for preference in self.preferences])
                for p in self.preferences:
                    store.record(
                        p.query.id, p.answer, teacher=p.teacher, shown_at=p.shown_at, answered_at=p.answered_at
                    )

    @classmethod
    def load(cls, directory: str | Path) -> RLHF:
        """A run as :meth:`save` or :meth:`learn` left it, to predict with, look into, and fit further in memory.

        Raises:
            ValueError: If the directory doesn't hold one, or its database is damaged.
        """
        directory = Path(directory)
        if missing := [name for name in SAVED if not (directory / name).exists()]:
            raise ValueError(
                f"{directory} holds no saved run ({', '.join(missing)} missing); use one that learn or save left"
            )
        loaded = cls(RLHFConfig.from_yaml(directory / "config.yaml").replace(run_dir=None))
        loaded.agent = PPO.load(directory / "policy.zip", env=loaded.venv, device="cpu")
        loaded.agent.set_logger(Logger(None, []))
        spaces = loaded.venv.observation_space, loaded.venv.action_space
        loaded.reward.model = RewardModel.load(directory / "reward_model", *spaces)
        loaded.venv.reward_function = reward_function(loaded.config, loaded.goal, loaded.reward.model)
        with closing(PreferenceStore(directory / "preferences.db")) as store:
            loaded.preferences = store.preferences()
        # The last fit came after the queries that were chosen by the one before it.
        loaded.reward.version = 1 + max((p.query.reward_version for p in loaded.preferences), default=-1)
        return loaded

    def close(self) -> None:
        """Let go of the environments, the store and TensorBoard's file."""
        self.agent.logger.close()
        self.venv.close()
        self.store.close()

    # What the loop stands on

    @property
    def learned(self) -> bool:
        """Whether a reward is learned at all; the controls pay something else."""
        return self.config.reward.source == "learned"

    def _may_shift(self) -> bool:
        """Where an episode has terminated, the reward's sign says whether living is good, and must be kept."""
        return self.config.reward.shift == "auto" and self.recorder.terminations == 0

    def _begin(self) -> None:
        self.stopwatch = Stopwatch()
        if self.run:
            self.config.to_yaml(self.run / "config.yaml")
            self.run.write_json("provenance.json", provenance())
        if self.config.watched_steps:
            with self.stopwatch.timing("query"):
                self.reward.scale(self.collect(), shift=self._may_shift())

    def _ask_until(self, wanted: int) -> list[Query]:
        """Ask until so many labels are there in all; a skipped query is asked for again, ten times at most."""
        asked: list[Query] = []
        with self.stopwatch.timing("query"):
            for _ in range(10):
                if wanted <= self.labels:
                    break
                queries = self.ask(wanted - self.labels)
                self.tell(queries, self.teacher.answer(queries))
                asked += queries
        return asked

    def _report(self, number: int, queries: list[Query], fit: RewardFit | None) -> Round:
        episodes = self.venv.pop_episodes()
        true_return, learned_return, length = np.mean(episodes, axis=0).tolist() if episodes else [np.nan] * 3
        answers = [preference.answer for preference in self.preferences[len(self.preferences) - len(queries) :]]
        done = Round(
            round=number,
            env_steps=self.env_steps,
            labels=self.labels,
            asked=len(self.preferences),
            true_return=true_return,
            learned_return=learned_return,
            episode_length=length,
            reward_loss=fit.loss if fit else np.nan,
            reward_loss_heldout=fit.loss_heldout if fit else np.nan,
            reward_accuracy=fit.accuracy if fit else np.nan,
            reward_accuracy_heldout=fit.accuracy_heldout if fit else np.nan,
            disagreement=float(disagreement(self.reward.probabilities(queries)).mean()) if queries else np.nan,
            tie_rate=float(np.mean([answer is Answer.TIE for answer in answers])) if answers else np.nan,
            seconds=self.stopwatch.seconds,
        )
        if self.run:
            self.run.add_round(done)
            for name, value in asdict(done).items():
                self.agent.logger.record(f"rlhf/{name}", value)
            for name, key in (("ep_rew_mean", "r"), ("ep_len_mean", "l")):  # as SB3 would, of the last 100 episodes
                self.agent.logger.record(
                    f"rollout/{name}", safe_mean([e[key] for e in self.agent.ep_info_buffer or ()])
                )
            self.agent.logger.dump(done.env_steps)
        return done

    def judge(self) -> dict[str, Any]:
        """Play the deterministic policy on the unmodified environment: the contents of ``summary.json``."""
        config, watch = self.config, self.stopwatch
        with watch.timing("evaluation"):
            episodes = play(
                self.predict,
                config.env_id,
                env_kwargs=config.env_kwargs,
                n_episodes=config.evaluation.n_episodes,
                seed=self._evaluation_seed,
            )
        returns = [episode.true_return for episode in episodes]
        accuracy = self._fit.accuracy_heldout if self._fit else math.nan
        return {
            "env_id": config.env_id,
            "seed": config.seed,
            "teacher": self.teacher.name if self.learned else None,
            "reward_source": config.reward.source,
            "labels": self.labels,
            "asked": len(self.preferences),
            "total_timesteps": self.env_steps,
            "true_return_mean": float(np.mean(returns)),
            "true_return_std": float(np.std(returns)),
            "goal_return_mean": goal_return(self.goal, episodes) if self.goal else None,
            "n_eval_episodes": len(returns),
            # JSON knows no nan, which it is where nothing was held out.
            "reward_accuracy_heldout": accuracy if math.isfinite(accuracy) else None,
            "wall_seconds": watch.seconds,
            **{f"wall_seconds_{part}": watch.parts[part] for part in ("policy", "reward", "query", "evaluation")},
            "env_steps_per_second": self.env_steps / watch.seconds,
            "peak_rss_mb": peak_rss_mb(),
        }
