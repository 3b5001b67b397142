"""What a run was taught by: recorded under its name, and missed where it is read."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.preferences import Answer, Query, Said
from rlhf_gym.runs import read_run
from rlhf_gym.segments import Array
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.exchange import export
from rlhf_gym.teachers import OracleTeacher, Teacher

EARLIER = Path(__file__).parent / "data" / "earlier" / "run"
SMALL: dict[str, Any] = {
    "env_id": "CartPole-v1",
    "labels": 12,
    "total_timesteps": 712,  # 200 of warm-up, 4 rollouts of 128
    "segment_length": 10,
    "query": {"rounds": 4, "warm_up_steps": 200},
    "reward": {"network_options": {"hidden": [8]}, "steps": 5, "batch_size": 4},
    "agent": {"n_envs": 4, "net_arch": [8], "options": {"n_steps": 32, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 2},
}
OWN = """
import numpy as np
import torch
from rlhf_gym.kinds import find_kind
from rlhf_gym.queries import by_value
from rlhf_gym.teachers import Teacher, true_returns

class Contrary(Teacher):
    name = "contrary"
    def __init__(self, *, seed, strength=1.0):
        self.strength = strength
    def answer(self, queries):
        return [find_kind(q.kind).answer(-self.strength * true_returns(q.options)) for q in queries]

class Nobody:
    pass

def left(observations, actions, next_observations):
    return -next_observations[:, 0]

def apart():
    return by_value(lambda candidates: candidates.features.std(axis=1).sum(axis=-1))

def narrow(size, width=4):
    return torch.nn.Sequential(torch.nn.Linear(size, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))
"""


def config(run_dir: Path | None = None, **settings: Any) -> RLHFConfig:
    return RLHFConfig.from_dict(SMALL).replace(run_dir=run_dir and str(run_dir), **settings)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of one's own in the working folder; it is forgotten again."""
    (tmp_path / "my_house.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path / "my_house.py"
    sys.modules.pop("my_house", None)


class Mine(Teacher):
    """Answers left, and is known as ann."""

    name = "ann"

    def answer(self, queries: Sequence[Query]) -> Sequence[Said]:
        return [Answer.LEFT for _ in queries]


def first_observed(observations: Array, actions: Array, next_observations: Array) -> Array:
    return np.asarray(next_observations[:, 0])


def begin(run_dir: Path, **given: Any) -> None:
    """A run that is interrupted after two rounds, the first of which left a checkpoint."""
    settings = given.pop("settings", {})
    with closing(RLHF(config(run_dir, **settings), **given)) as rlhf:
        rounds = rlhf.rounds()
        next(rounds)
        rlhf._checkpoints._often = True
        next(rounds)


# A teacher of one's own


def test_a_teacher_of_ones_own_is_recorded_by_its_name_and_found_again(own: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", settings={"teacher": "my_house:Contrary", "teacher_options": {"strength": 2.0}})
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (written["teacher"], written["teacher_options"]) == ("my_house:Contrary", {"strength": 2.0})
    assert json.loads((tmp_path / "run" / "provenance.json").read_text())["own"] == {"teacher": "my_house:Contrary"}
    with closing(RLHF.resume(tmp_path / "run")) as rlhf:
        assert rlhf.learn()["teacher"] == "contrary"
        assert {preference.teacher for preference in rlhf.preferences} == {"contrary"}


def test_a_run_is_not_resumed_where_its_teacher_is_missing(own: Path, tmp_path: Path) -> None:
    begin(tmp_path / "run", settings={"teacher": "my_house:Contrary"})
    own.unlink()
    sys.modules.pop("my_house")
    with pytest.raises(ValueError, match="teacher is 'my_house:Contrary' but there is no module 'my_house'"):
        RLHF.resume(tmp_path / "run")


def test_a_teacher_given_as_an_object_has_to_be_given_again(tmp_path: Path) -> None:
    begin(tmp_path / "run", teacher=Mine())
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["teacher"] == "given:ann"
    with pytest.raises(ValueError, match="teacher was given as a Python object, ann; hand it over again: RLHF.resume"):
        RLHF.resume(tmp_path / "run")
    with pytest.raises(ValueError, match="teacher of the run is given:ann and oracle was given"):
        RLHF.resume(tmp_path / "run", teacher=OracleTeacher())
    with closing(RLHF.resume(tmp_path / "run", teacher=Mine())) as rlhf:
        assert rlhf.learn()["teacher"] == "ann"
    with pytest.raises(ValueError, match="RLHF.load"):
        RLHF.load(tmp_path / "run")
    RLHF.load(tmp_path / "run", teacher=Mine()).close()


def test_an_oracle_with_values_of_its_own_is_not_taken_for_the_plain_one(tmp_path: Path) -> None:
    by_length = OracleTeacher(values=lambda segments: np.array([segment.lived for segment in segments]))
    begin(tmp_path / "run", teacher=by_length)
    with pytest.raises(ValueError, match="teacher was given as a Python object, oracle"):
        RLHF.resume(tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teacher": "my_house:Nobody"}, "'my_house:Nobody', which gives Nobody; expected a Teacher with a name"),
        ({"teacher": "my_house:Contrary", "teacher_options": {"strenth": 1}}, "no option strenth; did you mean streng"),
        ({"teacher": "my_house:Someone"}, "'my_house' has no 'Someone'; it has: "),
        ({"query": {"scheme": "my_house:far"}}, "query.scheme is 'my_house:far' but 'my_house' has no 'far'"),
        ({"query": {"scheme": "my_house:Nobody"}}, "which gives Nobody; expected a function of .candidates, n, rng"),
        ({"reward": {"network": "my_house:wide", "network_options": {}}}, "reward.network is 'my_house:wide'"),
        ({"method": "my_house:Nobody"}, "which gives Nobody; expected a Method"),
        ({"algo": "my_house:Nobody"}, "algo is 'my_house:Nobody'"),
        ({"kind": "ranking", "query": {"options": 2}}, "query.options is 2 and kind is ranking; use 3 to 8"),
    ],
)
def test_what_is_not_of_its_kind_is_refused_and_leaves_nothing_behind(
    own: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        RLHF(config(tmp_path / "run", **settings))
    assert "\n" not in str(refused.value) and not (tmp_path / "run").exists()


# A goal of one's own


def test_a_goal_given_as_a_function_is_named_and_its_return_is_told_every_round(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path / "run"), teacher=OracleTeacher(goal=first_observed))) as rlhf:
        summary = rlhf.learn()
    run = read_run(tmp_path / "run")
    assert run.config.feedback.goal == f"{__name__}:first_observed" and run.config.teacher == "oracle"
    assert summary["goal_return_mean"] is not None
    assert all(np.isfinite(row["goal_return"]) for row in run.metrics)


