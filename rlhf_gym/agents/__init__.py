"""Agents, which learn the policy."""

from rlhf_gym.agents.actor import Actor, load_actor
from rlhf_gym.agents.agent import Agent
from rlhf_gym.agents.archive import check_layers
from rlhf_gym.agents.cloning import Cloned, check_clonable, clone
from rlhf_gym.agents.copying import copy_weights
from rlhf_gym.agents.make import check_algorithm_options, load_algorithm, load_policy, make_agent, replays
from rlhf_gym.agents.normalisation import NormalizedObservations
from rlhf_gym.agents.off_policy import OffPolicyAgent
from rlhf_gym.agents.on_policy import OnPolicyAgent
from rlhf_gym.agents.plain_file import write_plain
from rlhf_gym.agents.relabelling import RelabelledReplay

__all__ = [
    "Actor",
    "Agent",
    "Cloned",
    "NormalizedObservations",
    "OffPolicyAgent",
    "OnPolicyAgent",
    "RelabelledReplay",
    "check_layers",
    "check_algorithm_options",
    "check_clonable",
    "clone",
    "copy_weights",
    "load_actor",
    "load_algorithm",
    "load_policy",
    "make_agent",
    "replays",
    "write_plain",
]
