"""Held-out queries: drawn uniformly, counted as labels, never fitted to."""

import math
from contextlib import closing
from dataclasses import fields, replace

import numpy as np
import pytest

from rlhf_gym.answers import Answers
from rlhf_gym.asking import Asking
from rlhf_gym.config import RLHFConfig
from rlhf_gym.contracts import example_queries
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import HELDOUT, Answer, Level, Preference, Query, Ranking
from rlhf_gym.quality import heldout_figures
from rlhf_gym.queries import is_heldout, make_heldout, make_repeats, runs_into_termination
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import Round, read_run
from rlhf_gym.runs.metrics import add_round, metrics_so_far
from rlhf_gym.segments import Ending, Trajectory
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.exchange import export, read_preferences
from rlhf_gym.teachers import OracleTeacher

SMALL = {
    "env_id": "CartPole-v1",
    "labels": 20,
    "total_timesteps": 720,
    "segment_length": 10,
    "query": {"rounds": 4, "warm_up_steps": 200, "memory_steps": 1000, "heldout": 0.2, "terminated": 0.5},
    "reward": {"network_options": {"hidden": [8]}, "steps": 5, "batch_size": 4},
    "agent": {"n_envs": 4, "net_arch": [8], "options": {"n_steps": 32, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
}


def steps(*observations):
    """Segments of one step each, which observe these."""
    episode = Trajectory(
        np.array([*observations, 0.0])[:, None], np.zeros(len(observations)), np.zeros(len(observations)),
        Ending.TERMINATED,
    )  # fmt: skip
    return tuple(episode.cut(i, 1) for i in range(len(observations)))


def said(answer, *observations, why=HELDOUT, kind="comparison"):
    return Preference(Query(steps(*observations), id=f"{observations}", why=why, kind=kind), answer)


def pay(observations, *_):
    """Two members, who pay what is observed and twice that."""
    return np.stack([observations[:, 0], 2 * observations[:, 0]])


def test_held_out_queries_are_a_uniform_sample_and_say_so():
    episode = Trajectory(np.arange(7.0)[:, None], np.zeros(6), np.zeros(6), Ending.TERMINATED)
    queries = make_heldout([episode], 15, length=2, rng=np.random.default_rng(0))
    assert len({frozenset((q.left.start, q.right.start)) for q in queries}) == 15
    assert {query.why for query in queries} == {HELDOUT} and all(map(is_heldout, queries))
    assert make_heldout([], 0) == []


@pytest.mark.parametrize("kind", ["comparison", "ranking"])
def test_their_answers_imply_no_choices(kind):
    [query] = example_queries(1, kind=kind)
    answer = Answer.LEFT if kind == "comparison" else Ranking(tuple((i,) for i in range(len(query.options))))
    assert choices([Preference(query, answer)]) != []
    assert choices([Preference(replace(query, why=HELDOUT), answer)]) == []


def test_they_are_not_repeated_as_repeats_are_fitted_to():
    answered = [said(Answer.LEFT, 1.0, 0.0), said(Answer.LEFT, 2.0, 0.0, why="uniform")]
    assert [q.repeats for q in make_repeats(answered, 5, rng=np.random.default_rng(0))] == [answered[1].query.id]


def test_their_answers_alone_are_no_reason_to_fit():
    queries = example_queries(2)
    held = replace(queries[0], id="held", why=HELDOUT)
    with closing(Answers(PreferenceStore(), OracleTeacher())) as answers:
        asking = Asking(answers, budget=9)
        answers.post([held, queries[1]])
        answers.tell([held], [Answer.LEFT])
        assert (answers.labels, answers.choices, asking.enough_new) == (1, [], False)
        answers.tell([queries[1]], [Answer.LEFT])
        assert (answers.labels, len(answers.choices), asking.enough_new) == (2, 1, True)
        answers.fitted()
        answers.tell([held], [Answer.RIGHT], teacher="other")
        assert not asking.enough_new


def test_an_answer_that_comes_while_it_is_fitted_is_a_reason_to_fit_again():
    queries = example_queries(2)
    with closing(Answers(PreferenceStore(), OracleTeacher())) as answers:
        asking = Asking(answers, budget=9)
        answers.post(queries)
        answers.tell(queries[:1], [Answer.LEFT])
        assert len(answers.choices) == 1
        answers.tell(queries[1:], [Answer.LEFT])  # somebody, while the fit goes on
        answers.fitted()
        assert asking.enough_new


def test_what_was_asked_is_known_with_what_is_open_and_without_what_the_run_began_with():
    began, posted = example_queries(2), example_queries(3, seed=1)
    with closing(PreferenceStore()) as store:
        store.add([Preference(query, Answer.LEFT) for query in began])
        answers = Answers(store, OracleTeacher(), before=2)
        answers.post(posted)
        answers.tell(posted[:1], [Answer.TIE])
        assert {query.id for query in answers.asked} == {query.id for query in [*began, *posted]}
        assert [query.id for query in answers.asked_here] == [query.id for query in posted]
        anew = Answers(store, OracleTeacher(), before=2)  # as after an interruption
        assert {query.id for query in anew.asked} == {query.id for query in answers.asked}
        assert {query.id for query in anew.asked_here} == {query.id for query in posted}


# Figures


def test_accuracy_counts_ties_of_either_as_one_half():
    kept = [said(Answer.LEFT, 2, 1), said(Answer.RIGHT, 2, 1), said(Answer.TIE, 2, 1), said(Answer.LEFT, 1, 1)]
    assert heldout_figures(kept, pay)["reward_accuracy_uniform"] == (1 + 0 + 0.5 + 0.5) / 4


def test_loss_is_that_of_the_members_mean_probability():
    # One is ahead by 1 and 2: the mean of 1 / (1 + 1/e) and 1 / (1 + 1/e^2) is P(left), and what is left P(right).
    left = (1 / (1 + math.exp(-1)) + 1 / (1 + math.exp(-2))) / 2
    losses = [-math.log(left), -math.log(1 - left), -(math.log(left) + math.log(1 - left)) / 2]
    for answer, loss in zip((Answer.LEFT, Answer.RIGHT, Answer.TIE), losses, strict=True):
        assert heldout_figures([said(answer, 1, 0)], pay)["reward_loss_uniform"] == pytest.approx(loss)


def test_a_ranking_counts_as_each_two_of_its_options():
    # Ranked 0 1 2, where the model has 1 best: of three twos one is wrong.
    kept = [said(Ranking(((0,), (1,), (2,))), 2.0, 3.0, 1.0, kind="ranking"), said(Answer.LEFT, 1, 0)]
    assert heldout_figures(kept, pay)["reward_accuracy_uniform"] == 3 / 4


def test_where_teachers_have_rewards_of_their_own_each_answer_is_measured_by_its_teacher_s():
    def opposite(*steps):
        return -pay(*steps)

    mine, yours, theirs = (
        replace(said(answer, 2, 1), teacher=who)
        for answer, who in ((Answer.LEFT, "a"), (Answer.RIGHT, "b"), (Answer.RIGHT, "c"))
    )
    each = {"a": pay, "b": opposite}
    assert heldout_figures([mine, yours, theirs], pay, each)["reward_accuracy_uniform"] == 1
    assert heldout_figures([mine, yours, theirs], pay)["reward_accuracy_uniform"] == 1 / 3
    assert math.isnan(heldout_figures([theirs], pay, each)["reward_accuracy_uniform"])


def test_answers_that_judge_no_pair_are_left_out():
    kept = [said(Level(5, 5), 1, 0, kind="rating")]
    assert all(math.isnan(figure) for figure in heldout_figures(kept, pay).values())
    assert heldout_figures([*kept, said(Answer.LEFT, 1, 0)], pay)["reward_accuracy_uniform"] == 1


def test_other_queries_and_skips_are_left_out():
    kept = [said(Answer.RIGHT, 2, 1, why="uniform"), said(Answer.SKIP, 2, 1)]
    assert all(math.isnan(figure) for figure in heldout_figures(kept, pay).values())
    assert heldout_figures([*kept, said(Answer.LEFT, 2, 1)], pay)["reward_accuracy_uniform"] == 1


# In the loop


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 20 labels, resumed in the middle."""
    path = tmp_path_factory.mktemp("heldout") / "run"
    with closing(RLHF(RLHFConfig.from_dict({**SMALL, "run_dir": str(path)}))) as rlhf:
        next(rlhf.rounds())
    with closing(RLHF.resume(path)) as rlhf:
        rlhf.learn()
        yield rlhf


def test_a_run_holds_out_its_share_and_fits_to_the_others(run):
    assert len(run.preferences) == run.labels == 20
    held = [p for p in run.preferences if is_heldout(p.query)]
    assert len(held) == 4 and all(query.reward_version >= 0 for query in [p.query for p in held])
    assert len(run.answers.choices) == 16
    assert {choice.group for choice in run.answers.choices}.isdisjoint(p.query.id for p in held)


def test_a_run_asks_nothing_twice_and_meets_its_quota(run):
    queries = [preference.query for preference in run.preferences]
    windows = [frozenset((option.origin.seed, option.start) for option in query.options) for query in queries]
    assert len(set(windows)) == len(windows)
    assert sum(map(runs_into_termination, queries)) >= 10


def test_metrics_have_the_figures_of_held_out_answers(run):
    last = read_run(run.run.path).metrics[-1]
    assert 0 <= last["reward_accuracy_uniform"] <= 1 and last["reward_loss_uniform"] > 0
    found = heldout_figures(run.preferences, run.method.step_scores)
    assert found["reward_accuracy_uniform"] == pytest.approx(last["reward_accuracy_uniform"])


def test_metrics_that_an_earlier_version_began_keep_their_columns(run, tmp_path):
    earlier = tmp_path / "metrics.csv"
    earlier.write_text("round,labels\n0,3\n")
    figures = dict.fromkeys([field.name for field in fields(Round)], 1.0)
    add_round(earlier, Round(**figures))
    assert metrics_so_far(tmp_path) == [{"round": 0, "labels": 3}, {"round": 1, "labels": 1}]
    assert [*figures][-2:] == ["reference_kl", "kl_beta"]  # what is new comes last


def test_another_run_begins_with_them_and_leaves_them_out_too(run, tmp_path):
    settings = {**SMALL, "labels": 5, "feedback": {"preferences": str(run.run.path)}, "seed": 1}
    with closing(RLHF(RLHFConfig.from_dict(settings))) as rlhf:
        next(rlhf.rounds())
        assert sum(map(is_heldout, rlhf.answers.asked)) == 4
        assert len(rlhf.answers.choices) == len(rlhf.preferences) - 4


def test_export_and_import_keep_them(run, tmp_path):
    export(run.store, tmp_path / "out", parquet=False)
    assert sum(is_heldout(p.query) for p in read_preferences(tmp_path / "out")) == 4


def test_holding_everything_out_is_refused():
    with pytest.raises(ValueError, match="query.heldout is 0.7, .* makes 1 of the queries, .* use less than 1"):
        RLHFConfig.from_dict({"query": {"heldout": 0.7, "repeats": 0.3}})
    with pytest.raises(ValueError, match="query.terminated is 2.0; use a number from 0 to 1"):
        RLHFConfig.from_dict({"query": {"terminated": 2.0}})
