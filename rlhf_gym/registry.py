"""Every name that a setting can take, as "module:attribute", which is imported when it is used.

A dotted name of the same form may replace any registered one. It names a factory, which is called with the
setting's `options`, and with those of the loop's values that it has a parameter for.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import operator
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlhf_gym.errors import BadInput, reason_of

GIVEN = "given:"
"""Prefix in config.yaml of the name of a teacher or goal that was handed over as a Python object."""

EXTRAS = {"sb3_contrib": "learners", "sbx": "learners"}
"""Modules that dotted names are often from, and the extra that installs each."""


@dataclass(frozen=True)
class Entry:
    """One line of a table."""

    target: str
    """Where it is: module:attribute."""


@dataclass(frozen=True)
class TeacherEntry(Entry):
    """A teacher's line."""

    title: str = ""
    """Name of its answers in figures; "" for plain labels."""
    control: bool = False
    """Whether it is a control, there for comparison."""
    people: bool = False
    """Whether people answer, through the store."""
    face: str = ""
    """What the run itself opens for people: "terminal", where it waits, or "page"; "" opens nothing."""

    @property
    def waits(self) -> bool:
        """Whether the run waits while they answer."""
        return self.face == "terminal"


@dataclass(frozen=True)
class SourceEntry(Entry):
    """A reward source's line."""

    title: str
    """Its name in figures; may contain the source's options, as in "constant reward {value:+g}"."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Defaults of the options in the title."""
    labels: bool = False
    """Whether labels are asked for."""
    warm_up: bool = False
    """Whether steps of the untrained policy are needed before any policy update."""
    true: bool = False
    """Whether it pays the true reward, or the goal's."""

    @property
    def control(self) -> bool:
        """Whether it is a control, there for comparison."""
        return not self.labels

    def titled(self, options: Mapping[str, Any]) -> str:
        """Fill these options into the title."""
        return self.title.format(**{**self.options, **options}).replace("-", "−")


@dataclass(frozen=True)
class AgentEntry(Entry):
    """An algorithm's line."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Options that hold if neither preset nor user sets them; the others are Stable-Baselines3's own."""


@dataclass(frozen=True)
class MethodEntry(Entry):
    """A method's line."""

    direct: bool = False
    """Whether it fits the policy itself to the answers, without an ensemble, and without paying a reward."""


@dataclass(frozen=True)
class SchemeEntry(Entry):
    """A query scheme's line."""

    ensemble: bool = False
    """Whether it uses the disagreement of an ensemble's members."""


