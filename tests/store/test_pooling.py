"""Answers of several runs put together, and a run that begins with them."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.contracts import example_queries
from rlhf_gym.preferences import Choice, drawn_id
from rlhf_gym.queries.ranked_list import list_name, named
from rlhf_gym.rewards.bootstrap import Bootstrap
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.elsewhere import preferences_at

SMALL = {"env_id": "CartPole-v1", "labels": 6, "total_timesteps": 3000, "segment_length": 10, "teacher": "random"}
LITTLE = {"agent": {"n_envs": 2}, "query": {"rounds": 1, "warm_up_steps": 400}}


def asked(run_dir, **more):
    """What a run asks and is told in its first round."""
    config = RLHFConfig.from_dict({**SMALL, **LITTLE, "seed": 4, "run_dir": str(run_dir), **more})
    with closing(RLHF(config)) as rlhf:
        queries = rlhf.ask(3)
        rlhf.tell(queries, rlhf.teacher.answer(queries))
        return rlhf.preferences


def test_answers_of_two_runs_with_one_seed_are_put_together(tmp_path):
    first, second = asked(tmp_path / "first"), asked(tmp_path / "second")
    assert [drawn_id(p.query.id) for p in first] == [drawn_id(p.query.id) for p in second]  # the draws are the same
    with PreferenceStore(tmp_path / "both.db") as both:
        assert [both.add(preferences_at(str(tmp_path / name))) for name in ("first", "second", "first")] == [3, 3, 0]
        assert both.counts().labels == 6


@pytest.mark.parametrize("form", ["{}", "{}/preferences.db", "sqlite:///{}/preferences.db"])
def test_a_run_begins_with_the_answers_of_a_directory_a_file_or_a_url(tmp_path, form):
    said = asked(tmp_path / "first")
    began = asked(tmp_path / "next", feedback={"preferences": form.format(tmp_path / "first")})
    assert [p.query.id for p in began[:3]] == [p.query.id for p in said] and len(began) == 6


def test_a_url_of_a_file_that_is_not_there_makes_none(tmp_path):
    with pytest.raises(ValueError, match="a file that isn't there"):
        preferences_at(f"sqlite:///{tmp_path}/no.db")
    assert list(tmp_path.iterdir()) == []


def test_a_mark_changes_no_members_data():
    def weights(group):
        return Bootstrap(5, seed=1).weights([Choice((), (1.0, 0.0), group)])

    assert np.array_equal(weights("00ff"), weights("00ff@run"))
    assert not np.array_equal(weights("00ff"), weights("00fe"))


def test_a_list_is_known_by_its_name_and_its_run():
    query = replace(example_queries(1)[0], id="0123456789abcdef" + "0" * 16 + "@run")
    assert list_name(query) == "0123456789abcdef@run"
    assert named(list_name(query), "1" * 16) == "0123456789abcdef" + "1" * 16 + "@run"
