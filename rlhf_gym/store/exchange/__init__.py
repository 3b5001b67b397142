"""Export and import of preferences: as JSON Lines, as Parquet, and as a folder that Hugging Face reads.

A reward model can be fitted to an export without the environment::

    preferences, spaces = read_preferences("export"), read_spaces("export")
    model = RewardModel(*spaces)
    rng = np.random.default_rng(0)
    fit_reward_model(model, choices(preferences), bootstrap=Bootstrap(model.ensemble_size, seed=0), rng=rng)
"""

from rlhf_gym.store.exchange.fit import check_fit, wanted_by_run
from rlhf_gym.store.exchange.folder import (
    Exported,
    add_preferences,
    export,
    import_preferences,
    read_preferences,
    read_spaces,
)

__all__ = [
    "Exported",
    "add_preferences",
    "check_fit",
    "export",
    "import_preferences",
    "read_preferences",
    "read_spaces",
    "wanted_by_run",
]