TEACHERS = {
    "oracle": TeacherEntry("rlhf_gym.teachers.oracle:OracleTeacher"),
    "noisy": TeacherEntry("rlhf_gym.teachers.noisy:NoisyTeacher", title="noisy answers"),
    "rules": TeacherEntry("rlhf_gym.teachers.rules:RulesTeacher", title="answers by rules"),
    "principles": TeacherEntry("rlhf_gym.teachers.principles:PrinciplesTeacher", title="answers by principles"),
    "judge": TeacherEntry("rlhf_gym.teachers.judge:JudgeTeacher", title="a model's answers"),
    "random": TeacherEntry("rlhf_gym.teachers.random:RandomTeacher", title="random answers", control=True),
    "panel": TeacherEntry("rlhf_gym.teachers.panel:make_panel", title="a panel's answers"),
    "self": TeacherEntry("rlhf_gym.teachers.self_rewarding:make_self_rewarding", title="answers and its own"),
    "terminal": TeacherEntry("rlhf_gym.teachers.people:People", people=True, face="terminal"),
    "web": TeacherEntry("rlhf_gym.teachers.people:People", people=True, face="page"),
    "store": TeacherEntry("rlhf_gym.teachers.people:People", people=True),
}
SOURCES = {
    "learned": SourceEntry("rlhf_gym.rewards.sources:learned", "", labels=True, warm_up=True),
    "true": SourceEntry("rlhf_gym.rewards.sources:true", "PPO on the true reward", true=True),
    "normalised_true": SourceEntry(
        "rlhf_gym.rewards.sources:normalised_true", "PPO on the normalised true reward", warm_up=True, true=True
    ),
    "untrained": SourceEntry("rlhf_gym.rewards.sources:learned", "untrained reward model", warm_up=True),
    "constant": SourceEntry("rlhf_gym.rewards.sources:constant", "constant reward {value:+g}", {"value": 1.0}),
    "frozen": SourceEntry("rlhf_gym.rewards.sources:frozen", "a learned reward, frozen"),
}
KINDS = {
    "comparison": Entry("rlhf_gym.kinds.comparison:COMPARISON"),
    "ranking": Entry("rlhf_gym.kinds.ranking:RANKING"),
    "rating": Entry("rlhf_gym.kinds.rating:RATING"),
    **{f"rating-{n}": Entry(f"rlhf_gym.kinds.rating:RATING{'' if n == 5 else f'_{n}'}") for n in range(2, 10)},
    "switch_off": Entry("rlhf_gym.kinds.switch_off:SWITCH_OFF"),
    "demonstration": Entry("rlhf_gym.kinds.demonstration:DEMONSTRATION"),
    "correction": Entry("rlhf_gym.kinds.correction:CORRECTION"),
}
SCHEMES = {
    "uniform": Entry("rlhf_gym.queries.schemes.uniform:uniform"),
    "disagreement": SchemeEntry("rlhf_gym.queries.schemes.disagreement:disagreement", ensemble=True),
    "entropy": Entry("rlhf_gym.queries.schemes.entropy:entropy"),
    "coverage": Entry("rlhf_gym.queries.schemes.coverage:coverage"),
    "disagreement_coverage": SchemeEntry("rlhf_gym.queries.schemes.coverage:disagreement_coverage", ensemble=True),
    "entropy_coverage": Entry("rlhf_gym.queries.schemes.coverage:entropy_coverage"),
    "mutual_information": SchemeEntry("rlhf_gym.queries.schemes.mutual_information:mutual_information", ensemble=True),
    "value_disagreement": SchemeEntry("rlhf_gym.queries.schemes.value_disagreement:value_disagreement", ensemble=True),
    "outside_coverage": Entry("rlhf_gym.queries.schemes.outside_coverage:outside_coverage"),
    "insertion": Entry("rlhf_gym.queries.insertion:Insertion"),
}
SCHEDULES = {
    "constant": Entry("rlhf_gym.queries.schedules:constant"),
    "christiano": Entry("rlhf_gym.queries.schedules:christiano"),
    "front_loaded": Entry("rlhf_gym.queries.schedules:front_loaded"),
}
NETWORKS = {
    "mlp": Entry("rlhf_gym.rewards.networks:mlp"),
}
MORE = {
    "crops": Entry("rlhf_gym.rewards.more.crops:crops"),
    "pseudo_labels": Entry("rlhf_gym.rewards.more.pseudo_labels:pseudo_labels"),
    "self_supervised": Entry("rlhf_gym.rewards.more.self_supervised:self_supervised"),
    "disagreement_bonus": Entry("rlhf_gym.rewards.more.disagreement_bonus:disagreement_bonus"),
}
PPO = {
    "n_steps": 256, "batch_size": 256, "n_epochs": 10, "learning_rate": 3e-4, "clip_range": 0.2, "gamma": 0.99,
    "gae_lambda": 0.95, "ent_coef": 0.0, "vf_coef": 0.5, "max_grad_norm": 0.5, "log_std_init": 0.0,
}  # fmt: skip
A_STEP_EACH = {"gradient_steps": -1}
"""One gradient step for each step of each environment; SB3's 1 is one for all environments together."""
AGENTS = {
    "ppo": AgentEntry("stable_baselines3:PPO", PPO),
    "a2c": AgentEntry("stable_baselines3:A2C"),
    "dqn": AgentEntry("stable_baselines3:DQN"),
    "sac": AgentEntry("stable_baselines3:SAC", A_STEP_EACH),
    "td3": AgentEntry("stable_baselines3:TD3", A_STEP_EACH),
}
METHODS = {
    "learned_reward": Entry("rlhf_gym.methods.learned_reward:LearnedRewardMethod"),
    "objectives": Entry("rlhf_gym.methods.objectives:ObjectivesMethod"),
    "cpl": MethodEntry("rlhf_gym.methods.cpl:cpl", direct=True),
    "dpo": MethodEntry("rlhf_gym.methods.dpo:dpo", direct=True),
}
METRICS = {
    "correlation": Entry("rlhf_gym.rewards.metrics.correlation:correlation"),
    "spearman": Entry("rlhf_gym.rewards.metrics.spearman:spearman"),
    "segment_correlation": Entry("rlhf_gym.rewards.metrics.segment_correlation:segment_correlation"),
    "segment_spearman": Entry("rlhf_gym.rewards.metrics.segment_correlation:segment_spearman"),
    "pair_accuracy": Entry("rlhf_gym.rewards.metrics.pair_accuracy:pair_accuracy"),
    "gap_accuracy": Entry("rlhf_gym.rewards.metrics.gap_accuracy:gap_accuracy"),
    "calibration_error": Entry("rlhf_gym.rewards.metrics.calibration:calibration_error"),
    "epic": Entry("rlhf_gym.rewards.metrics.epic:epic"),
    "dard": Entry("rlhf_gym.rewards.metrics.dard:dard"),
    "outside_coverage": Entry("rlhf_gym.rewards.metrics.outside_coverage:outside_coverage"),
    "disagreement": Entry("rlhf_gym.rewards.metrics.disagreement:disagreement"),
}
GOALS = {
    name: Entry(f"rlhf_gym.teachers.builtin_goals:{name}")
    for name in (
        "cart_pole_hold_at_one", "pendulum_spin", "acrobot_height", "mountain_car_progress", "mountain_car_top",
        "half_cheetah_backwards", "half_cheetah_flip", "half_cheetah_one_leg", "hopper_backflip", "walker_one_leg",
    )
}  # fmt: skip
TABLES: Mapping[str, Mapping[str, Entry]] = {
    "teacher": TEACHERS,
    "reward.source": SOURCES,
    "kind": KINDS,
    "query.scheme": SCHEMES,
    "query.schedule": SCHEDULES,
    "reward.network": NETWORKS,
    "reward.more": MORE,
    "algo": AGENTS,
    "method": METHODS,
    "metric": METRICS,
    "feedback.goal": GOALS,
}
"""Tables by the setting that takes their names."""
OFFERED = frozenset(
    "self goal seed rng store waiting name demonstrator shows values offered probabilities draw agent learner "
    "new_learner source size observation_space action_space label_noise label_smoothing env_id".split()
)
"""Parameters of the registered factories that a run gives; `model` is one in reward.more, and a judge's own option."""
CALLED_WITH = {"feedback.goal": ("observations", "actions", "next_observations")}
"""Positional arguments that the objects of some tables take, instead of options."""


