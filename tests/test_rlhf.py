"""The loop: what is asked, what is paid, what is counted, what is left behind."""

import copy
import json
import math
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.envs.classic_control import CartPoleEnv
from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from rlhf_gym.assembly import STREAMS
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import merge
from rlhf_gym.envs import make_vec_env
from rlhf_gym.preferences import Answer, Query, drawn_id
from rlhf_gym.queries import probabilities_of
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import read_run
from rlhf_gym.segments import Array, Origin
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import OracleTeacher, RandomTeacher, Teacher

# 200 steps are watched, then ten rollouts of 128 steps follow.
SMALL: dict[str, Any] = {
    "env_id": "CartPole-v1",
    "env_kwargs": {},
    "labels": 16,
    "total_timesteps": 1500,
    "segment_length": 20,
    "seed": 0,
    "teacher": "oracle",
    "env": {"fixed_horizon": None},
    "query": {
        "scheme": "disagreement",
        "candidates_per_query": 3,
        "schedule": "christiano",
        "rounds": 4,
        "first_fraction": 0.25,
        "first_steps": 200,
        "memory_steps": 1000,
    },
    "reward": {
        "source": "learned",
        "constant": 1.0,
        "ensemble_size": 3,
        "hidden": [16],
        "inputs": "observation_action",
        "learning_rate": 0.01,
        "steps": 10,
        "batch_size": 8,
        "l2": 1e-3,
        "random_share": 0.1,
        "shift": "auto",
    },
    "agent": {
        "n_envs": 4,
        "n_steps": 32,
        "batch_size": 64,
        "n_epochs": 2,
        "learning_rate": 1e-3,
        "clip_range": 0.2,
        "schedule": "constant",
        "gamma": 0.98,
        "gae_lambda": 0.9,
        "ent_coef": 0.0,
        "vf_coef": 0.5,
        "max_grad_norm": 0.5,
        "net_arch": [16],
        "log_std_init": 0.0,
        "torch_threads": 1,
    },
    "evaluation": {"n_episodes": 3},
}
PENDULUM = {"env_id": "Pendulum-v1", "segment_length": 10}

Make = Callable[..., RLHF]


@pytest.fixture
def make() -> Iterator[Make]:
    """Builds a small run with some settings changed; closes it in the end."""
    made = []

    def build(*changes: dict[str, Any], teacher: Teacher | None = None, **settings: Any) -> RLHF:
        config = SMALL
        for change in (*changes, settings):
            config = merge(config, change)
        made.append(RLHF(RLHFConfig.from_dict(config), teacher=teacher))
        return made[-1]

    yield build
    for rlhf in made:
        rlhf.close()


