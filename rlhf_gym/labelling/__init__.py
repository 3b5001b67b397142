"""People as teachers: clips of queries, and the faces through which they are answered."""

from rlhf_gym.labelling.clips import Clip, ClipCache, ClipError

__all__ = ["Clip", "ClipCache", "ClipError"]