def teacher_entry(name: str) -> TeacherEntry:
    """Look a teacher up by its name; the user's own have the defaults."""
    return TEACHERS.get(name, TeacherEntry(name))


def source_entry(name: str) -> SourceEntry:
    """Look a reward source up by its name; the user's own are controls that ask for no labels."""
    return SOURCES.get(name, SourceEntry(name, name, warm_up=True))


def is_direct(method: str) -> bool:
    """Test whether a method fits the policy itself to the answers; False for the user's own."""
    entry = METHODS.get(method)
    return isinstance(entry, MethodEntry) and entry.direct


def needs_ensemble(scheme: str) -> bool:
    """Test whether a query scheme uses the members' disagreement; False for the user's own."""
    entry = SCHEMES.get(scheme)
    return isinstance(entry, SchemeEntry) and entry.ensemble


def check_name(setting: str, name: str) -> None:
    """Refuse a name that is neither registered nor dotted; a dotted one is looked up when it is used.

    Raises:
        BadInput: With the nearest registered name, or all of them.
    """
    if name in TABLES[setting] or name.startswith(GIVEN) or _is_dotted(name):
        return
    near = difflib.get_close_matches(name.lower(), TABLES[setting], n=1)
    raise BadInput(
        f"{setting} is {name!r}; {f'did you mean {near[0]}? ' if near else ''}expected one of "
        f"{', '.join(TABLES[setting])}, or module:name of your own, such as my_module:thing for my_module.py"
    )


