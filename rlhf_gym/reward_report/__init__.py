"""Is the learned reward any good? A run's reward model, judged on fresh trajectories of several policies."""

from rlhf_gym.reward_report.assess import RunJudged, assess, judge_run, judging_of
from rlhf_gym.reward_report.figures import reliability_figure
from rlhf_gym.reward_report.maps import check_variables, map_figure
from rlhf_gym.reward_report.relearning import Relearning, Returns, relearn
from rlhf_gym.reward_report.report import CONSTANT, ROWS, Figure, RewardReport, Row, SourceReport, figure

__all__ = [
    "CONSTANT",
    "ROWS",
    "Figure",
    "Relearning",
    "Returns",
    "RewardReport",
    "Row",
    "RunJudged",
    "SourceReport",
    "assess",
    "check_variables",
    "figure",
    "judge_run",
    "judging_of",
    "map_figure",
    "relearn",
    "reliability_figure",
]
