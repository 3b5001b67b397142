"""What does a reward model that sees images cost and learn? `python -m experiments.measurements.images`.

A bright square on a noisy picture is moved by the actions; its reward falls with its distance from the middle. Random
policies play pairs of segments of 25 steps, which are answered without error. A reward model with the usual settings is
fitted once, and the mean of its members is correlated with the true reward over 40 segments that weren't asked about,
by step and by segment. *cnn* sees images by convolutions (`reward.images cnn`), the default from 36 pixels a side on;
*flat* sees them like other numbers, as it was before there were convolutions. Each row is measured in its own process:
the CPU seconds of the fit, which other work on the machine changes, though less than wall time, and what the process's
peak memory grows by.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import tyro
from gymnasium import spaces

from experiments.harness.checkout import figures_from
from experiments.harness.made import measured_columns, measured_last
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.rewards import RewardLearner, RewardModel
from rlhf_gym.runs.provenance import peak_rss_mb
from rlhf_gym.segments import Array, Segment
from rlhf_gym.sweeps.records import append_rows

CASES = ((84, 3, 10), (84, 4, 10), (36, 3, 50))  # pixels a side, channels, labels
STEPS, FRESH = 25, 40
MEASURED = {"seconds": "fit, s", "memory_mb": "memory, MB", "by_step": "by step", "by_segment": "by segment"}
MOVES = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) / 10


class Square(gymnasium.Env[Any, Any]):
    """A bright square on noise, paid for how near it is to the middle: 1 there, 0 at the edges.

    Args:
        size: Pixels a side.
        channels: Size of the last axis; 4 are the latest four frames in grey, others are colours.
    """

    def __init__(self, size: int = 36, channels: int = 3) -> None:
        self.size, self.channels = size, channels
        self.observation_space = spaces.Box(0, 255, (size, size, channels), np.uint8)
        self.action_space = spaces.Discrete(len(MOVES))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Put the square anywhere."""
        super().reset(seed=seed)
        self.at = self.np_random.uniform(0, 1, 2)
        self.seen = np.zeros(self.observation_space.shape or (), np.uint8)
        return self._look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move the square by a tenth of the picture or not at all, and a little at random."""
        self.at = np.clip(self.at + MOVES[action] + self.np_random.normal(0, 0.02, 2), 0, 1)
        return self._look(), 1 - 2 * float(np.abs(self.at - 0.5).max()), False, False, {}

    def _look(self) -> Any:
        frames = 1 if self.channels == 4 else self.channels
        picture = self.np_random.integers(90, 130, (self.size, self.size, frames), np.uint8)
        side = self.size // 8
        y, x = (self.at * (self.size - side)).astype(int)
        picture[y : y + side, x : x + side] = 255
        self.seen = np.concatenate([self.seen, picture], axis=2)[..., -self.channels :]
        return self.seen.copy()


def segments(n: int, env: gymnasium.Env[Any, Any], *, seed: int) -> list[Segment]:
    """Play n segments, each by a random policy that prefers some actions."""
    rng, found = np.random.default_rng(seed), []
    for number in range(n):
        observations = [env.reset(seed=1000 * seed + number)[0]]
        actions = rng.choice(len(MOVES), size=STEPS, p=rng.dirichlet(np.full(len(MOVES), 0.7)))
        rewards = []
        for action in actions:
            observed, reward, *_ = env.step(action)
            observations.append(observed)
            rewards.append(reward)
        found.append(Segment(np.array(observations), actions, np.array(rewards), STEPS, False, actions[:0]))
    return found


def measure(*, size: int, channels: int, labels: int, images: Any, seed: int) -> dict[str, float]:
    """Make one row."""
    torch.set_num_threads(1)
    env = Square(size, channels)
    shown = segments(2 * labels, env, seed=2 * seed)
    pairs = zip(shown[::2], shown[1::2], strict=True)
    queries = [Query(pair, id=str(i)) for i, pair in enumerate(pairs)]
    said = [Answer.LEFT if q.left.true_return > q.right.true_return else Answer.RIGHT for q in queries]
    answered = choices([Preference(query, answer) for query, answer in zip(queries, said, strict=True)])
    fresh = segments(FRESH, env, seed=2 * seed + 1)
    before, model = peak_rss_mb(), RewardModel(env.observation_space, env.action_space, images=images, seed=seed)
    learner = RewardLearner(model, rng=np.random.default_rng(seed), l2=1e-3)
    began = time.process_time()
    learner.fit(answered)
    spent, grown = time.process_time() - began, peak_rss_mb() - before
    steps = [(s.observations[:-1], s.actions, s.observations[1:]) for s in fresh]
    learned = learner.step_rewards(*(np.concatenate(parts) for parts in zip(*steps, strict=True))).mean(axis=0)
    true = np.concatenate([segment.rewards for segment in fresh])
    by_segment = correlation(*(rewards.reshape(FRESH, STEPS).sum(axis=1) for rewards in (learned, true)))
    found = {"seconds": spent, "memory_mb": grown, "by_step": correlation(learned, true), "by_segment": by_segment}
    return {name: round(value, 3) for name, value in found.items()}


def correlation(one: Array, other: Array) -> float:
    """Compute Pearson's correlation of two arrays."""
    return float(np.corrcoef(one, other)[0, 1])


