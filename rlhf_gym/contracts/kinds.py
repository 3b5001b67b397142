"""What every kind of feedback must do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rlhf_gym.contracts.examples import example_queries, must, refuses
from rlhf_gym.kinds import find_kind
from rlhf_gym.kinds.kind import options_of
from rlhf_gym.preferences import Answer, Level, Preference, Query, Said, Shown, content
from rlhf_gym.segments import Segment


def check_kind(name: str) -> None:
    """Check a registered kind against all KIND_RULES.

    Args:
        name: Name of the kind.

    Raises:
        AssertionError: Saying what isn't met.
    """
    for rule in KIND_RULES:
        rule(name)


def shows_a_number_of_options(name: str) -> None:
    """Check the numbers of options: at least one, and a single option only if it is judged without another."""
    kind = find_kind(name)
    shows, alone = kind.options, kind.alone or kind.made or kind.weighed is not options_of
    least = 1 if alone else 2
    must(len(shows) > 0 and min(shows) >= least, f"a query shows {least} options or more; {name} shows {shows}")


def reads_what_it_writes(name: str) -> None:
    """Check that `parse` reads every answer that `text` writes, a skip included."""
    kind = find_kind(name)
    for query in _queries(name):
        for answer in (Answer.SKIP, *(said for said, _ in _errorless(query))):
            text = kind.text(answer)
            read = kind.parse(text, len(query.options))
            must(read == answer, f"{answer!r} is written as {text!r} and read as another")


def refuses_what_is_no_answer(name: str) -> None:
    """Check that what is no answer is refused in one line."""
    kind = find_kind(name)
    for strange in ("", "perhaps", "null", "[0,0,0]", "[[]]", '{"segment": 1}', "9/8", "0/5"):
        refuses(lambda strange=strange: kind.parse(strange, kind.options[0]), repr(strange))  # type: ignore[misc]
    refuses(lambda: kind.text("perhaps"), "'perhaps'")  # type: ignore[arg-type]


def refuses_answers_to_other_numbers_of_options(name: str) -> None:
    """Check that an answer for one number of options is refused for another."""
    kind = find_kind(name)
    if kind.made:
        return
    for options, other in zip(kind.options, kind.options[1:], strict=False):
        text = kind.text(kind.said(_worths(options)[0]))
        refuses(lambda other=other, text=text: kind.parse(text, other), f"{text} to {other} options")  # type: ignore[misc]


def makes_choices_among_what_was_shown(name: str) -> None:
    """Check that choices are among segments shown or made, with probabilities as targets and a query as group.

    The group is the query itself; or, where one segment is judged by itself, an earlier one that it is held out with.
    """
    for query, before in _after_others(name):
        for answer, worth in _errorless(query):
            preference = Preference(query, answer)
            told = {_bits(segment) for given in (preference, *before) for segment in _weighed(given)}
            groups = {p.query.original for p in (preference, *(before if find_kind(name).alone else ()))}
            made = find_kind(name).choices(preference, before)
            if not find_kind(name).alone:
                must(len(made) > 0, f"an answer other than a skip tells something; {answer!r} to {worth} doesn't")
            for choice in made:
                must({_bits(s) for s in choice.options} <= told, "what could be chosen was shown, or made")
                must(len(choice.options) > 1, "one option alone is no choice")
                must(len(choice.target) == len(choice.options), "each option has a probability")
                sums = min(choice.target) >= 0 and abs(sum(choice.target) - 1) < 1e-12
                must(sums, f"{choice.target} doesn't sum to 1")
                must(choice.group in groups, "a group is a query")
                must(choice.weight > 0, "a choice counts")


def chooses_what_is_worth_most(name: str) -> None:
    """Check that an errorless teacher's answers choose the segments that are worth most."""
    kind = find_kind(name)
    if kind.made:
        return _chooses_what_is_made(name)
    for query, before in _after_others(name):
        for answer, worth in _errorless(query):
            of = dict(zip(map(_bits, kind.weighed(query)), worth, strict=False))
            of |= {_bits(p.query.options[0]): _place(p) for p in before}
            for choice in kind.choices(Preference(query, answer), before):
                best = max(of[_bits(segment)] for segment in choice.options)
                chosen = zip(choice.options, choice.target, strict=True)
                worth_of_chosen = {of[_bits(segment)] for segment, share in chosen if share > 0}
                must(worth_of_chosen == {best}, f"{answer!r} to {worth} makes {choice.target}")
    return None


