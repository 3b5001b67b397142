"""People as teachers: clips of queries, and the faces through which they are answered."""

from rlhf_gym.labelling.clips import Clip, ClipCache, ClipError, ClipNotReady
from rlhf_gym.labelling.desk import Desk, Progress, Taken

__all__ = ["Clip", "ClipCache", "ClipError", "ClipNotReady", "Desk", "Progress", "Taken"]
