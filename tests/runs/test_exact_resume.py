"""A resumed run equals the one that was never interrupted, bit for bit."""

import csv
import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents.state import weights
from rlhf_gym.errors import BadInput
from rlhf_gym.parts import Parts
from rlhf_gym.preferences import Answer, Query, drawn_id
from rlhf_gym.segments import Array
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import OracleTeacher, Teacher

SMALL: dict[str, Any] = {
    "labels": 12,
    "total_timesteps": 96 + 5 * 64,
    "segment_length": 5,
    "query": {"rounds": 4, "warm_up_steps": 96},
    "reward": {"steps": 5},
    "agent": {"n_envs": 2, "net_arch": (8,), "options": {"n_steps": 32, "batch_size": 32, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
}
NOISY = {"beta": 1.0, "gamma": 0.9, "eps_mistake": 0.1, "eps_skip": 0.3, "drift": 0.5, "standardise": True}
OFF_POLICY: dict[str, Any] = {
    **SMALL,
    "total_timesteps": 48 + 120,
    "query": {"rounds": 4, "warm_up_steps": 48},
    "reward": {"steps": 5},
}


class Left(NamedTuple):
    """What a run leaves, but for times."""

    metrics: list[dict[str, str]]
    summary: dict[str, Any]
    answers: list[tuple[str, str, str]]
    weights: dict[str, Array]


@pytest.fixture(autouse=True)
def _a_checkpoint_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlhf_gym.runs.lifecycle.CHECKPOINT_SECONDS", 0.0)


def config(run_dir: Path, env_id: str = "CartPole-v1", **settings: Any) -> RLHFConfig:
    return RLHFConfig.from_dict({"env_id": env_id, "seed": 3, "run_dir": str(run_dir), **SMALL, **settings})


def finish(rlhf: RLHF) -> Left:
    """Run to the end; what is left."""
    with closing(rlhf):
        rlhf.learn()
        assert rlhf.run
        with (rlhf.run / "metrics.csv").open(newline="") as file:
            rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
        summary = json.loads((rlhf.run / "summary.json").read_text())
        timed = ("wall_", "env_steps_per_second", "peak_rss_mb")
        kept = {name: value for name, value in summary.items() if not name.startswith(timed)}
        answers = [(drawn_id(p.query.id), p.teacher, str(p.answer)) for p in rlhf.preferences]
        return Left(rows, kept, answers, weights(rlhf.agent.sb3))


def check_same(one: Left, other: Left) -> None:
    assert one.metrics == other.metrics
    assert one.summary == other.summary
    assert one.answers == other.answers
    assert all(np.array_equal(value, other.weights[name]) for name, value in one.weights.items())


def killed(rlhf: RLHF, rounds: int) -> None:
    """Stop after some rounds, and leave other global generators than there were."""
    with closing(rlhf):
        list(islice(rlhf.rounds(), rounds))
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  SB3 draws from it
    torch.manual_seed(1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """An uninterrupted run of a teacher with state."""
    return finish(RLHF(noisy(tmp_path_factory.mktemp("whole") / "run")))


def noisy(run_dir: Path) -> RLHFConfig:
    return config(run_dir, teacher="noisy", teacher_options=NOISY, kind="comparison=0.6,rating=0.4")


# At a round's border


@pytest.mark.parametrize("rounds", [1, 3, 4])
def test_a_run_that_was_interrupted_between_rounds_equals_one_that_was_not(
    rounds: int, whole: Left, tmp_path: Path
) -> None:
    killed(RLHF(noisy(tmp_path)), rounds)
    check_same(finish(RLHF.resume(tmp_path)), whole)


def test_so_does_one_that_was_interrupted_twice(whole: Left, tmp_path: Path) -> None:
    killed(RLHF(noisy(tmp_path)), 1)
    killed(RLHF.resume(tmp_path), 2)
    check_same(finish(RLHF.resume(tmp_path)), whole)


PANEL = {"members": [{"teacher": "noisy", "eps_mistake": 0.3}, {"teacher": "random"}], "each": 2, "order": "drawn"}
RUNS: Mapping[str, dict[str, Any]] = {
    "dqn": {
        **OFF_POLICY,
        "algo": "dqn",
        "agent": {"n_envs": 2, "net_arch": (8,), "options": {"learning_starts": 70, "train_freq": 8, "batch_size": 8}},
    },
    "sac": {
        **OFF_POLICY,
        "env_id": "Pendulum-v1",
        "algo": "sac",
        "agent": {"n_envs": 2, "net_arch": (8,), "options": {"learning_starts": 60, "batch_size": 8}},
    },
    "returns": {
        "agent": {
            **SMALL["agent"],
            "normalize_rewards": True,
            "critic_after_fit": "warm_up",
            "schedule": "linear",
        }
    },
    "panel": {"teacher": "panel", "teacher_options": PANEL},
    "self": {"teacher": "self", "teacher_options": {"confidence": 0.51, "accuracy": 0.0}, "labels": 24},
    "shown": {
        "query": {**SMALL["query"], "shown": 0.25, "repeats": 0.2, "heldout": 0.2, "scheme": "disagreement_coverage"}
    },
    "more": {
        "reward": {
            "steps": 5,
            "linear": "quadratic",
            "more": {"crops": {}, "pseudo_labels": {}, "self_supervised": {}, "disagreement_bonus": {}},
        }
    },
    "cpl": {"method": "cpl", "method_options": {"steps": 5, "clone_steps": 5}},
}


QUICK = ["dqn", "sac", "returns"]


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in RUNS]
)
def test_so_does_one_of(name: str, tmp_path: Path) -> None:
    """Other algorithms, methods, teachers and rewards, each with state of its own."""
    killed(RLHF(config(tmp_path / "one", **RUNS[name])), 2)
    resumed = finish(RLHF.resume(tmp_path / "one"))
    check_same(resumed, finish(RLHF(config(tmp_path / "other", **RUNS[name]))))


@pytest.mark.slow
def test_so_does_one_of_a_body(tmp_path: Path) -> None:
    """MuJoCo's state is reached again by playing."""
    killed(RLHF(config(tmp_path / "one", "HalfCheetah-v5")), 2)
    check_same(finish(RLHF.resume(tmp_path / "one")), finish(RLHF(config(tmp_path / "other", "HalfCheetah-v5"))))


def test_the_last_fit_is_in_the_summary_of_a_run_that_was_interrupted_before_its_evaluation(
    whole: Left, tmp_path: Path
) -> None:
    killed(RLHF(noisy(tmp_path)), 4)
    with closing(RLHF.resume(tmp_path)) as rlhf:
        assert rlhf.evaluate()["reward_accuracy_heldout"] == whole.summary["reward_accuracy_heldout"]


# Within a round


class Killed(Exception):
    """What a kill is to this process."""


def dies(*_: Any, **__: Any) -> Any:
    raise Killed


def break_teacher(rlhf: RLHF) -> None:
    rlhf.teacher.answer = dies  # type: ignore[method-assign]


def break_post(rlhf: RLHF) -> None:
    rlhf.answers.post = dies  # type: ignore[method-assign]


def break_fit(rlhf: RLHF) -> None:
    rlhf.method.fit = dies  # type: ignore[method-assign]


def break_training(rlhf: RLHF) -> None:
    step, left = rlhf.venv.step_wait, iter(range(20))

    def then_die() -> Any:
        return step() if next(left, None) is not None else dies()

    rlhf.venv.step_wait = then_die  # type: ignore[method-assign]


BREAKS = [break_post, break_teacher, break_fit, break_training]


@pytest.mark.parametrize("rounds", [0, 2])
@pytest.mark.parametrize("broken", BREAKS, ids=["post", "teacher", "fit", "training"])
def test_a_round_that_was_interrupted_is_repeated_as_it_would_have_been_and_asks_nothing_twice(
    broken: Callable[[RLHF], None], rounds: int, whole: Left, tmp_path: Path
) -> None:
    with closing(RLHF(noisy(tmp_path))) as rlhf:
        going_on = rlhf.rounds()
        list(islice(going_on, rounds))
        if broken is break_training and not rounds:
            rlhf.collect()  # the warm-up
        broken(rlhf)
        with pytest.raises(Killed):
            next(going_on)
    check_same(finish(RLHF.resume(tmp_path)), whole)


# Several rounds after the last checkpoint


class Counting(Teacher):
    """Counts its answers."""

    name = "counting"

    def __init__(self) -> None:
        self.given = 0

    def answer(self, queries: Any) -> list[Any]:
        """As an oracle."""
        answers = OracleTeacher().answer(queries)
        self.given += len(queries)
        return answers

    def save_state(self) -> dict[str, Any]:
        """How many were given."""
        return {"given": self.given}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """As they were."""
        self.given = state["given"]


def forget_checkpoints_after(run_dir: Path, rounds: int) -> None:
    """Leave what a run does that took its last checkpoint after so many rounds."""
    for place in (run_dir / "checkpoints").iterdir():
        if int(place.name) >= rounds:
            shutil.rmtree(place)


@pytest.mark.parametrize("rounds", [2, 4])
@pytest.mark.parametrize("checkpoint", [0, 1])
def test_rounds_after_the_last_checkpoint_are_done_again_with_the_answers_that_each_had(
    checkpoint: int, rounds: int, whole: Left, tmp_path: Path
) -> None:
    killed(RLHF(noisy(tmp_path).replace(keep_checkpoints=4)), rounds)
    forget_checkpoints_after(tmp_path, checkpoint)
    check_same(finish(RLHF.resume(tmp_path)), whole)


@pytest.mark.parametrize("broken", BREAKS, ids=["post", "teacher", "fit", "training"])
def test_so_are_they_after_one_that_was_interrupted(
    broken: Callable[[RLHF], None], whole: Left, tmp_path: Path
) -> None:
    with closing(RLHF(noisy(tmp_path).replace(keep_checkpoints=4))) as rlhf:
        going_on = rlhf.rounds()
        list(islice(going_on, 3))
        broken(rlhf)
        with pytest.raises(Killed):
            next(going_on)
    forget_checkpoints_after(tmp_path, 1)
    check_same(finish(RLHF.resume(tmp_path)), whole)


def test_so_are_they_once_more_where_they_were_interrupted_again(whole: Left, tmp_path: Path) -> None:
    killed(RLHF(noisy(tmp_path).replace(keep_checkpoints=4)), 4)
    for rounds in (1, 2):
        forget_checkpoints_after(tmp_path, 1)
        killed(RLHF.resume(tmp_path), rounds)
    forget_checkpoints_after(tmp_path, 0)
    check_same(finish(RLHF.resume(tmp_path)), whole)


@pytest.mark.parametrize(
    "name", [name if name == "sac" else pytest.param(name, marks=pytest.mark.slow) for name in RUNS]
)
def test_so_are_they_of_others(name: str, tmp_path: Path) -> None:
    killed(RLHF(config(tmp_path / "one", **RUNS[name], keep_checkpoints=4)), 3)
    forget_checkpoints_after(tmp_path / "one", 1)
    resumed = finish(RLHF.resume(tmp_path / "one"))
    check_same(resumed, finish(RLHF(config(tmp_path / "other", **RUNS[name]))))


def test_a_larger_budget_asks_in_such_a_round_for_what_it_did_not_ask(tmp_path: Path) -> None:
    killed(RLHF(config(tmp_path, keep_checkpoints=4)), 4)
    forget_checkpoints_after(tmp_path, 1)
    with closing(RLHF.resume(tmp_path, labels=20)) as rlhf:
        assert rlhf.learn()["labels"] == 20
        assert rlhf.store.number_asked() == 20


def test_looking_at_a_resumed_run_changes_nothing(whole: Left, tmp_path: Path) -> None:
    killed(RLHF(noisy(tmp_path).replace(keep_checkpoints=4)), 4)
    forget_checkpoints_after(tmp_path, 1)
    rlhf = RLHF.resume(tmp_path)
    assert rlhf.labels == len([p for p in rlhf.preferences if p.answer is not Answer.SKIP]) < 12
    check_same(finish(rlhf), whole)


class Skipping(Counting):
    """Skips four queries in five, by a count that a resumed run is handed back."""

    def answer(self, queries: Any) -> list[Any]:
        """As an oracle, or SKIP."""
        told = [self.given + number for number, _ in enumerate(queries)]
        answers = super().answer(queries)
        return [a if n % 5 == 4 or n < 2 else Answer.SKIP for n, a in zip(told, answers, strict=True)]


def test_a_round_that_gave_up_on_skips_gives_up_again(tmp_path: Path) -> None:
    early = {"rounds": 5, "schedule": "front_loaded", "schedule_options": {"first_fraction": 0.5, "by": 0.4}}
    settings = {"query": {**SMALL["query"], **early}, "keep_checkpoints": 9}
    killed(RLHF(config(tmp_path / "one", **settings), teacher=Skipping()), 4)
    forget_checkpoints_after(tmp_path / "one", 1)
    resumed = finish(RLHF.resume(tmp_path / "one", teacher=Skipping()))
    other = finish(RLHF(config(tmp_path / "other", **settings), teacher=Skipping()))
    assert len({row["labels"] for row in other.metrics}) == 3
    check_same(resumed, other)


def test_what_is_told_by_hand_counts_at_once_in_a_round_that_is_done_again_and_after_the_last(tmp_path: Path) -> None:
    killed(RLHF(config(tmp_path, keep_checkpoints=9)), 4)
    forget_checkpoints_after(tmp_path, 1)
    with closing(RLHF.resume(tmp_path)) as rlhf:
        next(rlhf.rounds())
        assert rlhf.labels < 12
        rlhf.tell(rlhf.ask(2), [Answer.LEFT] * 2)
        assert rlhf.labels == 14 and rlhf.answers.changed > 0
    forget_checkpoints_after(tmp_path, 3)
    with closing(RLHF.resume(tmp_path)) as rlhf:
        rlhf.learn()
        assert rlhf.labels == len(rlhf.answers.choices) == 14


@pytest.mark.parametrize("answer", [None, Answer.RIGHT])
def test_what_people_take_back_or_change_while_a_run_is_down_counts_in_its_last_round(
    answer: Answer | None, tmp_path: Path
) -> None:
    def say(answer: Answer) -> None:
        with closing(PreferenceStore(tmp_path / "preferences.db")) as store:
            for query in store.pending():
                store.record(query.id, answer, teacher="ann")

    with closing(RLHF(config(tmp_path, teacher="store"), waiting=lambda: say(Answer.LEFT))) as rlhf:
        going_on = rlhf.rounds()
        list(islice(going_on, 3))
        break_training(rlhf)
        with pytest.raises(Killed):
            next(going_on)
    with closing(PreferenceStore(tmp_path / "preferences.db")) as store:
        for preference in store.preferences():
            store.record(preference.query.id, None, teacher="ann")
            if answer is not None:
                store.record(preference.query.id, answer, teacher="ann")
    with closing(RLHF.resume(tmp_path, waiting=lambda: say(Answer.TIE))) as rlhf:
        assert rlhf.learn()["labels"] == 12
        assert {p.answer for p in rlhf.preferences} == {answer or Answer.TIE}


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "[null]",
        "null",
        "3",
        "{}",
        '""',
        '[{"asked": 12}]',
        '[{"asked": 12, "streams": {}, "teacher": {}}]',
        '{"asked": 12}',
        "[" * 100_000,
        *(
            f"ROUNDS {rounds}"
            for rounds in ("null", "3", '{"1": 2}', "[[1, 2]]", "[[1, NaN, NaN, 3]]", '[["1", 0, 6, 6]]')
        ),
    ],
)
def test_a_damaged_note_is_as_none(text: str, tmp_path: Path) -> None:
    killed(RLHF(config(tmp_path, keep_checkpoints=9)), 4)
    forget_checkpoints_after(tmp_path, 1)
    notes = json.loads((tmp_path / "asked.json").read_text())
    if text.startswith("ROUNDS "):
        text = json.dumps([{**notes[-1], "rounds": "HERE"}]).replace('"HERE"', text.removeprefix("ROUNDS "))
    (tmp_path / "asked.json").write_text(text)
    with closing(RLHF.resume(tmp_path)) as rlhf:
        assert rlhf.learn()["labels"] == rlhf.store.number_asked() == 12


