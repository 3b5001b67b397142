"""What a run is taught by: the teacher and the goal, by name, and the answers that it begins with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.named import get
from rlhf_gym.envs import VecLearnedReward
from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Preference
from rlhf_gym.registry import GIVEN, TABLES, dotted_name, load, names_in
from rlhf_gym.runs import RunDirectory
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.exchange import read_preferences
from rlhf_gym.teachers import OWN, Goal, OracleTeacher, RandomTeacher, Teacher, load_goal, true_returns


def name_given(
    config: RLHFConfig, teacher: Teacher | None, goal: Goal | None, *, fixed: bool
) -> tuple[RLHFConfig, Goal | None]:
    """Collect the settings that name the teacher and the goal, and the goal itself.

    Raises:
        BadInput: If a run that is resumed was taught by others, or what it was taught by can't be found.
    """
    goal = goal or getattr(teacher, "goal", None)
    named: dict[str, Any] = {}
    if teacher is not None:
        named["teacher"] = teacher.name if _is_registered(teacher) else f"{GIVEN}{teacher.name}"
    if goal is not None:
        named["feedback.goal"] = goal_name(goal)
    for setting, name in named.items():
        was = config.teacher if setting == "teacher" else config.feedback.goal
        if fixed and was != name:
            raise BadInput(
                f"{setting} of the run is {was} and {name} was given; a run goes on with what it was taught by"
            )
    if teacher is None and config.teacher.startswith(GIVEN):
        load("teacher", config.teacher)  # which says what to do
    if named and not fixed:
        feedback = replace(config.feedback, goal=named.get("feedback.goal", config.feedback.goal))
        config = replace(config, teacher=named.get("teacher", config.teacher), feedback=feedback)
    if goal is None and config.feedback.goal:
        goal = load_goal(config.feedback.goal)
    return config, goal


def _is_registered(teacher: Teacher) -> bool:
    """Whether the settings can make such a teacher again."""
    if isinstance(teacher, OracleTeacher):
        return teacher.goal is not None or teacher.values is true_returns
    return isinstance(teacher, RandomTeacher)


def goal_name(goal: Goal) -> str:
    """Name a goal as it is found again, or say in the name that it has to be handed over."""
    name = dotted_name(goal)
    return name if name else f"{GIVEN}{getattr(goal, '__name__', type(goal).__name__)}"


def own_names(config: RLHFConfig) -> dict[str, str]:
    """Collect the run's parts from outside this package, by the setting that names each."""
    named = {setting: get(config, setting) for setting in TABLES}  # a metric is no setting: None
    own = {
        setting: name if isinstance(name, str) else ", ".join(name)
        for setting, name in named.items()
        if name and not set(names_in(setting, name)) <= set(TABLES[setting])
    }
    if config.feedback.demonstrator:
        own["feedback.demonstrator"] = config.feedback.demonstrator
    if config.query.trajectories:
        own["query.trajectories"] = config.query.trajectories
    for setting in ("agent.start", "agent.reference"):
        if (place := get(config, setting)) not in (None, "start", "best"):
            own[setting] = place
    return own | ({"env_id": config.env_id} if ":" in config.env_id else {})


def labels_before(run: RunDirectory) -> int:
    """Count the labels that an interrupted run began with."""
    try:
        return int(json.loads((run / "provenance.json").read_text()).get("labels_before", 0))
    except (OSError, ValueError):
        return 0


def preferences_before(config: RLHFConfig, venv: VecLearnedReward) -> list[Preference]:
    """Read the preferences a run begins with, from another run or an export.

    Raises:
        BadInput: If there is nothing to read, or it is about another environment.
    """
    if config.feedback.preferences is None:
        return []
    place = Path(config.feedback.preferences)
    if (place / "preferences.db").is_file():
        with PreferenceStore(place / "preferences.db") as store:
            found = store.preferences()
    else:
        found = read_preferences(place)
    found = [p for p in found if p.query.why != OWN]  # what another reward thought of itself is no answer to this one
    if not found:
        raise BadInput(f"feedback.preferences is {place}, where nothing was answered; use another run or export")
    shapes = (venv.observation_space.shape, venv.action_space.shape)
    for preference in found:
        segment = preference.query.options[0]
        came = (segment.observations.shape[1:], segment.actions.shape[1:])
        if came != shapes:
            raise BadInput(
                f"feedback.preferences {place} has observations and actions of shapes {came} and {config.env_id} has "
                f"{shapes}; use preferences about the same environment"
            )
    return found
