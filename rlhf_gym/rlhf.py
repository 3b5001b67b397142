"""RLHF: the main loop. Collect, ask, answer, fit, improve."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, final

from tqdm import tqdm

from rlhf_gym.assembly import assemble
from rlhf_gym.config import RLHFConfig
from rlhf_gym.preferences import Query
from rlhf_gym.reporting import report_round, summary
from rlhf_gym.rewards import RewardFit
from rlhf_gym.runs import Round, Stopwatch, unfinished_run
from rlhf_gym.runs.lifecycle import Checkpoints, SavedRun
from rlhf_gym.segments import Trajectory


@final
class RLHF:
    """Learn a policy from a teacher's answers.

    Args:
        config: All settings.
        **given: Python objects in place of what the settings name: `teacher`; `goal`, the teacher's reward function;
            `waiting`, called again and again while answers are missing that people are to give.

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
        self.stopwatch, self._checkpoints = Stopwatch(), Checkpoints(parts.run, often=parts.answers.people is not None)
        self._fit: RewardFit | None = None

    @classmethod
    def resume(cls, directory: str | Path, **given: Any) -> RLHF:
        """Go on with a run that was interrupted, after its last finished round, with every answer given so far.

        Policy, reward model and what was recorded are those of the last checkpoint; episodes begin anew, and random
        numbers are drawn from new streams. Without a checkpoint the run begins again, with the answers. Arguments are
        the run directory, and what was given to the run that was interrupted.

        Raises:
            BadInput: If it holds no unfinished run, what it holds is damaged, or what taught the run is missing.
        """
        rlhf = cls(unfinished_run(directory), resume=True, **given)
        try:
            rlhf.stopwatch = rlhf._checkpoints.restore(rlhf.method, rlhf._parts.recorders)
        except BaseException:
            rlhf.close()
            raise
        rlhf.answers.fits = rlhf.method.version
        return rlhf

    @classmethod
    def load(cls, directory: str | Path, **given: Any) -> RLHF:
        """Read a run as :meth:`save` or :meth:`learn` left it, to predict with, look into, and fit further in memory.

        Raises:
            BadInput: If the directory doesn't hold one, its database is damaged, or what taught the run is missing.
        """
        saved = SavedRun(Path(directory))
        rlhf = cls(saved.config(), loaded=True, **given)
        saved.read_into(rlhf.method, rlhf.store)
        return rlhf

    def rounds(self) -> Iterator[Round]:
        """Run the loop; each round yields its figures.

        Raises:
            BadInput: If fewer queries can be asked than planned, or the teacher does nothing but skip.
        """
        for part in self.plan[self._parts.finished :]:
            known = self.answers.given()
            with self.stopwatch.timing("query"):
                self.collect()
                for n, people in self.answers.missing(part.labels, last=part.last, step=self.agent.steps):
                    self.ask(n, people)
            fit = self.fit_reward() if self.answers.enough_new else None
            self.improve(part.steps)
            done = report_round(self._parts, part.round, known, fit, self.stopwatch)
            self._checkpoints.save(part.round, self.method, self._parts.recorders, self.stopwatch)
            yield done

    def learn(self, *, progress: bool = False) -> dict[str, Any]:
        """Run all rounds, with a progress bar or without, then evaluate; returns what ``summary.json`` holds."""
        before = self.config.warm_up_steps + self._parts.explore_steps
        steps = before + self.plan[-1].shown + sum(part.steps for part in self.plan)
        with self._parts.discarded_if_empty(), tqdm(total=steps, unit="step", disable=not progress, leave=False) as bar:
            for done in self.rounds():
                bar.set_postfix(done.headline)
                bar.update(done.env_steps - bar.n)
        found = self.evaluate()
        if self.run:
            self.save(self.run.path)
            self.run.write_json("summary.json", found)
        return found

    def collect(self) -> list[Trajectory]:
        """Collect the latest trajectories; before any policy update, do the warm-up first."""
        return self._parts.collect()

    def ask(self, n: int, people: int = 1) -> list[Query]:
        """Choose `n` queries, or fewer if one hangs on another's answer, and post them, for this many people each."""
        queries = self._parts.choose(n)
        self.answers.post(queries, people=people)
        return queries

    def fit_reward(self) -> RewardFit:
        """Fit the method to all answers; :meth:`improve` uses the fit from its next call on."""
        with self.stopwatch.timing("reward"):
            self._fit = self.method.fit(self.answers.choices, self._parts.lately())
        self.answers.fitted()
        return self._fit

    def improve(self, steps: int) -> None:
        """Train the policy for a number of environment steps, a multiple of `agent.portion`."""
        lately = self._parts.lately()
        with self.stopwatch.timing("policy"):
            self.method.improve(steps, lately)

    def evaluate(self) -> dict[str, Any]:
        """Play the deterministic policy on the unmodified environment; returns what ``summary.json`` holds."""
        return summary(self._parts, self._fit, self.stopwatch)

    def save(self, directory: str | Path) -> None:
        """Write settings, policy, reward model and preferences; :meth:`load` reads them back."""
        SavedRun(Path(directory)).write(self.config, self.method, self.preferences, run=self.run)

    def close(self) -> None:
        """Close the environments, the store, and TensorBoard's file."""
        self._parts.close()