class Watched:
    """All steps that a run's agent takes from now on, as the agent sees them."""

    def __init__(self, rlhf: RLHF, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[dict[str, Any]] = []
        self._rlhf = rlhf
        self._reset, self._async, self._wait = rlhf.venv.reset, rlhf.venv.step_async, rlhf.venv.step_wait
        for name in ("reset", "step_async", "step_wait"):
            monkeypatch.setattr(rlhf.venv, name, getattr(self, name))

    def reset(self) -> Any:
        self._observations = self._reset()
        return self._observations

    def step_async(self, actions: Array) -> None:
        self._actions = actions.copy()
        self._async(actions)

    def step_wait(self) -> Any:
        observations, rewards, dones, infos = self._wait()
        next_observations = np.array(observations)
        for i in np.flatnonzero(dones):
            next_observations[i] = infos[int(i)]["terminal_observation"]
        step = {
            "transition": (np.array(self._observations), self._actions, next_observations),
            "rewards": rewards.copy(),  # PPO adds to the array
            "dones": dones.copy(),
            "true_rewards": [info["true_reward"] for info in infos],
            "monitor": [info["episode"] for info in infos if "episode" in info],
            "trained": self._rlhf.env_steps > self._rlhf.config.warm_up_steps,
            "rollout": self._rlhf.agent.steps // self._rlhf.agent.portion,
        }
        self.steps.append(step)
        self._observations = observations
        return observations, rewards, dones, infos

    def take(self) -> list[dict[str, Any]]:
        """The rollouts' steps since the last call, those that were only watched left out."""
        taken = [step for step in self.steps if step["trained"]]
        self.steps = []
        return taken


def weights(rlhf: RLHF) -> list[torch.Tensor]:
    """Of the policy and of the reward model."""
    return [*rlhf.agent.sb3.policy.state_dict().values(), *rlhf.method.learner.model.state_dict().values()]


def same(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def close_to_zero(observations: Array, actions: Array, next_observations: Array) -> Array:
    """A goal that CartPole doesn't pay for: the cart near the middle."""
    return np.asarray(-np.abs(next_observations[:, 0]))


# The budget


@pytest.mark.parametrize("schedule", ["constant", "christiano"])
@pytest.mark.parametrize(("labels", "rounds"), [(1, 3), (7, 3), (40, 1), (23, 50)])
def test_the_labels_are_spent_exactly_as_planned(make: Make, labels: int, rounds: int, schedule: str) -> None:
    rlhf = make(labels=labels, total_timesteps=900, query={"rounds": rounds, "schedule": schedule})
    plan = rlhf.plan
    done = list(rlhf.rounds())
    assert len(done) == len(plan) == min(rounds, 5)  # 900 - 200 steps have room for 5 rollouts of 128
    assert [row.labels for row in done] == [part.labels for part in plan]
    assert rlhf.labels == done[-1].labels == done[-1].asked == labels
    assert tuple(rlhf.store.counts()[:2]) == (labels, labels)
    assert len({preference.query.id for preference in rlhf.preferences}) == labels


@pytest.mark.parametrize(
    ("total", "first_steps", "watched", "rollouts"),
    [
        (1500, 200, 200, 10),
        (330, 202, 204, None),  # watched in whole steps of four environments: 332 are needed
        (332, 202, 204, 1),
        (459, 202, 204, 1),
        (460, 202, 204, 2),
        (132, 1, 4, 1),
    ],
)
def test_every_environment_step_is_counted_and_there_are_never_more_than_allowed(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    total: int,
    first_steps: int,
    watched: int,
    rollouts: int | None,
) -> None:
    stepped = []
    step = CartPoleEnv.step

    def counted(env: CartPoleEnv, action: Any) -> Any:
        stepped.append(action)
        return step(env, action)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(CartPoleEnv, "step", counted)
    changes = {"total_timesteps": total, "segment_length": 1, "labels": 2, "query": {"first_steps": first_steps}}
    if rollouts is None:
        with pytest.raises(ValueError, match=f"total_timesteps is {total}; use at least 332: query.warm_up_steps and"):
            make(changes)
        return
    rlhf = make(changes)
    done = list(rlhf.rounds())
    expected = watched + rollouts * 128
    assert done[-1].env_steps == rlhf.env_steps == len(stepped) == expected <= total
    assert rlhf.agent.steps == rollouts * 128


def test_the_first_labels_are_asked_before_any_policy_update(make: Make) -> None:
    rlhf = make(labels=16, query={"first_fraction": 0.5})
    next(rlhf.rounds())
    assert [preference.query.policy_step for preference in rlhf.preferences] == [0] * 8


def test_queries_tell_which_policy_and_which_reward_model_they_were_asked_under(make: Make) -> None:
    rlhf = make(query={"schedule": "constant"})
    list(rlhf.rounds())
    asked = [(p.query.policy_step, p.query.reward_version, p.query.why) for p in rlhf.preferences]
    # Ten rollouts in four rounds: borders at 2.5, 5, 7.5 rollouts, halves to the even.
    assert asked[::4] == [
        (0, 0, "uniform"),  # nothing is known to disagree on yet
        (2 * 128, 1, "disagreement"),
        (5 * 128, 2, "disagreement"),
        (8 * 128, 3, "disagreement"),
    ]
    assert all(asked[i] == asked[i - i % 4] for i in range(16))


def test_more_labels_than_can_be_asked_are_refused_in_one_line(make: Make) -> None:
    rlhf = make(labels=500, segment_length=1, query={"first_steps": 4, "first_fraction": 1})
    # Four environments, one step each: 4 segments make 6 pairs.
    with pytest.raises(ValueError, match="500 queries were to be asked at once, but 4 segments .* make 6 pairs") as bad:
        rlhf.learn()
    assert "\n" not in str(bad.value)


# Teachers


class Skips(Teacher):
    """Lets an oracle answer, but skips every query whose number, counted from 0, it is told to."""

    name = "skips"

    def __init__(self, skipped: Callable[[int], bool]) -> None:
        self.skipped, self.seen = skipped, 0

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        answers = OracleTeacher().answer(queries)
        answers = [Answer.SKIP if self.skipped(self.seen + i) else answer for i, answer in enumerate(answers)]
        self.seen += len(queries)
        return answers


def test_a_skipped_query_is_no_label_and_another_one_is_asked_for_it(make: Make) -> None:
    rlhf = make(teacher=Skips(lambda number: number % 2 == 0))
    done = list(rlhf.rounds())
    answers = [preference.answer for preference in rlhf.preferences]
    assert rlhf.labels == 16 and done[-1].labels == 16
    assert done[-1].asked == len(answers) == 16 + answers.count(Answer.SKIP) > 24
    assert rlhf.store.counts().skips == answers.count(Answer.SKIP)
    assert [row.labels for row in done] == [part.labels for part in rlhf.plan]


def test_a_teacher_who_skips_everything_from_some_point_on_does_not_hold_up_the_run(make: Make) -> None:
    rlhf = make(teacher=Skips(lambda number: number >= 4))
    done = list(rlhf.rounds())
    assert (len(done), rlhf.labels) == (4, 4) and done[-1].asked > 16


def test_a_teacher_who_never_answers_is_an_error(make: Make) -> None:
    with pytest.raises(ValueError, match=r"skipped all \d+ queries; expected an answer"):
        make(teacher=Skips(lambda number: True)).learn()


def test_random_answers_owe_nothing_to_the_queries(make: Make) -> None:
    rlhf = make({"teacher": "random"}, labels=64)
    summary = rlhf.learn()
    answers = [preference.answer for preference in rlhf.preferences]
    assert summary["teacher"] == "random" and set(answers) == {Answer.LEFT, Answer.RIGHT}
    # 5 standard deviations of Binomial(64, 1/2) are 20.
    assert abs(answers.count(Answer.LEFT) - 32) <= 20
    oracle = OracleTeacher().answer([preference.query for preference in rlhf.preferences])
    decided = [(a, b) for a, b in zip(answers, oracle, strict=True) if b is not Answer.TIE]
    assert 0.2 < np.mean([a is b for a, b in decided]) < 0.8


def test_the_oracles_answers_are_those_of_the_true_rewards(make: Make) -> None:
    rlhf = make()
    list(rlhf.rounds())
    for p in rlhf.preferences:
        difference = len(p.query.left.rewards) - len(p.query.right.rewards)  # CartPole pays 1 a step
        assert p.answer is (Answer.TIE if difference == 0 else Answer.LEFT if difference > 0 else Answer.RIGHT)
    assert {p.teacher for p in rlhf.preferences} == {"oracle"}


def test_a_goal_passed_as_an_object_is_what_the_answers_follow(make: Make) -> None:
    rlhf = make(teacher=OracleTeacher(goal=close_to_zero))
    list(rlhf.rounds())
    for p in rlhf.preferences:
        left, right = (
            math.fsum(-abs(float(x)) for x in side.observations[1:, 0]) for side in (p.query.left, p.query.right)
        )
        assert p.answer is (Answer.LEFT if left > right else Answer.RIGHT)


def test_a_teacher_passed_as_an_object_goes_before_the_setting(make: Make) -> None:
    assert make(teacher=RandomTeacher(seed=1)).learn()["teacher"] == "random"


class Miscounts(Teacher):
    name = "miscounts"

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        return [Answer.LEFT] * (len(queries) + 1)


def test_a_teacher_who_miscounts_is_refused_and_nothing_of_it_is_kept(make: Make) -> None:
    rlhf = make(teacher=Miscounts())
    with pytest.raises(ValueError, match="5 answers came to 4 queries; give one answer a query"):
        rlhf.learn()
    assert rlhf.preferences == rlhf.store.preferences() == []


def test_a_goal_that_gives_nan_is_refused_by_the_name_of_its_step(make: Make) -> None:
    def broken(observations: Array, actions: Array, next_observations: Array) -> Array:
        return np.full(len(actions), np.nan)

    with pytest.raises(ValueError, match="goal broken gives nan for step 0 of the left segment of query"):
        make(teacher=OracleTeacher(goal=broken)).learn()


# By hand


def test_the_loop_can_be_driven_by_hand(make: Make) -> None:
    rlhf = make()
    assert len(rlhf.collect()) > 4 and rlhf.env_steps == 200
    assert rlhf.env_steps == 200 and rlhf.collect() and rlhf.env_steps == 200  # watched once
    queries = rlhf.ask(6)
    assert [query.id for query in rlhf.store.pending()] == [query.id for query in queries]
    rlhf.tell(queries, OracleTeacher().answer(queries))
    assert rlhf.labels == 6 and rlhf.store.pending() == []
    fit = rlhf.fit_reward()
    assert (fit.n, rlhf.method.learner.version) == (6, 1)
    before = [weight.clone() for weight in weights(rlhf)]
    rlhf.improve(2 * rlhf.agent.portion)
    assert rlhf.env_steps == 200 + 2 * 128
    assert not same(before, weights(rlhf))
    actions, _ = rlhf.predict(queries[0].left.observations)
    assert actions.shape == (len(queries[0].left.observations),)


@pytest.mark.parametrize("before", [0, 1, 4])
def test_learn_runs_only_the_rounds_that_are_left(make: Make, before: int, tmp_path: Path) -> None:
    expected = make().learn()
    rlhf = make(run_dir=str(tmp_path / "run"))
    rounds = rlhf.rounds()
    done = [next(rounds).round for _ in range(before)]
    found = rlhf.learn()
    assert done == list(range(before)) and list(rlhf.rounds()) == []
    assert {name: found[name] for name in SAME} == {name: expected[name] for name in SAME}
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["0", "1", "2", "3"]
    again = rlhf.learn()
    assert {name: again[name] for name in SAME} == {name: expected[name] for name in SAME}


SAME = ("labels", "asked", "total_timesteps", "true_return_mean", "reward_accuracy_heldout")


def test_labels_given_by_hand_count_towards_the_budget(make: Make) -> None:
    rlhf = make()
    queries = rlhf.ask(10)
    rlhf.tell(queries, OracleTeacher().answer(queries))
    assert [row.labels for row in rlhf.rounds()][0] == 10
    assert rlhf.labels == 16


def test_as_many_answers_as_queries_are_expected(make: Make) -> None:
    rlhf = make()
    queries = rlhf.ask(2)
    with pytest.raises(ValueError, match="1 answers came to 2 queries"):
        rlhf.tell(queries, [Answer.LEFT])
    with pytest.raises(ValueError, match="teacher has 1 names for 2 queries; give one, or one a query"):
        rlhf.tell(queries, [Answer.LEFT, Answer.TIE], teacher=["ann"])
    with pytest.raises(ValueError, match=r"shown_at is 'noon'; use seconds since 1970, as time.time\(\) gives them"):
        rlhf.tell(queries, [Answer.LEFT, Answer.TIE], shown_at="noon")  # type: ignore[arg-type]
    assert rlhf.preferences == rlhf.store.preferences() == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"teacher": "oracle"}, "teacher is 'oracle', of type str; expected a Teacher: one by its name is a setting"),
        ({"teacher": OracleTeacher}, "teacher is <class .*, of type ABCMeta; expected a Teacher"),
        ({"goal": "upright"}, "goal is 'upright', of type str; expected a function of .*a setting, feedback.goal"),
        ({"waiting": 3}, "waiting is 3, of type int; expected a function"),
    ],
)
def test_objects_of_another_type_than_they_are_given_as_are_refused(
    make: Make, tmp_path: Path, given: dict[str, Any], told: str
) -> None:
    config = make().config
    with pytest.raises(ValueError, match=told):
        RLHF(replace(config, run_dir=str(tmp_path / "run")), **given)
    assert not (tmp_path / "run").exists()


