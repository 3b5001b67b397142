"""Whether a fit is worse than the one before."""

import numpy as np
import pytest
from gymnasium import spaces

from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.rewards import RewardLearner, RewardModel
from rlhf_gym.rewards.verdict import verdict
from rlhf_gym.segments import Segment

BEFORE = {str(i): 0.3 + 0.01 * (i % 3) for i in range(30)}


def test_held_out_answers_that_are_foretold_worse_are_said_with_their_losses() -> None:
    worse = {name: loss + 0.2 + 0.1 * (int(name) % 2) for name, loss in BEFORE.items()}
    assert verdict(worse | {"new": 9.0}, BEFORE) == (
        "the reward model foretells 30 held-out answers worse than the fit before: loss 0.560, it was 0.310"
    )


@pytest.mark.parametrize(
    "now",
    [
        {name: loss - 0.2 for name, loss in BEFORE.items()},
        {name: loss + (0.21 if int(name) % 2 else -0.2) for name, loss in BEFORE.items()},  # chance
        {name: loss + 0.01 for name, loss in BEFORE.items()},
        {name: loss + 1 for name, loss in list(BEFORE.items())[:9]},
        {f"new {name}": 9.0 for name in BEFORE},
        {},
    ],
    ids=["better", "by chance", "worse by a trifle", "of few answers", "of others", "first fit"],
)
def test_nothing_is_said_of_a_fit_that_is(now: dict[str, float]) -> None:
    assert verdict(now, BEFORE) == ""


@pytest.mark.parametrize("linear", [None, "linear"])
def test_a_fit_to_answers_that_turn_round_is_said_to_be_worse(linear: str | None) -> None:
    rng = np.random.default_rng(0)
    model = RewardModel(
        spaces.Box(-np.inf, np.inf, (2,)), spaces.Discrete(2), ensemble_size=3, hidden=(8,), linear=linear
    )
    one = RewardLearner(model, rng=rng, l2=1e-3, folds=True, steps=60, learning_rate=0.01, batch_size=16)

    def segment() -> Segment:
        observations = rng.normal(size=(4, 2)).astype(np.float32)
        return Segment(observations, rng.integers(2, size=3), observations[1:, 0], 3, False, np.zeros(0, int))

    queries = [Query((segment(), segment()), id=str(i)) for i in range(80)]
    honest = [q.left.observations[:-1, 0].sum() > q.right.observations[:-1, 0].sum() for q in queries]
    turned = [said != (i < 40) for i, said in enumerate(honest)]  # half of them the other way round

    def fit(said: list[bool]) -> str:
        answers = [Answer.LEFT if left else Answer.RIGHT for left in said]
        return one.fit(choices([Preference(q, a) for q, a in zip(queries, answers, strict=True)])).verdict

    assert fit(honest) == ""
    assert fit(honest) == ""
    assert "worse than the fit before" in fit(turned)
