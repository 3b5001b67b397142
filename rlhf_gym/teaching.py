"""Makes from settings the teacher, its kinds of feedback, and what it shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.passwords import url_without_password
from rlhf_gym.demonstrators import find_demonstrator
from rlhf_gym.envs import Recorder
from rlhf_gym.envs.recordings import recordings_of
from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import REGISTERED, find_kind
from rlhf_gym.methods import Method
from rlhf_gym.parts import Asked, heldout_kind
from rlhf_gym.preferences import OWN, Level, Query, marked, new_mark
from rlhf_gym.queries import count_queries, probabilities_of, sample_candidates
from rlhf_gym.registry import check_is, kind_shares, make, teacher_entry
from rlhf_gym.segments import Origin, Trajectory
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import Goal, People, Shows, Teacher, Waiting, saying

PLAYED_MOST = 4  # actions, as many as people have keys for (rlhf_gym.labelling.controls)


def origin_of(config: RLHFConfig) -> Origin:
    """Return the origin of a run's episodes; its seed is to be replaced."""
    return Origin(config.env_id, 0, config.env_kwargs, config.env.fixed_horizon)


def make_teacher(
    config: RLHFConfig,
    goal: Goal | None,
    store: PreferenceStore,
    waiting: Waiting | None,
    rng: np.random.Generator,
    *,
    shows_rng: np.random.Generator | None = None,
    **offered: Any,
) -> Teacher:
    """Make the teacher that the settings name; a teacher made of others passes on what is offered."""
    offered |= {
        "goal": goal,
        "store": store,
        "waiting": waiting or saying(how_to_answer(config)),
        # A child of it, so that shows don't change what else is drawn.
        "shows": make_shows(config, shows_rng or rng.spawn(1)[0]),
        "seed": int(rng.integers(2**31)) if not teacher_entry(config.teacher).people else 0,
        "name": config.teacher,
        "env_id": config.env_id,
    }
    teacher: Teacher = make("teacher", config.teacher, config.teacher_options, **offered, offered=offered)
    check_is("teacher", config.teacher, teacher, Teacher, "a Teacher with a name and answer(queries)")
    check_is("teacher", f"{config.teacher}.name", getattr(teacher, "name", None), str, "the name that it answers under")
    return teacher


def how_to_answer(config: RLHFConfig) -> str:
    """Tell people by which command they give the answers that a run waits for."""
    web = " --web" if teacher_entry(config.teacher).face == "page" else ""
    place, store = "DIR", ""
    if config.run_dir is not None:
        place = shlex.quote(str(Path(config.run_dir).resolve()))
    elif config.feedback.store:
        store = f" --store {shlex.quote(url_without_password(config.feedback.store))}"
        store += f" --run {config.feedback.run}" if config.feedback.run else ""
    return f"answers are waited for; to give them, in another terminal: rlhf-gym label {place}{web}{store}"


def make_shows(config: RLHFConfig, rng: np.random.Generator) -> Shows | None:
    """Make the source of what the teacher shows; None if the settings name no demonstrator.

    Raises:
        BadInput: If the demonstrator isn't there, doesn't fit the environment, or is never asked.
    """
    if (place := config.feedback.demonstrator) is None:
        return None
    if teacher_entry(config.teacher).people:
        raise BadInput(
            f"feedback.demonstrator is {place} and teacher is {config.teacher}; people show it themselves: leave it out"
        )
    made = [find_kind(kind).options for kind in kind_shares(config.kind) if find_kind(kind).made]
    if not made:
        raise BadInput(
            f"feedback.demonstrator is {place} and kind is {config.kind}, for which nothing is shown; ask for a "
            "demonstration or a correction, as in kind demonstration=0.3,comparison=0.7"
        )
    return find_demonstrator(
        place,
        origin_of(config),
        length=config.segment_length,
        corrects=any(options[0] == 1 for options in made),
        rng=rng,
    )


def recordings(config: RLHFConfig) -> list[Trajectory]:
    """Load the trajectories that queries are cut from; empty where these are the policy's own.

    Raises:
        BadInput: If they are missing, don't fit the environment, or can't be continued though a correction needs it.
    """
    if (place := config.query.trajectories) is None:
        return []
    found = recordings_of(origin_of(config), place, length=config.segment_length, setting="query.trajectories")
    played = [kind for kind in kind_shares(config.kind) if find_kind(kind).made and find_kind(kind).options[0] == 1]
    if played and (unknown := sum(trajectory.origin is None for trajectory in found)):
        raise BadInput(
            f"query.trajectories {place} holds {unknown} trajectories that don't say how they began, so that nobody can"
            f" go on in one with a {played[0]}; use another kind, or trajectories recorded from known seeds"
        )
    return found


