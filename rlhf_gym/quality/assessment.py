"""Assessment of the answers: each person's speed, side bias and consistency, and agreement between people.

Some queries are asked only for this purpose: repeats, mirrored ones and checks (:mod:`rlhf_gym.preferences`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from rlhf_gym.preferences import CHECK, MIRRORED, REPEAT, Answer, Level, Query, Ranking, Said, Stop
from rlhf_gym.quality.agreement import intransitive_triples, krippendorff_alpha, ordinal_alpha, pairs
from rlhf_gym.quality.groups import find_groups
from rlhf_gym.quality.reliability import reliabilities
from rlhf_gym.quality.report import OrdinalAgreement, PersonQuality, QualityReport, Share


class Given(Protocol):
    """One answer or withdrawal, as in `PreferenceStore.history`."""

    @property
    def query_id(self) -> str:
        """The query's id."""

    @property
    def who(self) -> str:
        """The person."""

    @property
    def answer(self) -> Said | None:
        """The answer; None takes it back."""

    @property
    def shown_at(self) -> float | None:
        """When the query was shown, seconds since 1970; None if nobody saw it."""

    @property
    def answered_at(self) -> float:
        """When it was answered, seconds since 1970."""


class _Said(NamedTuple):
    query: Query
    answer: Said
    seconds: float | None


def assess(history: Iterable[Given], queries: Iterable[Query], *, reliability: bool = False) -> QualityReport:
    """Assess the answers.

    Args:
        history: Every answer in order of answering, withdrawn ones included; a person's last to a query is current.
        queries: Those that have a current answer; others are ignored.
        reliability: Whether to estimate how reliable each person is (:func:`reliabilities`) and to find two groups with
            different goals (:func:`find_groups`), which may take seconds.

    Raises:
        ValueError: If a query that was answered is missing.
    """
    standing: dict[str, dict[str, Given]] = defaultdict(dict)
    undone = Counter[str]()
    for given in history:
        stood = standing[given.who].pop(given.query_id, None)
        if given.answer is None:
            undone[given.who] += stood is not None
        else:
            standing[given.who][given.query_id] = given
    asked = {query.id: query for query in queries}
    people = {who: _said(standing[who].values(), asked) for who in sorted(standing)}
    told = {who: [(said.query, said.answer) for said in mine] for who, mine in people.items()}
    everything = [said for mine in people.values() for said in mine]
    shared = [answers for answers in _judgements(people) if len(answers) > 1]
    return QualityReport(
        people=tuple(_person(who, mine, undone[who]) for who, mine in people.items()),
        alpha=krippendorff_alpha(shared),
        shared=len(shared),
        intransitive=Share(*intransitive_triples((said.query, said.answer) for said in everything)),
        ties=_ties(everything),
        skips=_skips(everything),
        rankings=sum(isinstance(said.answer, Ranking) for said in everything),
        reliability=tuple(reliabilities(told)) if reliability else (),
        groups=find_groups(told) if reliability else None,
        ordinal=_ordinal(people),
    )


def _said(standing: Iterable[Given], asked: Mapping[str, Query]) -> list[_Said]:
    """Collect the current answers with their queries, in order of answering."""
    found = []
    for given in standing:
        if given.query_id not in asked:
            raise ValueError(f"queries lack {given.query_id!r}, to which {given.who}'s answer stands; pass it as well")
        # The clock may have been set back between.
        seconds = None if given.shown_at is None else max(0.0, given.answered_at - given.shown_at)
        if given.answer is not None:
            found.append(_Said(asked[given.query_id], given.answer, seconds))
    return found


def _person(who: str, mine: Collection[_Said], undone: int) -> PersonQuality:
    seconds = [said.seconds for said in mine if said.seconds is not None]
    low, median, high = np.quantile(seconds, (0.25, 0.5, 0.75)).tolist() if seconds else (0.0, 0.0, 0.0)
    sides = [said.answer for said in mine if said.answer in (Answer.LEFT, Answer.RIGHT)]
    checks = [said for said in _comparisons(mine) if said.query.why == CHECK and said.answer is not Answer.SKIP]
    obvious = [Answer.LEFT if said.query.value > 0 else Answer.RIGHT for said in checks]
    return PersonQuality(
        who=who,
        answers=len(mine),
        undone=undone,
        seconds=(low, median, high) if seconds else None,
        left=Share(sides.count(Answer.LEFT), len(sides)),
        repeated=_consistency(mine, REPEAT),
        mirrored=_consistency(mine, MIRRORED),
        checks=Share(sum(said.answer is right for said, right in zip(checks, obvious, strict=True)), len(checks)),
        ties=_ties(mine),
        skips=_skips(mine),
    )


def _consistency(mine: Collection[_Said], why: str) -> Share:
    """Count answers to repeats of one kind that agree with the person's answer to the query they repeat."""
    first = {said.query.id: said.answer for said in mine}
    again = [
        (first.get(said.query.repeats or "", Answer.SKIP), _unmirrored(said)) for said in mine if said.query.why == why
    ]
    both = [(one, other) for one, other in again if other is not None and Answer.SKIP not in (one, other)]
    return Share(sum(one == other for one, other in both), len(both))


def _judgements(people: Mapping[str, Iterable[_Said]]) -> Iterable[list[Answer]]:
    """Collect, for each pair of options, the first judgement of each person, mirrored ones turned back."""
    judged: dict[tuple[str, int, int], dict[str, Answer]] = defaultdict(dict)
    for who, mine in people.items():
        for said in mine:
            if (answer := _unmirrored(said)) is None:
                continue
            for (i, j), better in pairs(answer, len(said.query.options)).items():
                judged[said.query.original, i, j].setdefault(who, better)
    return [list(by_person.values()) for by_person in judged.values()]


def _ordinal(people: Mapping[str, Iterable[_Said]]) -> tuple[OrdinalAgreement, ...]:
    """Compute the agreement about ratings and switch-offs, by kind, from the first answer of each person to a query."""
    judged: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for who, mine in people.items():
        for query, answer, _ in mine:
            if isinstance(answer, Level | Stop):
                place = answer.level if isinstance(answer, Level) else answer.after
                judged[query.kind][query.original].setdefault(who, place)
    found = []
    for kind in sorted(judged):
        shared = [list(by_person.values()) for by_person in judged[kind].values() if len(by_person) > 1]
        found.append(OrdinalAgreement(kind, ordinal_alpha(shared), len(shared)))
    return tuple(found)


def _unmirrored(said: _Said) -> Said | None:
    """Return an answer in the original order of the options, which a mirrored query reversed.

    Of a kind of the user's own, None: only comparisons and rankings are known to be about the order. One option is the
    same in reverse.
    """
    if said.query.why != MIRRORED or len(said.query.options) == 1:
        return said.answer
    return said.answer.mirrored if isinstance(said.answer, Answer | Ranking) else None


def _ties(said: Collection[_Said]) -> Share:
    answers = [one.answer for one in _comparisons(said)]
    return Share(answers.count(Answer.TIE), len(answers) - answers.count(Answer.SKIP))


def _comparisons(said: Iterable[_Said]) -> list[_Said]:
    return [one for one in said if isinstance(one.answer, Answer)]


def _skips(said: Collection[_Said]) -> Share:
    return Share(sum(one.answer is Answer.SKIP for one in said), len(said))
