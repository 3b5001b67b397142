"""Quality of the answers."""

from rlhf_gym.quality.assessment import assess
from rlhf_gym.quality.report import PersonQuality, QualityReport, Share

__all__ = ["PersonQuality", "QualityReport", "Share", "assess"]
