"""Whole runs that share one store: each is the run that it would have been alone, and finds itself again."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.rlhf import RLHF
from rlhf_gym.store import PreferenceStore
from rlhf_gym.sweeps.columns import setting_columns
from rlhf_gym.sweeps.plan import read_plan
from rlhf_gym.sweeps.sweep import sweep
from rlhf_gym.verbs.arguments import store_of

SMALL: dict[str, Any] = {
    "env_id": "CartPole-v1",
    "labels": 6,
    "total_timesteps": 600,
    "segment_length": 20,
    "query": {"rounds": 3, "first_steps": 200, "memory_steps": 1000},
    "reward": {"hidden": [8], "steps": 5, "batch_size": 4},
    "agent": {"n_envs": 4, "n_steps": 32, "batch_size": 64, "n_epochs": 1, "net_arch": [8]},
    "evaluation": {"n_episodes": 1},
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shared.db'}"


def config(run_dir: Path, **settings: Any) -> RLHFConfig:
    return RLHFConfig.from_dict(SMALL).replace(run_dir=str(run_dir), **settings)


def outcome(rlhf: RLHF) -> tuple[Any, ...]:
    """All that a run has asked, heard and learned."""
    said = [(p.query.id.partition("@")[0], p.answer, p.teacher) for p in rlhf.preferences]  # but for the run's mark
    weights = torch.cat([value.flatten() for value in rlhf.agent.sb3.policy.state_dict().values()])
    return said, weights.tolist(), rlhf.labels, rlhf.env_steps


def test_runs_that_share_a_store_are_bit_for_bit_what_they_are_alone(tmp_path: Path, url: str) -> None:
    with closing(RLHF(config(tmp_path / "alone"))) as alone:
        alone.learn()
        expected = outcome(alone)
    shared = {"store": url}
    with closing(RLHF(config(tmp_path / "one", feedback=shared, env_id="Pendulum-v1"))) as other:
        next(other.rounds())
        with closing(RLHF(config(tmp_path / "two", feedback=shared))) as same:
            same.learn()
            assert outcome(same) == expected
        assert other.labels == 2
    with PreferenceStore(url) as store:
        names = [run.name for run in store.runs()]
        envs = {(store.run_of(p.query.id).env_id, p.query.left.origin.env_id) for p in store.preferences()}
        assert store.counts().labels == 8
    assert [name.rpartition("-")[0] for name in names] == ["one", "two"]
    assert envs == {("CartPole-v1", "CartPole-v1"), ("Pendulum-v1", "Pendulum-v1")}


def test_a_run_that_is_resumed_finds_itself_among_the_others(tmp_path: Path, url: str) -> None:
    given = {}
    for name in ("first", "second"):
        with closing(RLHF(config(tmp_path / name, feedback={"store": url}))) as rlhf:
            next(rlhf.rounds())
            given[name] = rlhf.preferences
    for name in ("second", "first"):
        with closing(RLHF.resume(tmp_path / name)) as rlhf:
            assert [p.query.id for p in rlhf.store.preferences()] == [p.query.id for p in given[name]]
        with store_of(tmp_path / name) as store:  # as label, quality and export open it
            assert [p.query.id for p in store.preferences()] == [p.query.id for p in given[name]]


def test_a_run_of_an_earlier_version_is_resumed_from_its_store_after_others_joined(tmp_path: Path, url: str) -> None:
    with closing(RLHF(config(tmp_path / "old", feedback={"store": url}))) as rlhf:
        next(rlhf.rounds())
        asked = rlhf.store.number_asked()
    for file in ("config.yaml", "provenance.json"):  # which knew no names
        place = tmp_path / "old" / file
        lines = place.read_text().splitlines(keepends=True)
        place.write_text("".join(line for line in lines if line.strip().split(":")[0].strip('"') != "run"))
    assert "run" not in yaml.safe_load((tmp_path / "old" / "config.yaml").read_text())["feedback"]
    with closing(sqlite3.connect(tmp_path / "shared.db")) as database:
        for change in ("DROP TABLE runs", "DROP INDEX queries_by_run", "ALTER TABLE queries DROP COLUMN run"):
            database.execute(change)
        database.execute("UPDATE rlhf_gym_meta SET value = '4'")
        database.commit()
    with closing(RLHF(config(tmp_path / "new", feedback={"store": url}))) as rlhf:
        rlhf.learn()
    with closing(RLHF.resume(tmp_path / "old")) as rlhf:
        assert rlhf.store.number_asked() == asked
        rlhf.learn()
        assert rlhf.labels == 6
    with PreferenceStore(url) as store:
        assert [run.name.rpartition("-")[0] or run.name for run in store.runs()] == ["first", "new"]


def test_answers_elsewhere_in_a_shared_store_end_no_runs_waiting(tmp_path: Path, url: str) -> None:
    given = []

    def answer() -> None:
        with PreferenceStore(url) as store:  # as the page for all does, the oldest first
            [query] = store.claim("ann")
            store.record_in_turn(query.id, query_answer(query), person="ann")
            given.append(query.id)

    with closing(RLHF(config(tmp_path / "idle", feedback={"store": url}, teacher="store"))) as idle:
        idle.ask(3)
        with closing(RLHF(config(tmp_path / "busy", feedback={"store": url}, teacher="store"), waiting=answer)) as busy:
            next(busy.rounds())
            assert busy.labels == 2
        assert given[:3] == idle.store.open_ids() or len(given) == 5
        assert idle.labels == 3


def query_answer(query: Any) -> Any:
    from rlhf_gym.teachers import OracleTeacher

    return OracleTeacher().answer([query])[0]


PLAN = {"shared": {**SMALL, "feedback": {"store": "postgresql://me:s3cret@db/x"}, "teacher": "store"}, "seeds": [0]}


def test_a_sweep_tells_where_people_answer_and_writes_no_password(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump({**PLAN, "settings": {"a": {}, "b": {"labels": 8}}}))

    def pretend(job: Any) -> dict[str, Any]:
        return {"run": job.known | {"true_return_mean": 1.0}, "curves": [{"setting": job.setting, "seed": job.seed}]}

    assert sweep(file, out=tmp_path / "out", execute=pretend) == {}
    said = capsys.readouterr().out
    assert said.count("rlhf-gym label --web --store postgresql://me@db/x") == 1
    assert "s3cret" not in said + (tmp_path / "out" / "runs.csv").read_text()
    assert "feedback.run" not in setting_columns(RLHFConfig.from_dict(SMALL))


def test_a_sweep_gives_each_run_its_own_name(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump({**PLAN, "settings": {"a": {"feedback": {"run": "mine"}}}}))
    with pytest.raises(BadInput, match="setting a has feedback.run; leave it out: the sweep gives each run its own"):
        read_plan(file, out=tmp_path)
