"""What a run learns from: the teacher and the goal, by name, and the answers that it begins with."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.code import code_named
from rlhf_gym.config.named import get
from rlhf_gym.config.passwords import url_without_password
from rlhf_gym.envs import VecLearnedReward
from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.preferences import OWN, Answer, Preference
from rlhf_gym.registry import GIVEN, TABLES, dotted_name, load, names_in
from rlhf_gym.rewards.files import model_digest
from rlhf_gym.runs import RunDirectory
from rlhf_gym.runs.strange_files import check_entries
from rlhf_gym.store.elsewhere import preferences_at
from rlhf_gym.store.exchange import check_fit, wanted_by_run
from rlhf_gym.teachers import Goal, OracleTeacher, RandomTeacher, Teacher, Waiting, load_goal, true_returns
from rlhf_gym.trust import check_trusted, trust


def check_given(config: RLHFConfig, teacher: Teacher | None, goal: Goal | None, waiting: Waiting | None) -> None:
    """Refuse Python objects of the wrong type.

    Raises:
        BadInput: Naming the argument, what came and what is wanted.
    """
    if not isinstance(config, RLHFConfig):
        raise BadInput(
            f"config is {reprlib.repr(config)}, of type {type(config).__name__}; expected an RLHFConfig: "
            'RLHFConfig.for_env("CartPole-v1"), RLHFConfig.from_yaml(path) or RLHFConfig.from_dict(settings)'
        )
    if not isinstance(teacher, Teacher | None):
        raise BadInput(
            f"teacher is {reprlib.repr(teacher)}, of type {type(teacher).__name__}; expected a Teacher: one by its name"
            " is a setting, RLHFConfig.for_env(..., teacher=name)"
        )
    wanted = "a function of (observations, actions, next_observations): one by its name is a setting, feedback.goal"
    for name, given, what in (("goal", goal, wanted), ("waiting", waiting, "a function without arguments")):
        if not (given is None or callable(given)):
            raise BadInput(f"{name} is {reprlib.repr(given)}, of type {type(given).__name__}; expected {what}")


def name_given(
    config: RLHFConfig, teacher: Teacher | None, goal: Goal | None, *, fixed: bool, trusted: bool = False
) -> tuple[RLHFConfig, Goal | None]:
    """Return the settings with the names of the given teacher and goal, and the goal itself.

    Args:
        config: All settings.
        teacher: The teacher that was given as a Python object, if any.
        goal: Likewise.
        fixed: Whether the settings are those of an existing run, and not the user's own words.
        trusted: Whether code that such settings name may run.

    Raises:
        BadInput: If an existing run had another teacher or goal, one of them can't be found, or it names code that this
            user never ran.
    """
    named_here = code_named(config)
    if fixed and not trusted:
        if config.run_dir:
            check_entries(config.run_dir)
        given = {"teacher": teacher, "feedback.goal": goal}
        used = {name: what for name, what in named_here.items() if given.get(name.partition("_options")[0]) is None}
        check_trusted(used, f"the run{f' in {config.run_dir}' if config.run_dir else ''}")
    trust(named_here.values())
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
        load("teacher", config.teacher)  # raises an error that says what to do
    if named and not fixed:
        feedback = replace(config.feedback, goal=named.get("feedback.goal", config.feedback.goal))
        config = replace(config, teacher=named.get("teacher", config.teacher), feedback=feedback)
    if goal is None and config.feedback.goal:
        goal = load_goal(config.feedback.goal)
    return config, goal


def with_frozen_model(config: RLHFConfig) -> RLHFConfig:
    """Note the digest of a new run's frozen reward model, so that the run goes on with no other."""
    options = config.reward.source_options
    if config.reward.source != "frozen" or "path" not in options:
        return config
    return config.replace(reward={"source_options": {"digest": model_digest(str(options["path"])) or None, **options}})


def _is_registered(teacher: Teacher) -> bool:
    """Return whether the settings can make such a teacher again."""
    if isinstance(teacher, OracleTeacher):
        return teacher.goal is not None or teacher.values is true_returns
    return isinstance(teacher, RandomTeacher)


def goal_name(goal: Goal) -> str:
    """Return the dotted name of a goal, or one that says that it has to be handed over."""
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
    except (OSError, *UNREADABLE):
        return 0


def preferences_before(config: RLHFConfig, venv: VecLearnedReward) -> list[Preference]:
    """Read the preferences a run begins with, from another run or an export.

    Raises:
        BadInput: If there is nothing to read, or it is about another environment.
    """
    if config.feedback.preferences is None:
        return []
    place = url_without_password(config.feedback.preferences)
    found = preferences_at(config.feedback.preferences)
    found = [p for p in found if p.query.why != OWN]  # another reward's own answers are none to this one
    if not found:
        raise BadInput(f"feedback.preferences is {place}, where nothing was answered; use another run or export")
    wanted = wanted_by_run(config.env_id, venv.observation_space, venv.action_space, config.segment_length)
    try:
        check_fit(found, wanted)
    except BadInput as error:
        raise BadInput(f"feedback.preferences is {place}, which can't be fitted here: {error}") from error
    if config.method == "objectives" and not config.labels:
        _check_objectives(config.method_options.get("weights"), found, place)
    return found


def _check_objectives(weights: object, found: Sequence[Preference], place: str) -> None:
    """Refuse objectives without any answer if none is to come; malformed weights are left to the method."""
    by = {preference.teacher for preference in found if preference.answer is not Answer.SKIP}
    if silent := sorted(str(name) for name in weights if name not in by) if isinstance(weights, Mapping) else []:
        raise BadInput(
            f"method_options.weights names {', '.join(silent)}, who answered nothing in {place}, and labels is 0; name "
            f"some of {', '.join(sorted(by))}"
        )
