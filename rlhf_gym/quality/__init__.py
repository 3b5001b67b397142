"""Quality of the answers."""

from rlhf_gym.quality.assessment import assess
from rlhf_gym.quality.groups import Groups, find_groups
from rlhf_gym.quality.heldout import heldout_figures
from rlhf_gym.quality.reliability import Reliability, reliabilities
from rlhf_gym.quality.report import OrdinalAgreement, PersonQuality, QualityReport, Share

__all__ = [
    "Groups",
    "OrdinalAgreement",
    "PersonQuality",
    "QualityReport",
    "Reliability",
    "Share",
    "assess",
    "find_groups",
    "heldout_figures",
    "reliabilities",
]