def test_a_rounds_goal_return_is_the_mean_of_its_episodes(tmp_path: Path) -> None:
    with closing(RLHF(config(), goal=lambda observations, *_: 0 * observations[:, 0] + 2)) as rlhf:
        for done in rlhf.rounds():
            assert done.goal_return == 2 * done.episode_length  # 2 a step
            assert done.headline["goal_return"] == f"{done.goal_return:.1f}"


def test_without_a_goal_there_is_no_return_by_it() -> None:
    with closing(RLHF(config())) as rlhf:
        done = next(rlhf.rounds())
    assert np.isnan(done.goal_return) and "goal_return" not in done.headline


def test_a_goal_that_cannot_be_imported_has_to_be_given_again(tmp_path: Path) -> None:
    goal = lambda observations, *_: observations[:, 0]  # noqa: E731
    begin(tmp_path / "run", goal=goal)
    with pytest.raises(ValueError, match="feedback.goal was given as a Python object, <lambda>; hand it over again"):
        RLHF.resume(tmp_path / "run")
    with closing(RLHF.resume(tmp_path / "run", goal=goal)) as rlhf:
        assert rlhf.goal is goal


class Tallying(Teacher):
    """Keeps in its state how many answers it has given, as NumPy counts."""

    name, given = "tallying", np.int64(0)

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        self.given = self.given + len(queries)
        return [Answer.LEFT] * len(queries)

    def save_state(self) -> dict[str, Any]:
        return {"given": self.given}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        self.given = np.int64(state["given"])


def test_a_teachers_state_may_hold_numpys_numbers(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path / "run"), teacher=Tallying())) as rlhf:
        next(rlhf.rounds())
    teacher = Tallying()
    with closing(RLHF.resume(tmp_path / "run", teacher=teacher)) as rlhf:
        assert teacher.given == rlhf.store.counts().labels > 0


# A scheme and a network of one's own


