"""The panel: several teachers, each with flaws of their own, who share the queries."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.generators import go_to, state_of
from rlhf_gym.preferences import Query, Said
from rlhf_gym.registry import check_is, make, teacher_entry
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers.people import People
from rlhf_gym.teachers.several import Open, Reply, Several
from rlhf_gym.teachers.teacher import Teacher

ORDERS = ("drawn", "in_turn")


@final
class Panel(Several):
    """Let one or several members answer each query.

    No member is asked the same query twice, not even by a panel made again after a resume. A query that a member skips
    counts as asked, and another query, for the member whose turn it is, takes its place, as with a single teacher.

    Args:
        members: Members by the name that their answers are kept under.
        each: Number of members who answer each query, from 1 to all of them.
        order: Whether members are `drawn`, all with equal odds, or asked `in_turn`, from the first.
        seed: Seed of the draw.

    Attributes:
        kinds: Kinds of feedback that every member can give; None is all of them.

    Raises:
        BadInput: If there are no members, one of them is people or several teachers, there is no kind that all can
            give, or there are fewer members than `each`.
    """

    name = "panel"

    def __init__(
        self,
        members: Mapping[str, Teacher],
        *,
        each: int = 1,
        order: str = "drawn",
        seed: int | np.random.SeedSequence | np.random.Generator,
    ) -> None:
        _check(members, each, order)
        self.members, self.each, self.order = dict(members), each, order
        self.kinds = _common_kinds(self.members)
        self._rng, self._next = np.random.default_rng(seed), 0

    def replies(self, waiting: Sequence[Open]) -> list[Reply]:
        """See :meth:`Several.replies`."""
        asked = [self._choose(*one[1:]) for one in waiting]
        mine: dict[str, list[Query]] = {name: [] for name in self.members}
        for one, names in zip(waiting, asked, strict=True):
            for name in names:
                mine[name].append(one.query)
        answers = {name: self._answers(name, queries) for name, queries in mine.items() if queries}
        return [
            Reply(one.query, name, next(answers[name]))
            for one, names in zip(waiting, asked, strict=True)
            for name in names
        ]

    def save_state(self) -> dict[str, Any]:
        """See :meth:`Teacher.save_state`: whose turn it is, the generator, and each member's state."""
        members = {name: member.save_state() for name, member in self.members.items()}
        return {"members": members, "next": self._next, "rng": state_of(self._rng)}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """See :meth:`Teacher.restore_state`."""
        for name, member in self.members.items():
            member.restore_state(state["members"][name])
        self._next = int(state["next"])
        go_to(self._rng, state["rng"])

    def _answers(self, name: str, queries: Sequence[Query]) -> Iterator[Said]:
        answers = self.members[name].answer(queries)
        if len(answers) != len(queries):
            raise BadInput(f"{name} of the panel gave {len(answers)} answers to {len(queries)} queries; give one each")
        return iter(answers)

    def _choose(self, wanted: int, by: Collection[str]) -> list[str]:
        """Choose the members to ask."""
        names = list(self.members)
        if self.order == "drawn":
            names = [names[i] for i in self._rng.permutation(len(names))]
        else:
            names = names[self._next :] + names[: self._next]
        chosen = [name for name in names if name not in by][:wanted]
        if chosen:
            self._next = (list(self.members).index(chosen[-1]) + 1) % len(names)
        return chosen


def make_panel(
    members: Sequence[Mapping[str, Any]],
    *,
    each: int = 1,
    order: str = "drawn",
    seed: int,
    offered: Mapping[str, Any] | None = None,
) -> Panel:
    """Let several teachers answer, each with its own settings, and each query by one or more of them.

    Args:
        members: A mapping for each member: `teacher`, a registered or a dotted name ("noisy" by default); `name`, by
            default made of the teacher and a number; and that teacher's own options.
        each: As :class:`Panel` takes it.
        order: Likewise.
        seed: Seed of the draw and of each member's own draws.
        offered: Values that the loop offers to a teacher; each member gets those that its factory has parameters for,
            and its own files beside the store, such as a judge's.

    Raises:
        BadInput: As :class:`Panel`, and if a member can't be made, naming it.
    """
    found = _described(members)
    first, *seeds = np.random.default_rng(seed).integers(2**31, size=len(found) + 1).tolist()
    made = {
        name: _member(name, teacher, options, {**(offered or {}), "seed": of, "name": name})
        for (name, (teacher, options)), of in zip(found.items(), seeds, strict=True)
    }
    return Panel(made, each=each, order=order, seed=first)