def ties_what_is_worth_the_same(name: str) -> None:
    """Check that options of equal worth get equal targets, or a constant reward would look like a preference."""
    kind = find_kind(name)
    if kind.made or kind.weighed is not options_of:
        return
    for query in _queries(name):
        preference = Preference(query, kind.said([0.5] * len(query.options)))
        for choice in kind.choices(preference, [replace(preference, query=replace(query, id="another"))]):
            must(len(set(choice.target)) == 1, f"options of equal worth have equal targets, not {choice.target}")


KIND_RULES = (
    shows_a_number_of_options,
    reads_what_it_writes,
    refuses_what_is_no_answer,
    refuses_answers_to_other_numbers_of_options,
    makes_choices_among_what_was_shown,
    chooses_what_is_worth_most,
    ties_what_is_worth_the_same,
)


def _queries(name: str) -> list[Query]:
    return example_queries(len(find_kind(name).options), kind=name)


def _weighed(preference: Preference) -> list[Segment]:
    """List the segments that an answer may be about."""
    made = [preference.answer.segment] if isinstance(preference.answer, Shown) else []
    return [*find_kind(preference.query.kind).weighed(preference.query), *preference.query.options, *made]


def _worths(options: int) -> list[list[float]]:
    """List worths of options, first all different, then with ties; of one option, the share of others worth less."""
    rng = np.random.default_rng(options)
    if options == 1:
        return [[place] for place in (0.0, 0.3, 0.5, 0.99, 1.0)]
    different = [[float(i) for i in rng.permutation(options)] for _ in range(8)]
    return different + [[float(i) for i in rng.integers(2, size=options)] for _ in range(8)]


def _errorless(query: Query) -> list[tuple[Said, list[float]]]:
    """List an errorless teacher's answers to a query, each with the worths that it answers."""
    kind = find_kind(query.kind)
    if kind.made:
        return [(Shown(option), []) for option in query.options]
    if kind.weighed is options_of:
        return [(kind.said(worth), worth) for worth in _worths(len(query.options))]
    lived = [segment.lived for segment in kind.weighed(query)]  # the same beginning has the same worth
    return [(kind.said(worth), worth) for worth in ([3.0 * n % 5 for n in lived], [float(n) for n in lived])]


def _after_others(name: str) -> list[tuple[Query, list[Preference]]]:
    """List queries, each with earlier preferences if its kind needs them: a segment on every level."""
    kind, queries = find_kind(name), _queries(name)
    if not kind.alone:
        return [(query, []) for query in queries]
    others = example_queries(len(_worths(1)), kind=name, seed=1)
    return [(q, [Preference(o, kind.said(w)) for o, w in zip(others, _worths(1), strict=True)]) for q in queries]


def _place(preference: Preference) -> float:
    """Find a rated segment's place between 0 and 1, the middle of its level's share."""
    assert isinstance(preference.answer, Level)  # noqa: S101
    return (preference.answer.level - 0.5) / preference.answer.of


def _chooses_what_is_made(name: str) -> None:
    for query in _queries(name):
        answer = Shown(query.options[0])
        for choice in find_kind(name).choices(Preference(query, answer), []):
            chosen = [s for s, share in zip(choice.options, choice.target, strict=True) if share > 0]
            must([_bits(s) for s in chosen] == [_bits(answer.segment)], "what was made is what was chosen")


def _bits(segment: Segment) -> str:
    """Write a segment as text that can be compared."""
    return repr(content(segment))
