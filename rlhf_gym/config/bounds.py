"""Bounds of settings, written beside their fields, and checks of settings that don't go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rlhf_gym.errors import BadInput
from rlhf_gym.registry import SCHEMES, needs_ensemble, source_entry, teacher_entry


@dataclass(frozen=True)
class AtLeast:
    """A lower bound of a number, or of each number of a tuple; None passes."""

    least: int

    def check(self, name: str, value: Any) -> None:
        """Refuse a value below the bound.

        Raises:
            BadInput: Naming the setting and the bound.
        """
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and not number >= self.least:
                raise BadInput(f"{name} is {number}; use at least {self.least}")


@dataclass(frozen=True)
class _Fraction:
    def check(self, name: str, value: Any) -> None:
        if not 0 <= value <= 1:
            raise BadInput(f"{name} is {value}; use a number from 0 to 1")


Fraction: Final = _Fraction()
"""From 0 to 1, both included."""


@dataclass(frozen=True)
class _Positive:
    def check(self, name: str, value: Any) -> None:
        if value is not None and not value > 0:
            raise BadInput(f"{name} is {value}; use a number above 0")


Positive: Final = _Positive()
"""Above 0; None passes."""


@dataclass(frozen=True)
class _ToldApart:
    def check(self, name: str, value: tuple[str, ...]) -> None:
        shown = [" ".join(text.split()) for text in value]
        for number, text in enumerate(shown):
            if not text or text in shown[:number]:
                what = f"{text!r} twice" if text else "an empty name"
                raise BadInput(f"{name} is {', '.join(map(repr, value))}, with {what}; use a different name for each")


ToldApart: Final = _ToldApart()
"""Texts that people can tell apart: none is empty, and none comes twice."""


WHOLE_NUMBERS: Final[Mapping[str, AtLeast]] = {
    **dict.fromkeys(("n_steps", "n_epochs", "buffer_size", "gradient_steps"), AtLeast(1)),
    **dict.fromkeys(("policy_delay", "target_update_interval", "stats_window_size"), AtLeast(1)),
    "learning_starts": AtLeast(0),
    "batch_size": AtLeast(2),  # PPO takes the advantages' standard deviation
}
AGENT_OPTIONS: Final[Mapping[str, AtLeast | _Fraction | _Positive | None]] = {
    **dict.fromkeys(("learning_rate", "clip_range", "ent_coef", "vf_coef", "max_grad_norm"), AtLeast(0)),
    **dict.fromkeys(("target_policy_noise", "target_noise_clip"), AtLeast(0)),
    **dict.fromkeys(("gamma", "gae_lambda", "tau", "exploration_fraction"), Fraction),
    **dict.fromkeys(("exploration_initial_eps", "exploration_final_eps"), Fraction),
    **dict.fromkeys(("target_kl", "rms_prop_eps", "clip_range_vf"), Positive),
    **dict.fromkeys(("target_entropy", "log_std_init")),  # any number
    **WHOLE_NUMBERS,
}
"""Bounds of Stable-Baselines3's numeric parameters, which it doesn't check itself."""


ALONE = "one member has nobody to disagree with"
KL_GAIN_MOST = 5  # from here on, errors of up to 0.2 could take kl to 0 (rlhf_gym.agents.reference)


def with_whole_numbers(options: Mapping[str, Any]) -> dict[str, Any]:
    """Convert 3e5 to a whole number where Stable-Baselines3 wants one, because a float fails in its first update."""
    return {
        name: int(value) if name in WHOLE_NUMBERS and isinstance(value, float) and value.is_integer() else value
        for name, value in options.items()
    }


def check_together(config: Any) -> None:
    """Refuse settings that don't go together.

    Args:
        config: An :class:`RLHFConfig`, whose own module imports this one.

    Raises:
        BadInput: Naming the settings.
    """
    _check_labels(config)
    if not (config.reward.ensemble_size or config.reward.linear):
        raise BadInput("reward.ensemble_size is 0 and reward.linear is None; use at least one of them")
    _check_planned(config.query)
    _check_steps(config)
    _check_teacher(config)
    _check_reference(config.agent)
    if config.direct:
        _check_direct(config)
    else:
        _check_members(config)
    if config.method == "objectives" and config.reward.source not in ("learned", "untrained"):
        raise BadInput(
            f"reward.source is {config.reward.source} and method is objectives, which pays what its own reward models "
            "give; leave it out, or use method learned_reward"
        )
    if config.query.trajectories and config.query.shown:
        raise BadInput(
            f"query.trajectories is {config.query.trajectories} and query.shown is {config.query.shown}, whose steps "
            "nobody would be asked about; use one of them"
        )
    if config.query.shown >= 1:
        raise BadInput(f"query.shown is {config.query.shown:g}, which leaves no steps to learn from; use less than 1")
    if not config.query.noise_levels:
        raise BadInput("query.noise_levels is empty; use one factor or more, such as 0 2, and query.shown 0 for none")


def _check_labels(config: Any) -> None:
    asks = source_entry(config.reward.source).labels and not config.feedback.preferences
    if config.labels < (1 if asks else 0):
        least = "1, or feedback.preferences to learn from, or reward.source other than learned" if asks else "0"
        raise BadInput(f"labels is {config.labels}; use at least {least}")


def _check_planned(query: Any) -> None:
    planned = query.repeats + query.checks + query.heldout
    if query.heldout and not planned < 1:
        raise BadInput(
            f"query.heldout is {query.heldout}, which with query.repeats and query.checks makes {planned:g} of the "
            "queries, and leaves none to fit to; use less than 1 together"
        )


def _check_steps(config: Any) -> None:
    """Check step counts as far as they are known before the agent is made; the plan of rounds checks the rest."""
    options, n_envs = config.agent.options, config.agent.n_envs
    for name, bound in AGENT_OPTIONS.items():
        value = options.get(name)
        if value is None or _is_word(name, value):
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise BadInput(f"agent.options.{name} is {value!r}; expected a number")
        if bound:
            bound.check(f"agent.options.{name}", value)
        if name in WHOLE_NUMBERS and isinstance(value, float):
            raise BadInput(f"agent.options.{name} is {value}; use a whole number")
    batch, rollout = options.get("batch_size"), n_envs * options.get("n_steps", 1)
    if batch is not None and "n_steps" in options and batch > rollout:
        raise BadInput(
            f"agent.options.batch_size is {batch} but a rollout has {rollout} steps (agent.n_envs x "
            f"agent.options.n_steps); use agent.options.batch_size <= {rollout}"
        )
    least = config.warm_up_steps + config.agent.explore_steps + rollout
    if config.total_timesteps < least:
        warm_up = "query.warm_up_steps and " if config.warm_up_steps else ""
        warm_up += "agent.explore_steps and " if config.agent.explore_steps else ""
        raise BadInput(
            f"total_timesteps is {config.total_timesteps}; use at least {least}: {warm_up}one rollout of {config.algo}"
        )


def _is_word(name: str, value: Any) -> bool:
    """Return whether a value has a special meaning in SB3: SAC's auto or auto_0.1, and -1 gradient steps."""
    if name == "ent_coef" and isinstance(value, str):
        return value == "auto" or (value.startswith("auto_") and _is_positive(value.removeprefix("auto_")))
    if name == "target_entropy":
        return bool(value == "auto")
    return name == "gradient_steps" and value == -1


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _check_reference(agent: Any) -> None:
    """Refuse a reference without a cost, a cost without a reference, impossible kl settings, and a missing start."""
    costs = bool(agent.kl) or agent.kl_target is not None
    if agent.reference is not None and not costs:
        raise BadInput(
            f"agent.reference is {agent.reference}, and straying from it costs nothing; set agent.kl or agent.kl_target"
        )
    if costs and agent.reference is None:
        name = "kl" if agent.kl else "kl_target"
        raise BadInput(
            f"agent.{name} is {getattr(agent, name)} and agent.reference is None; set agent.reference start, a run "
            "directory, a policy's file or trajectories"
        )
    if not agent.kl_gain < KL_GAIN_MOST:
        raise BadInput(
            f"agent.kl_gain is {agent.kl_gain}, with which kl could fall to 0 or below; use less than {KL_GAIN_MOST}"
        )
    if agent.kl_target == 0:
        raise BadInput("agent.kl_target is 0, which only the reference itself has; use a number above 0")
    if agent.reference == "start" and agent.start is None:
        raise BadInput("agent.reference is start and agent.start is None; set agent.start, or another reference")
    if agent.start_options and agent.start is None and agent.reference is None:
        raise BadInput(f"agent.start_options is {agent.start_options} and agent.start is None; set agent.start")
    if agent.restart_steps and agent.start is not None:
        raise BadInput(
            f"agent.restart_steps is {agent.restart_steps} and agent.start is {agent.start}, which would be lost then; "
            "set agent.restart_steps to 0, or leave agent.start out"
        )


