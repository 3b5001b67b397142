"""Contracts of kinds of feedback, teachers, stores, query schemes, networks and agents, as tests for your own.

A rule is a function named after what it demands; it raises AssertionError if that isn't met. Run them all with
:func:`check_kind`, :func:`check_teacher`, :func:`check_store`, :func:`check_scheme`, :func:`check_network` and
:func:`check_agent`, or one by one::

    @pytest.mark.parametrize("rule", STORE_RULES)
    def test_my_store(rule):
        with PreferenceStore(MY_URL) as store:
            rule(store)
"""

from rlhf_gym.contracts.agents import AGENT_RULES, check_agent, make_in_small_environments
from rlhf_gym.contracts.examples import example_queries, same_query
from rlhf_gym.contracts.kinds import KIND_RULES, check_kind
from rlhf_gym.contracts.networks import NETWORK_RULES, check_network
from rlhf_gym.contracts.schemes import check_scheme, check_value
from rlhf_gym.contracts.stores import STORE_RULES, check_store
from rlhf_gym.contracts.teachers import SEVERAL_RULES, TEACHER_RULES, check_teacher

__all__ = [
    "AGENT_RULES",
    "KIND_RULES",
    "NETWORK_RULES",
    "SEVERAL_RULES",
    "STORE_RULES",
    "TEACHER_RULES",
    "check_agent",
    "check_kind",
    "check_network",
    "check_scheme",
    "check_store",
    "check_teacher",
    "check_value",
    "example_queries",
    "make_in_small_environments",
    "same_query",
]
