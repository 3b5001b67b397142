"""`feedback.reliability` in the whole loop, taught by a panel."""

from contextlib import closing
from typing import Any

import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.quality import assess

MEMBERS = [{"name": "ann"}, {"name": "bob", "eps_mistake": 0.05}, {"name": "coin", "eps_mistake": 0.5}]


def run(**changes: Any) -> RLHF:
    """Learn from a panel on CartPole, one of whom mistakes every second answer."""
    config = RLHFConfig.for_env(
        "CartPole-v1",
        labels=90,
        total_timesteps=4096,
        teacher="panel",
        teacher_options={"members": MEMBERS, "order": "in_turn"},
        query={"rounds": 2},
        feedback={"goal": "cart_pole_hold_at_one", **changes},
        evaluation={"n_episodes": 1},
    )
    rlhf = RLHF(config)
    for _ in rlhf.rounds():
        pass
    return rlhf


def test_a_coin_on_the_panel_is_weighed_down_as_the_run_goes_on() -> None:
    with closing(run(reliability=True)) as rlhf:
        sureness = rlhf.fit_reward().sureness
        assert sureness.keys() == {"ann", "bob", "coin"}
        assert abs(sureness["coin"]) < 0.6 < min(sureness["ann"], sureness["bob"])
        found = assess(rlhf.store.history(), [p.query for p in rlhf.preferences], reliability=True)
        assert "like a coin" in {one.who: one.verdict for one in found.reliability}["coin"]
        assert found.groups is not None and not found.groups.clear


def test_without_the_setting_everybody_counts_alike() -> None:
    with closing(run()) as rlhf:
        assert rlhf.fit_reward().sureness == {}


def test_anything_but_yes_or_no_is_refused() -> None:
    with pytest.raises(BadInput, match=r"feedback\.reliability"):
        RLHFConfig.for_env("CartPole-v1", feedback={"reliability": 0.5})