def _check_direct(config: Any) -> None:
    """Refuse settings that a method without a learned reward can't use; settings of the reward's fit are ignored."""
    reward, feedback, scheme = config.reward, config.feedback, config.query.scheme
    kl, critic = config.agent.reference is not None, config.agent.critic_after_fit
    able = ", ".join(name for name in SCHEMES if not needs_ensemble(name))
    for found, setting, value, remedy in (
        (reward.source != "learned", "reward.source", reward.source, "leave it out, or use method learned_reward"),
        (bool(reward.more), "reward.more", ", ".join(reward.more), "leave it out"),
        (feedback.reliability, "feedback.reliability", "on", "leave it out"),
        (critic != "keep", "agent.critic_after_fit", critic, "leave it out"),
        (bool(config.agent.restart_steps), "agent.restart_steps", config.agent.restart_steps, "set it to 0"),
        (kl, "agent.reference", config.agent.reference, "leave it out; method dpo stays close to what it cloned"),
        (needs_ensemble(scheme), "query.scheme", scheme, f"no members are there to disagree: use one of {able}"),
    ):
        if found:
            raise BadInput(f"{setting} is {value} and method is {config.method}, which learns no reward; {remedy}")


def _check_members(config: Any) -> None:
    """Refuse settings that need several members where there is one, and settings of networks where there are none."""
    reward = config.reward
    if not source_entry(reward.source).labels:
        return
    alone = reward.ensemble_size == 1 and not reward.linear
    networks = [name for name in ("crops", "pseudo_labels") if name in reward.more and not reward.ensemble_size]
    for found, setting, value, why, more in (
        (alone and reward.pessimism, "reward.pessimism", reward.pessimism, ALONE, 2),
        (alone and "disagreement_bonus" in reward.more, "reward.more", "disagreement_bonus", ALONE, 2),
        (networks, "reward.more", ", ".join(networks), "it is about networks", 1),
    ):
        if found:
            raise BadInput(
                f"{setting} is {value} and reward.ensemble_size is {reward.ensemble_size}: {why}; leave it out, or use "
                f"reward.ensemble_size {more} or more"
            )


def _check_teacher(config: Any) -> None:
    teacher = teacher_entry(config.teacher)
    if teacher.waits and config.feedback.async_labels:
        raise BadInput(
            f"teacher is {config.teacher}, where the run waits, and feedback.async_labels is on, where it doesn't; "
            "use teacher store, and rlhf-gym label in another terminal"
        )
    if config.teacher == "self" and config.feedback.reliability:
        raise BadInput(
            "teacher is self and feedback.reliability is on, by which the reward would believe itself most; use one"
        )
    if config.feedback.people_per_query > 1 and (teacher.waits or not teacher.people):
        raise BadInput(
            f"feedback.people_per_query is {config.feedback.people_per_query} and teacher is {config.teacher}, "
            "who is one; use teacher web or store, or teacher panel and teacher_options.each"
        )
