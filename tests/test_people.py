"""People as teachers: the loop waits in the store alone, goes on meanwhile if told to, and outlasts interruptions."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rlhf_gym.config import RLHFConfig
from rlhf_gym.preferences import Answer
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import read_run
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import OracleTeacher
from rlhf_gym.verbs.labelling import Label

SMALL: dict[str, Any] = {
    "env_id": "CartPole-v1",
    "labels": 12,
    "total_timesteps": 1500,
    "segment_length": 20,
    "teacher": "store",
    "query": {"rounds": 6, "first_steps": 200, "memory_steps": 1000},
    "reward": {"hidden": [8], "steps": 5, "batch_size": 4},
    "agent": {"n_envs": 4, "n_steps": 32, "batch_size": 64, "n_epochs": 1, "net_arch": [8]},
    "evaluation": {"n_episodes": 2},
}


def config(run_dir: Path, **settings: Any) -> RLHFConfig:
    return RLHFConfig.from_dict(SMALL).replace(run_dir=str(run_dir), **settings)


def person(run_dir: Path, *, n: int = 1, answer: Answer | None = None) -> Callable[[], None]:
    """Somebody who answers `n` queries whenever the trainer waits, as the oracle would unless told otherwise."""

    def answer_some() -> None:
        with closing(PreferenceStore(run_dir / "preferences.db")) as store:
            for query in store.claim("ann", n=n):
                [said] = OracleTeacher().answer([query])
                store.record(query.id, answer or said, teacher="ann")

    return answer_some


def labels(run_dir: Path) -> list[str]:
    """The queries that were answered, once for every answer that stands."""
    with closing(PreferenceStore(run_dir / "preferences.db")) as store:
        return [preference.query.id for preference in store.preferences()]


# Waiting


def test_a_round_waits_until_people_have_answered(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        summary = rlhf.learn()
    assert (summary["labels"], summary["teacher"]) == (12, "store")
    assert len(set(labels(tmp_path))) == 12
    assert {preference.teacher for preference in rlhf.preferences} == {"ann"}
    assert [row["labels"] for row in read_run(tmp_path).metrics] == [3, 5, 7, 8, 10, 12]


def test_what_people_skip_is_asked_again_and_no_label(tmp_path: Path) -> None:
    said = iter([Answer.SKIP, Answer.SKIP])

    def waiting() -> None:
        person(tmp_path, answer=next(said, None))()

    with closing(RLHF(config(tmp_path), waiting=waiting)) as rlhf:
        summary = rlhf.learn()
    assert (summary["labels"], summary["asked"]) == (12, 14)


def test_an_answer_that_is_taken_back_counts_no_more(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        rounds = rlhf.rounds()
        assert next(rounds).labels == 3
        taken_back = rlhf.preferences[0]
        rlhf.store.record(taken_back.query.id, None, teacher="ann")
        done = next(rounds)
    assert done.labels == 5  # it was asked for again, with the two of this round
    assert labels(tmp_path).count(taken_back.query.id) == 1


def test_a_run_waits_for_an_answer_taken_back_while_its_last_round_learns(tmp_path: Path) -> None:
    undone: list[str] = []

    def waiting() -> None:
        person(tmp_path, answer=Answer.TIE if undone else None)()

    with closing(RLHF(config(tmp_path), waiting=waiting)) as rlhf:
        improve = rlhf.improve

        def then_undo(steps: int) -> None:
            improve(steps)
            if rlhf.labels == 12:
                undone.append(labels(tmp_path)[-1])
                rlhf.store.record(undone[0], None, teacher="ann")

        rlhf.improve = then_undo  # type: ignore[method-assign]
        summary = rlhf.learn()
        assert (summary["labels"], summary["asked"], rlhf.store.counts().labels) == (12, 12, 12)
        assert rlhf.answers.fits == 7  # in each of six rounds, and to the new answer
        assert rlhf.answers.state["fitted"] == rlhf.answers.state["read"] == 14
    assert read_run(tmp_path).metrics[-1]["labels"] == 12


def test_a_run_whose_last_answer_was_taken_back_during_the_evaluation_is_resumed(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        save = rlhf.save

        def then_undo(directory: str | Path) -> None:
            save(directory)
            rlhf.store.record(labels(tmp_path)[-1], None, teacher="ann")

        rlhf.save = then_undo  # type: ignore[method-assign]
        assert rlhf.learn()["labels"] == 11
    with closing(RLHF.resume(tmp_path, waiting=person(tmp_path, answer=Answer.TIE))) as rlhf:
        assert not (tmp_path / "summary.json").exists() and (tmp_path / "summary_after_6_rounds.json").exists()
        assert rlhf.learn()["labels"] == 12
        assert rlhf.answers.state["fitted"] == rlhf.answers.state["read"] == 14
    assert len(read_run(tmp_path).metrics) == 6
    with pytest.raises(ValueError, match="is finished; there is nothing to resume"):
        RLHF.resume(tmp_path)


def test_people_need_a_place_to_meet() -> None:
    with closing(RLHF(RLHFConfig.from_dict(SMALL))) as rlhf:
        with pytest.raises(ValueError, match="teacher is store, who answers through a store; set run_dir or store"):
            next(rlhf.rounds())


def test_a_run_doesnt_begin_under_another_runs_name(tmp_path: Path) -> None:
    shared = {"store": f"sqlite:///{tmp_path / 'shared.db'}", "run": "mine"}
    with closing(RLHF(config(tmp_path / "one", feedback=shared, teacher="oracle"))) as rlhf:
        next(rlhf.rounds())
        told = rlhf.store.runs()
    with pytest.raises(ValueError, match=r"feedback.run is mine, and its store holds 3 queries of a run of that name"):
        RLHF(config(tmp_path / "two", feedback={**shared, "instructions": "another"}))
    with PreferenceStore(shared["store"]) as store:
        assert store.runs() == told  # what its people are shown hasn't changed
    with pytest.raises(ValueError, match=r"feedback.run is mine, and feedback.store isn't set"):
        RLHF(config(tmp_path / "two", feedback={"run": "mine"}))


def test_people_see_the_labels_that_a_run_began_with_in_its_budget_too(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path / "first", teacher="oracle", query={"rounds": 1}))) as rlhf:
        rlhf.ask(12)
        rlhf.answers.tell(rlhf.answers.open, rlhf.teacher.answer(rlhf.answers.open))
        rlhf.save(tmp_path / "saved")
    run = tmp_path / "second"
    settings = config(run, labels=4, feedback={"preferences": str(tmp_path / "saved")})
    with closing(RLHF(settings, waiting=person(run))) as rlhf:
        next(rlhf.rounds())
        with Label(run).desk() as desk:
            assert desk.progress("ann")[:3] == (13, 1, 16)
    with closing(RLHF.resume(run, labels=6, total_timesteps=2000)), Label(run).desk() as desk:
        assert desk.progress("ann").labels == 18


def test_planned_repeats_and_checks_are_asked_at_their_share(tmp_path: Path) -> None:
    settings = config(tmp_path, labels=40, query={"rounds": 4, "repeats": 0.2, "checks": 0.1, "heldout": 0.1})
    with closing(RLHF(settings, waiting=person(tmp_path, n=5))) as rlhf:
        rlhf.learn()
        why = [preference.query.why for preference in rlhf.preferences]
    assert len(why) == 40
    assert why.count("repeat") + why.count("mirrored") == 8
    assert 1 <= why.count("check") <= 4  # none before there is a reward model that could tell
    assert why.count("heldout") == 4 and len(rlhf.answers.choices) == 36
    assert {p.query.policy_step > 0 for p in rlhf.preferences if p.query.why == "check"} == {True}
    originals = {preference.query.id for preference in rlhf.preferences}
    assert {p.query.repeats for p in rlhf.preferences if p.query.repeats} <= originals


# Several people for each query


class Crowd:
    """Some people, each in a thread, who answer whatever they can claim while the trainer waits; some answers skip."""

    def __init__(self, store: Path | str, who: Sequence[str], *, skips: float = 0.0) -> None:
        self._store, self._who, self._skips = store, who, skips
        self._over, self._threads = threading.Event(), list[threading.Thread]()

    def __call__(self) -> None:
        """Waiting, for the trainer; the first time they come."""
        if not self._threads:
            self._threads = [threading.Thread(target=self._answer, args=(who,)) for who in self._who]
            for thread in self._threads:
                thread.start()
        time.sleep(0.005)

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _answer(self, who: str) -> None:
        rng = random.Random(who)
        with closing(PreferenceStore(self._store, lasting=False)) as store:
            while not self._over.wait(0.002):
                for query in store.claim(who):
                    answer = Answer.SKIP if rng.random() < self._skips else Answer.LEFT
                    store.record(query.id, answer, teacher=who)


@pytest.mark.parametrize(
    ("people", "skips", "queries"), [(2, 0.0, {2: 6}), (3, 0.0, {3: 4}), (5, 0.0, {5: 2, 2: 1}), (2, 0.2, None)]
)
def test_a_run_asks_several_people_and_ends_with_exactly_as_many_labels(
    tmp_path: Path, people: int, skips: float, queries: dict[int, int] | None
) -> None:
    with (
        closing(Crowd(tmp_path / "preferences.db", ["ann", "bob", "cid", "dot", "eve"], skips=skips)) as crowd,
        closing(RLHF(config(tmp_path, feedback={"people_per_query": people}), waiting=crowd)) as rlhf,
    ):
        summary, counts = rlhf.learn(), rlhf.store.counts()
    assert (summary["labels"], counts.labels, counts.awaited) == (12, 12, 0)
    given = labels(tmp_path)
    assert max(Counter(given).values()) <= people
    if queries:
        assert Counter(Counter(given).values()) == queries
    assert read_run(tmp_path).metrics[0]["labels"] == -(-3 // people) * people  # 3 are due, in whole queries


def test_with_async_labels_several_people_are_asked_and_the_budget_is_kept(tmp_path: Path) -> None:
    feedback = {"async_labels": True, "people_per_query": 2, "outstanding": 2, "refit_answers": 2}
    with (
        closing(Crowd(tmp_path / "preferences.db", ["ann", "bob", "cid"])) as crowd,
        closing(RLHF(config(tmp_path, feedback=feedback), waiting=crowd)) as rlhf,
    ):
        assert rlhf.learn()["labels"] == 12
        assert tuple(rlhf.store.counts()) == (6, 12, 0, 0, 0, 0, 0)


def test_a_run_for_several_people_is_resumed_with_what_each_has_said(tmp_path: Path) -> None:
    two = config(tmp_path, feedback={"people_per_query": 2})
    with closing(RLHF(two, waiting=person(tmp_path))) as rlhf:
        rlhf.collect()
        rlhf.ask(2, 2)  # as it was killed while it waited
    person(tmp_path, n=2)()
    person(tmp_path, n=2)()  # ann has answered both
    with (
        closing(Crowd(tmp_path / "preferences.db", ["ann", "bob"])) as crowd,
        closing(RLHF.resume(tmp_path, waiting=crowd)) as rlhf,
    ):
        assert rlhf.labels == 2
        assert rlhf.learn()["labels"] == 12
        assert rlhf.store.counts().asked == 6


# While people think


def test_with_async_labels_ppo_goes_on_while_people_think(tmp_path: Path) -> None:
    feedback = {"async_labels": True, "outstanding": 3, "refit_answers": 2, "stale_rounds": 50}
    with closing(RLHF(config(tmp_path, feedback=feedback), waiting=person(tmp_path))) as rlhf:
        done = [(each.labels, len(rlhf.store.pending())) for each in rlhf.rounds()]
    # 3 are asked at once, and answered until 2 are there to fit to; later the trainer waits only while over 3 are open,
    # and in the end for all.
    assert done == [(2, 1), (2, 3), (4, 3), (5, 3), (7, 3), (12, 0)]
    assert rlhf.method.version == 4  # not when one answer alone was new


def test_with_async_labels_what_nobody_answers_is_withdrawn(tmp_path: Path) -> None:
    feedback = {"async_labels": True, "outstanding": 8, "refit_answers": 1, "stale_rounds": 2}
    with closing(RLHF(config(tmp_path, feedback=feedback), waiting=person(tmp_path))) as rlhf:
        for _ in rlhf.rounds():
            pass
        counts = rlhf.store.counts()
    assert counts.dropped > 0
    assert (counts.labels, rlhf.store.pending()) == (12, [])


def test_with_async_labels_what_somebody_looks_at_is_not_replaced_and_the_budget_is_kept(tmp_path: Path) -> None:
    """Bob looks at one query for four rounds, then answers it; meanwhile it is stale."""
    feedback = {"async_labels": True, "outstanding": 8, "refit_answers": 1, "stale_rounds": 1}
    with closing(RLHF(config(tmp_path, feedback=feedback), waiting=person(tmp_path))) as rlhf:
        rounds = rlhf.rounds()
        next(rounds)
        [looked_at] = rlhf.store.claim("bob")
        for _ in range(4):
            next(rounds)
        counts = rlhf.store.counts()
        assert counts.dropped > 0  # others
        assert looked_at.id in {query.id for query in rlhf.store.pending()}
        rlhf.store.record(looked_at.id, Answer.LEFT, teacher="bob")
        assert [done.labels for done in rounds] == [12]
        assert rlhf.store.counts().labels == 12


# Interruptions


def test_a_resumed_run_goes_on_after_its_last_round_with_all_answers(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        rounds = rlhf.rounds()
        next(rounds)
        next(rounds)
        before = (rlhf.env_steps, rlhf.agent.steps, rlhf.method.version, rlhf.recorder.terminations)
        weights = rlhf.agent.sb3.policy.state_dict()
        given = labels(tmp_path)
    with closing(RLHF.resume(tmp_path, waiting=person(tmp_path))) as rlhf:
        again = (rlhf.env_steps, rlhf.agent.steps, rlhf.method.version, rlhf.recorder.terminations)
        assert again == before
        assert all((value == weights[name]).all() for name, value in rlhf.agent.sb3.policy.state_dict().items())
        summary = rlhf.learn()
    assert labels(tmp_path)[:5] == given and len(set(labels(tmp_path))) == 12
    run = read_run(tmp_path)
    assert [row["round"] for row in run.metrics] == [0, 1, 2, 3, 4, 5]
    assert [row["labels"] for row in run.metrics] == [3, 5, 7, 8, 10, 12]
    assert summary["total_timesteps"] == 200 + 10 * 128


def test_a_resumed_run_sees_other_episodes_than_it_saw_before(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        next(rlhf.rounds())
        seen = {t.origin.seed for t in rlhf.recorder.trajectories() if t.origin}
    with closing(RLHF.resume(tmp_path, waiting=person(tmp_path))) as rlhf:
        rlhf.venv.reset()
        assert not seen & set(rlhf.recorder._episode_seeds.tolist())


def test_answers_given_while_no_trainer_ran_are_taken_up(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        rounds = rlhf.rounds()
        next(rounds)
        rlhf.ask(2)  # as it was killed while it waited
    person(tmp_path, n=2)()
    with closing(RLHF.resume(tmp_path, waiting=person(tmp_path))) as rlhf:
        assert rlhf.labels == 5
        assert next(rlhf.rounds()).labels == 5
        assert rlhf.store.counts().asked == 5


def test_a_run_that_never_finished_a_round_begins_again_with_its_answers(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def waiting() -> None:
        if len(labels(tmp_path)) == 2:
            raise Killed
        person(tmp_path)()

    with closing(RLHF(config(tmp_path), waiting=waiting)) as rlhf, pytest.raises(Killed):
        rlhf.learn()
    with closing(RLHF.resume(tmp_path, waiting=person(tmp_path))) as rlhf:
        assert rlhf.labels == 2
        assert next(rlhf.rounds()).labels == 3
        assert rlhf.store.counts().asked == 3


def test_a_round_that_was_not_finished_leaves_no_trace_in_the_metrics(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        next(rlhf.rounds())
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("1,999,9,9,nan,nan,nan,nan,nan,nan,nan,nan,nan,1.0\n2,99")  # killed before its checkpoint
    with closing(RLHF.resume(tmp_path, waiting=person(tmp_path))) as rlhf:
        rlhf.learn()
    assert [row["round"] for row in read_run(tmp_path).metrics] == [0, 1, 2, 3, 4, 5]


def test_an_oracles_run_can_be_resumed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlhf_gym.runs.lifecycle.CHECKPOINT_SECONDS", 0.0)
    with closing(RLHF(config(tmp_path, teacher="oracle"))) as rlhf:
        next(rlhf.rounds())
        rlhf.ask(2)  # posted, and not answered when it was killed
    with closing(RLHF.resume(tmp_path)) as rlhf:
        summary = rlhf.learn()
        assert (summary["labels"], rlhf.store.counts().asked) == (12, 12)


def test_answers_outlast_a_page_that_fails_while_the_first_round_waits(tmp_path: Path) -> None:
    def waiting() -> None:
        if len(labels(tmp_path)) == 2:
            raise ValueError("the labelling page can't be served")
        person(tmp_path)()

    with closing(RLHF(config(tmp_path), waiting=waiting)) as rlhf, pytest.raises(ValueError, match="can't be served"):
        rlhf.learn()
    with closing(RLHF.resume(tmp_path, waiting=person(tmp_path))) as rlhf:
        assert rlhf.learn()["labels"] == 12


def test_skips_after_a_resume_are_asked_for_by_other_queries(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        rlhf.collect()
        rlhf.ask(3)  # as it was killed while it waited
    for _ in range(2):  # twice, so that the second one must not draw what the first one drew
        person(tmp_path, n=3, answer=Answer.SKIP)()
        with closing(RLHF.resume(tmp_path, waiting=person(tmp_path))) as rlhf:
            rlhf.ask(3)
    with closing(RLHF.resume(tmp_path, waiting=person(tmp_path))) as rlhf:
        assert next(rlhf.rounds()).labels == 3


def test_people_may_skip_as_often_as_they_like(tmp_path: Path) -> None:
    said = iter([Answer.SKIP] * 40)

    def waiting() -> None:
        person(tmp_path, answer=next(said, None))()

    with closing(RLHF(config(tmp_path), waiting=waiting)) as rlhf:
        assert rlhf.learn()["labels"] == 12


def test_an_answer_taken_back_at_the_last_moment_is_asked_for_again_and_nothing_else(tmp_path: Path) -> None:
    answer = person(tmp_path)
    with closing(RLHF(config(tmp_path), waiting=answer)) as rlhf:
        wait = rlhf.answers.people.wait

        def then_undo(**how: Any) -> None:
            wait(**how)
            if rlhf.store.counts().labels == 3 and len(rlhf.store.history()) == 3:
                rlhf.store.record(labels(tmp_path)[-1], None, teacher="ann")

        rlhf.answers.people.wait = then_undo
        assert next(rlhf.rounds()).labels == 3
        assert rlhf.store.counts().asked == 3


def test_two_trainers_are_not_let_into_one_directory(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        next(rlhf.rounds())
        with pytest.raises(ValueError, match="is being trained by another process, or a run that is not closed"):
            RLHF.resume(tmp_path)
    RLHF.resume(tmp_path).close()


def test_a_run_is_not_resumed_on_an_empty_store(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        next(rlhf.rounds())
    (tmp_path / "preferences.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(ValueError, match=r"were in .*preferences\.db, which isn't there; bring it back"):
        RLHF.resume(tmp_path)
    assert not (tmp_path / "preferences.db").exists()
    PreferenceStore(tmp_path / "preferences.db").close()
    with pytest.raises(ValueError, match="the run has finished 1 rounds, but its store is empty; bring back"):
        RLHF.resume(tmp_path)


def test_a_run_with_a_store_elsewhere_can_be_loaded(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with closing(RLHF(config(tmp_path / "run", teacher="oracle", feedback={"store": url}))) as rlhf:
        rlhf.learn()
    with closing(RLHF.load(tmp_path / "run")) as loaded:
        assert loaded.labels == 12


def test_a_run_killed_before_its_first_line_of_metrics_is_resumed(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        next(rlhf.rounds())
    for left in ("", "round,env_st"):
        (tmp_path / "metrics.csv").write_text(left)
        RLHF.resume(tmp_path).close()


def test_a_finished_run_is_not_resumed_and_nor_is_none(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path / "run", teacher="oracle"))) as rlhf:
        rlhf.learn()
    with pytest.raises(ValueError, match="is finished; there is nothing to resume"):
        RLHF.resume(tmp_path / "run")
    with pytest.raises(ValueError, match="config.yaml missing"):
        RLHF.resume(tmp_path / "nothing")


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path), waiting=person(tmp_path))) as rlhf:
        next(rlhf.rounds())
    for file in ("trajectories.safetensors", "state.json", "policy.zip"):
        (tmp_path / "checkpoints" / "000000" / file).write_text("{")
        with pytest.raises(ValueError, match=r"checkpoint .*000000 is damaged"):
            RLHF.resume(tmp_path)


MOST_SECONDS_A_LIFE = 600  # however busy this machine is


def killed_at_random(run_dir: Path, kills: int, seed: int) -> list[list[str]]:
    """Start a trainer, kill it, start it again, and so on, with somebody answering; the answers after each kill."""
    config(run_dir).to_yaml(run_dir / "settings.yaml")
    train = ["train", "--config", str(run_dir / "settings.yaml"), "--run-dir", str(run_dir / "run")]
    rng, given = random.Random(seed), []
    for life in range(kills + 1):
        verb = ["resume", str(run_dir / "run")] if (run_dir / "run" / "config.yaml").exists() else train
        trainer = subprocess.Popen([sys.executable, "-c", "from rlhf_gym.cli import main; main()", *verb])
        wanted, started = len(given[-1] if given else []) + rng.randint(0, 1), time.monotonic()
        while trainer.poll() is None:
            time.sleep(0.02)
            if time.monotonic() - started > MOST_SECONDS_A_LIFE:
                trainer.kill()
                trainer.wait()
                pytest.fail(f"trainer {life} neither ended nor asked on for {MOST_SECONDS_A_LIFE} s, after {given}")
            if (run_dir / "run" / "preferences.db").exists():
                person(run_dir / "run")()
                if life < kills and len(labels(run_dir / "run")) >= wanted:
                    time.sleep(rng.random() * 0.3)
                    os.kill(trainer.pid, signal.SIGKILL)
        trainer.wait()
        given.append(labels(run_dir / "run"))
    return given


def check_nothing_was_lost(run_dir: Path, given: list[list[str]]) -> None:
    for earlier, later in zip(given, given[1:], strict=False):
        assert later[: len(earlier)] == earlier
    assert len(given[-1]) == len(set(given[-1])) == 12
    with closing(PreferenceStore(run_dir / "run" / "preferences.db")) as store:
        assert store.counts().asked == 12  # nothing was asked anew because of a kill
        assert len(store.history()) == 12
    assert [row["round"] for row in read_run(run_dir / "run").metrics] == [0, 1, 2, 3, 4, 5]


def test_killing_the_trainer_loses_no_answer_and_asks_nothing_twice(tmp_path: Path) -> None:
    check_nothing_was_lost(tmp_path, killed_at_random(tmp_path, kills=2, seed=0))


def test_a_runs_directory_holds_no_password_and_the_run_is_resumed_with_it_in_the_environment(
    tmp_path: Path, guarded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Crowd(guarded_url, ["ann"])) as crowd:
        with closing(RLHF(config(tmp_path, feedback={"store": guarded_url}), waiting=crowd)) as rlhf:
            next(rlhf.rounds())
            rlhf.save(tmp_path / "saved")
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {path.name for path in files} >= {"config.yaml", "provenance.json"}
        assert not [path for path in files if re.search(b"s3(/|%2F)cret", path.read_bytes())]
        with pytest.raises(ValueError, match="no password supplied; give the right password in PGPASSWORD"):
            RLHF.resume(tmp_path, waiting=crowd)
        monkeypatch.setenv("PGPASSWORD", "s3/cret")
        with closing(RLHF.resume(tmp_path, waiting=crowd)) as rlhf:
            assert rlhf.learn()["labels"] == 12


@pytest.mark.slow
def test_killing_the_trainer_twenty_times_loses_no_answer_and_asks_nothing_twice(tmp_path: Path) -> None:
    check_nothing_was_lost(tmp_path, killed_at_random(tmp_path, kills=20, seed=1))