def test_settings_that_were_never_read_are_refused() -> None:
    with pytest.raises(ValueError, match="config is {'env_id': 'CartPole-v1'}, of type dict; expected an RLHFConfig"):
        RLHF({"env_id": "CartPole-v1"})  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [2.5, -1, "3", None])
def test_a_number_of_queries_that_is_none_is_refused(make: Make, n: Any) -> None:
    rlhf = make()
    with pytest.raises(ValueError, match=f"n is {n!r}; use a whole number of queries, at least 0"):
        rlhf.ask(n)
    assert len(rlhf.ask(int(np.int64(2)))) == len(rlhf.ask(np.int64(2))) == 2  # type: ignore[arg-type]


def test_an_answer_by_hand_that_is_none_is_refused_with_those_that_are(make: Make) -> None:
    rlhf = make()
    queries = rlhf.ask(2)
    with pytest.raises(ValueError, match="its answer is refused: 'lefft' is none; use left, right, tie, skip"):
        rlhf.tell(queries, ["left", "lefft"])  # type: ignore[list-item]
    odd: list[tuple[Any, Any, Any, str]] = [
        (queries[0], Answer.LEFT, None, "queries is .*, of type Query; expected a list of queries"),
        (queries[:1], None, None, "answers is None, of type NoneType; expected a list of answers"),
        (queries[:1], [Answer.LEFT], 3, "teacher is 3, of type int; expected a name"),
    ]
    for asked, answers, teacher, told in odd:
        with pytest.raises(ValueError, match=told):
            rlhf.tell(asked, answers, teacher=teacher)
    with pytest.raises(ValueError, match="queries holds 'left'; give the Query objects that ask returned"):
        rlhf.tell(["left"], [Answer.LEFT])  # type: ignore[list-item]
    assert rlhf.preferences == rlhf.store.preferences() == []


