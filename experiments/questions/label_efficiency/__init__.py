"""What makes 50 answers enough? Ablations: each setting differs from its task's preset in one thing.

Three tasks whose reward is a quadratic of observation and action (HalfCheetah, Ant, Reacher), which some of the
remedies assume, and three goals that aren't: the cart held at x = +1, HalfCheetah on its back leg, a spinning pendulum.
50 labels, five seeds each asked for; tables say how many are done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from experiments.harness.asked import listed
from experiments.harness.parts import Scale
from experiments.harness.settings import Asked, Row, Setting
from experiments.questions.label_efficiency.settings import (
    FAMILIES,
    PARTS,
    SETTINGS,
    TASKS,
    TESTING,
    VARIANTS,
    scale,
)
from rlhf_gym.stats import difference_interval, interquartile_mean

Runs = Mapping[str, Sequence[Row]]
ASKED: Sequence[Asked] = ()


def difference(task: str, variant: str, runs: Runs) -> tuple[float, float, float] | None:
    """Measure how much more of PPO's gain a variant reaches than the preset: middle and 95 % interval; None if missing.

    Both are parts of the same gain, whose ends are taken as certain: what is uncertain in them is so for both.
    """
    ends: Scale = scale(task)
    preset, part = ends.part(f"{task}_preset", runs), ends.part(f"{task}_{variant}", runs)
    if preset is None or part is None:
        return None
    unit = interquartile_mean(ends.of(ends.best[0], runs)) - interquartile_mean(ends.of(ends.floor, runs))
    low, high = difference_interval(ends.of(f"{task}_{variant}", runs), ends.of(f"{task}_preset", runs), seed=0)
    return part.middle - preset.middle, low / unit, high / unit


def more(settings: Mapping[str, Setting], runs: Runs) -> Iterator[str]:
    """Put every variant beside the preset, task by task; those without runs are left out."""
    tasks = {name: task for name, task in TASKS.items() if any(difference(name, each, runs) for each in VARIANTS)}
    yield "\n## Every variant beside the preset\n\nPart of PPO's gain, less the preset's [95 % bootstrap interval].\n"
    yield f"| part | variant | {' | '.join(task.title for task in tasks.values())} |"
    yield "|---" * (len(tasks) + 2) + "|"
    for title, variants in PARTS.values():
        for name, (variant, _) in variants.items():
            found = [difference(task, name, runs) for task in tasks]
            if any(found):
                cells = [f"{f[0]:+.2f} [{f[1]:+.2f}, {f[2]:+.2f}]" if f else "" for f in found]
                yield f"| {title} | {variant} | {' | '.join(cells)} |"


def answer(settings: Mapping[str, Setting], runs: Runs) -> str:
    """Which variants are surely better than the preset somewhere, and which surely worse."""
    better, worse = [], []
    for name, (title, _) in VARIANTS.items():
        found = [d for task in TASKS if (d := difference(task, name, runs))]
        better += [title] * any(low > 0 for _, low, _ in found)
        worse += [title] * any(high < 0 for _, _, high in found)
    return f"Better than the preset on some task, by the whole interval: {listed(better)}; worse: {listed(worse)}."


HOW_TO_READ = """\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment, Reacher's over 100: the true
return, or how far the goal is reached (the sum of exp(−|x − 1| / 0.5) with the cart, metres on the back leg, turns of
the pendulum). A part is of what PPO, paid the true reward or the goal itself, gains over the untrained policy. A
variant that is a task's preset has no row there. With as many variants as tasks and seeds as few as these, some
differences come about by chance: at 95 %, one in twenty of intervals without any effect leaves zero out, and of three
seeds more, as three don't show how far they lie apart."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer", "more"]
