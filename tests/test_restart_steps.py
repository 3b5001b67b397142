"""`agent.restart_steps`: the policy begins anew, once, and goes on learning from the reward as it is then."""

import numpy as np
import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents import Agent, make_agent
from rlhf_gym.agents.state import weights
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.segments import Origin

OPTIONS = {
    "ppo": {"n_steps": 50, "batch_size": 50, "n_epochs": 2},
    "a2c": {"n_steps": 25},
    "sac": {"learning_starts": 20, "train_freq": 10, "gradient_steps": 2, "batch_size": 32},
    "td3": {"learning_starts": 20, "train_freq": 10, "gradient_steps": 2, "batch_size": 32},
}
FEW = {"labels": 6, "total_timesteps": 1300, "segment_length": 10, "evaluation": {"n_episodes": 1}}


def config(restart_steps=500, algo="ppo", **settings):
    agent = {"n_envs": 2, "restart_steps": restart_steps, "options": OPTIONS.get(algo, {}), "net_arch": (16,)}
    query, reward = {"rounds": 4, "warm_up_steps": 100}, {"ensemble_size": 1, "steps": 5}
    given = {**FEW, "algo": algo, "agent": agent, "query": query, "reward": reward, **settings}
    return RLHFConfig.for_env("Pendulum-v1", **given)


def made(algo):
    venv = VecLearnedReward(
        make_vec_env(Origin("Pendulum-v1", 0), n_envs=2, memory_steps=500, rng=np.random.default_rng(0))
    )
    more = {"normalize_rewards": True} if algo in ("ppo", "a2c") else {}
    return make_agent(algo, venv, seed=3, total_timesteps=1000, net_arch=(16,), options=OPTIONS[algo], **more)


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("algo", OPTIONS)
def test_an_agent_that_begins_anew_is_as_untrained_as_at_first_and_can_be_trained(algo):
    agent, fresh = made(algo), made(algo)
    agent.keep_weights()
    agent.improve(100)
    assert not same(weights(agent.sb3), weights(fresh.sb3))
    agent.restart()
    assert same(weights(agent.sb3), weights(fresh.sb3)) and agent.steps == 100
    states = [state["state"] for name, state in agent.sb3.get_parameters().items() if "optimizer" in name]
    assert not any(states)  # no moments of what was learned
    if algo == "sac":
        assert agent.sb3.log_ent_coef.tolist() == fresh.sb3.log_ent_coef.tolist()
    if algo in ("ppo", "a2c"):
        assert agent.sb3.get_vec_normalize_env().ret_rms.count == pytest.approx(1e-4)
    agent.improve(100)
    assert not same(weights(agent.sb3), weights(fresh.sb3))
    agent.restart()
    assert same(weights(agent.sb3), weights(fresh.sb3))  # what was copied isn't trained


def test_an_agent_that_kept_no_weights_has_none_to_begin_anew_with():
    with pytest.raises(ValueError, match="kept no weights to begin anew with; use keep_weights before it is trained"):
        made("a2c").restart()


@pytest.mark.parametrize(("steps", "kept"), [(0, 0), (500, 1)])
def test_weights_are_copied_only_where_a_run_begins_anew(steps, kept, monkeypatch):
    copied = []
    monkeypatch.setattr(Agent, "keep_weights", lambda agent: copied.append(agent))
    RLHF(config(steps)).close()
    assert len(copied) == kept


def test_a_run_begins_anew_once_at_the_first_round_that_begins_so_late(monkeypatch):
    begun, restart = [], Agent.restart
    rlhf = RLHF(config(500))
    untrained = weights(rlhf.agent.sb3)

    def watched(agent):
        restart(agent)
        begun.append((agent.steps, rlhf.method.version, same(weights(agent.sb3), untrained)))

    monkeypatch.setattr(Agent, "restart", watched)
    rlhf.learn()
    assert [part.steps for part in rlhf.plan] == [300, 300, 300, 300]
    assert begun == [(600, 3, True)]  # fitted to the answers of that round before
    rlhf.close()


@pytest.mark.parametrize(("steps", "settings"), [(0, {}), (500, {"labels": 0, "reward": {"source": "true"}})])
def test_without_it_and_where_nobody_is_asked_a_run_never_begins_anew(steps, settings, monkeypatch):
    monkeypatch.setattr(Agent, "restart", lambda agent: pytest.fail("began anew"))
    rlhf = RLHF(config(steps, **settings))
    list(rlhf.rounds())
    rlhf.close()


@pytest.mark.parametrize("done", [2, 3])
def test_a_resumed_run_is_the_same_whether_it_had_begun_anew_or_not(done, tmp_path, monkeypatch):
    monkeypatch.setattr("rlhf_gym.runs.lifecycle.CHECKPOINT_SECONDS", 0)
    whole = RLHF(config())
    list(whole.rounds())
    stopped = RLHF(config(run_dir=str(tmp_path / "run")))
    for _ in zip(range(done), stopped.rounds(), strict=False):
        pass
    stopped.close()
    resumed = RLHF.resume(tmp_path / "run")
    assert len(list(resumed.rounds())) == 4 - done
    assert same(weights(resumed.agent.sb3), weights(whole.agent.sb3))
    resumed.close()
    whole.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"restart_steps": 901},
            "restart_steps is 901, and the last of 4 rounds begins after 900 steps; use at most as many"
            ", more query.rounds, or 0, which is never",
        ),
        ({"restart_steps": -1}, "agent.restart_steps is -1; use at least 0"),
        ({"method": "cpl"}, "agent.restart_steps is 500 and method is cpl, which learns no reward; set it to 0"),
    ],
)
def test_what_cannot_begin_anew_is_refused(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        RLHF(config(**settings, run_dir=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_a_policy_that_was_taken_over_is_not_thrown_away():
    with pytest.raises(ValueError, match="restart_steps is 500 and agent.start is somewhere, which would be lost"):
        config().replace(agent={"start": "somewhere"})


def test_networks_of_jax_are_refused_before_anything_is_written(tmp_path):
    pytest.importorskip("sbx")
    agent = {"n_envs": 2, "restart_steps": 300, "options": OPTIONS["sac"]}
    with pytest.raises(ValueError, match="is set and SAC has networks of JAX, which can't begin anew; use 0"):
        RLHF(config(algo="sbx:SAC", agent=agent, run_dir=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()