# What is paid


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"reward": {"inputs": "transition"}},
        {"reward": {"source": "untrained"}},
        {"env": {"fixed_horizon": 50}},
        PENDULUM | {"agent": {"n_steps": 64}},
    ],
    ids=["state and action", "transitions", "untrained", "fixed horizon", "box actions"],
)
def test_the_agent_is_paid_what_the_model_gives_for_the_same_transitions(
    make: Make, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    rlhf = make(changes)
    watched, endings = Watched(rlhf, monkeypatch), 0
    for _ in rlhf.rounds():
        model, steps = rlhf.method.learner.model, watched.take()
        inputs = torch.stack([model.encode(*step["transition"]) for step in steps])
        with torch.no_grad():
            members = model(inputs)
        paid = (members * model.output_scale[:, None, None] + model.output_shift[:, None, None]).mean(dim=0)
        np.testing.assert_allclose([step["rewards"] for step in steps], paid.numpy(), rtol=1e-4, atol=1e-5)
        endings += sum(step["dones"].sum() for step in steps)
    assert endings >= 4  # those steps are among them


def test_the_paid_reward_changes_at_the_borders_of_rollouts_only(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rlhf = make()
    watched = Watched(rlhf, monkeypatch)
    rng = np.random.default_rng(0)
    probe = rng.normal(size=(5, 4)).astype(np.float32), rng.integers(2, size=5), np.zeros((5, 4), np.float32)
    by_rollout: dict[int, set[Any]] = {}
    wait = rlhf.venv.step_wait

    def step_wait() -> Any:
        stepped = wait()
        if watched.steps[-1]["trained"]:
            probed = rlhf.venv.reward_function(*probe, np.zeros(5, bool)).tobytes()
            by_rollout.setdefault(watched.steps[-1]["rollout"], set()).add(probed)
        return stepped

    monkeypatch.setattr(rlhf.venv, "step_wait", step_wait)
    list(rlhf.rounds())
    assert sorted(by_rollout) == list(range(10))
    assert all(len(probed) == 1 for probed in by_rollout.values())
    assert len(set.union(*by_rollout.values())) == 4  # one for each round


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_ppo_learns_from_the_paid_rewards(make: Make, monkeypatch: pytest.MonkeyPatch, env_id: str) -> None:
    rlhf = make(env_id=env_id, segment_length=10, query={"rounds": 1})
    watched = Watched(rlhf, monkeypatch)
    list(rlhf.rounds())
    steps = watched.take()[-32:]
    paid, kept = np.stack([step["rewards"] for step in steps]), rlhf.agent.sb3.rollout_buffer.rewards
    dones = np.stack([step["dones"] for step in steps])
    if env_id == "CartPole-v1":
        np.testing.assert_array_equal(kept, paid)
    else:  # PPO itself adds the value of what a time limit cut off
        np.testing.assert_array_equal(kept[~dones], paid[~dones])


def test_where_episodes_terminate_rewards_are_scaled_and_never_shifted(make: Make) -> None:
    rlhf = make()
    for _ in rlhf.rounds():
        assert rlhf.method.learner.model.output_shift.tolist() == [0, 0, 0]
        assert not any(scale == 1 for scale in rlhf.method.learner.model.output_scale.tolist())


@pytest.mark.parametrize("changes", [{"env": {"fixed_horizon": 50}}, PENDULUM], ids=["fixed horizon", "Pendulum"])
def test_where_no_episode_terminates_rewards_are_shifted_to_mean_0(make: Make, changes: dict[str, Any]) -> None:
    rlhf = make(changes)
    queries = rlhf.ask(8)
    rlhf.tell(queries, rlhf.teacher.answer(queries))
    rlhf.fit_reward()
    assert all(shift != 0 for shift in rlhf.method.learner.model.output_shift.tolist())
    paid = [
        rlhf.method.learner.model.reward_function()(
            t.observations[:-1], t.actions, t.observations[1:], np.zeros(len(t), bool)
        )
        for t in rlhf.recorder.trajectories()
    ]
    assert np.concatenate(paid).mean() == pytest.approx(0, abs=1e-4)


def test_the_first_termination_ends_shifting_for_good(make: Make) -> None:
    rlhf = make(PENDULUM)
    queries = rlhf.ask(8)
    rlhf.tell(queries, rlhf.teacher.answer(queries))
    rlhf.fit_reward()
    assert rlhf.method.learner.model.output_shift.abs().min() > 0
    rlhf.recorder.terminations = 1
    rlhf.fit_reward()
    assert rlhf.method.learner.model.output_shift.tolist() == [0, 0, 0]


def test_shifting_can_be_switched_off(make: Make) -> None:
    rlhf = make(PENDULUM, reward={"shift": "never"})
    list(rlhf.rounds())
    assert rlhf.method.learner.model.output_shift.tolist() == [0, 0, 0]


# What is reported


def test_true_returns_of_the_rounds_are_monitors(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rlhf = make()
    watched = Watched(rlhf, monkeypatch)
    running = np.zeros(4)
    for done in rlhf.rounds():
        episodes, learned = [], []
        for step in watched.take():
            running += step["rewards"]
            episodes += step["monitor"]
            learned += running[step["dones"]].tolist()
            running[step["dones"]] = 0
        assert len(episodes) > 3
        assert done.true_return == pytest.approx(np.mean([episode["r"] for episode in episodes]), rel=1e-6)
        assert done.episode_length == np.mean([episode["l"] for episode in episodes])
        assert done.learned_return == pytest.approx(np.mean(learned), rel=1e-4)


def test_the_reported_return_is_that_of_the_saved_policy_on_the_unmodified_environment(
    make: Make, tmp_path: Path
) -> None:
    summary = make(run_dir=str(tmp_path), env={"fixed_horizon": 8}, segment_length=4, seed=5).learn()
    stream = np.random.SeedSequence(5).spawn(len(STREAMS))[STREAMS.index("evaluation")]
    seed = np.random.default_rng(stream).integers(2**31)
    policy, env, returns = PPO.load(tmp_path / "policy.zip", device="cpu"), gymnasium.make("CartPole-v1"), []
    for episode_seed in np.random.default_rng(seed).integers(2**31, size=3):
        (observation, _), total, over = env.reset(seed=int(episode_seed)), 0.0, False
        while not over:
            action, _ = policy.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    env.close()
    assert summary["true_return_mean"] == pytest.approx(np.mean(returns), rel=1e-12)
    assert summary["true_return_std"] == pytest.approx(np.std(returns), rel=1e-12)
    assert summary["n_eval_episodes"] == 3 and summary["true_return_mean"] > 8  # which no training episode reached
    assert summary["goal_return_mean"] is None  # no goal


def test_a_goal_has_its_return_in_the_summary_of_the_same_episodes(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "goals_of_test_rlhf_too.py").write_text(
        "def half(obs, actions, next_obs):\n    return actions * 0 + .5\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    summary = make(feedback={"goal": "goals_of_test_rlhf_too:half"}).evaluate()
    assert summary["goal_return_mean"] == summary["true_return_mean"] / 2  # CartPole pays 1 a step


def test_the_reported_disagreement_tie_rate_and_losses_are_those_of_the_round(make: Make) -> None:
    rlhf = make()
    seen = 0
    for done in rlhf.rounds():
        new = rlhf.preferences[seen:]
        seen = len(rlhf.preferences)
        probabilities = probabilities_of([preference.query for preference in new], rlhf.method.step_scores)
        assert done.disagreement == pytest.approx(probabilities[..., 0].std(axis=0).mean(), rel=1e-5)
        assert done.tie_rate == pytest.approx(np.mean([preference.answer is Answer.TIE for preference in new]))
        assert all(math.isfinite(value) for value in (done.reward_loss, done.reward_accuracy, done.reward_loss_heldout))


def test_a_round_that_asks_nothing_goes_on_with_the_model_as_it_is(make: Make) -> None:
    rlhf = make(labels=2, query={"rounds": 4, "first_fraction": 1})
    first, *others = rlhf.rounds()
    assert (first.labels, rlhf.method.learner.version) == (2, 1)
    assert all(math.isnan(row.reward_loss) and math.isnan(row.tie_rate) for row in others)


@pytest.mark.parametrize("labels", [1, 2])
def test_a_round_before_the_first_label_is_paid_by_a_model_of_unit_size(make: Make, labels: int) -> None:
    rlhf = make(labels=labels, query={"rounds": 4, "first_fraction": 0})
    first = next(rlhf.rounds())
    assert (first.labels, rlhf.method.learner.version) == (0, 0)
    assert not any(scale == 1 for scale in rlhf.method.learner.model.output_scale.tolist())


CONTRACT = (
    "env_id seed teacher labels total_timesteps true_return_mean true_return_std n_eval_episodes "
    "reward_accuracy_heldout wall_seconds wall_seconds_policy wall_seconds_reward wall_seconds_query "
    "env_steps_per_second peak_rss_mb"
).split()


def test_a_run_leaves_its_directory_as_the_contract_says(make: Make, tmp_path: Path) -> None:
    rlhf = make(run_dir=str(tmp_path / "run"), seed=2)
    summary = rlhf.learn()
    files = "config.yaml provenance.json metrics.csv summary.json policy.zip reward_model preferences.db tensorboard"
    assert set(files.split()) <= {path.name for path in (tmp_path / "run").iterdir()}
    assert set(CONTRACT) <= set(summary)
    assert (summary["env_id"], summary["seed"], summary["teacher"], summary["labels"]) == (
        "CartPole-v1",
        2,
        "oracle",
        16,
    )
    assert summary["total_timesteps"] == rlhf.env_steps == 1480
    assert 0 < summary["wall_seconds_policy"] < summary["wall_seconds"]

    run = read_run(tmp_path / "run")
    assert run.config == rlhf.config and run.summary == summary
    assert [row["round"] for row in run.metrics] == [0, 1, 2, 3]
    assert (run.metrics[-1]["env_steps"], run.metrics[-1]["labels"]) == (1480, 16)
    provenance = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert {"versions", "commit", "machine", "command", "python"} <= set(provenance)
    with PreferenceStore(tmp_path / "run" / "preferences.db") as store:
        assert [(p.query.id, p.answer) for p in store.preferences()] == [
            (p.query.id, p.answer) for p in rlhf.preferences
        ]


def test_tensorboard_shows_the_rounds_and_the_true_return_of_rollouts(make: Make, tmp_path: Path) -> None:
    rlhf = make(run_dir=str(tmp_path / "run"))
    rlhf.learn()
    shown = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    metrics = read_run(tmp_path / "run").metrics
    for name in "labels true_return learned_return reward_loss reward_accuracy_heldout disagreement".split():
        events = shown.Scalars(f"rlhf/{name}")
        assert [event.step for event in events] == [row["env_steps"] for row in metrics]
        np.testing.assert_allclose([event.value for event in events], [row[name] for row in metrics], rtol=1e-5)
    assert all(event.value > 5 for event in shown.Scalars("rollout/ep_rew_mean"))  # steps lived: the true reward


def test_held_out_accuracy_is_null_where_nothing_was_held_out(make: Make, tmp_path: Path) -> None:
    # One member weighs its one preference 0 with probability 1/e, so that of ten runs some hold out nothing.
    found = []
    for seed in range(10):
        rlhf = make(labels=1, seed=seed, total_timesteps=328, query={"first_fraction": 1}, reward={"ensemble_size": 1})
        found.append(rlhf.learn()["reward_accuracy_heldout"])
        json.dumps(found[-1], allow_nan=False)
    assert None in found and any(isinstance(accuracy, float) for accuracy in found)


# Repeating


def test_the_same_seed_gives_the_same_answers_reward_weights_and_policy_weights(make: Make) -> None:
    runs = []
    for _ in range(2):
        runs.append(make(agent={"schedule": "linear"}))
        runs[-1].learn()
    one, other = runs
    answers = [[(drawn_id(p.query.id), p.answer) for p in run.preferences] for run in runs]
    assert answers[0] == answers[1]
    for p, q in zip(one.preferences, other.preferences, strict=True):
        np.testing.assert_array_equal(p.query.left.observations, q.query.left.observations)
    assert same(weights(one), weights(other))


def test_another_seed_gives_other_queries_reward_weights_and_policy_weights(make: Make) -> None:
    one, other = make(seed=0), make(seed=1)
    queries = [rlhf.ask(4) for rlhf in (one, other)]
    assert not np.array_equal(queries[0][0].left.observations, queries[1][0].left.observations)
    policies = [rlhf.agent.sb3.policy.state_dict()["action_net.weight"] for rlhf in (one, other)]
    assert not torch.equal(*policies)
    assert not torch.equal(one.method.learner.model.ensemble.weights[0], other.method.learner.model.ensemble.weights[0])


# Controls


def test_on_the_true_reward_it_is_plain_ppo(make: Make) -> None:
    rlhf = make(reward={"source": "true"}, query={"rounds": 3}, labels=0, agent={"normalize_observations": False})
    done = list(rlhf.rounds())
    assert done[-1].env_steps == 1500 // 128 * 128  # nothing is watched before
    assert all(row.learned_return == row.true_return for row in done)

    streams = dict(zip(STREAMS, np.random.SeedSequence(0).spawn(len(STREAMS)), strict=True))
    venv = make_vec_env(
        Origin("CartPole-v1", 0), n_envs=4, memory_steps=1000, rng=np.random.default_rng(streams["envs"])
    )
    set_random_seed(int(np.random.default_rng(streams["agent"]).integers(2**31)))
    names = "n_steps batch_size n_epochs learning_rate clip_range gamma gae_lambda ent_coef vf_coef max_grad_norm"
    settings = {name: SMALL["agent"][name] for name in names.split()}
    adam = {"eps": 1e-5, "fused": True}  # SB3's own but for the order in which it rounds
    policy_kwargs = {"net_arch": [16], "optimizer_kwargs": adam}
    plain = PPO("MlpPolicy", venv, device="cpu", policy_kwargs=policy_kwargs, **settings)
    plain.learn(done[-1].env_steps)
    venv.close()
    assert same(list(plain.policy.state_dict().values()), list(rlhf.agent.sb3.policy.state_dict().values()))


def test_the_true_reward_may_be_a_goal(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "goals_of_test_rlhf.py").write_text("def twice(obs, actions, next_obs):\n    return 2 * obs[:, 0]\n")
    monkeypatch.syspath_prepend(tmp_path)
    rlhf = make(reward={"source": "true"}, feedback={"goal": "goals_of_test_rlhf:twice"}, labels=0)
    watched = Watched(rlhf, monkeypatch)
    list(rlhf.rounds())
    for step in watched.take():
        np.testing.assert_allclose(step["rewards"], 2 * step["transition"][0][:, 0], rtol=1e-6)


def test_a_scaled_true_reward_has_mean_0_and_size_1_where_nothing_terminates(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rlhf = make(env_id="Pendulum-v1", reward={"source": "normalised_true"}, labels=0, query={"rounds": 1})
    watched = Watched(rlhf, monkeypatch)
    rewards = np.concatenate([trajectory.rewards for trajectory in rlhf.collect()])
    list(rlhf.rounds())
    steps = watched.take()
    true = np.concatenate([step["true_rewards"] for step in steps])
    paid = np.concatenate([step["rewards"] for step in steps])
    np.testing.assert_allclose(paid, (true - rewards.mean()) / rewards.std(), rtol=1e-4, atol=1e-5)


def test_a_scaled_true_reward_keeps_its_sign_where_episodes_terminate(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "minus_of_test_rlhf.py").write_text(
        "def minus(obs, actions, next_obs):\n    return 0 * obs[:, 0] - 4\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rlhf = make(reward={"source": "normalised_true"}, feedback={"goal": "minus_of_test_rlhf:minus"}, labels=0)
    watched = Watched(rlhf, monkeypatch)
    list(rlhf.rounds())
    assert {reward for step in watched.take() for reward in step["rewards"].tolist()} == {-1}


@pytest.mark.parametrize("constant", [1.0, -1.0])
def test_a_constant_reward_is_paid_for_every_step(make: Make, monkeypatch: pytest.MonkeyPatch, constant: float) -> None:
    rlhf = make(reward={"source": "constant", "constant": constant}, labels=0)
    watched = Watched(rlhf, monkeypatch)
    for done in rlhf.rounds():
        assert done.learned_return == constant * done.episode_length
    assert {reward for step in watched.take() for reward in step["rewards"].tolist()} == {constant}


def test_an_untrained_model_is_never_fitted_asks_nothing_and_stays(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rlhf = make(reward={"source": "untrained"}, labels=16, teacher=Miscounts())
    before = [parameter.clone() for parameter in rlhf.method.learner.model.parameters()]
    done = list(rlhf.rounds())
    assert same(before, list(rlhf.method.learner.model.parameters()))
    assert rlhf.method.learner.version == 0 and done[-1].env_steps == 1480  # watched, for the scale
    assert not any(scale == 1 for scale in rlhf.method.learner.model.output_scale.tolist())


@pytest.mark.parametrize("source", ["true", "normalised_true", "untrained", "constant"])
def test_controls_without_labels_have_no_teacher_and_ask_nobody(make: Make, source: str, tmp_path: Path) -> None:
    rlhf = make(reward={"source": source}, labels=16, run_dir=str(tmp_path / "run"), teacher=Miscounts())
    summary = rlhf.learn()
    assert (summary["teacher"], summary["labels"], summary["asked"], summary["reward_source"]) == (None, 0, 0, source)
    assert summary["reward_accuracy_heldout"] is None
    assert read_run(tmp_path / "run").summary == summary


# Bad input


def test_segments_longer_than_an_episode_are_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="segment_length is 501 but an episode of CartPole-v1 has at most 500 steps"):
        make(segment_length=501)
    with pytest.raises(ValueError, match="segment_length is 51 but an episode of CartPole-v1 has at most 50 steps"):
        make(segment_length=51, env={"fixed_horizon": 50})


def test_segments_longer_than_what_was_watched_are_refused(make: Make) -> None:
    # 200 steps of 4 environments are 50 of each, and Pendulum's episodes go on.
    with pytest.raises(
        ValueError, match="segment_length is 60 but the longest stretch .* has 50 steps; .*warm_up_steps"
    ):
        make(PENDULUM, segment_length=60).learn()


def test_an_unknown_environment_is_refused_before_anything_is_written(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="CartPool-v1.*did you mean CartPole-v1"):
        make(env_id="CartPool-v1", run_dir=str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_directory_that_holds_a_run_is_refused_and_left_as_it_is(make: Make, tmp_path: Path) -> None:
    with closing(make(run_dir=str(tmp_path))) as rlhf:
        rlhf.learn()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="run_dir .* already holds a run"):
        make(run_dir=str(tmp_path))
    with pytest.raises(ValueError, match="run_dir .* already holds a run"):
        make().save(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_directory_that_is_a_file_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ValueError, match="run_dir .*file is a file; use a directory"):
        make(run_dir=str(tmp_path / "file"))


class Breaks(gymnasium.Env[Array, np.int64]):
    """Observes NaN after its fourth step."""

    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: np.int64) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.full(2, np.nan if self.steps == 4 else 0, np.float32), 0.0, False, False, {}


def test_an_observation_that_is_nan_is_refused_by_the_name_of_its_step(make: Make) -> None:
    gymnasium.register("RLHFTest/Breaks-v0", entry_point=lambda **kwargs: Breaks(), max_episode_steps=100)
    try:
        with pytest.raises(ValueError, match="observation of RLHFTest/Breaks-v0 holds nan after step 4 of the episode"):
            make(env_id="RLHFTest/Breaks-v0").learn()
    finally:
        del gymnasium.registry["RLHFTest/Breaks-v0"]


# Keeping


def test_a_saved_run_comes_back_and_predicts_the_same(make: Make, tmp_path: Path) -> None:
    rlhf = make()
    list(rlhf.rounds())
    rlhf.save(tmp_path / "kept")
    loaded = RLHF.load(tmp_path / "kept")
    assert loaded.config == rlhf.config
    assert same(weights(loaded), weights(rlhf))
    observations = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    np.testing.assert_array_equal(loaded.predict(observations)[0], rlhf.predict(observations)[0])
    assert [(p.query.id, p.answer, p.teacher) for p in loaded.preferences] == [
        (p.query.id, p.answer, p.teacher) for p in rlhf.preferences
    ]
    assert (loaded.labels, loaded.method.learner.version) == (16, rlhf.method.learner.version)
    loaded.close()


def test_where_something_was_saved_nothing_else_is_saved_and_no_resume_advised(make: Make, tmp_path: Path) -> None:
    rlhf = make()
    list(rlhf.rounds())
    rlhf.save(tmp_path)
    with pytest.raises(ValueError, match=r"already holds a run \(.*\); use another directory$"):
        rlhf.save(tmp_path)
    with pytest.raises(ValueError, match=r"already holds a run \(.*\); use another directory$"):
        make(run_dir=str(tmp_path))


def test_a_run_directory_is_loaded_into_memory_and_goes_on_from_there(make: Make, tmp_path: Path) -> None:
    finished = make(run_dir=str(tmp_path), agent={"schedule": "linear"})
    finished.learn()
    finished.close()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    loaded = RLHF.load(tmp_path)
    statistics = loaded.method.learner.model.input_mean.clone()
    done = list(loaded.rounds())
    assert done[-1].labels == 16 and torch.equal(loaded.method.learner.model.input_mean, statistics)
    queries = loaded.ask(4)
    assert {query.why for query in queries} == {"disagreement"}
    loaded.tell(queries, loaded.teacher.answer(queries))
    assert loaded.fit_reward().n == 20
    loaded.improve(loaded.agent.portion)
    assert all(weight.isfinite().all() for weight in weights(loaded))
    loaded.close()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_that_began_with_all_of_its_answers_is_loaded_and_saved_and_loaded_again(
    make: Make, tmp_path: Path
) -> None:
    first = make(run_dir=str(tmp_path / "first"))
    first.learn()
    first.close()
    later = make(labels=0, feedback={"preferences": str(tmp_path / "first")}, run_dir=str(tmp_path / "later"))
    later.learn()
    later.close()
    shutil.rmtree(tmp_path / "first")  # its answers are in the other's store
    for place, further in ((tmp_path / "later", tmp_path / "copy"), (tmp_path / "copy", None)):
        loaded = RLHF.load(place)
        assert loaded.labels == 16 and loaded.fit_reward().n == 16
        if further:
            loaded.save(further)
        loaded.close()


@pytest.mark.parametrize("damage", ["text", "foreign"])
def test_preferences_that_are_corrupt_or_foreign_are_refused(make: Make, tmp_path: Path, damage: str) -> None:
    rlhf = make()
    list(rlhf.rounds())
    rlhf.save(tmp_path / "kept")
    file = tmp_path / "kept" / "preferences.db"
    file.unlink()
    if damage == "text":
        file.write_text("this is no database, " * 100)
    else:
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.close()
    with pytest.raises(ValueError, match="preference store .*preferences.db") as refused:
        RLHF.load(tmp_path / "kept")
    assert "\n" not in str(refused.value)


def test_what_is_paid_can_be_kept_while_the_run_goes_on(make: Make) -> None:
    rlhf = make()
    rounds = rlhf.rounds()
    next(rounds)
    model = copy.deepcopy(rlhf.method.learner.model)
    paid = rlhf.venv.reward_function
    assert paid is not None
    probe = np.ones((2, 4), np.float32), np.array([0, 1]), np.ones((2, 4), np.float32), np.zeros(2, bool)
    before = paid(*probe)
    next(rounds)
    assert not same(list(model.parameters()), list(rlhf.method.learner.model.parameters()))
    np.testing.assert_array_equal(paid(*probe), before)


# Learning


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_cartpole_is_learned_from_50_labels(seed: int) -> None:
    rlhf = RLHF(RLHFConfig.for_env("CartPole-v1", labels=50, seed=seed, evaluation={"n_episodes": 20}))
    summary = rlhf.learn()
    rlhf.close()
    assert (summary["labels"], summary["n_eval_episodes"]) == (50, 20)
    assert summary["true_return_mean"] >= 475


def test_the_true_reward_is_never_paid_where_one_is_learned(make: Make, tmp_path: Path) -> None:
    """Not before the first fit, and not by a run that was read back."""
    rlhf = make()
    assert rlhf.venv.reward_function is not None
    rlhf.learn()
    rlhf.save(tmp_path / "kept")
    loaded = RLHF.load(tmp_path / "kept")
    paid = loaded.venv.reward_function
    assert paid is not None
    probe = np.ones((3, 4), np.float32), np.array([0, 1, 1]), np.zeros((3, 4), np.float32), np.zeros(3, bool)
    np.testing.assert_array_equal(paid(*probe), rlhf.method.learner.model.reward_function()(*probe))
    loaded.close()


def test_a_run_that_comes_to_nothing_leaves_its_directory_free(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="use fewer labels"):
        make(run_dir=str(tmp_path / "run"), labels=10_000_000).learn()
    assert not (tmp_path / "run").exists()
    make(run_dir=str(tmp_path / "run")).learn()


def test_an_environment_without_a_time_limit_is_refused(make: Make) -> None:
    gymnasium.register("RLHFTest/Endless-v0", entry_point=lambda **kwargs: Breaks())
    try:
        with pytest.raises(ValueError, match="sets no limit to its episodes"):
            make(env_id="RLHFTest/Endless-v0")
    finally:
        del gymnasium.registry["RLHFTest/Endless-v0"]


def test_answers_given_by_hand_carry_who_gave_them_and_when_they_were_asked(make: Make) -> None:
    rlhf = make()
    queries = rlhf.ask(1)
    rlhf.tell(queries, [Answer.LEFT], teacher="ann", shown_at=12.5)
    (kept,) = rlhf.store.preferences()
    assert (kept.teacher, kept.shown_at) == ("ann", 12.5)
    rlhf.tell(queries, [Answer.RIGHT], teacher="ann")
    assert [p.answer for p in rlhf.preferences] == [p.answer for p in rlhf.store.preferences()] == [Answer.RIGHT]


def test_judging_twice_plays_the_same_episodes(make: Make) -> None:
    rlhf = make()
    assert rlhf.learn()["true_return_mean"] == rlhf.evaluate()["true_return_mean"]
