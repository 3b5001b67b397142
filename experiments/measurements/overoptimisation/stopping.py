"""Rules that say, without the true reward, to which look at a policy one had better go back.

None of them is part of the toolkit: the page says how much of the highest true return each keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

Curve = Sequence[Mapping[str, float]]
"""The looks at one policy, in order (:class:`experiments.measurements.overoptimisation.runs.Look`)."""
Rule = Callable[[Curve], int]
CHANCE = 0.5


def at_the_end(curve: Curve) -> int:
    """Go on for as long as was planned."""
    return len(curve) - 1


def at_the_best(curve: Curve) -> int:
    """Stop where the true return is highest: nobody can who doesn't know it."""
    return int(np.argmax([look["gold"] for look in curve]))


def before_disagreement(most: float) -> Rule:
    """Go back to before members disagreed more than so many times as much as on what they were taught by."""
    return lambda curve: _before(look["disagreement"] > most for look in curve)


def before_accuracy(least: float) -> Rule:
    """Go back to before the learned return rose to its highest, and answers about the newest steps were wrong."""

    def rule(curve: Curve) -> int:
        highest = np.maximum.accumulate([look["proxy"] for look in curve])
        return _before(
            look["accuracy"] < least and look["proxy"] >= most for look, most in zip(curve, highest, strict=True)
        )

    return rule


def before_divergence(most: float) -> Rule:
    """Go back to before the policy had diverged from its start by so much, the root of nats a step."""
    return lambda curve: _before(look["kl"] > most**2 for look in curve)


def least_convinced(curve: Curve) -> int:
    """Stop where the member that gives least gave most."""
    return int(np.argmax([look["least"] for look in curve]))


RULES: Mapping[str, tuple[str, Rule]] = {
    "end": ("at the end", at_the_end),
    "disagreement_1_5": ("before 1.5 times the disagreement", before_disagreement(1.5)),
    "disagreement_2": ("before twice the disagreement", before_disagreement(2.0)),
    "chance": ("before newest answers are right by chance alone", before_accuracy(CHANCE)),
    "wrong": ("before three in ten newest answers are right", before_accuracy(0.3)),
    "divergence": ("before sqrt(KL) is 0.5", before_divergence(0.5)),
    "least": ("where the least convinced member gave most", least_convinced),
    "best": ("at the best, which nobody knows", at_the_best),
}
"""By name: what the page calls each, and the rule."""


def kept(curves: Sequence[Curve], rule: Rule) -> float:
    """Compute the share of the highest true return's gain that a rule keeps, of all curves together; nan without one.

    The best is chosen by one half of the episodes, and what any look is worth is measured in the other: or chance
    would be part of the best's return.
    """
    gained = sum(_gain(curve, rule) for curve in curves)
    most = sum(_gain(curve, at_the_best) for curve in curves)
    return gained / most if most > 0 else float("nan")


def _gain(curve: Curve, rule: Rule) -> float:
    return curve[rule(curve)]["gold_again"] - curve[0]["gold_again"]


def _before(stops: object) -> int:
    """Find the look before the first that says stop, the first one at the earliest; the last one if none does."""
    said = [bool(stop) for stop in stops]  # type: ignore[attr-defined]
    return max(0, said.index(True) - 1) if True in said else len(said) - 1
