"""The quality report of the answers, for a terminal and for a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from rlhf_gym.errors import printable
from rlhf_gym.quality.groups import Groups
from rlhf_gym.quality.reliability import Reliability

_RANKINGS = "rankings: {}; each two of their options count as a pair; left, checks and ties are of comparisons alone"


@dataclass(frozen=True)
class Share:
    """Hits out of a number of trials."""

    hits: int
    of: int

    @property
    def share(self) -> float | None:
        """Hits divided by trials, from 0 to 1; None without trials."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of the share, exact (Clopper & Pearson 1934); None without trials."""
        if not self.of:
            return None
        from scipy.stats import binomtest  # long to import, and training needs none of it

        low, high = binomtest(self.hits, self.of).proportion_ci(0.95)
        return float(low), float(high)

    def __str__(self) -> str:
        return "-" if not self.of else f"{self.hits} of {self.of}"


@dataclass(frozen=True)
class PersonQuality:
    """Quality figures of one person's current answers.

    Args:
        who: Name.
        answers: Number of current answers, skips included.
        undone: Number of answers taken back.
        seconds: Lower quartile, median and upper quartile of the time from seeing a query to answering it; None if no
            time is known.
        left: LEFT, out of LEFT and RIGHT; about half if the sides were drawn at random. Rankings have no sides.
        repeated: The same answer, out of the queries asked again; those with a skip don't count.
        mirrored: Likewise, out of those asked again with their options in reverse.
        checks: The obvious side, out of the attention checks; a tie is a miss, skips don't count.
        ties: TIE, out of all comparisons except skips.
        skips: SKIP, out of all answers.
    """

    who: str
    answers: int
    undone: int
    seconds: tuple[float, float, float] | None
    left: Share
    repeated: Share
    mirrored: Share
    checks: Share
    ties: Share
    skips: Share


@dataclass(frozen=True)
class OrdinalAgreement:
    """Agreement between people about the levels of segments, or about when to switch them off.

    Args:
        kind: Kind of query.
        alpha: Krippendorff's alpha for ordinal data; None if it is undefined.
        shared: Queries that two or more people answered, from which alpha comes.
    """

    kind: str
    alpha: float | None
    shared: int

    def __str__(self) -> str:
        return (
            f"agreement on {self.kind} (Krippendorff's alpha, ordinal): {_alpha(self.alpha)}; queries that several "
            f"judged: {self.shared}"
        )


@dataclass(frozen=True)
class QualityReport:
    """Quality figures of all answers.

    Args:
        people: One entry each, by name.
        alpha: Krippendorff's alpha between people over LEFT, RIGHT and TIE; None if it is undefined.
        shared: Pairs of segments that two or more people judged, from which alpha comes.
        intransitive: Contradictions, out of the triples of segments that were all compared with each other.
        ties: TIE, out of all comparisons except skips.
        skips: SKIP, out of all answers.
        rankings: Number of rankings among the answers; each two of their options count as a pair in `alpha`, `shared`
            and `intransitive`, and they are left out of `left`, `checks` and `ties`.
        reliability: Of each person, estimated from all answers together; empty if it wasn't asked for, or fewer than
            two people judged any two options.
        ordinal: Agreement between people for each kind of query that is answered by a place on a scale.
        groups: The most probable two groups of people with different goals; None likewise.
    """

    people: tuple[PersonQuality, ...]
    alpha: float | None
    shared: int
    intransitive: Share
    ties: Share
    skips: Share
    rankings: int = 0
    reliability: tuple[Reliability, ...] = ()
    groups: Groups | None = None
    ordinal: tuple[OrdinalAgreement, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Turn the report into plain JSON values; a share has `hits`, `of`, `share` and `interval`."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    def as_text(self) -> str:
        """Write a table of the people, and a line for each figure about all of them."""
        columns = "who answers undone seconds left repeats mirrored checks ties skips".split()
        rows = [columns, *map(_row, self.people)]
        alpha = _alpha(self.alpha)
        return "\n".join(
            [
                *(_table(rows) if self.people else ["nobody has answered yet"]),
                "",
                "seconds are the median (quartiles); left is of left and right, with its 95 % interval",
                f"agreement between people (Krippendorff's alpha): {alpha}; pairs that several judged: {self.shared}",
                *map(str, self.ordinal),
                f"contradictions among three segments: {self.intransitive}",
                f"ties: {self.ties}; skips: {self.skips}",
                *([_RANKINGS.format(self.rankings)] if self.rankings else []),
                *(["", *_reliability(self.reliability)] if self.reliability else []),
                *(["", *_groups(self.groups)] if self.groups else []),
            ]
        )


def _alpha(alpha: float | None) -> str:
    return "can't be told" if alpha is None else f"{alpha:.2f}"


def _reliability(people: Sequence[Reliability]) -> list[str]:
    """Write a table of how reliable people are, the most reliable first."""
    rows = [["who", "chooses the better one", "left of equal ones", "random answers", "so"]]
    for one in sorted(people, key=lambda person: -person.better):
        figures = ((one.better, one.interval), (one.left, one.left_interval))
        rows.append([printable(one.who), *(f"{p:.0%} ({low:.0%} to {high:.0%})" for p, (low, high) in figures)])
        rows[-1] += ["-" if one.at_random is None else f"{one.at_random:.0%}", one.verdict]
    tied = {one.tied for one in people} - {None}
    return [
        *_table(rows),
        "of two options that all answers together put a standard deviation apart, with 95 % intervals; a coin has 50%;",
        "random answers are the share of a coin's that would make the surest person choose like this one",
        *(f"of two options that are as good, {share:.0%} are tied (Davidson's model)" for share in tied),
    ]


def _groups(groups: Groups) -> list[str]:
    """Name the members of the two groups, if they are clear."""
    if not groups.clear:
        return ["two groups with different goals: not to be seen in these answers"]
    named = [
        ", ".join(f"{printable(who)} ({p[group]:.0%})" for who, p in groups.members.items() if p[group] >= 0.5)
        for group in range(2)
    ]
    return [
        "two groups want different things: " + " and ".join(named),
        f"they agree on {groups.agree:.0%} of the pairs; that one goal tells all answers is 10^"
        f"{groups.evidence / math.log(10):.0f} times less probable; one reward for all would be a mean of both",
    ]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["   ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _row(person: PersonQuality) -> list[str]:
    low, median, high = person.seconds or (0, 0, 0)
    bottom, top = person.left.interval or (0, 0)
    shares = (person.repeated, person.mirrored, person.checks, person.ties, person.skips)
    return [
        printable(person.who),
        str(person.answers),
        str(person.undone),
        f"{median:.1f} ({low:.1f} to {high:.1f})" if person.seconds else "-",
        f"{person.left.share:.0%} ({bottom:.0%} to {top:.0%})" if person.left.of else "-",
        *map(str, shares),
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Share):
        return {name: _plain(getattr(value, name)) for name in ("hits", "of", "share", "interval")}
    if isinstance(value, Groups):
        return {name: getattr(value, name) for name in ("members", "evidence", "agree", "clear")}
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value
