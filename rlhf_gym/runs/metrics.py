"""metrics.csv: a row per round."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path

from rlhf_gym.errors import BadInput
from rlhf_gym.files import write_text


@dataclass(frozen=True)
class Round:
    """One row of ``metrics.csv``: what one round did. A figure that doesn't exist is nan.

    Args:
        round: Its number, from 0.
        env_steps: Environment steps so far, the warm-up's included.
        labels: Answered queries so far.
        asked: Queries asked so far, skipped ones included.
        true_return: Mean true return of the episodes the agent finished in this round.
        learned_return: Mean of what it was paid in them.
        goal_return: Mean return by the run's goal of those of them that are still recorded; nan without a goal.
        episode_length: Mean length of them, in steps.
        reward_loss: Loss of the reward model on the answers it was fitted to.
        reward_loss_heldout: Likewise on the held-out ones.
        reward_accuracy: Share of the fitted answers it gives itself.
        reward_accuracy_heldout: Likewise of the held-out ones.
        disagreement: Mean over this round's queries, once fitted, of the members' standard deviation of P(left
            preferred).
        tie_rate: Share of this round's answers that are ties.
        seconds: Wall time since the run began.
        reward_loss_uniform: Loss of the members' mean probability on the held-out queries' answers (`query.heldout`).
        reward_accuracy_uniform: Share of them that the members' mean return gives.
        teacher_seconds: What the answers so far have cost of a person's time: as measured, or what their kind takes.
        reference_kl: Mean divergence of the policy from `agent.reference` in this round's steps, in nats.
        kl_beta: Reward that a nat costs after them.
    """

    round: int
    env_steps: int
    labels: int
    asked: int
    true_return: float
    learned_return: float
    goal_return: float
    episode_length: float
    reward_loss: float
    reward_loss_heldout: float
    reward_accuracy: float
    reward_accuracy_heldout: float
    disagreement: float
    tie_rate: float
    seconds: float
    reward_loss_uniform: float = math.nan
    reward_accuracy_uniform: float = math.nan
    teacher_seconds: float = math.nan
    reference_kl: float = math.nan
    kl_beta: float = math.nan

    @property
    def headline(self) -> dict[str, str]:
        """Labels and returns, for a progress bar."""
        goal = {} if math.isnan(self.goal_return) else {"goal_return": f"{self.goal_return:.1f}"}
        return {"labels": str(self.labels), "true_return": f"{self.true_return:.1f}", **goal}


def add_round(path: Path, done: Round) -> None:
    """Append a row; a file that an earlier version began keeps its columns."""
    row = asdict(done)
    columns = _header(path) or list(row)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=columns, extrasaction="ignore")
        if not _header(path):
            writer.writeheader()
        writer.writerow(row)


def forget_rounds_from(path: Path, number: int) -> None:
    """Drop the rounds that a resumed run repeats, and rows that were cut off or damaged."""
    if not path.exists():
        return
    header, *rows = path.read_text(errors="replace").splitlines(keepends=True) or [""]
    if header.endswith("\n"):
        write_text(path, "".join([header, *(row for row in rows if _is_before(row, number))]))
    else:  # killed before it was written
        path.unlink()


def _is_before(row: str, number: int) -> bool:
    """Test whether a row is whole and of a round before this one."""
    its = row.partition(",")[0]
    return row.endswith("\n") and its.isdecimal() and int(its) < number


def _header(path: Path) -> list[str]:
    """Read the names of the columns; none if there is no file yet."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return next(csv.reader(file), [])


def metrics_so_far(path: str | Path) -> list[dict[str, float]]:
    """Read the rows of ``metrics.csv`` of a run that may still be going on; none before its first round.

    Raises:
        BadInput: If they are damaged.
    """
    file = Path(path) / "metrics.csv"
    try:
        text = file.read_text()
        written = text[: text.rfind("\n") + 1]  # the last line may be in the making
        return read_rounds(StringIO(written))  # whose lines are csv's, as a file's are
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise BadInput(f"{file} is damaged ({error}); restore it from a copy, or move it away") from error


def read_rounds(lines: Iterable[str]) -> list[dict[str, float]]:
    """Read the rows of ``metrics.csv``.

    Raises:
        ValueError: If a value is no number, or a row has more or fewer of them than there are columns.
    """
    try:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]
    except (TypeError, csv.Error) as error:  # TypeError: of what is too much csv makes a list, of what is missing None
        raise ValueError(f"a row isn't as its header ({error})") from error
