"""Runs that start from a policy, from what somebody did, or from the better segments, and stay close to a reference."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents import OnPolicyAgent
from rlhf_gym.agents.reference import FILE
from rlhf_gym.cli import main
from rlhf_gym.envs import save_trajectories
from rlhf_gym.evaluation import play
from rlhf_gym.preferences import Answer, Preference
from rlhf_gym.runs.metrics import metrics_so_far
from rlhf_gym.segments import Ending, Segment, Trajectory
from rlhf_gym.starting import better_segments

SETTINGS: dict[str, Any] = {
    "labels": 8,
    "total_timesteps": 356,
    "segment_length": 10,
    "query": {"rounds": 2, "warm_up_steps": 100},
    "reward": {"ensemble_size": 1, "steps": 2, "network_options": {"hidden": [4]}},
    "agent": {"n_envs": 2, "net_arch": [8], "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
}
KL = {"start": "first.zip", "reference": "start", "kl": 0.1}


def config(**changes: Any) -> RLHFConfig:
    agent = {**SETTINGS["agent"], **changes.pop("agent", {})}
    return RLHFConfig(env_id="CartPole-v1").replace(**{**SETTINGS, "agent": agent, **changes})


def weights(rlhf: RLHF) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in rlhf.agent.sb3.policy.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def reference_of(rlhf: RLHF) -> Any:
    assert isinstance(rlhf.agent, OnPolicyAgent)
    return rlhf.agent.reference


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Weights of an untrained policy of another seed, in first.zip."""
    monkeypatch.chdir(tmp_path)
    with closing(RLHF(config(seed=9))) as rlhf:
        rlhf.agent.sb3.save("first.zip")
        return weights(rlhf)


# Where it starts


def test_weights_are_those_of_the_file_and_a_run_says_so(first: dict[str, torch.Tensor]) -> None:
    with closing(RLHF(config(run_dir="run", agent={"start": "first.zip"}))) as rlhf:
        assert same(weights(rlhf), first) and reference_of(rlhf) is None
        rlhf.learn()
        assert not same(weights(rlhf), first)
    told = json.loads(Path("run/provenance.json").read_text())
    assert told["started"] == {"agent.start": {"copied": "first.zip"}}
    assert told["own"] == {"agent.start": "first.zip"}
    with closing(RLHF(config(agent={"start": "run"}))) as rlhf:
        saved = PPO.load("run/policy.zip").policy.state_dict()
        assert same(weights(rlhf), saved)


def left(observations: Any) -> Any:
    return np.zeros(len(observations), np.int64), None


def test_trajectories_are_cloned(first: dict[str, torch.Tensor]) -> None:
    save_trajectories("left", play(left, "CartPole-v1", seed=0, n_episodes=20))
    options = {"episodes": 15, "epochs": 40, "learning_rate": 0.01}
    with closing(RLHF(config(run_dir="run", agent={"start": "left", "start_options": options}))) as rlhf:
        assert not rlhf.predict(np.random.default_rng(0).normal(0, 0.1, (50, 4)).astype(np.float32))[0].any()
    told = json.loads(Path("run/provenance.json").read_text())["started"]["agent.start"]
    assert told["cloned"] == "left" and 15 * 8 <= told["pairs"] <= 15 * 11 and told["loss"] < 0.1


@pytest.mark.parametrize("file", ["of other layers", "of another algorithm", "not copied"])
def test_a_policy_that_cannot_be_copied_plays_and_is_cloned(first: dict[str, torch.Tensor], file: str) -> None:
    options: dict[str, Any] = {"steps": 150, "epochs": 40, "learning_rate": 0.01, "deterministic": True}
    if file == "of another algorithm":
        made: Any = DQN("MlpPolicy", "CartPole-v1", buffer_size=8, policy_kwargs={"net_arch": []})
        head = made.policy.q_net.q_net[0]
    else:
        layers = [8] if file == "not copied" else []
        made = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, policy_kwargs={"net_arch": layers})
        head, options["copy"] = made.policy.action_net, file != "not copied"
    with torch.no_grad():
        head.weight.zero_(), head.bias.copy_(torch.tensor([1.0, 0.0]))
    made.save("left.zip")
    with closing(RLHF(config(run_dir="run", agent={"start": "left.zip", "start_options": options}))) as rlhf:
        assert not rlhf.predict(np.random.default_rng(0).normal(0, 0.1, (50, 4)).astype(np.float32))[0].any()
    assert json.loads(Path("run/provenance.json").read_text())["started"]["agent.start"]["pairs"] == 150


