"""`reward.more`: by name, on the command line and in a file, off unless named, through the loop, and on again."""

import json
import math
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from gymnasium import spaces

from rlhf_gym.cli import parse
from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Choice
from rlhf_gym.registry import MORE
from rlhf_gym.rewards import Dataset, RewardLearner, RewardModel
from rlhf_gym.rewards.descent import Likelihood
from rlhf_gym.rewards.more import More, make_more
from rlhf_gym.rewards.more.more import windows_of
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import lifecycle
from tests.rewards.test_fitting import fresh, segment

SMALL: dict[str, Any] = {
    "labels": 16,
    "total_timesteps": 1100,
    "query": {"rounds": 3, "warm_up_steps": 256, "memory_steps": 1024},
    "reward": {"steps": 10, "network_options": {"hidden": [8]}},
    "agent": {"n_envs": 4, "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
}
ALL: dict[str, Any] = {
    "crops": {"shortest": 0.5},
    "pseudo_labels": {"threshold": 0.6},
    "self_supervised": {"weight": 0.5, "batch_size": 16},
    "disagreement_bonus": {"beta": 0.5},
}


def config(more: Any, **settings: Any) -> RLHFConfig:
    return RLHFConfig.for_env("CartPole-v1", **SMALL).replace(reward={"more": more}, **settings)


def model(**options: Any) -> RewardModel:
    return RewardModel(spaces.Box(-1, 1, (2,)), spaces.Discrete(2), **options)


def weights(rlhf: RLHF) -> list[torch.Tensor]:
    return [*rlhf.method.learner.model.state_dict().values(), *rlhf.agent.sb3.policy.state_dict().values()]


def learned(of: RLHFConfig) -> list[torch.Tensor]:
    with closing(RLHF(of)) as rlhf:
        for _ in rlhf.rounds():
            pass
        assert rlhf.labels == 16 and len(rlhf.preferences) == 16
        assert all(torch.isfinite(one).all() for one in weights(rlhf))
        return weights(rlhf)


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def plain() -> list[torch.Tensor]:
    """What a run learns without any option."""
    return learned(config({}))


# In the loop


def test_every_registered_option_is_tried_here() -> None:
    assert set(ALL) == set(MORE)


@pytest.mark.parametrize("name", ALL)
def test_each_option_changes_what_is_learned_the_same_way_each_time_and_asks_for_no_more(
    name: str, plain: list[torch.Tensor]
) -> None:
    once, again = (learned(config({name: ALL[name]})) for _ in range(2))
    assert same(once, again) and not same(once, plain)


@pytest.mark.parametrize(
    "idle", [{"crops": {"shortest": 1.0}}, {"pseudo_labels": {"threshold": 1.0}}, {"self_supervised": {"weight": 0}}]
)
def test_options_that_do_nothing_leave_every_weight_as_it_would_be(idle: Any, plain: list[torch.Tensor]) -> None:
    assert same(learned(config(idle)), plain)


def test_a_run_with_all_of_them_is_saved_loaded_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "CHECKPOINT_SECONDS", 0)
    run = tmp_path / "run"
    with closing(RLHF(config(ALL, run_dir=str(run)))) as rlhf:
        rounds = rlhf.rounds()
        next(rounds), next(rounds)
    assert yaml.safe_load((run / "config.yaml").read_text())["reward"]["more"] == ALL
    with closing(RLHF.resume(run)) as rlhf:
        assert rlhf.config.reward.more == ALL and rlhf.method.version == 2
        rlhf.learn()
        after = weights(rlhf)
    with closing(RLHF.load(run)) as rlhf:
        assert same(weights(rlhf), after)
        assert np.isfinite(rlhf.fit_reward().loss)  # on the queries' segments, as nothing else is there
    assert json.loads((run / "summary.json").read_text())["labels"] == 16


# What is told


def test_one_by_one_on_the_command_line_or_as_one_object() -> None:
    words = ["--reward.more.crops", "--reward.more.pseudo-labels.threshold", "0.99"]
    named = {"crops": {}, "pseudo_labels": {"threshold": 0.99}}
    assert parse(["train", *words]).settings.reward.more == named
    assert parse(["train", "--reward.more", json.dumps(named)]).settings.reward.more == named


