"""When the loop tells the agent that its reward function has changed."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents import OnPolicyAgent

SETTINGS: dict[str, Any] = {
    "labels": 8,
    "total_timesteps": 612,
    "segment_length": 10,
    "query": {"rounds": 4, "warm_up_steps": 100},
    "reward": {"steps": 2, "network_options": {"hidden": [4]}},
    "agent": {"n_envs": 2, "net_arch": [4], "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
}


def config(**changes: Any) -> RLHFConfig:
    return RLHFConfig(env_id="Pendulum-v1").replace(**SETTINGS).replace(**changes)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Steps the agent had learned from, and steps it was shown, whenever it was told."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(
        OnPolicyAgent, "reward_changed", lambda agent, ts: calls.append((agent.steps, sum(map(len, ts))))
    )
    return calls


def test_each_fit_but_the_first_changes_the_reward_that_the_critic_knows(told: list[tuple[int, int]]) -> None:
    with closing(RLHF(config())) as rlhf:
        list(rlhf.rounds())
    assert told == [(128, 228), (256, 356), (384, 484)]


def test_a_round_without_a_fit_changes_nothing(told: list[tuple[int, int]]) -> None:
    with closing(RLHF(config(labels=2, query={"schedule_options": {"first_fraction": 0.5}}))) as rlhf:
        labels = [part.labels for part in rlhf.plan]
        list(rlhf.rounds())
    assert labels == [1, 1, 2, 2] and [steps for steps, _ in told] == [256]


def test_a_reward_that_is_never_fitted_never_changes(told: list[tuple[int, int]]) -> None:
    with closing(RLHF(config(reward={"source": "untrained"}))) as rlhf:
        list(rlhf.rounds())
    assert told == []


def test_a_resumed_run_is_told_of_new_fits_alone(told: list[tuple[int, int]], tmp_path: Path) -> None:
    with closing(RLHF(config(run_dir=str(tmp_path)))) as rlhf:
        rlhf._checkpoints._often = True
        rounds = rlhf.rounds()
        next(rounds), next(rounds)
    told.clear()
    with closing(RLHF.resume(tmp_path)) as rlhf:
        rlhf.improve(128)
        assert told == []
        list(rlhf.rounds())
    assert [steps for steps, _ in told] == [384, 512]


def test_the_statistics_of_returns_are_resumed_and_loaded(tmp_path: Path) -> None:
    def count(rlhf: RLHF) -> float:
        statistics = rlhf.agent.sb3.get_vec_normalize_env()
        return round(float(statistics.ret_rms.count))

    settings = {"normalize_rewards": True, "return_statistics": "keep", "critic_after_fit": "rescale"}
    with closing(RLHF(config(run_dir=str(tmp_path), agent=settings))) as rlhf:
        rlhf._checkpoints._often = True
        next(rlhf.rounds())
        assert count(rlhf) == 128
    with closing(RLHF.resume(tmp_path)) as rlhf:
        assert count(rlhf) == 128
        rlhf.learn()
    with closing(RLHF.load(tmp_path)) as rlhf:
        assert count(rlhf) == 512