def kind_shares(kinds: str) -> dict[str, float]:
    """Read the kinds that are asked, each with its share of the queries: "ranking", or "comparison=0.7,ranking=0.3".

    Raises:
        BadInput: If a kind comes twice or has no share, a share isn't above 0, or they don't sum to 1.
    """
    if not {"=", ","} & set(kinds):
        return {kinds: 1.0}
    found: dict[str, float] = {}
    for part in kinds.split(","):
        name, _, share = (text.strip() for text in part.partition("="))
        try:
            number = float(share)
        except ValueError:
            number = math.nan
        if not number > 0 or name in found:
            what = f"{name} twice" if name in found else repr(part.strip())
            raise BadInput(f"kind is {kinds!r}, which has {what}; give each a share, as in comparison=0.7,ranking=0.3")
        found[name] = number
    if not math.isclose(sum(found.values()), 1):
        raise BadInput(f"kind is {kinds!r}, whose shares make {sum(found.values()):g}; make them 1 together")
    return found


def names_in(setting: str, value: str | Mapping[str, Any]) -> list[str]:
    """List the names in a setting's value: one, except in a mix of kinds, and in options by name."""
    if isinstance(value, Mapping):
        return list(value)
    return list(kind_shares(value)) if setting == "kind" else [value]


def load(setting: str, name: str) -> Any:
    """Import the object that a setting names.

    Args:
        setting: A key of `TABLES`.
        name: A registered name, or a dotted one, whose module may lie in the current folder.

    Raises:
        BadInput: If the name is unknown, the module can't be imported, or it holds no such thing.
    """
    check_name(setting, name)
    if name.startswith(GIVEN):
        raise BadInput(
            f"{setting} was given as a Python object, {name.removeprefix(GIVEN)}; hand it over again: "
            f"RLHF.resume or RLHF.load(directory, {setting.rpartition('.')[2]}=...)"
        )
    entry = TABLES[setting].get(name)
    found = _import(entry.target if entry else name, f"{setting} is {name!r}")
    if arguments := CALLED_WITH.get(setting):
        _check_takes(found, arguments, f"{setting} is {name!r}")
    return found


def make(setting: str, name: str, options: Mapping[str, Any], /, **offered: Any) -> Any:
    """Call the factory that a setting names.

    Args:
        setting: A key of `TABLES`.
        name: As :func:`load` takes it.
        options: The user's arguments.
        **offered: The loop's values; a factory gets those that its signature names.

    Raises:
        BadInput: As :func:`load`, or if an option isn't one of the factory's.
    """
    factory = load(setting, name)
    if not callable(factory):
        raise BadInput(f"{setting} is {name!r}, which is {factory!r}; expected a function or class that makes one")
    check_options(setting, name, factory, options, offered)
    if inspect.isabstract(factory):
        lacks = ", ".join(sorted(factory.__abstractmethods__))
        raise BadInput(f"{setting} is {name!r}, a class that doesn't say how to do {lacks}; write what is missing")
    wanted = _parameters(setting, name, factory)
    return factory(**{key: value for key, value in offered.items() if key in wanted}, **options)


def check_options(
    setting: str,
    name: str,
    factory: Callable[..., Any],
    options: Mapping[str, Any],
    offered: Mapping[str, Any] | None = None,
) -> None:
    """Refuse options that a factory doesn't take, values that aren't the number it wants, and missing options.

    Raises:
        BadInput: Naming the option, with the nearest known one, or all of them, or the values that it takes.
    """
    offered = offered or {}
    parameters = _parameters(setting, name, factory)
    known = [parameter for parameter in parameters if parameter not in offered]
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known) or 'none'}"
            raise BadInput(f"{setting} {name} has no option {option}; {hint}")
    annotations = {option: parameter.annotation for option, parameter in parameters.items()}
    for option, value in options.items():
        if wanted := _no_number(value, annotations.get(option)):
            raise BadInput(f"{_option(setting, name, option)} is {value!r}; use {wanted}")
    given = {**offered, **options}
    missing = [p.name for p in parameters.values() if p.default is p.empty and p.name not in given]
    if missing:
        remedy = f"set {' and '.join(_option(setting, name, one) for one in missing)}"
        if name not in TABLES[setting]:
            remedy += f", or give it a default (it is offered {', '.join(offered) or 'nothing'})"
        raise BadInput(f"{setting} {name} needs {', '.join(missing)}; {remedy}")