def test_by_default_there_is_none_and_an_empty_mapping_takes_all_of_them_back() -> None:
    assert RLHFConfig().reward.more == {}
    assert config(ALL).replace(reward={"more": {}}).reward.more == {}
    assert config({"crops": {}}).replace(reward={"more": {"pseudo_labels": {}}}).reward.more.keys() == {
        "crops",
        "pseudo_labels",
    }


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"cops": {}}, r"reward\.more is 'cops'; did you mean crops\?"),
        ({"crops": {"shorter": 0.5}}, r"reward\.more crops has no option shorter; did you mean shortest\?"),
        ({"crops": True}, r"reward\.more\.crops is True; expected its parameters by name, or \{\} for none"),
        ({"self_supervised": {"model": 1}}, r"reward\.more self_supervised has no option model; it takes weight"),
        ([], r"reward\.more is \[\]"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(more: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message) as told:
        RLHF(config(more))
    assert "\n" not in str(told.value)


def test_a_name_without_anything_in_a_file_is_an_option_without_parameters() -> None:
    assert len(make_more({"crops": None}, model())) == 1


def test_an_option_of_ones_own_is_named_in_the_provenance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_more.py").write_text(
        "from rlhf_gym.rewards.more import More\n"
        "def smaller(by=0.1):\n"
        "    return More(term=lambda about: lambda: by * about.model.ensemble.weights[0].square().sum())\n"
        "def wrong():\n    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    try:
        with closing(
            RLHF(config({"my_more:smaller": {"by": 0.2}, "crops": {}}, run_dir=str(tmp_path / "run")))
        ) as rlhf:
            next(rlhf.rounds())
        told = json.loads((tmp_path / "run" / "provenance.json").read_text())
        assert told["own"] == {"reward.more": "my_more:smaller, crops"}
        with pytest.raises(BadInput, match="reward.more is 'my_more:wrong', which gives int; expected a rlhf_gym"):
            make_more({"my_more:wrong": {}}, model())
    finally:
        sys.modules.pop("my_more", None)


# Together


def test_windows_of_several_options_are_put_one_after_the_other() -> None:
    rng = np.random.default_rng(0)
    doubled, first = More(windows=lambda lived, _: 2 * lived), More(windows=lambda lived, _: lived.clamp(max=1.5))
    windows = windows_of([doubled, More(), first], rng)
    assert windows and windows(torch.ones(1, 2, 3)).tolist() == [[[1.5] * 3] * 2]
    assert windows_of([More()], rng) is None


def test_a_learner_without_any_pays_the_model_s_own_reward() -> None:
    one = RewardLearner(model(), rng=np.random.default_rng(0), l2=1e-3)
    steps = (np.ones((3, 2), np.float32), np.zeros(3, int), np.ones((3, 2), np.float32), np.zeros(3, bool))
    np.testing.assert_array_equal(one.reward_function(100)(*steps), one.model.reward_function()(*steps))


def test_a_window_counts_its_share_of_the_return_that_is_given() -> None:
    data, rng = Dataset(fresh().encoding), np.random.default_rng(3)
    left, right = (replace(segment(rng), length=9) for _ in range(2))
    data.update([Choice((left, right), (1, 0), "a")])
    ensemble = fresh().ensemble
    assert ensemble
    for parameter in ensemble.parameters():
        parameter.data.zero_()

    def first(lived: torch.Tensor) -> torch.Tensor:
        return lived * (torch.arange(lived.shape[-1]) == 0)

    given = torch.tensor([[3.0, -2.0]])
    likelihood = Likelihood(ensemble, data, lambda inputs: inputs, targets=data.targets, given=given, windows=first)
    for whole, difference in ((True, 5.0), (False, 3 / left.lived + 2 / right.lived)):
        losses = likelihood.losses(torch.arange(1), whole=whole)
        assert losses[:, 0].tolist() == pytest.approx([math.log1p(math.exp(-difference))] * len(losses))


def test_where_no_option_is_offered_windows_see_a_whole_segment() -> None:
    data, rng, seen = Dataset(fresh().encoding), np.random.default_rng(3), list[torch.Tensor]()
    short, *whole = (segment(rng) for _ in range(20))
    short = replace(short, observations=short.observations[:2], actions=short.actions[:1], rewards=short.rewards[:1])
    whole = [one for one in whole if one.lived == 5]
    data.update([Choice((short, *whole[:2]), (1, 0, 0), "a"), Choice(tuple(whole[2:4]), (1, 0), "b")])

    def windows(lived: torch.Tensor) -> torch.Tensor:
        seen.append(lived)
        return lived * torch.tensor([1.0, 0, 0, 0, 0])

    ensemble = fresh().ensemble
    assert ensemble
    likelihood = Likelihood(ensemble, data, lambda inputs: inputs, targets=data.targets, windows=windows)
    losses = likelihood.losses(torch.arange(2), whole=False)
    assert seen[0].sum(dim=-1).tolist() == [[1, 5, 5], [5, 5, 5]]  # the first row's segment has lived one step
    firsts = [ensemble(data.inputs[data.rows[1, option], 0]) for option in (0, 1)]
    by_hand = torch.log1p(torch.exp(firsts[1] - firsts[0]))  # of first steps alone
    torch.testing.assert_close(losses[:, 1], by_hand)
    assert len(seen) == 1 and not torch.allclose(likelihood.losses(torch.arange(2))[:, 1], by_hand)
    assert len(seen) == 1
