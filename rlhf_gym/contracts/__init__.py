"""What every kind of feedback, teacher, preference store and query scheme must do, as suites to run over one's own.

A rule is a function named by what it demands; it raises AssertionError where that isn't met. Run them all with
:func:`check_kind`, :func:`check_teacher` and :func:`check_store`, or one by one::

    @pytest.mark.parametrize("rule", STORE_RULES)
    def test_my_store(rule):
        with PreferenceStore(MY_URL) as store:
            rule(store)
"""

from rlhf_gym.contracts.examples import example_queries, same_query
from rlhf_gym.contracts.kinds import KIND_RULES, check_kind
from rlhf_gym.contracts.schemes import check_selector
from rlhf_gym.contracts.stores import STORE_RULES, check_store
from rlhf_gym.contracts.teachers import TEACHER_RULES, check_teacher

__all__ = [
    "KIND_RULES",
    "STORE_RULES",
    "TEACHER_RULES",
    "check_kind",
    "check_selector",
    "check_store",
    "check_teacher",
    "example_queries",
    "same_query",
]