def check_user_options(setting: str, name: str, options: Mapping[str, Any]) -> None:
    """Check the options of a registered name as :func:`check_options` does, before there is a run to offer the rest.

    Raises:
        BadInput: As :func:`check_options`.
    """
    offered = OFFERED | ({"model"} if setting == "reward.more" else set())
    check_options(setting, name, load(setting, name), options, dict.fromkeys(offered - options.keys()))


def check_is(setting: str, name: str, thing: Any, wanted: Any, what: str) -> None:
    """Refuse an object that isn't of its setting's kind.

    Raises:
        BadInput: Saying what is wanted.
    """
    if not isinstance(thing, wanted):
        raise BadInput(f"{setting} is {name!r}, which gives {type(thing).__name__}; expected {what}")


def check_called(setting: str, name: str, thing: Any, arguments: Sequence[str]) -> None:
    """Refuse a factory's result that isn't a function of these positional arguments.

    Raises:
        BadInput: Saying what is wanted.
    """
    check_is(setting, name, thing, Callable, f"a function of ({', '.join(arguments)})")
    _check_takes(thing, arguments, f"{setting} is {name!r}, which gives a function")


def dotted_name(thing: Any) -> str | None:
    """Name the module:attribute under which a function or class can be imported again; None if there is none."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name:
        return None
    return f"{module}:{name}"


def find_here() -> None:
    """Put the current folder last on the module path: an installed command doesn't search it."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def _option(setting: str, name: str, option: str) -> str:
    """Return an option's dotted name in the settings."""
    return f"{setting}.{name}.{option}" if setting == "reward.more" else f"{setting}_options.{option}"


def _no_number(value: object, annotation: object) -> str:
    """Name the number that a parameter's annotation wants if the value isn't one; "" if nothing is wrong."""
    wanted = {part.strip() for part in (getattr(annotation, "__name__", None) or str(annotation)).split("|")}
    if not wanted <= {"int", "float", "None"} or not wanted & {"int", "float"} or (value is None and "None" in wanted):
        return ""
    if "float" in wanted:
        return "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
    return "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number"


def _parameters(setting: str, name: str, factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        parameters = inspect.signature(factory).parameters
    except ValueError as error:  # some builtins
        raise BadInput(
            f"{setting} is {name!r}, which doesn't tell its parameters; name a function or class of your own"
        ) from error
    if unnamed := [p.name for p in parameters.values() if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]:
        raise BadInput(
            f"{setting} is {name!r}, which takes {', '.join(unnamed)} by place alone; name one whose parameters have "
            "names"
        )
    return {name: p for name, p in parameters.items() if p.kind in kinds}


def _check_takes(function: Any, arguments: Sequence[str], what: str) -> None:
    """Refuse a function that can't take these positional arguments; what isn't callable is refused elsewhere."""
    if not callable(function):
        return
    try:
        inspect.signature(function).bind(*arguments)
    except ValueError:  # some builtins have no signature
        return
    except TypeError as error:
        raise BadInput(
            f"{what}, which can't be called with {len(arguments)} arguments ({error}); expected a function of "
            f"{', '.join(arguments)}"
        ) from error


def _is_dotted(name: str) -> bool:
    module, _, attribute = name.partition(":")
    return all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")]) and module[-3:] != ".py"


def _import(target: str, what: str) -> Any:
    """Import the attribute of a module, or raise an error that says in one line why that fails."""
    module_name, _, attribute = target.partition(":")
    find_here()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(error.name or "")
        remedy = f": pip install 'rlhf-gym[{extra}]'" if extra else ", or start from the folder it lies in"
        raise BadInput(f"{what} but there is no module {error.name!r}; install it{remedy}") from error
    except Exception as error:  # the user's module may raise anything while it is imported
        raise BadInput(f"{what} but importing {module_name!r} fails: {reason_of(error)}; mend the module") from error
    try:
        return operator.attrgetter(attribute)(module)
    except AttributeError as error:
        there = ", ".join(key for key, value in vars(module).items() if callable(value) and key[0] != "_")
        raise BadInput(f"{what} but {module_name!r} has no {attribute!r}; it has: {there or 'none'}") from error