def test_the_better_segments_of_earlier_preferences_are_cloned(first: dict[str, torch.Tensor]) -> None:
    with closing(RLHF(config(run_dir="before", labels=12))) as rlhf:
        rlhf.learn()
        better = better_segments(rlhf.preferences, setting="agent.start")
        lived = sum(segment.lived for segment in better)
    more: dict[str, Any] = {"labels": 2, "feedback": {"preferences": "before"}}
    with closing(RLHF(config(run_dir="run", agent={"start": "best"}, **more))) as rlhf:
        rlhf.learn()
    told = json.loads(Path("run/provenance.json").read_text())["started"]["agent.start"]
    assert (told["cloned"], told["pairs"]) == ("best", lived)
    with closing(RLHF.load("run")) as loaded, closing(RLHF.load("run")) as again:  # without what it began with
        assert same(weights(loaded), weights(again))


def segment(value: float) -> Segment:
    steps = np.full((4, 1), value, np.float32)
    return Trajectory(steps, np.zeros(3), np.zeros(3), Ending.UNFINISHED).cut(0, 3)


def test_better_is_what_was_chosen_more_often_than_at_random() -> None:
    from rlhf_gym.preferences import Query

    a, b, c = map(segment, (1.0, 2.0, 3.0))
    answers = [((a, b), Answer.LEFT), ((b, c), Answer.LEFT), ((c, a), Answer.TIE), ((b, c), Answer.SKIP)]
    told = [Preference(Query(pair, id=str(i)), answer) for i, (pair, answer) in enumerate(answers)]
    assert [s.observations[0, 0] for s in better_segments(told, setting="agent.start")] == [1.0]
    with pytest.raises(ValueError, match="agent.start is best, and no segment was preferred so far; set feedback.pref"):
        better_segments(told[2:], setting="agent.start")


def test_the_same_run_twice_starts_the_same(first: dict[str, torch.Tensor]) -> None:
    options = {"steps": 60, "copy": False, "epochs": 2}
    found = []
    for seed in (0, 0, 1):
        with closing(RLHF(config(seed=seed, agent={"start": "first.zip", "start_options": options}))) as rlhf:
            found.append(weights(rlhf))
    assert same(found[0], found[1]) and not same(found[0], found[2])


def test_a_dqn_starts_from_a_dqn(first: dict[str, torch.Tensor]) -> None:
    agent = {"options": {"learning_starts": 10, "buffer_size": 500}}
    with closing(RLHF(config(algo="dqn", seed=9, agent=agent))) as rlhf:
        rlhf.agent.sb3.save("dqn.zip")
        wanted = weights(rlhf)
    with closing(RLHF(config(algo="dqn", agent={**agent, "start": "dqn.zip"}))) as rlhf:
        assert same(weights(rlhf), wanted)
    with pytest.raises(
        ValueError, match="agent.start first.zip is to be cloned, as it isn't .*: policy is a DQNPolicy"
    ):
        RLHF(config(algo="dqn", agent={**agent, "start": "first.zip", "start_options": {"steps": 20}}))


# Staying close


def test_divergence_and_beta_are_reported_each_round(first: dict[str, torch.Tensor]) -> None:
    with closing(RLHF(config(run_dir="run", agent=KL))) as rlhf:
        assert same(dict(reference_of(rlhf).policy.state_dict()), first)
        done = list(rlhf.rounds())
    assert done[0].reference_kl == 0 < done[1].reference_kl  # the first rollout is the reference's own
    assert [row["reference_kl"] for row in metrics_so_far("run")] == [d.reference_kl for d in done]
    assert [row["kl_beta"] for row in metrics_so_far("run")] == [0.1, 0.1]
    with closing(RLHF(config(run_dir="plain"))) as rlhf:
        list(rlhf.rounds())
    assert all(np.isnan([row["reference_kl"], row["kl_beta"]]).all() for row in metrics_so_far("plain"))


def test_a_resumed_run_has_the_same_reference_and_beta(first: dict[str, torch.Tensor]) -> None:
    with closing(RLHF(config(run_dir="run", agent={**KL, "kl_target": 0.5}))) as rlhf:
        rlhf._checkpoints._often = True
        next(rlhf.rounds())
        beta = reference_of(rlhf).beta
    assert beta == pytest.approx(0.08)  # a fifth less: it hadn't strayed at all
    Path("first.zip").unlink()
    with closing(RLHF.resume("run")) as rlhf:
        assert reference_of(rlhf).beta == beta and same(dict(reference_of(rlhf).policy.state_dict()), first)
        rlhf.learn()
    assert Path("run", FILE).is_file()
    with closing(RLHF.load("run")) as rlhf:
        assert reference_of(rlhf).beta != beta and same(dict(reference_of(rlhf).policy.state_dict()), first)


