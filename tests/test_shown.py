"""Steps that are shown alone: in what is asked, what is counted and what is kept, and nowhere else."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.envs import Recorder
from rlhf_gym.runs import read_run
from rlhf_gym.segments import Segment, Trajectory

# 200 steps are watched, six rollouts of 128 steps follow, and 72 steps are shown in the first three rounds of four.
SETTINGS: dict[str, Any] = {
    "labels": 12,
    "total_timesteps": 1048,
    "segment_length": 10,
    "query": {"rounds": 4, "warm_up_steps": 200, "memory_steps": 1000, "candidates_per_query": 3, "shown": 0.07},
    "reward": {"steps": 5, "network_options": {"hidden": [8]}},
    "agent": {"n_envs": 4, "net_arch": [8], "options": {"n_steps": 32, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
}
Make = Callable[..., RLHF]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[RLHF] = []

    def build(env_id: str = "CartPole-v1", **changes: Any) -> RLHF:
        made.append(RLHF(RLHFConfig(env_id=env_id).replace(**SETTINGS).replace(**changes)))
        return made[-1]

    yield build
    for rlhf in made:
        rlhf.close()


def shown(rlhf: RLHF) -> Recorder:
    found = rlhf._parts.shown
    assert found is not None
    return found.recorder


def origins(trajectories: Any) -> set[int]:
    """Seeds of episodes: what a segment was cut from."""
    return {t.origin.seed for t in trajectories if t.origin}


def test_every_step_is_counted_and_there_are_never_more_than_allowed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped, step = [], CartPoleEnv.step

    def counted(env: CartPoleEnv, action: Any) -> Any:
        stepped.append(action)
        return step(env, action)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(CartPoleEnv, "step", counted)
    rlhf = make()
    rounds = list(rlhf.rounds())
    assert [part.shown for part in rlhf.plan] == [18, 36, 54, 72]  # 0.07 of 1048 steps are 73; two environments
    assert [row.env_steps for row in rounds] == [
        200 + part.shown + 128 * n for part, n in zip(rlhf.plan, (2, 3, 4, 6), strict=True)
    ]
    assert rlhf.env_steps == len(stepped) == 200 + 72 + 6 * 128 <= 1048
    assert (rlhf.agent.steps, shown(rlhf).steps) == (6 * 128, 72)
    assert rlhf.evaluate()["total_timesteps"] == rlhf.env_steps


def test_what_is_shown_is_asked_about_and_remembered_in_proportion(make: Make) -> None:
    rlhf = make(query={"shown": 0.5, "scheme": "uniform"}, total_timesteps=2000, labels=60)
    list(rlhf.rounds())
    segments = [segment for p in rlhf.preferences for segment in p.query.options]
    theirs = origins(segment for segment in segments) & origins(shown(rlhf).trajectories())
    assert theirs and len(theirs) < len(origins(segments))
    assert (rlhf.recorder._memory_steps, shown(rlhf)._memory_steps) == (500, 500)
    assert sum(map(len, rlhf.collect())) == sum(len(t) for r in rlhf._parts.recorders for t in r.trajectories())


def test_the_calm_policy_is_shown_beside_a_lively_one(make: Make) -> None:
    rlhf = make("Pendulum-v1", query={"shown": 0.3})
    rlhf.collect()
    calm, lively = shown(rlhf).trajectories()
    np.testing.assert_allclose(rlhf.predict(calm.observations[:-1])[0], calm.actions, atol=1e-6)
    apart = lively.actions - rlhf.predict(lively.observations[:-1])[0]
    assert 1.2 < apart.std() < 2  # of a normal distribution of deviation 2, clipped at 2


def test_nothing_is_learned_from_it_nor_paid_in_it_nor_scaled_by_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rlhf = make("Pendulum-v1", agent={"normalize_observations": True})
    rescaled: list[Trajectory | Segment] = []
    rescale = rlhf.method.learner.rescale
    monkeypatch.setattr(rlhf.method.learner, "rescale", lambda ts, **kw: (rescaled.extend(ts), rescale(ts, **kw)))
    rounds = list(rlhf.rounds())
    assert rlhf.agent.sb3.policy.features_extractor.count == 6 * 128
    seen = origins(shown(rlhf).trajectories())
    assert rescaled and not seen & origins(rescaled)
    assert not seen & origins(rlhf.recorder.trajectories())
    assert all(np.isnan(row.true_return) or row.episode_length == 200 for row in rounds)


def test_until_there_is_an_answer_training_goes_as_it_would_without(make: Make) -> None:
    learned = []
    for changes in ({}, {"query": {"shown": 0.0}, "total_timesteps": 976}):
        rlhf = make(**changes)
        rlhf.collect()
        rlhf.improve(128)
        learned.append([value.clone() for value in rlhf.agent.sb3.policy.state_dict().values()])
    assert rlhf._parts.shown is None and [part.shown for part in rlhf.plan] == [0] * 4
    assert all(map(torch.equal, *learned))


def test_the_same_seed_shows_the_same(make: Make) -> None:
    seen = []
    for _ in range(2):
        rlhf = make()
        next(rlhf.rounds())
        rlhf.collect()
        seen.append([(t.actions.tolist(), t.observations.tolist()) for t in shown(rlhf).trajectories()])
    assert seen[0] == seen[1]


def test_a_termination_among_them_ends_shifting_too(make: Make) -> None:
    rlhf = make("Pendulum-v1")
    rlhf.collect()
    assert rlhf._parts.lately().shift
    shown(rlhf).terminations = 1
    assert not rlhf._parts.lately().shift


def test_a_resumed_run_still_has_what_was_shown(tmp_path: Path, make: Make) -> None:
    with closing(make(run_dir=str(tmp_path))) as rlhf:
        rlhf._checkpoints._often = True
        rounds = rlhf.rounds()
        next(rounds), next(rounds)
        before = [[t.actions.tolist() for t in r.trajectories()] for r in rlhf._parts.recorders]
        seeds, counted = origins(shown(rlhf).trajectories()), [(r.steps, r.terminations) for r in rlhf._parts.recorders]
    with closing(RLHF.resume(tmp_path)) as rlhf:
        assert [[t.actions.tolist() for t in r.trajectories()] for r in rlhf._parts.recorders] == before
        assert [(r.steps, r.terminations) for r in rlhf._parts.recorders] == counted
        summary = rlhf.learn()
        assert len(origins(shown(rlhf).trajectories()) - seeds) >= 2  # new episodes, with seeds of their own
    assert summary["total_timesteps"] == 200 + 72 + 6 * 128
    assert [row["env_steps"] for row in read_run(tmp_path).metrics] == [474, 620, 766, 1040]
    with closing(RLHF.load(tmp_path)) as loaded:
        assert loaded.ask(2)


def test_a_checkpoint_of_an_earlier_version_is_taken_up(tmp_path: Path, make: Make) -> None:
    with closing(make(run_dir=str(tmp_path), query={"shown": 0.0})) as rlhf:
        rlhf._checkpoints._often = True
        next(rlhf.rounds())
    state = next(tmp_path.glob("checkpoints/*/state.json"))
    assert '"shown": [], ' in state.read_text()
    state.write_text(state.read_text().replace('"shown": [], ', ""))
    state.with_name("SHA256SUMS").unlink()  # which it had not either
    with closing(RLHF.resume(tmp_path)) as rlhf:
        assert rlhf.env_steps == 200 + rlhf.plan[0].steps


@pytest.mark.parametrize(
    "control", [{"labels": 0, "reward": {"source": "true"}}, {"reward": {"source": "constant"}}], ids=str
)
def test_where_nothing_is_asked_nothing_is_shown(make: Make, control: dict[str, Any]) -> None:
    rlhf = make(**control)
    assert rlhf._parts.shown is None and sum(part.steps for part in rlhf.plan) == 8 * 128


def test_no_more_is_played_than_is_remembered(make: Make) -> None:
    rlhf = make(query={"memory_steps": 100})  # 7 of them a round
    assert rlhf.plan[-1].shown == 28


def test_a_linear_schedule_ends_where_learning_does(make: Make) -> None:
    rlhf = make(agent={"schedule": "linear"})
    list(rlhf.rounds())
    rollouts = rlhf.agent.steps // rlhf.agent.portion
    assert rollouts == 6 and rlhf.env_steps == 1040
    last = rlhf.agent.sb3.policy.optimizer.param_groups[0]["lr"]
    assert last == pytest.approx(rlhf.agent.sb3.learning_rate * 0.5 / rollouts)  # from the middle of the last update


def test_td3_in_several_environments_is_shown_with_more_of_its_noise(make: Make) -> None:
    agent = {"n_envs": 2, "net_arch": [8], "options": {"learning_starts": 100, "action_noise": 0.1, "batch_size": 16}}
    rlhf = RLHF(RLHFConfig(env_id="Pendulum-v1", algo="td3").replace(**{**SETTINGS, "agent": agent}))
    with closing(rlhf):
        assert [done.labels for done in rlhf.rounds()][-1] == 12
        assert shown(rlhf).trajectories()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"query": {"shown": 0.9}},
            "total_timesteps is 1048; use at least 1270: 200 .*, 942 to be shown and one portion",
        ),
        ({"query": {"shown": 1.5}}, "query.shown is 1.5; use a number from 0 to 1"),
        ({"query": {"noise_levels": [0, -1]}}, "query.noise_levels is -1.0; use at least 0"),
        ({"query": {"noise_levels": []}}, "query.noise_levels is empty; use one factor or more"),
        ({"agent": {"options": {"use_sde": True}}}, "PPO explores by a StateDependentNoiseDistribution"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_anything_is_written(
    make: Make, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make("Pendulum-v1", run_dir=str(tmp_path), **changes)
    assert not any(tmp_path.iterdir())
