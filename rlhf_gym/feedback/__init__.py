"""Where 0.1.0 had teachers and the preference store."""

from rlhf_gym.moved import moved

__getattr__ = moved(
    __name__,
    dict.fromkeys(("Counts", "PreferenceStore"), "rlhf_gym.store")
    | dict.fromkeys(
        ("Goal", "OracleTeacher", "RandomTeacher", "Teacher", "goal_rewards", "load_goal"), "rlhf_gym.teachers"
    ),
)
