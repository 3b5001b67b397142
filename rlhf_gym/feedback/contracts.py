"""Where 0.1.0 had the contract suites."""

from rlhf_gym.moved import moved

__getattr__ = moved(
    __name__,
    dict.fromkeys(
        ("STORE_RULES", "TEACHER_RULES", "check_store", "check_teacher", "example_queries", "same_query"),
        "rlhf_gym.contracts",
    ),
)
