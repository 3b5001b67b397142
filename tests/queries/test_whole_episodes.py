"""Segments as long as an episode: all schemes and kinds, episodes of fixed length and such as terminate."""

import numpy as np
import pytest

from rlhf_gym.queries import choose_queries, sample_candidates
from rlhf_gym.registry import SCHEMES, make
from rlhf_gym.segments import Ending, Origin, Trajectory, pad

LIMIT = 50  # Reacher-v5's


def episodes(*lengths, ending):
    rng = np.random.default_rng(0)
    return [
        Trajectory(rng.normal(size=(n + 1, 3)), rng.normal(size=(n, 2)), np.zeros(n), ending, Origin("E", seed))
        for seed, n in enumerate(lengths)
    ]


def pay(observations, actions, following):
    return np.stack([observations[:, 0], actions[:, 0], following[:, 2]])


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "insertion"])  # which has no candidates
@pytest.mark.parametrize(("kind", "options"), [("comparison", 2), ("ranking", 3)])
@pytest.mark.parametrize("ending", [Ending.TRUNCATED, Ending.TERMINATED])
def test_every_scheme_asks_about_whole_episodes(name, kind, options, ending):
    lengths = [LIMIT] * 8 if ending is Ending.TRUNCATED else [LIMIT, 7, 30, LIMIT, 12]
    recorded = [*episodes(*lengths, ending=ending), *episodes(20, ending=Ending.UNFINISHED)]
    how = {"length": LIMIT, "options": options, "kind": kind, "rng": np.random.default_rng(0)}
    asked = sample_candidates(recorded, n=3, **how).queries()
    queries = choose_queries(
        recorded,
        n=4,
        scheme=make("query.scheme", name, {}),
        candidates_per_query=4,
        asked=asked,
        step_scores=pay,
        **how,
    )
    shown = [option for query in queries for option in query.options]
    assert [len(query.options) for query in queries] == [options] * 4
    assert {option.length for option in shown} == {LIMIT}
    assert all(option.terminated == (ending is Ending.TERMINATED) for option in shown)
    if ending is Ending.TRUNCATED:
        assert {(option.start, option.lived) for option in shown} == {(0, LIMIT)}
    assert pad(shown).weights.sum(axis=1).tolist() == [option.lived for option in shown]


def test_before_an_episode_has_ended_the_remedy_is_named():
    running = episodes(20, 20, 20, ending=Ending.UNFINISHED)
    with pytest.raises(ValueError, match=r"has 20 steps; use segment_length <= 20 or .*warm_up_steps >= 50 x agent.n_"):
        sample_candidates(running, length=LIMIT, n=1, rng=np.random.default_rng(0))


def test_too_few_whole_episodes_say_how_many_there_are_and_the_remedy():
    with pytest.raises(ValueError, match="3 segments of segment_length 50 make 3 pairs; .* more query.warm_up_steps"):
        sample_candidates(
            episodes(*[LIMIT] * 3, ending=Ending.TRUNCATED), length=LIMIT, n=4, rng=np.random.default_rng(0)
        )
