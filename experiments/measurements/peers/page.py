"""The page of the comparison, from its rows alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median

from experiments.harness.made import made_with
from experiments.harness.older import listed_older, warning
from experiments.measurements import peers
from experiments.measurements.peers.run import tasks
from experiments.measurements.peers.settings import Task
from rlhf_gym.sweeps.records import read_rows

Row = Mapping[str, str]
NAMES = {
    "rlhf_gym": "**rlhf_gym**",
    "rlhf_gym_ppo": "rlhf_gym, PPO on the true reward",
    "imitation": "**imitation**",
    "imitation_fragments_of_8": "imitation, fragments of 8 steps",
    "imitation_our_agent": "imitation, PPO as in rlhf_gym's preset",
    "imitation_ppo": "imitation, PPO on the true reward",
}
COLUMNS = (
    "true return", "seeds", "labels", "agent steps", "sampling steps", "wall s", "CPU s", "fitting, % of wall",
    "wall ÷ own PPO's", "CPU ÷ own PPO's", "steps per CPU s",
)  # fmt: skip
UNDISTURBED = 0.9

HOW_TO_READ = """\
**Return.** Mean over seeds (lowest to highest) of the deterministic policy's true return over 50 episodes of the
unmodified environment. Training never saw the episodes' seeds, and all runs of a task with one seed have the same.

Earlier runs, of our older Pendulum preset and on 20 episodes that were not the same for both, are in
`earlier_runs.csv`.

**Steps.** *Agent steps* are those that PPO learned from; *sampling steps* were taken only to have something to ask
about. Our budget of steps includes both. imitation's `total_timesteps` are agent steps. It trains for one iteration
more than it is asked to, rounds each up to whole rollouts, and samples on top: each time it explores, or lacks finished
episodes to ask about, it plays at least one whole episode in each of its 8 environments. So it sees more steps than
ours, which may only help its return. Its time is comparable by *steps per CPU s*, which counts every step, and by the
ratio to its own PPO for as many agent steps.

**Wall time.** Building everything and learning, without imports and without the final evaluation, on one thread each.
The runs of one task and seed follow each other on one machine, in an order that changes with the seed. The ratios are
medians over pairs of the same `repeat`, of which only the latest is shown. A run whose CPU seconds are less than 0.9 of
its wall seconds shared the machine with something else. Its wall time stays in the table, but its ratio is taken only
of CPU seconds, which are what it would take on a core of its own.

**Teacher.** The same for both: an oracle without mistakes. By default imitation draws answers from a softmax of the
returns; here its temperature is 0.

**What is imitation's own.** Its settings are those that it documents for the task, with their sources in
`experiments/measurements/peers/settings.py` and in full below: the tutorial's for Pendulum-v1, the named config
`seals_half_cheetah` with running normalisation for HalfCheetah, and the named config `cartpole` for CartPole-v1. It
runs on the same torch as ours. One more row of Pendulum-v1 has imitation's own reward learning with PPO as in our
preset: what still differs between that row and ours isn't due to PPO's settings. The agent that is evaluated is the one
trained along with the reward, as in its script. Its tutorial then trains a second one on the final reward, which would
be twice the steps.

**HalfCheetah** isn't the same environment in both: gymnasium 0.29 has v4 and ours has v5, each on another version of
the physics engine; observations, actions and reward are defined alike. So compare each with its own PPO on the true
reward.

**CartPole-v1** is not a task that imitation is made for: it warns that episodes which end early give the reward away,
and runs them only with `allow_variable_horizon`, as in its named config. Its fragments are cut from single episodes, so
those of an untrained policy, about 20 steps long, are too short for its documented 100; the row shows its error. With
fragments of 8 it runs, but all pairs tie: every step pays 1, and the end of an episode isn't seen. That row is our
choice and not its documentation's. What PPO reaches there isn't due to the answers."""


def page(path: Path, *, testing: bool = False) -> str:
    """Write all tables, how to read them, and the settings.

    Raises:
        ValueError: If there are no rows.
    """
    rows = read_rows(path)
    if not rows:
        raise ValueError(f"{path} holds no runs")
    return "\n".join(_parts(rows, testing, listed_older(path.parents[1])))


def answer(rows: Sequence[Row], testing: bool = False) -> str:
    """Say both returns, and imitation's CPU seconds as a multiple of ours, on every task that both finished."""
    parts = []
    for name, task in tasks(testing).items():
        found = [row for row in rows if row["task"] == name and not row["error"]]
        ours, theirs = (
            [float(row["true_return_mean"]) for row in found if row["who"] == who] for who in ("rlhf_gym", "imitation")
        )
        if ours and theirs:
            times = median(ratios(found, "imitation", "rlhf_gym", "cpu_seconds"))
            beside = f"imitation {mean(theirs):.0f}, in {times:.1f} times the CPU seconds"
            parts.append(f"{mean(ours):.0f} on {task.title.partition(',')[0]} ({beside})")
    if not parts:
        return "Open: no task was finished by both."
    return f"With as many labels as imitation, rlhf_gym reaches a true return of {' and '.join(parts)}."


