"""What makes 50 answers enough? Ablations: each setting differs from its task's base in one thing.

The base is the task's preset; the held cart's is the setting of [cartpole](../cartpole/README.md), which differs from
CartPole's preset. "As they were" is a set of six older choices. On three tasks the reward is about a quadratic of
observation and action (HalfCheetah, Ant, and Reacher except that its distance isn't squared), which some of the
variants assume. The other three have goals of another form: the cart held at x = +1, HalfCheetah on its back leg, a
spinning pendulum. Each setting has 50 labels and five seeds to run; the tables say how many are done.
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
    """Compute how much more of PPO's gain a variant reaches than the preset, with a 95 % interval; None without runs.

    Both are parts of the same gain, whose ends are taken as certain because their uncertainty is common to both.
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
    yield "\n## Every variant beside the preset\n\nPart of PPO's gain, minus the preset's [95 % bootstrap interval].\n"
    yield f"| part | variant | {' | '.join(task.title for task in tasks.values())} |"
    yield "|---" * (len(tasks) + 2) + "|"
    for title, variants in PARTS.values():
        for name, (variant, _) in variants.items():
            found = [difference(task, name, runs) for task in tasks]
            if any(found):
                cells = [f"{f[0]:+.2f} [{f[1]:+.2f}, {f[2]:+.2f}]" if f else "" for f in found]
                yield f"| {title} | {variant} | {' | '.join(cells)} |"


def answer(settings: Mapping[str, Setting], runs: Runs) -> str:
    """Say which variants are better than the preset on some task by the whole interval, and which are worse."""
    better, worse = [], []
    for name, (title, _) in VARIANTS.items():
        found = [d for task in TASKS if (d := difference(task, name, runs))]
        better += [title] * any(low > 0 for _, low, _ in found)
        worse += [title] * any(high < 0 for _, _, high in found)
    return f"Better than the preset on some task, with the whole interval: {listed(better)}; worse: {listed(worse)}."


HOW_TO_READ = """\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment, on Reacher over 100: the
true return, or how far the goal is reached (with the cart the sum of exp(−|x − 1| / 0.5), metres on the back leg, turns
of the pendulum). A part is a share of what PPO, paid the true reward or the goal itself, gains over the untrained
policy. A variant that equals a task's preset has no row there. With this many variants and tasks, and this few seeds,
some differences arise by chance: without any effect, one in twenty 95 % intervals excludes zero, and with three seeds
more than that, because three seeds don't show the whole spread."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer", "more"]
