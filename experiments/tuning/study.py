"""A study: trials of settings on tuning seeds, pruned by their learning curves, kept in a database."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.study import MaxTrialsCallback, Study
from optuna.trial import FrozenTrial, Trial, TrialState

from experiments.tuning.spaces import SPACES, Suggested, what_has
from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.config.mappings import merge

SEEDS = (100, 101, 102)
"""Seeds of trials; no result uses them."""
FURTHER = tuple(range(103, 109))
"""Seeds of the finals between the best trials; no result uses them."""
UNSEEN = tuple(range(200, 210))
"""Seeds of the check of the tuned settings."""
FIRST = 8  # trials near the preset, not pruned: the median needs some
FINALISTS = 4
KEPT = 2 / 3  # chance that one of these trials keeps a value of the preset


@dataclass(frozen=True)
class Tuning:
    """What is tuned.

    Args:
        env_id: Gymnasium id.
        algo: An algorithm that has a space.
        paid: `labels`, or `true` for the environment's own reward.
        settings: Laid over the preset in every trial, such as `total_timesteps`.
        seeds: Seeds that each trial is run on.
    """

    env_id: str
    algo: str
    paid: str
    settings: Mapping[str, Any]
    seeds: Sequence[int] = SEEDS

    @property
    def name(self) -> str:
        """Name of its study."""
        return f"{self.env_id}_{self.algo}_{self.paid}".replace("/", "-").replace(":", "-")

    def config(self, tried: Mapping[str, Any], seed: int) -> RLHFConfig:
        """Make the settings of one run."""
        paid = {"reward": {"source": "true"}} if self.paid == "true" else {}
        settings = merge(merge(merge(self.settings, paid), tried), {"seed": seed})
        return RLHFConfig.for_env(**{"env_id": self.env_id, "algo": self.algo, **settings})

    def tried(self, trial: Trial) -> dict[str, Any]:
        """Let a trial suggest settings."""
        return SPACES[self.algo](Suggested(trial, what_has(self.config({}, self.seeds[0]))))

    def presets_trial(self) -> dict[str, Any]:
        """Find the parameters of the trial that tries the preset."""
        own = what_has(self.config({}, self.seeds[0]))
        names = optuna.trial.FixedTrial(own)
        SPACES[self.algo](Suggested(names, own))
        return {name: own[name] for name in names.params}


def score(tuning: Tuning, tried: Mapping[str, Any], trial: Trial | None = None) -> list[float]:
    """Learn with each seed, and return the true returns of the deterministic policies.

    Args:
        tuning: What is tuned.
        tried: Settings.
        trial: Gets the first seed's returns by round, then the mean after each seed; may end the trial early.

    Raises:
        TrialPruned: If the trial is worse than the median of the others so far.
    """
    returns: list[float] = []
    for seed in tuning.seeds:
        with closing(RLHF(tuning.config(tried, seed))) as rlhf:
            for done in rlhf.rounds():
                if trial and not returns and not math.isnan(done.true_return):
                    _tell(trial, done.true_return, done.round)
            returns.append(float(rlhf.evaluate()["true_return_mean"]))
        if trial:
            _tell(trial, sum(returns) / len(returns), 1000 + len(returns))
    return returns


def _tell(trial: Trial, value: float, step: int) -> None:
    trial.report(value, step)
    if trial.should_prune():
        raise optuna.TrialPruned


def open_study(tuning: Tuning, database: Path) -> Study:
    """Open the study in its database, or begin it.

    Raises:
        ValueError: If it was begun with other settings or seeds.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=tuning.name,
        storage=f"sqlite:///{database}",
        sampler=TPESampler(n_startup_trials=FIRST, constant_liar=True),
        pruner=MedianPruner(n_startup_trials=FIRST, n_warmup_steps=2),
        direction="maximize",
        load_if_exists=True,
    )
    begun = json.dumps([dict(tuning.settings), list(tuning.seeds)], sort_keys=True)
    if study.user_attrs.get("settings", begun) != begun:
        raise ValueError(
            f"{database} has {tuning.name} with settings and seeds {study.user_attrs['settings']}; use another --out"
        )
    study.set_user_attr("settings", begun)
    for near in _near(tuning.presets_trial()):
        study.enqueue_trial(near, skip_if_exists=True)
    return study


def _near(preset: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Make the first trials: the preset, so that the best is no worse, and trials that keep most of its values.

    Settings drawn at random are far worse than any preset, and say little about what is better.
    """
    yield dict(preset)
    rng = np.random.default_rng(0)
    for _ in range(FIRST - 1):
        yield {name: value for name, value in preset.items() if rng.random() < KEPT}


def try_some(tuning: Tuning, database: Path, trials: int) -> Study:
    """Run trials until the study has `trials` of them; several processes may do so at once."""

    def objective(trial: Trial) -> float:
        tried = tuning.tried(trial)
        trial.set_user_attr("settings", json.dumps(tried))
        returns = score(tuning, tried, trial)
        trial.set_user_attr("returns", json.dumps(returns))
        return sum(returns) / len(returns)

    study = open_study(tuning, database)
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    if len(study.get_trials(deepcopy=False, states=ended)) < trials:
        study.optimize(objective, callbacks=[MaxTrialsCallback(trials, states=ended)])
    return study


def play_finals(tuning: Tuning, study: Study) -> None:
    """Run the best few trials on further seeds, because the best of many trials on three seeds was partly lucky.

    Finals are kept with the study, and aren't run again.
    """
    whole = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    for trial in sorted(whole, key=lambda trial: -(trial.value or 0.0))[:FINALISTS]:
        finals = finals_of(study)
        if trial.number not in finals:
            returns = score(replace(tuning, seeds=FURTHER), json.loads(trial.user_attrs["settings"]))
            study.set_user_attr("finals", json.dumps(finals | {trial.number: returns}))


def finals_of(study: Study) -> dict[int, list[float]]:
    """Read the true returns on further seeds, by the trial's number; empty before the finals."""
    return {int(number): returns for number, returns in json.loads(study.user_attrs.get("finals", "{}")).items()}


def best_trial(study: Study) -> FrozenTrial:
    """Find the trial that won the finals; before them, the one with the best score."""
    finals = finals_of(study)
    return study.trials[max(finals, key=lambda number: sum(finals[number]))] if finals else study.best_trial
