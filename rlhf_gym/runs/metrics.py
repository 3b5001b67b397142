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
        labels: Current answers so far, without skips.
        asked: Current answers so far, with skips.
        true_return: Mean true return of the episodes the agent finished in this round.
        learned_return: Mean learned return of the same episodes.
        goal_return: Mean return by the run's goal of those of the same episodes that are still recorded; nan without a
            goal.
        episode_length: Mean length of the same episodes, in steps.
        reward_loss: Loss of the reward model on the answers it was fitted to.
        reward_loss_heldout: Likewise on the held-out answers.
        reward_accuracy: Share of the fitted answers that the reward model predicts.
        reward_accuracy_heldout: Likewise of the held-out answers.
        disagreement: Members' standard deviation of P(left preferred) after the fit, mean over this round's queries.
        tie_rate: Share of this round's answers that are ties.
        seconds: Wall time since the run began.
        reward_loss_uniform: Loss of the members' mean probability on the held-out queries' answers (`query.heldout`).
        reward_accuracy_uniform: Share of these answers that the members' mean return predicts.
        teacher_seconds: Seconds of a person's time for the answers so far: as measured, or as their kind takes.
        reference_kl: Mean divergence of the policy from `agent.reference` in this round's steps, in nats.
        kl_beta: Reward subtracted for each nat, after this round.
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
    """Drop the rounds from `number` on, which a resumed run repeats, and incomplete or damaged rows."""
    if not path.exists():
        return
    header, *rows = path.read_text(errors="replace").splitlines(keepends=True) or [""]
    if header.endswith("\n"):
        write_text(path, "".join([header, *(row for row in rows if _is_before(row, number))]))
    else:  # the process was killed while writing it
        path.unlink()


def _is_before(row: str, number: int) -> bool:
    """Test whether a row is complete and of a round before `number`."""
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
        written = text[: text.rfind("\n") + 1]  # the last line may be incomplete
        return read_rounds(StringIO(written))  # a stream, which csv splits into lines as it does a file
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise BadInput(f"{file} is damaged ({error}); restore it from a copy, or move it away") from error


def read_rounds(lines: Iterable[str]) -> list[dict[str, float]]:
    """Read the rows of ``metrics.csv``.

    Raises:
        ValueError: If a value is no number, or a row has more or fewer values than there are columns.
    """
    try:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]
    except (TypeError, csv.Error) as error:  # TypeError: csv makes a list of extra values, and None of missing ones
        raise ValueError(f"a row isn't as its header ({error})") from error