def in_fresh_process(of: dict[str, Any]) -> dict[str, Any]:
    """Make one row in a new process."""
    return figures_from([sys.executable, "-m", "experiments.measurements.images", "--one", json.dumps(of)])


def of_case(rows: Sequence[dict[str, str]], case: tuple[int, int, int], images: str) -> list[dict[str, str]]:
    """Pick the rows of a case, a seed each."""
    return [r for r in rows if (int(r["size"]), int(r["channels"]), int(r["labels"]), r["images"]) == (*case, images)]


def means(rows: Sequence[dict[str, str]], case: tuple[int, int, int], images: str) -> dict[str, float]:
    """Average a case's rows over seeds; empty where there are none."""
    of = of_case(rows, case, images)
    return {name: float(np.mean([float(row[name]) for row in of])) for name in MEASURED} if of else {}


def page(path: Path) -> str:
    """Make the text of the page from the rows of the commit measured last."""
    rows = measured_last(path)
    last = rows[-1]
    lines, said = ["| images | labels | seen | " + " | ".join(MEASURED.values()) + " |", "|---" * 7 + "|"], []
    for case in CASES:
        both = {seen: means(rows, case, seen) for seen in ("cnn", "flat")}
        size, channels, labels = case
        for seen, found in both.items():
            if found:
                cells = f"{found['seconds']:.1f} | {found['memory_mb']:.0f} | {found['by_step']:.2f}"
                by_segment = [float(row["by_segment"]) for row in of_case(rows, case, seen)]
                span = f"{found['by_segment']:.2f} ({min(by_segment):.2f} to {max(by_segment):.2f})"
                lines.append(f"| {size}×{size}×{channels} | {labels} | {seen} | {cells} | {span} |")
        if all(both.values()):
            cnn, flat = both["cnn"], both["flat"]
            said.append(
                f"with {labels} labels about images of {size}×{size}×{channels} a fit takes {cnn['seconds']:.0f} s and "
                f"{cnn['memory_mb']:.0f} MB by convolutions, {flat['seconds']:.0f} s and {flat['memory_mb']:.0f} MB "
                f"flat, and fresh segments' returns correlate with the true ones by {cnn['by_segment']:.2f} and "
                f"{flat['by_segment']:.2f}"
            )
    how, told = (__doc__ or "").partition("\n\n")[2], "; ".join(said)
    seeds = len({row["seed"] for row in rows})
    command = f"python -m experiments.measurements.images --seeds {seeds} --jobs {last['jobs']}"
    return (
        f"<!-- Made by `python -m experiments.measurements.images`. -->\n# Rewards that see images\n\n"
        f"**{told[:1].upper()}{told[1:]}.**\n\n{how}\n```\n{command}\n```\n\n"
        f"{chr(10).join(lines)}\n\nMeans over {seeds} seed{'s' * (seeds > 1)} (lowest to highest). "
        f"{last['machine']}; Python {last['python']}; commit {last['commit']}; {last['date']}.\n"
    )


def main(seeds: int = 3, jobs: int = 1, one: str | None = None, results_dir: Path = Path("results")) -> None:
    """Measure, and write the page.

    Args:
        seeds: Seeds of each case; 0 only writes the page.
        jobs: Rows measured at the same time, which disturb each other's seconds.
        one: Measure one row only, given as JSON, and print its figures.
        results_dir: Rows are appended to `images/runs.csv` in it; `images/README.md` is rewritten.
    """
    if one is not None:
        print(json.dumps(measure(**json.loads(one))))
        return
    results, made = results_dir / "images", measured_columns()
    date = made.pop("date")
    kept = made | {"jobs": str(jobs), "date": date}
    names = ("size", "channels", "labels", "images", "seed")
    wanted = [
        dict(zip(names, (*case, seen, seed), strict=True))
        for seed in range(seeds)
        for case in CASES
        for seen in ("cnn", "flat")
    ]
    with ThreadPoolExecutor(jobs) as pool:
        for of, figures in zip(wanted, pool.map(in_fresh_process, wanted), strict=True):
            append_rows(results / "runs.csv", [of | figures | kept])
    written = page(results / "runs.csv")
    (results / "README.md").write_text(written, encoding="utf-8")
    print(written)


if __name__ == "__main__":
    tyro.cli(main)
