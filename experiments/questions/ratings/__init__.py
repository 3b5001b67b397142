"""Do 100 ratings of whole episodes teach Reacher, where 52,000 comparisons of segments failed?

R4 (ranked return regression for ratings; 2026) learned it from 100 ratings of whole episodes of widely varying quality,
with small networks; Tien et al. 2023 failed with 52,326 comparisons. Here there are 100 ratings on five levels, asked
throughout the run, of whole episodes (50 steps) as they come, beside 100 comparisons of whole episodes and of 10 steps.
The reward model is the preset's, which has a linear part, and for whole episodes also small networks alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.settings import Asked, Row, Setting
from experiments.questions.ratings.settings import ASKED_OF, FAMILIES, SCALE, SETTINGS, TESTING

ASKED: Sequence[Asked] = ()


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """Say what part of PPO's gain each setting reaches."""
    found = {title: SCALE.part(name, runs) for name, (title, _) in ASKED_OF.items()}
    told = [f"{part.middle:.2f} by {title}" for title, part in found.items() if part]
    return f"Part of PPO's gain on Reacher-v5: {', '.join(told)}."


HOW_TO_READ = """\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment. A part is a share of what
PPO, paid the true reward, gains over the untrained policy. Ratings are those of an errorless teacher: each level is a
fifth of all the returns that it has seen. R4 trains SAC, and draws a third of its episodes at percentiles of the return
and half where the predicted reward is largest. Here PPO learns, and the preset's scheme chooses the episodes."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
