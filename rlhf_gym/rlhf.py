"""RLHF: the main loop. Collect, ask, answer, fit, improve."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, final

from tqdm import tqdm

from rlhf_gym.assembly import assemble
from rlhf_gym.config import RLHFConfig
from rlhf_gym.moved import warn_of
from rlhf_gym.preferences import Query
from rlhf_gym.queries.schedules import Part
from rlhf_gym.reporting import report_round, summary, tell_if_never_fitted
from rlhf_gym.resuming import Resuming
from rlhf_gym.rewards import RewardFit
from rlhf_gym.runs import Round, Stopwatch, run_to_resume
from rlhf_gym.runs.budget import write_budgets
from rlhf_gym.runs.lifecycle import Checkpoints, SavedRun
from rlhf_gym.segments import Trajectory


@final
class RLHF:
    """Learn a policy from a teacher's answers.

    Args:
        config: All settings.
        **given: Python objects in place of what the settings name: `teacher`; `goal`, the teacher's reward function;
            `waiting`, called repeatedly while answers of people are missing; for `resume` and `load`, `trust`: run code
            that somebody else's directory names (:mod:`rlhf_gym.trust`).

    Raises:
        BadInput: On settings that don't fit the environment, a `run_dir` that already holds a run, or a store that
            holds another run's queries.
    """

    agent = property(attrgetter("method.agent"), doc="Who learns the policy: made from the settings, never replaced.")
    predict = property(attrgetter("method.agent.predict"), doc="Actions for one observation or a batch, as in SB3.")
    preferences = property(attrgetter("answers.preferences"), doc="Every current answer, SKIP included.")
    labels = property(attrgetter("answers.labels"), doc="Answers that stand; a skip is no label.")
    teacher = property(attrgetter("answers.teacher"), doc="The teacher, or how people answer.")
    store = property(attrgetter("answers.store"), doc="Where queries are posted and answers kept.")
    tell = property(attrgetter("answers.tell"), doc="Keep the answers to queries that :meth:`ask` posted.")
    env_steps = property(attrgetter("_parts.env_steps"), doc="Environment steps so far, the warm-up's included.")

    def __init__(self, config: RLHFConfig, **given: Any) -> None:
        parts = self._parts = assemble(config, **given)
        self.config, self.goal, self.run, self.plan = parts.config, parts.goal, parts.run, parts.plan
        self.recorder, self.venv, self.method, self.answers = parts.recorder, parts.venv, parts.method, parts.answers
        often = parts.answers.people is not None
        self.stopwatch = Stopwatch()
        self._checkpoints = Checkpoints(parts.run, often=often, keep=parts.config.keep_checkpoints)
        self._rest, self._finished = Resuming(parts), parts.finished

    @classmethod
    def resume(
        cls, directory: str | Path, *, labels: int | None = None, total_timesteps: int | None = None, **given: Any
    ) -> RLHF:
        """Go on with a run that was interrupted, after its last checkpoint, with every answer given so far.

        The run equals one that was never interrupted, bit for bit: policy, reward model, recorded steps, generators and
        a synthetic teacher go on as they were, running episodes are replayed, and a round that is done again sees the
        answers that it had (until then `preferences` holds only those, the store all). Exceptions are Python objects
        that draw random numbers of their own (:meth:`Teacher.save_state`), and environments whose episodes depend on
        more than seed and actions: the latter begin other episodes, and say so. Without a checkpoint the run begins
        again, with the answers.

        With a larger budget a finished run goes on, too. Finished rounds stay; further ones, about as long, spend the
        rest (:func:`rlhf_gym.queries.further.plan_further`), and linearly falling rates reach 0 at the new end. Or with
        the same one, if people had taken answers back when it ended: these are waited for, and the reward fitted again.

        Args:
            directory: Directory of the run.
            labels: New budget of labels, those given so far included; None leaves it as it is.
            total_timesteps: New budget of environment steps, likewise.
            **given: Python objects that were given to the interrupted run.

        Raises:
            BadInput: If the directory holds no unfinished run, a file in it is damaged, its teacher or goal is missing,
                a setting has changed that a run can't go on with, or a budget is smaller than what is done.
        """
        config = run_to_resume(directory, labels=labels, total_timesteps=total_timesteps)
        rlhf = cls(config, resume=True, **given)
        try:
            rlhf.stopwatch = rlhf._checkpoints.restore(rlhf.method, rlhf._parts.recorders, rest=rlhf._rest)
            rlhf._rest.catch_up()
            if rlhf.run:
                write_budgets(rlhf.run, rlhf.config, rlhf._parts.budgets, rlhf._parts.finished)
            rlhf.agent.log_to(rlhf.run and rlhf.run / "tensorboard", after=rlhf.env_steps)
        except BaseException:
            rlhf.close()
            raise
        rlhf.answers.fits = rlhf.method.version
        return rlhf

    @classmethod
    def load(cls, directory: str | Path, **given: Any) -> RLHF:
        """Read a run as :meth:`save` or :meth:`learn` left it, to predict with, look into, and fit further in memory.

        Raises:
            BadInput: If the directory holds no run, its database is damaged, or its teacher or goal is missing.
        """
        saved = SavedRun(Path(directory))
        rlhf = cls(saved.config(), loaded=True, **given)
        try:
            saved.read_into(rlhf.method, rlhf.store)
        except BaseException:
            rlhf.close()
            raise
        return rlhf

    def rounds(self) -> Iterator[Round]:
        """Run the rounds that are left; each yields its figures.

        Raises:
            BadInput: If fewer queries can be asked than planned, or the teacher does nothing but skip.
        """
        while self._finished < len(self.plan):
            part = self.plan[self._finished]
            self._rest.begin_round(part.round)
            with self.stopwatch.timing("query"):
                self.collect()
                self._gather(part)
                self._rest.end_asking(part.labels)
            fit = self.fit_reward() if self._parts.asking.enough_new else None
            if part.round == self._parts.restart_round:
                self.agent.restart()
            self.improve(part.steps)
            if part is self.plan[-1]:
                fit = self._fit_to_changes() or fit
            done = report_round(self._parts, part.round, fit, self.stopwatch)
            saved = (part.round, self.method, self._parts.recorders, self.stopwatch)
            self._checkpoints.save(*saved, rest=self._rest, last=part is self.plan[-1])
            self._finished += 1
            yield done
        self.answers.hold_back(None)
        self._fit_to_changes()  # a run is also resumed for an answer that was taken back after its last round
        tell_if_never_fitted(self._parts)

    def learn(self, *, progress: bool = False) -> dict[str, Any]:
        """Run the rounds that are left, with a progress bar or without, then evaluate; returns the summary.

        With a run directory it is also written there, as ``summary.json``.
        """
        before = self.config.warm_up_steps + self._parts.explore_steps
        steps = before + self.plan[-1].shown + sum(part.steps for part in self.plan)
        with self._parts.discarded_if_empty(), tqdm(total=steps, unit="step", disable=not progress, leave=False) as bar:
            for done in self.rounds():
                bar.set_postfix(done.headline)
                bar.update(done.env_steps - bar.n)
        if self.run:
            self.save(self.run.path)  # before the evaluation, which may fail
        found = self.evaluate()
        if self.run:
            self.run.write_json("summary.json", found)
        return found

    def collect(self) -> list[Trajectory]:
        """Collect the latest trajectories; before any policy update, do the warm-up first."""
        return self._parts.collect()

    def ask(self, n: int, people: int = 1) -> list[Query]:
        """Choose `n` queries, or fewer if the scheme needs answers first, and post each for `people` people.

        Raises:
            BadInput: If `n` is no whole number of at least 0, or fewer queries can be asked.
        """
        self._rest.note()  # the teacher may have answered since the last note, with skips that call for more
        queries = self._parts.choose(n)
        self._rest.note(further=len(queries))
        self.answers.post(queries, people=people)
        return queries

    def _gather(self, part: Part) -> None:
        """Ask until the labels that a part of the plan wants are there."""
        for n, people in self._parts.asking.missing(part.labels, last=part.last, step=self.agent.steps):
            self.ask(n, people)

    def _fit_to_changes(self) -> RewardFit | None:
        """After the last round, wait for what people took back meanwhile, and fit again if any answer has changed."""
        if self.answers.people is None:
            return None
        with self.stopwatch.timing("query"):
            self._gather(self.plan[-1])
        return self.fit_reward() if self._parts.asking.enough_new else None

    def fit_reward(self) -> RewardFit:
        """Fit the method to all answers; :meth:`improve` uses the fit from its next call on."""
        with self.stopwatch.timing("reward"):
            fit = self._rest.fit = self.method.fit(self.answers.choices, self._parts.lately())
        self.answers.fitted()
        return fit

    def improve(self, steps: int) -> None:
        """Train the policy for a number of environment steps, a multiple of `agent.portion`."""
        lately = self._parts.lately()
        with self.stopwatch.timing("policy"):
            self.method.improve(steps, lately)

    def evaluate(self) -> dict[str, Any]:
        """Play the deterministic policy on the unmodified environment; returns what ``summary.json`` holds."""
        return summary(self._parts, self._rest.fit, self.stopwatch)

    def judge(self) -> dict[str, Any]:
        """Evaluate, under the name that 0.1.0 had for it."""
        warn_of("RLHF.judge", "RLHF.evaluate")
        return self.evaluate()

    def save(self, directory: str | Path) -> None:
        """Write settings, policy, reward model and preferences; :meth:`load` reads them back."""
        SavedRun(Path(directory)).write(self.config, self.method, self.preferences, run=self.run)

    def close(self) -> None:
        """Close the environments, the store, and TensorBoard's file."""
        self._parts.close()
