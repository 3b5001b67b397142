"""Do 100 ratings of whole episodes teach Reacher, where 52,000 comparisons of segments failed?

R4 (ranked return regression for ratings; 2026) learned it from 100 ratings of whole episodes of spread quality, by
small networks; Tien et al. 2023 failed with 52,326 comparisons. Here 100 ratings on five levels, of whole episodes (50
steps) as they come during the run, from the first to the last, beside 100 comparisons of whole episodes and of 10
steps; with the preset's reward model, which has a linear part, and with small networks alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.settings import Asked, Row, Setting
from experiments.questions.ratings.settings import ASKED_OF, FAMILIES, SCALE, SETTINGS, TESTING

ASKED: Sequence[Asked] = ()


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """What part of PPO's gain each reaches."""
    found = {title: SCALE.part(name, runs) for name, (title, _) in ASKED_OF.items()}
    told = [f"{part.middle:.2f} by {title}" for title, part in found.items() if part]
    return f"Part of PPO's gain on Reacher-v5: {', '.join(told)}."


HOW_TO_READ = """\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment. A part is of what PPO, paid
the true reward, gains over the untrained policy. Ratings are an errorless teacher's: a level is a fifth of all the
returns that it has seen. R4 pays SAC, draws a third of its episodes at percentiles of the return and half where the
predicted reward is largest; here PPO learns, and episodes are chosen by the preset's scheme."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
