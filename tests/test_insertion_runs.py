"""Runs whose queries put segments in order: every answer is waited for before the next question about its list."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rlhf_gym.config import RLHFConfig
from rlhf_gym.preferences import Answer, Query
from rlhf_gym.queries import Insertion
from rlhf_gym.queries.ranked_list import INSERTION, RankedList, ranked_lists
from rlhf_gym.rlhf import RLHF
from rlhf_gym.teachers import OracleTeacher, Teacher
from tests.test_people import SMALL, Crowd, person

LISTS: dict[str, Any] = {"scheme": "insertion", "scheme_options": {"lists": 2, "comparisons": 8}}


def config(run_dir: Path | None = None, **settings: Any) -> RLHFConfig:
    where = {"run_dir": str(run_dir)} if run_dir else {}
    return RLHFConfig.from_dict(SMALL).replace(**{"teacher": "oracle", "labels": 16, "query": LISTS} | where | settings)


def lists(rlhf: RLHF) -> list[RankedList]:
    return list(ranked_lists(rlhf.preferences).values())


def in_order(ranked: RankedList) -> bool:
    returns = [ranked.segments[i].true_return for i in ranked.placed]
    return returns == sorted(returns) and len(returns) > 2


def test_a_run_asks_for_all_its_labels_one_answer_after_the_other() -> None:
    with closing(RLHF(config())) as rlhf:
        summary = rlhf.learn()
    assert (summary["labels"], summary["asked"]) == (16, 16)
    assert {preference.query.why for preference in rlhf.preferences} == {INSERTION}
    found = lists(rlhf)
    assert all(map(in_order, found[:2])) and [one.asked >= 8 for one in found[:2]] == [True, True]
    choices = rlhf.answers.choices
    assert len(choices) == 16 + sum(len(one.implied) for one in found) > 16
    assert {choice.group for choice in choices} == {one.name for one in found}
    assert sum(choice.weight for choice in choices) == pytest.approx(16)


def test_the_settings_say_what_a_list_counts_for() -> None:
    with closing(RLHF(config().replace(query={"scheme_options": {"weigh": "pairs"}}))) as rlhf:
        next(rlhf.rounds())
        assert {choice.weight for choice in rlhf.answers.choices} == {1.0}


def test_kinds_that_are_no_comparisons_are_refused_in_one_line() -> None:
    for kind in ("ranking", "comparison=0.5,rating=0.5"):
        with pytest.raises(ValueError, match=f"query.scheme is insertion and kind is {kind}; lists are put") as refused:
            RLHF(config(kind=kind))
        assert "\n" not in str(refused.value)


class Unsure(Teacher):
    """Tells nothing about every third query."""

    name, asked = "unsure", 0

    def answer(self, queries: list[Query]) -> list[Answer]:
        said = OracleTeacher().answer(queries)
        self.asked += len(queries)
        return [Answer.SKIP if (self.asked + i) % 3 == 0 else answer for i, answer in enumerate(said)]


def test_what_a_teacher_skips_is_no_label_and_all_labels_are_asked_for() -> None:
    with closing(RLHF(config().replace(labels=12), teacher=Unsure())) as rlhf:
        summary = rlhf.learn()
    assert summary["labels"] == 12 < summary["asked"]


def test_a_teacher_who_does_nothing_but_skip_is_refused() -> None:
    class Silent(Teacher):
        name = "silent"

        def answer(self, queries: list[Query]) -> list[Answer]:
            return [Answer.SKIP] * len(queries)

    with closing(RLHF(config(), teacher=Silent())) as rlhf:
        with pytest.raises(ValueError, match="teacher silent skipped all 20 queries"):  # ten times two
            rlhf.learn()


def test_held_out_repeated_and_obvious_queries_keep_their_shares() -> None:
    planned = {"repeats": 0.2, "checks": 0.1, "heldout": 0.1}
    with closing(RLHF(config().replace(labels=20, query=planned))) as rlhf:
        rlhf.learn()
        why = Counter(preference.query.why for preference in rlhf.preferences)
        fitted = [choice for choice in rlhf.answers.choices]
    assert why.total() == 20 and why["heldout"] == 2 and why["repeat"] + why["mirrored"] == 4
    names, asked = {one.name for one in lists(rlhf)}, {preference.query.id for preference in rlhf.preferences}
    assert all(choice.group in names or choice.group in asked for choice in fitted)


def test_people_put_segments_in_order_while_the_run_waits(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path, teacher="store"), waiting=person(tmp_path))) as rlhf:
        assert rlhf.learn()["labels"] == 16
    assert all(map(in_order, lists(rlhf)[:2])) and {p.teacher for p in rlhf.preferences} == {"ann"}


def test_several_people_at_once_put_segments_in_order(tmp_path: Path) -> None:
    settings = config(tmp_path, teacher="store", feedback={"people_per_query": 2})
    with (
        closing(Crowd(tmp_path / "preferences.db", ["ann", "bob", "cid"], skips=0.1)) as crowd,
        closing(RLHF(settings, waiting=crowd)) as rlhf,
    ):
        assert rlhf.learn()["labels"] == 16
        assert rlhf.store.counts().awaited == 0


def test_with_async_labels_answers_are_waited_for_only_as_far_as_too_many_are_missing(tmp_path: Path) -> None:
    feedback = {"async_labels": True, "outstanding": 3, "refit_answers": 2, "stale_rounds": 50}
    with closing(RLHF(config(tmp_path, teacher="store", feedback=feedback), waiting=person(tmp_path))) as rlhf:
        done = [each.labels for each in rlhf.rounds()]
    due = [part.labels for part in rlhf.plan]
    assert done[0] == 2  # which are enough to fit to, of more that are due
    assert all(labels >= wanted - 3 for labels, wanted in zip(done[1:], due[1:], strict=True)) and done[-1] == 16
    assert all(map(in_order, lists(rlhf)[:2]))


def test_a_resumed_run_goes_on_with_its_lists(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path, teacher="store"), waiting=person(tmp_path))) as rlhf:
        rounds = rlhf.rounds()
        next(rounds)
        known = {one.name: len(one.segments) for one in lists(rlhf)}
        [waiting] = rlhf.ask(1)  # as it was killed while it waited
    with closing(RLHF.resume(tmp_path, waiting=person(tmp_path))) as rlhf:
        assert isinstance(rlhf._parts.scheme, Insertion)
        assert rlhf.learn()["labels"] == 16
        found = {one.name: one for one in lists(rlhf)}
    assert set(known) <= set(found) and waiting.id in {p.query.id for p in rlhf.preferences}
    assert all(len(found[name].segments) > segments and in_order(found[name]) for name, segments in known.items())