def offer_learned(
    config: RLHFConfig,
    method: Method,
    recorders: Sequence[Recorder],
    rng: np.random.Generator,
    *,
    recorded: Sequence[Trajectory] = (),
) -> dict[str, Any]:
    """Offer a teacher the learned reward's probabilities, and a function that draws comparisons for it to answer.

    Args:
        config: All settings.
        method: Scores steps.
        recorders: Recorders of the policy's latest steps.
        rng: Draws the comparisons.
        recorded: Trajectories that queries are cut from instead.
    """
    mark = new_mark()

    def draw(n: int, asked: Sequence[Query]) -> list[Query]:
        own = [trajectory for recorder in recorders for trajectory in recorder.trajectories()]
        trajectories = recorded or own
        how: dict[str, Any] = {"length": config.segment_length, "asked": asked}
        n = min(n, count_queries(trajectories, **how))
        drawn = sample_candidates(trajectories, n=n, rng=rng, **how).queries() if n else []
        when: dict[str, Any] = {"policy_step": method.agent.steps, "reward_version": method.version}
        return [replace(marked(query, mark), why=OWN, **when) for query in drawn]

    return {"probabilities": partial(probabilities_of, step_scores=method.step_scores), "draw": draw}


def check_kinds(config: RLHFConfig, teacher: Teacher, actions: spaces.Space[Any]) -> None:
    """Refuse kinds of feedback that a teacher can't give.

    Raises:
        BadInput: Naming those that it can.
    """
    for kind in kind_shares(config.kind):
        if teacher.kinds is not None and kind not in teacher.kinds:
            able = ", ".join(teacher.kinds)
            raise BadInput(
                f"kind is {config.kind}, and teacher {teacher.name} can't answer a {kind}; it answers {able}"
            )
        if isinstance(teacher, People) and kind not in REGISTERED:
            raise BadInput(
                f"kind is {config.kind} and teacher is {config.teacher}, but people can be shown only the toolkit's own"
                f" kinds; use one of these, such as comparison or rating, or a teacher in Python that answers a {kind}"
            )
        if find_kind(kind).made and teacher_entry(config.teacher).waits:
            raise BadInput(
                f"kind is {config.kind} and teacher is {config.teacher}, who can't play a {kind}; use teacher web"
            )
        if find_kind(kind).made and isinstance(teacher, People) and not _by_keys(actions):
            raise BadInput(
                f"kind is {config.kind} and teacher is {config.teacher}: people play a {kind} by keys, which takes 2 to"
                f" {PLAYED_MOST} actions to choose from, and {config.env_id} has {actions}; use another kind"
            )
        if find_kind(kind).made and not (config.feedback.demonstrator or isinstance(teacher, People)):
            raise BadInput(
                f"kind is {config.kind}, and teacher {teacher.name} has nothing to show for a {kind}; set "
                "feedback.demonstrator: a run directory, a policy's file, or recorded trajectories"
            )
    for setting, kind in (("heldout", heldout_kind(kinds_asked(config))[0]), ("checks", "comparison")):
        if getattr(config.query, setting) and teacher.kinds is not None and kind not in teacher.kinds:
            raise BadInput(
                f"query.{setting} is {getattr(config.query, setting)}, whose queries are {kind}s here, and teacher "
                f"{teacher.name} can't answer a {kind}; set query.{setting} 0, or use another teacher"
            )


def _by_keys(actions: spaces.Space[Any]) -> bool:
    return isinstance(actions, spaces.Discrete) and 2 <= actions.n <= PLAYED_MOST


def kinds_asked(config: RLHFConfig) -> dict[str, Asked]:
    """Find out which kinds of feedback are asked, how often, and how many segments their queries show.

    Raises:
        BadInput: If no kind allows `query.options` segments, or `feedback.levels` doesn't fit the rating.
    """
    shares, wanted = kind_shares(config.kind), config.query.options
    allowed = {name: find_kind(name).options for name in shares}
    if wanted and not any(wanted in options for options in allowed.values()):
        ranges = " or ".join(f"{o[0]} to {o[-1]}" if len(o) > 1 else str(o[0]) for o in allowed.values())
        raise BadInput(f"query.options is {wanted} and kind is {config.kind}; use {ranges}")
    _check_levels(config, shares)
    return {
        name: Asked(shares[name], wanted if wanted and wanted in options else options[0])
        for name, options in allowed.items()
    }


def _check_levels(config: RLHFConfig, kinds: Iterable[str]) -> None:
    """Refuse names of levels if no kind has levels, or has another number of them."""
    if not (words := config.feedback.levels):
        return
    best = [find_kind(kind).said([1.0]) for kind in kinds if find_kind(kind).alone]
    levels = [said.of for said in best if isinstance(said, Level)]
    if wrong := [n for n in levels if n != len(words)]:
        raise BadInput(
            f"feedback.levels has {len(words)} words and kind is {config.kind}, whose ratings have {wrong[0]}; use as "
            f"many words, or kind rating-{len(words)}"
        )
    if not levels:
        raise BadInput(
            f"feedback.levels has {len(words)} words and kind is {config.kind}, which has no levels; leave it out, or "
            f"use kind rating-{len(words)}"
        )
