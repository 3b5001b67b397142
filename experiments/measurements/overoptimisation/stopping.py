"""Rules that choose, without the true reward, the look at a policy to go back to.

None of them is part of the toolkit; the page says how much of the best look's gain each keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

Curve = Sequence[Mapping[str, float]]
"""The looks at one policy, in order (:class:`experiments.measurements.overoptimisation.runs.Look`)."""
Rule = Callable[[Curve], int]
CHANCE = 0.5


def at_the_end(curve: Curve) -> int:
    """Stop at the planned end."""
    return len(curve) - 1


def at_the_best(curve: Curve) -> int:
    """Stop where the true return is highest, which takes knowing it."""
    return int(np.argmax([look["gold"] for look in curve]))


def before_disagreement(most: float) -> Rule:
    """Go back to the look before disagreement first exceeded `most` times that on the labelled steps."""
    return lambda curve: _before(look["disagreement"] > most for look in curve)


def before_accuracy(least: float) -> Rule:
    """Go back to the look before accuracy first fell below `least` while the learned return was at its highest."""

    def rule(curve: Curve) -> int:
        highest = np.maximum.accumulate([look["proxy"] for look in curve])
        return _before(
            look["accuracy"] < least and look["proxy"] >= most for look, most in zip(curve, highest, strict=True)
        )

    return rule


def before_divergence(most: float) -> Rule:
    """Go back to the look before the divergence from the start first exceeded `most`, in √nats per step."""
    return lambda curve: _before(look["kl"] > most**2 for look in curve)


def least_convinced(curve: Curve) -> int:
    """Stop where the lowest return by any member was highest."""
    return int(np.argmax([look["least"] for look in curve]))


RULES: Mapping[str, tuple[str, Rule]] = {
    "end": ("at the end", at_the_end),
    "disagreement_1_5": ("before disagreement exceeds 1.5", before_disagreement(1.5)),
    "disagreement_2": ("before disagreement exceeds 2", before_disagreement(2.0)),
    "chance": ("before accuracy falls below chance", before_accuracy(CHANCE)),
    "wrong": ("before accuracy falls below 0.3", before_accuracy(0.3)),
    "divergence": ("before sqrt(KL) is 0.5", before_divergence(0.5)),
    "least": ("where the lowest member's return is highest", least_convinced),
    "best": ("at the best, which nobody knows", at_the_best),
}
"""By name: the title on the page, and the rule."""


def kept(curves: Sequence[Curve], rule: Rule) -> float:
    """Compute the share of the best look's gain that a rule keeps, over all curves together; nan without a gain.

    The best look is chosen by one half of the episodes, and every look is measured in the other half, so that chance
    doesn't inflate the best one's return.
    """
    gained = sum(_gain(curve, rule) for curve in curves)
    most = sum(_gain(curve, at_the_best) for curve in curves)
    return gained / most if most > 0 else float("nan")


def _gain(curve: Curve, rule: Rule) -> float:
    return curve[rule(curve)]["gold_again"] - curve[0]["gold_again"]


def _before(stops: object) -> int:
    """Find the index before the first true one, at least 0; the last index if none is true."""
    said = [bool(stop) for stop in stops]  # type: ignore[attr-defined]
    return max(0, said.index(True) - 1) if True in said else len(said) - 1