def test_a_note_of_a_teacher_s_state_that_no_teacher_has_is_told(tmp_path: Path) -> None:
    killed(RLHF(noisy(tmp_path)), 2)
    notes = json.loads((tmp_path / "asked.json").read_text())
    (tmp_path / "asked.json").write_text(json.dumps([{**note, "teacher": {}} for note in notes]))
    with pytest.raises(BadInput, match="asked.json is damaged, or the teacher is another one"):
        RLHF.resume(tmp_path)


def test_queries_are_new_where_what_was_drawn_for_the_last_ones_is_not_known(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path))) as rlhf:
        next(rlhf.rounds())
        rlhf.ask(2)
    (tmp_path / "asked.json").unlink()
    with closing(RLHF.resume(tmp_path)) as rlhf:
        assert rlhf.store.number_asked() == 5
        assert rlhf.learn()["labels"] == 12


# Environments


class Restless(CartPoleEnv):
    """Pushed by what no seed decides."""

    def step(self, action: Any) -> Any:
        """Make one step, and be pushed."""
        observation, *rest = super().step(action)
        self.state = observation + np.random.normal(0, 1e-3, 4)  # noqa: NPY002
        return np.array(self.state, np.float32), *rest


class Sampling(CartPoleEnv):
    """Steered by its own action space as well, which no reset seeds."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.action_space.seed(5)

    def step(self, action: Any) -> Any:
        """Make one step; one action in two is another."""
        return super().step((action + self.action_space.sample()) % 2)


@pytest.fixture
def registered() -> Iterator[None]:
    for name, made in (("Restless-v0", Restless), ("Sampling-v0", Sampling)):
        gymnasium.register(name, made, max_episode_steps=200)
    yield
    for name in ("Restless-v0", "Sampling-v0"):
        del gymnasium.registry[name]


@pytest.mark.usefixtures("registered")
def test_an_environment_that_does_not_replay_begins_another_episode_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed(RLHF(config(tmp_path, "Restless-v0")), 2)
    capsys.readouterr()
    with closing(RLHF.resume(tmp_path)) as rlhf:
        (line,) = [one for one in capsys.readouterr().err.splitlines() if "doesn't replay" in one]
        assert line.startswith("Restless-v0 doesn't replay: 2 running episodes depend on more than seed and actions")
        assert rlhf.learn()["labels"] == 12


@pytest.mark.usefixtures("registered")
def test_generators_of_spaces_go_on_too(tmp_path: Path) -> None:
    killed(RLHF(config(tmp_path / "one", "Sampling-v0")), 2)
    resumed = RLHF.resume(tmp_path / "one")
    check_same(finish(resumed), finish(RLHF(config(tmp_path / "other", "Sampling-v0"))))


# Teachers of one's own


def test_a_teacher_of_ones_own_is_handed_back_what_it_saved(tmp_path: Path) -> None:
    killed(RLHF(config(tmp_path), teacher=Counting()), 2)
    again = Counting()
    with closing(RLHF.resume(tmp_path, teacher=again)) as rlhf:
        assert again.given == rlhf.labels > 0


# TensorBoard


def test_curves_run_on_after_a_resume_and_no_step_is_there_twice(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    killed(RLHF(config(tmp_path)), 3)
    shutil.rmtree(tmp_path / "checkpoints" / "000002")  # so that a round is repeated
    finish(RLHF.resume(tmp_path))
    curves = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    steps = [event.step for event in curves.Scalars("rlhf/labels")]
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert steps == [int(row["env_steps"]) for row in csv.DictReader(file)]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2


@pytest.mark.parametrize("choice", [2, 4])  # the fourth takes the place of skips
def test_a_run_that_was_stopped_while_what_takes_the_place_of_skips_was_chosen_equals_one_that_was_not(
    choice: int, whole: Left, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    left = [choice]

    def chosen(parts: Parts, n: int) -> list[Query]:
        left[0] -= 1
        if not left[0]:
            raise Stopped
        return choose(parts, n)

    choose = Parts.choose
    with monkeypatch.context() as patched, closing(RLHF(noisy(tmp_path))) as rlhf:
        patched.setattr(Parts, "choose", chosen)
        with pytest.raises(Stopped):
            list(rlhf.rounds())
    check_same(finish(RLHF.resume(tmp_path)), whole)
