"""The verbs of `rlhf-gym`."""

from typing import Any

from rlhf_gym.verbs.exchanging import Export, Import
from rlhf_gym.verbs.labelling import Label, Quality
from rlhf_gym.verbs.looking import Evaluate, Plot, Watch
from rlhf_gym.verbs.relearning import Relearn
from rlhf_gym.verbs.sweeping import Sweep
from rlhf_gym.verbs.training import Resume, Train

VERBS: dict[str, Any] = {
    "train": Train,
    "resume": Resume,
    "sweep": Sweep,
    "label": Label,
    "quality": Quality,
    "evaluate": Evaluate,
    "relearn": Relearn,
    "watch": Watch,
    "plot": Plot,
    "export": Export,
    "import": Import,
}

__all__ = ["VERBS", "Train"]
