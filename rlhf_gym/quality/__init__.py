"""Quality of the answers."""

from rlhf_gym.quality.assessment import assess
from rlhf_gym.quality.heldout import heldout_figures
from rlhf_gym.quality.reliability import Reliability, reliabilities
from rlhf_gym.quality.report import PersonQuality, QualityReport, Share

__all__ = ["PersonQuality", "QualityReport", "Reliability", "Share", "assess", "heldout_figures", "reliabilities"]