def latest(rows: Sequence[Row]) -> list[Row]:
    """Pick the latest repeat of each task, runner and seed."""
    ordered = sorted(rows, key=lambda row: int(row["repeat"]))
    return list({(row["task"], row["who"], row["seed"]): row for row in ordered}.values())


def ratios(rows: Sequence[Row], who: str, to: str, column: str) -> list[float]:
    """Divide the seconds of `who` by those of `to`, for each task, seed and repeat that both finished.

    Wall seconds count only for undisturbed runs.
    """
    seconds: dict[str, dict[tuple[str, str, str], float]] = {who: {}, to: {}}
    for row in rows:
        if row["who"] in seconds and not row["error"] and (column != "wall_seconds" or undisturbed(row)):
            seconds[row["who"]][row["task"], row["seed"], row["repeat"]] = float(row[column])
    return [value / seconds[to][pair] for pair, value in seconds[who].items() if pair in seconds[to]]


def undisturbed(row: Row) -> bool:
    """Test whether a run had a core to itself."""
    return float(row["cpu_seconds"]) >= UNDISTURBED * float(row["wall_seconds"])


def table(task: Task, rows: Sequence[Row]) -> Iterator[str]:
    """Make a table with one line for each runner that has rows of the task."""
    yield f"| | {' | '.join(COLUMNS)} |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for who in task.runs:
        found = [row for row in rows if row["who"] == who]
        if found:
            cells = _failed(found) if all(row["error"] for row in found) else _cells(found, rows, who)
            yield f"| {NAMES[who]} | {' | '.join(cells)} |"


def faster(rows: Sequence[Row]) -> Iterator[str]:
    """Say how many times our CPU seconds imitation takes, over all pairs; nothing if no pair was finished."""
    if over := ratios(rows, "imitation", "rlhf_gym", "cpu_seconds"):
        lowest, highest = min(over), max(over)
        yield f"imitation takes {median(over):.1f} ({lowest:.1f} to {highest:.1f}) times the CPU seconds of rlhf_gym.\n"


def _failed(found: Sequence[Row]) -> list[str]:
    said = "; ".join(sorted({row["error"] for row in found}))
    return [f"stops with `{said}`", str(len(found)), *[""] * (len(COLUMNS) - 2)]


def _cells(found: Sequence[Row], rows: Sequence[Row], who: str) -> list[str]:
    done = [row for row in found if not row["error"]]

    def of(name: str) -> list[float]:
        return [float(row[name]) for row in done]

    returns, wall, cpu = (of(name) for name in ("true_return_mean", "wall_seconds", "cpu_seconds"))
    steps = [agent + sampling for agent, sampling in zip(of("agent_steps"), of("sampling_steps"), strict=True)]
    ppo = f"{who.split('_fragments')[0].removesuffix('_ppo')}_ppo"
    over = [ratios(rows, who, ppo, column) if who != ppo else [] for column in ("wall_seconds", "cpu_seconds")]
    return [
        f"{mean(returns):.0f} ({min(returns):.0f} to {max(returns):.0f})",
        str(len(done)) + (f", {len(found) - len(done)} stopped" if len(found) > len(done) else ""),
        f"{median(of('labels')):.0f}",
        *(f"{median(of(name)):,.0f}" for name in ("agent_steps", "sampling_steps")),
        *(f"{median(values):.0f}" for values in (wall, cpu)),
        f"{median(100 * fit / w for fit, w in zip(of('wall_seconds_reward'), wall, strict=True)):.0f}",
        *(f"{median(values):.2f}" if values else "" for values in over),
        f"{median(s / c for s, c in zip(steps, cpu, strict=True)):.0f}",
    ]


def _parts(rows: Sequence[Row], testing: bool, older: Mapping[str, str]) -> Iterator[str]:
    flag = " --testing" if testing else ""
    yield f"<!-- Made by `python -m experiments.measurements.peers{flag}`; what is changed here by hand is lost. -->"
    newest = latest(rows)
    yield f"# Beside imitation\n\n**{answer(newest, testing)}**\n\n{(peers.__doc__ or '').strip()}\n"
    yield f"```\npython -m experiments.measurements.peers{flag} --python PYTHON_3_11\n```\n"
    yield from warning("peers", older)
    for name, task in tasks(testing).items():
        found = [row for row in newest if row["task"] == name]
        if found:
            yield f"## {task.title} (`{name}`)\n"
            yield from table(task, found)
            yield ""
            yield from faster(found)
    yield f"## How to read it\n\n{HOW_TO_READ}\n\n## Settings\n"
    yield from _settings(newest)
    yield "\n## Made with\n"
    yield from made_with(newest)


def _settings(rows: Sequence[Row]) -> Iterator[str]:
    """List every setting of the runs that learn from answers, without seeds; those on the true reward are left out."""
    seen = {}
    for row in rows:
        if not row["who"].endswith("_ppo"):
            settings = json.loads(row["settings"])
            for name in ("seed", "evaluation_seed"):
                settings.pop(name, None)
            seen[row["task"], row["who"]] = json.dumps(settings)
    yield from (f"- `{task}`, {NAMES[who]}: `{settings}`" for (task, who), settings in sorted(seen.items()))