def _described(members: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Read the members' descriptions: teacher and options, by name."""
    if not isinstance(members, Sequence) or isinstance(members, str) or not members:
        raise BadInput(
            f"teacher_options.members is {reprlib.repr(members)}; give a list, such as "
            '[{"teacher": "oracle"}, {"eps_mistake": 0.3, "name": "careless"}]'
        )
    names, found = [], []
    for number, member in enumerate(members, start=1):
        if not isinstance(member, Mapping):
            raise BadInput(
                f"teacher_options.members has {reprlib.repr(member)} in place {number}; give a mapping of its options, "
                'such as {"teacher": "oracle", "name": "ann"}'
            )
        options = {str(option): value for option, value in member.items()}
        teacher = options.pop("teacher", "noisy")
        if not isinstance(teacher, str):
            raise BadInput(f"teacher_options.members has teacher {teacher!r} in place {number}; name one")
        name = options.pop("name", f"{teacher.rpartition(':')[2]}-{number}")
        if not isinstance(name, str) or not name.strip():
            raise BadInput(f"teacher_options.members has name {name!r} in place {number}; use a word")
        names.append(name)
        found.append((teacher, options))
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise BadInput(f"teacher_options.members has {twice[0]!r} twice; give each a name of its own")
    return dict(zip(names, found, strict=True))


def _member(name: str, teacher: str, options: Mapping[str, Any], offered: Mapping[str, Any]) -> Teacher:
    try:
        if teacher_entry(teacher).people:
            raise BadInput(_no_people(teacher))
        if (store := offered.get("store")) is not None:
            offered = {**offered, "store": _OwnFiles(store, name)}
        made: Teacher = make("teacher", teacher, options, **offered)
        check_is("teacher", teacher, made, Teacher, "a Teacher with a name and answer(queries)")
        return made
    except BadInput as error:
        raise BadInput(f"teacher_options.members, {name}: {error}") from error


class _OwnFiles:
    """The store as one member sees it, with files beside it that are the member's own."""

    def __init__(self, store: PreferenceStore, member: str) -> None:
        self._store, self._member = store, member

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def beside(self, name: str) -> Path | None:
        """See :meth:`PreferenceStore.beside`."""
        own = "".join(letter if letter.isalnum() else f"_{ord(letter):x}_" for letter in self._member)
        return self._store.beside(f"{own}-{name}")


def _no_people(teacher: str) -> str:
    return (
        f"teacher is {teacher}, where people answer; a panel is of teachers who aren't people: use "
        "feedback.people_per_query with teacher web or store"
    )


def _check(members: Mapping[str, Teacher], each: int, order: str) -> None:
    if not members:
        raise BadInput("teacher panel has no members; give it one or more")
    for name, member in members.items():
        if isinstance(member, People):
            raise BadInput(f"teacher_options.members, {name}: {_no_people(member.name)}")
        if isinstance(member, Several):
            raise BadInput(
                f"teacher_options.members, {name}: {member.name} is several teachers; make each a member by itself"
            )
    if not isinstance(each, int) or isinstance(each, bool) or not 1 <= each <= len(members):
        raise BadInput(f"teacher_options.each is {each!r}; use 1 to {len(members)}, the number of members")
    if order not in ORDERS:
        raise BadInput(f"teacher_options.order is {order!r}; use one of {', '.join(ORDERS)}")


def _common_kinds(members: Mapping[str, Teacher]) -> list[str] | None:
    limited = {name: member.kinds for name, member in members.items() if member.kinds is not None}
    if not limited:
        return None
    first, *others = limited.values()
    common = [kind for kind in first if all(kind in kinds for kinds in others)]
    if not common:
        able = "; ".join(f"{name} {', '.join(kinds)}" for name, kinds in limited.items())
        raise BadInput(f"teacher_options.members have no kind of feedback in common that they can give: {able}")
    return common