def test_a_scheme_and_a_network_of_ones_own_are_used_by_name_and_found_again(own: Path, tmp_path: Path) -> None:
    reward = {"network": "my_house:narrow", "network_options": {"width": 3}}
    with closing(RLHF(config(tmp_path / "run", query={"scheme": "my_house:apart"}, reward=reward))) as rlhf:
        rlhf.learn()
        whys = {preference.query.why for preference in rlhf.preferences}
        weights = [weight.clone() for weight in rlhf.method.learner.model.parameters()]
    assert whys == {"uniform", "my_house:apart"}
    assert {tuple(weight.shape) for weight in weights} >= {(3, 6), (1, 3)}  # 4 observed, 2 actions
    with closing(RLHF.load(tmp_path / "run")) as loaded:
        again = list(loaded.method.learner.model.parameters())
        assert all((one == other).all() for one, other in zip(weights, again, strict=True))
        assert loaded.fit_reward().n == 12


# Rankings


def test_rankings_teach_under_the_same_loop(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path / "run", kind="ranking", query={"options": 4}))) as rlhf:
        summary = rlhf.learn()
        assert summary["labels"] == 12
        assert {(p.query.kind, len(p.query.options)) for p in rlhf.preferences} == {("ranking", 4)}
        assert rlhf.fit_reward().n == 12 * 3  # k - 1 choices each
        assert {p.query.why for p in rlhf.preferences} == {"uniform", "disagreement"}


# Preferences of another run


@pytest.mark.parametrize("as_export", [False, True])
def test_the_preferences_of_one_run_teach_another_with_further_labels_or_none(tmp_path: Path, as_export: bool) -> None:
    with closing(RLHF(config(tmp_path / "first"))) as first:
        first.learn()
    place = tmp_path / "first"
    if as_export:
        place = tmp_path / "export"
        with closing(PreferenceStore(tmp_path / "first" / "preferences.db")) as store:
            export(store, place, parquet=False)
    none = config(tmp_path / "none", labels=0, feedback={"preferences": str(place)})
    with closing(RLHF(none)) as rlhf:
        fits = [done.reward_loss for done in rlhf.rounds()]
        assert rlhf.labels == 12 and np.isfinite(fits[0]) and np.isnan(fits[1:]).all()
    more = config(tmp_path / "more", labels=8, feedback={"preferences": str(place)})
    with closing(RLHF(more)) as rlhf:
        assert rlhf.learn()["labels"] == 20
        assert [done["labels"] for done in read_run(tmp_path / "more").metrics] == [14, 16, 18, 20]


def test_a_run_that_began_with_preferences_is_resumed_within_its_own_budget(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path / "first"))) as first:
        first.learn()
    begin(tmp_path / "run", settings={"labels": 8, "feedback": {"preferences": str(tmp_path / "first")}})
    shutil.rmtree(tmp_path / "first")  # they are the run's own by now
    with closing(RLHF.resume(tmp_path / "run")) as rlhf:
        assert rlhf.learn()["labels"] == 20


def test_preferences_that_are_none_or_of_another_environment_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere isn't there; use a folder"):
        RLHF(config(feedback={"preferences": str(tmp_path / "nowhere")}))
    with closing(RLHF(config(tmp_path / "first"))) as first:
        first.learn()
    pendulum = config(env_id="Pendulum-v1", feedback={"preferences": str(tmp_path / "first")})
    with pytest.raises(ValueError, match="of shapes .* and the run's environment, Pendulum-v1, has .*each environment"):
        RLHF(pendulum)


# Runs of earlier versions


def test_a_run_of_an_earlier_version_is_loaded_and_fitted_further(tmp_path: Path) -> None:
    shutil.copytree(EARLIER, tmp_path / "run")
    with closing(RLHF.load(tmp_path / "run")) as rlhf:
        statistics = rlhf.method.learner.model.input_mean.clone()
        assert rlhf.labels == 8 and rlhf.method.version == 1
        assert {query.why for query in rlhf.ask(2)} == {"disagreement"}
        assert (rlhf.method.learner.model.input_mean == statistics).all()  # the warm-up changes nothing of it
        assert rlhf.fit_reward().n == 8
        rlhf.improve(rlhf.agent.portion)


def test_a_run_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    shutil.copytree(EARLIER, tmp_path / "run")
    for name in ("summary.json", "policy.zip"):
        (tmp_path / "run" / name).unlink()
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    with closing(RLHF.resume(tmp_path / "run")) as rlhf:
        summary = rlhf.learn()
    assert summary["labels"] == 8 and summary["total_timesteps"] == 1536
    assert (tmp_path / "run" / "metrics.csv").read_text().splitlines() == rows  # both rounds had been finished
