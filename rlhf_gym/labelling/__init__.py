"""People as teachers: clips of queries, and the interfaces that show them."""

from rlhf_gym.labelling.clips import Clip, ClipCache, ClipError, ClipNotReady
from rlhf_gym.labelling.desk import Desk, Progress, Taken

__all__ = ["Clip", "ClipCache", "ClipError", "ClipNotReady", "Desk", "Progress", "Taken"]
