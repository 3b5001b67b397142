"""What every kind of feedback must do."""

from __future__ import annotations

import numpy as np

from rlhf_gym.contracts.examples import example_queries, must, refuses
from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Answer, Choice, Preference


def check_kind(name: str) -> None:
    """Hold a registered kind against every one of KIND_RULES.

    Args:
        name: Of the kind.

    Raises:
        AssertionError: Saying what isn't met.
    """
    for rule in KIND_RULES:
        rule(name)


def shows_a_number_of_options(name: str) -> None:
    """At least one number, and never a single option."""
    shows = find_kind(name).options
    must(len(shows) > 0 and min(shows) > 1, f"a query shows two options or more; {name} shows {shows}")


def reads_what_it_writes(name: str) -> None:
    """Whatever may be said, a skip included."""
    kind = find_kind(name)
    for options in kind.options:
        for answer in (Answer.SKIP, *(kind.answer(worth) for worth in _worths(options))):
            text = kind.text(answer)
            must(kind.parse(text, options) == answer, f"{answer!r} is written as {text!r} and read as another")


def refuses_what_is_no_answer(name: str) -> None:
    """In one line."""
    kind = find_kind(name)
    for strange in ("", "perhaps", "null", "[0,0,0]", "[[]]", '{"segment": 1}'):
        refuses(lambda strange=strange: kind.parse(strange, kind.options[0]), repr(strange))  # type: ignore[misc]
    refuses(lambda: kind.text("perhaps"), "'perhaps'")  # type: ignore[arg-type]


def refuses_answers_to_other_numbers_of_options(name: str) -> None:
    """Where a query may show several numbers of them."""
    kind = find_kind(name)
    for options, other in zip(kind.options, kind.options[1:], strict=False):
        text = kind.text(kind.answer(_worths(options)[0]))
        refuses(lambda other=other, text=text: kind.parse(text, other), f"{text} to {other} options")  # type: ignore[misc]


def makes_choices_among_what_was_shown(name: str) -> None:
    """With targets that are probabilities, and in the query's own group."""
    for preference, _ in _errorless(name):
        made = _choices(preference)
        must(len(made) > 0, f"an answer other than a skip tells something; {preference.answer!r} doesn't")
        for choice in made:
            shown = {id(segment) for segment in preference.query.options}
            must({id(segment) for segment in choice.options} <= shown, "what could be chosen was shown")
            must(len(choice.options) > 1, "one option alone is no choice")
            must(len(choice.target) == len(choice.options), "each option has a probability")
            must(min(choice.target) >= 0 and abs(sum(choice.target) - 1) < 1e-12, f"{choice.target} doesn't sum to 1")
            must(choice.group == (preference.query.repeats or preference.query.id), "a group is a query")


def chooses_what_is_worth_most(name: str) -> None:
    """As an errorless teacher does."""
    for preference, worth in _errorless(name):
        of = {id(segment): value for segment, value in zip(preference.query.options, worth, strict=True)}
        for choice in _choices(preference):
            best = max(of[id(segment)] for segment in choice.options)
            for segment, share in zip(choice.options, choice.target, strict=True):
                chosen, made = share > 0, f"{preference.answer!r} to {worth} makes {choice.target}"
                must(chosen == (of[id(segment)] == best), made)


def ties_what_is_worth_the_same(name: str) -> None:
    """Or a constant reward would be told as a preference."""
    kind = find_kind(name)
    for query in example_queries(len(kind.options), kind=name):
        preference = Preference(query, kind.answer([1.5] * len(query.options)))
        for choice in _choices(preference):
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


def _worths(options: int) -> list[list[float]]:
    """Worth of options, first all different, then with ties."""
    rng = np.random.default_rng(options)
    different = [[float(i) for i in rng.permutation(options)] for _ in range(8)]
    return different + [[float(i) for i in rng.integers(2, size=options)] for _ in range(8)]


def _errorless(name: str) -> list[tuple[Preference, list[float]]]:
    """What an errorless teacher says, with the worth that it says it for."""
    kind = find_kind(name)
    queries = example_queries(len(kind.options), kind=name)
    both = [(query, worth) for query in queries for worth in _worths(len(query.options))]
    return [(Preference(query, kind.answer(worth)), worth) for query, worth in both]


def _choices(preference: Preference) -> list[Choice]:
    return find_kind(preference.query.kind).choices(preference)