def test_a_run_that_was_interrupted_before_its_first_checkpoint_starts_again_from_there(
    first: dict[str, torch.Tensor],
) -> None:
    with closing(RLHF(config(run_dir="run", agent=KL))) as rlhf:
        rlhf.ask(2)
    with closing(RLHF.resume("run")) as rlhf:
        assert same(weights(rlhf), first) and same(dict(reference_of(rlhf).policy.state_dict()), first)


def test_the_reference_may_be_another_policy_than_the_start(first: dict[str, torch.Tensor]) -> None:
    with closing(RLHF(config(agent={"reference": "first.zip", "kl": 0.1}))) as rlhf:
        assert same(dict(reference_of(rlhf).policy.state_dict()), first) and not same(weights(rlhf), first)


def test_objectives_stay_close_too(first: dict[str, torch.Tensor]) -> None:
    with closing(RLHF(config(method="objectives", method_options={"weights": {"oracle": 1.0}}, agent=KL))) as rlhf:
        assert [done.kl_beta for done in rlhf.rounds()] == [0.1, 0.1]


def test_on_the_command_line_and_in_yaml(first: dict[str, torch.Tensor], capsys: pytest.CaptureFixture[str]) -> None:
    config().to_yaml("small.yaml")
    words = ["--agent.start", "first.zip", "--agent.start-options.copy", "false", "--agent.start-options.steps", "30"]
    words += ["--agent.reference", "first.zip", "--agent.kl-target", "0.01"]
    assert main(["train", "--config", "small.yaml", "--run-dir", "run", *words]) == 0
    kept = RLHFConfig.from_yaml("run/config.yaml").agent
    assert (kept.start_options, kept.kl_target) == ({"copy": False, "steps": 30}, 0.01)
    assert main(["train", "--config", "run/config.yaml", "--run-dir", "again"]) == 0
    one, other = (PPO.load(f"{run}/policy.zip").policy.state_dict() for run in ("run", "again"))
    assert same(one, other)
    assert main(["train", "--config", "small.yaml", "--agent.kl", "0.1"]) == 2
    assert "agent.kl is 0.1 and agent.reference is None; set agent.reference" in capsys.readouterr().err


# What is refused


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        ({"kl": 0.1}, "agent.kl is 0.1 and agent.reference is None; set agent.reference start"),
        ({"kl_target": 0.1}, "agent.kl_target is 0.1 and agent.reference is None; set agent.reference start"),
        ({"reference": "first.zip"}, "agent.reference is first.zip, and straying from it costs nothing; set agent.kl"),
        ({"reference": "start", "kl": 1.0}, "agent.reference is start and agent.start is None; set agent.start"),
        ({"kl": -1.0}, "agent.kl is -1.0; use at least 0"),
        ({**KL, "kl_target": 0.0}, "agent.kl_target is 0, which only the reference itself has; use a number above 0"),
        ({"start_options": {"steps": 3}}, "agent.start_options is .* and agent.start is None; set agent.start"),
        ({"start": "gone"}, "agent.start is gone, which isn't there; use a run directory, a policy's file, a file of"),
        ({"start": "best"}, "agent.start is best, and no segment was preferred so far; set feedback.preferences"),
        ({"start": "pendulum.zip"}, r"agent.start pendulum.zip has observations and actions of shapes \(3,\) and"),
        ({**KL, "reference": "pendulum.zip"}, r"agent.reference pendulum.zip has observations and .* \(3,\) and"),
        (
            {"start": "first.zip", "start_options": {"step": 3}},
            "start_options.step; did you mean .*start_options.steps",
        ),
        ({"start": "first.zip", "start_options": {"steps": 0}}, "agent.start_options.steps is 0; use at least 1"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(
    first: dict[str, torch.Tensor], agent: dict[str, Any], told: str
) -> None:
    PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8, policy_kwargs={"net_arch": []}).save("pendulum.zip")
    with pytest.raises(ValueError, match=told) as refused:
        RLHF(config(run_dir="run", agent=agent))
    assert "\n" not in str(refused.value) and not Path("run").exists()


def test_an_off_policy_algorithm_stays_close_to_nothing(first: dict[str, torch.Tensor]) -> None:
    agent = {"reference": "first.zip", "kl": 0.1, "options": {"buffer_size": 500}}
    with pytest.raises(ValueError, match="kl is set and algo is dqn, which is not on-policy; use ppo or a2c"):
        RLHF(config(algo="dqn", agent=agent))
