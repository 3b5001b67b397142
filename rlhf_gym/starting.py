"""Makes from settings the policy that a run starts with, and the one that it stays close to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlhf_gym.agents import Actor, Agent, OnPolicyAgent, check_clonable, clone, copy_weights
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import build, check_types
from rlhf_gym.config.start_options import StartOptions
from rlhf_gym.demonstrators import load_policy_for, play_from, policy_file
from rlhf_gym.envs import make_env
from rlhf_gym.envs.recordings import fitted, load_recordings
from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Preference, content
from rlhf_gym.segments import Ending, Origin, Segment, Trajectory
from rlhf_gym.teaching import origin_of

START, BEST = "start", "best"
PLAYED_STEPS = 10_000  # default number of steps that a policy plays to be cloned


def start_agent(
    config: RLHFConfig, agent: Agent, preferences: Callable[[], Sequence[Preference]], *, rng: np.random.Generator
) -> dict[str, Any]:
    """Give a new agent the policy to start with, and its reference the one to stay close to, in place.

    Args:
        config: All settings.
        agent: Untrained.
        preferences: Reads the preferences that the run begins with.
        rng: Draws episodes, actions and minibatches; global random states stay as they are.

    Returns:
        How each setting's policy was taken over, under `started`; empty where none is named.

    Raises:
        BadInput: If a policy isn't there, is of other spaces, or can't be taken over.
    """
    settings = config.agent
    if settings.start is None and settings.reference is None:
        return {}
    options = build(StartOptions, settings.start_options, "agent.start_options.")
    check_types(options, "agent.start_options.")
    take = _Take(origin_of(config), options, preferences, rng)
    done: dict[str, Any] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        if settings.start is not None:
            done["agent.start"] = take(settings.start, agent.sb3.policy, "agent.start")
        if isinstance(agent, OnPolicyAgent) and agent.reference and settings.reference is not None:
            if settings.reference in (START, settings.start):
                copy_weights(agent.sb3.policy, agent.reference.policy)
            else:
                done["agent.reference"] = take(settings.reference, agent.reference.policy, "agent.reference")
    return {"started": done}


@dataclass(frozen=True)
class _Take:
    """Takes over a policy from the place that a setting names."""

    origin: Origin
    options: StartOptions
    preferences: Callable[[], Sequence[Preference]]
    rng: np.random.Generator

    def __call__(self, place: str, policy: Any, setting: str) -> dict[str, Any]:
        """Copy the weights of the policy at `place`, or clone what is there; return what was done."""
        whose, limits = f"{setting} {place}", self.options
        with closing(make_env(self.origin)) as env:
            here = env.observation_space, env.action_space
        if place == BEST:
            segments: Sequence[Trajectory | Segment] = better_segments(self.preferences(), setting=setting)
        elif (path := policy_file(place, setting=setting)) is not None:
            actor = load_policy_for(path, here, whose=whose)
            if limits.copy and copy_weights(actor, policy):
                return {"copied": place}
            why = "as it isn't a policy with the same layers" if limits.copy else "as agent.start_options.copy is off"
            with _said(f"{whose} is to be cloned, {why}"):
                check_clonable(policy)  # before it plays
            segments = self.played(actor)
        else:
            segments = fitted(load_recordings(place), here, whose=whose)
        with _said(f"{whose} is to be cloned"):
            cloned = clone(policy, first(segments, limits.episodes, limits.steps), rng=self.rng, **limits.cloning)
        figures = {"pairs": cloned.pairs + cloned.pairs_heldout, "epochs": cloned.kept}
        return {"cloned": place, **figures, "loss": cloned.losses[cloned.kept]}

    def played(self, actor: Actor) -> list[Trajectory]:
        """Let a policy play whole episodes until there are enough to clone."""
        limits, episodes = self.options, list[Trajectory]()
        steps = limits.steps or (PLAYED_STEPS if limits.episodes is None else None)
        with closing(make_env(self.origin)) as env:
            while not _enough(episodes, limits.episodes, steps):
                seed = int(self.rng.integers(2**31))
                episodes.append(play_from(env, env.reset(seed=seed)[0], self.act(actor)))
        return episodes

    def act(self, actor: Actor) -> Callable[[Any], Any]:
        """Make a function from an observation to the policy's action."""
        return lambda observation: actor.predict(observation, deterministic=self.options.deterministic)[0]


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Prefix the message of a BadInput by what was to be done."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error


def _enough(episodes: Sequence[Trajectory], wanted: int | None, steps: int | None) -> bool:
    return len(episodes) == wanted or (steps is not None and sum(map(len, episodes)) >= steps)


def first(
    segments: Sequence[Trajectory | Segment], episodes: int | None, steps: int | None
) -> Sequence[Trajectory | Segment]:
    """Take the first trajectories or segments, at most `episodes` of them and `steps` steps in all; None is all."""
    kept: list[Trajectory | Segment] = []
    left = sum(len(segment.actions) for segment in segments) if steps is None else steps
    for segment in segments[:episodes]:
        if left > 0:
            kept.append(segment if len(segment.actions) <= left else _beginning(segment, left))
        left -= len(segment.actions)
    return kept


def _beginning(segment: Trajectory | Segment, steps: int) -> Trajectory:
    arrays = segment.observations[: steps + 1], segment.actions[:steps], segment.rewards[:steps]
    return Trajectory(*arrays, Ending.UNFINISHED)


def better_segments(preferences: Sequence[Preference], *, setting: str) -> list[Segment]:
    """Find the segments that were chosen more often than they would have been at random.

    Args:
        preferences: Preferences of any kind.
        setting: The setting that asks for them, for the message.

    Raises:
        BadInput: If there are none.
    """
    scores: dict[str, float] = defaultdict(float)
    known: dict[str, Segment] = {}
    for choice in choices(preferences):
        for option, target in zip(choice.options, choice.target, strict=True):
            name = str(content(option))
            known.setdefault(name, option)
            scores[name] += choice.weight * (target - 1 / len(choice.options))
    found = [segment for name, segment in known.items() if scores[name] > 1e-9]
    if not found:
        raise BadInput(
            f"{setting} is {BEST}, and no segment was preferred so far; set feedback.preferences: a run directory or "
            "an export with answers other than ties"
        )
    return found
