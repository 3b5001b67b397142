"""`agent.explore_steps`: the agent gets about before the first query, paid by no label."""

import numpy as np
import pytest
import torch

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents import make_agent
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.rewards.state_entropy import StateEntropy
from rlhf_gym.segments import Origin

FEW = {"labels": 6, "total_timesteps": 1200, "segment_length": 10, "evaluation": {"n_episodes": 1}}
QUERY = {"rounds": 2, "warm_up_steps": 100}
OPTIONS = {
    "ppo": {"n_steps": 50, "batch_size": 50, "n_epochs": 2},
    "sac": {"learning_starts": 20, "train_freq": 10, "gradient_steps": 2, "batch_size": 32},
    "dqn": {
        "learning_starts": 20,
        "train_freq": 10,
        "gradient_steps": 2,
        "batch_size": 32,
        "target_update_interval": 10,
    },
}
ENVS = {"ppo": "Pendulum-v1", "sac": "Pendulum-v1", "dqn": "CartPole-v1"}


def config(algo="ppo", explore_steps=350, **settings):
    agent = {"n_envs": 2, "explore_steps": explore_steps, "options": OPTIONS[algo], "net_arch": (16,)}
    reward = {"ensemble_size": 1, "steps": 5}
    return RLHFConfig.for_env(ENVS[algo], algo=algo, query=QUERY, agent=agent, reward=reward, **{**FEW, **settings})


def weights(modules):
    return [p.detach().clone() for module in modules for p in module.parameters()]


@pytest.mark.parametrize(("algo", "explored"), [("ppo", 400), ("sac", 360), ("dqn", 360)])
def test_it_explores_after_the_warm_up_in_whole_portions_that_count_as_steps(algo, explored):
    rlhf = RLHF(config(algo))
    rlhf.collect()
    assert (rlhf.agent.steps, rlhf.env_steps) == (explored, 100 + explored)
    assert rlhf.venv.pop_episodes() == []  # no round reports what was paid by nobody's answers
    rlhf.collect()
    assert rlhf.env_steps == 100 + explored  # once
    rlhf.learn()
    rounds = sum(part.steps for part in rlhf.plan)
    assert rlhf.env_steps == 100 + explored + rounds <= 1200 and rlhf.labels == 6
    assert {p.query.policy_step for p in rlhf.preferences} == {explored, explored + rlhf.plan[0].steps}
    rlhf.close()


@pytest.mark.parametrize("algo", OPTIONS)
def test_meanwhile_it_is_paid_for_new_states_and_afterwards_as_before(algo, monkeypatch):
    rlhf = RLHF(config(algo))
    before, paid = rlhf.venv.reward_function, []
    improve = type(rlhf.agent).improve

    def watched(agent, steps):
        paid.append(rlhf.venv.reward_function)
        improve(agent, steps)

    monkeypatch.setattr(type(rlhf.agent), "improve", watched)
    rlhf.collect()
    assert paid and all(isinstance(function, StateEntropy) for function in paid)
    assert rlhf.venv.reward_function is before
    if algo != "ppo":
        assert not isinstance(rlhf.agent.replay.reward_function, StateEntropy)
    rlhf.close()


def test_without_it_a_run_is_what_it_was():
    rlhf = RLHF(config(explore_steps=0))
    rlhf.collect()
    assert (rlhf.agent.steps, rlhf.env_steps) == (0, 100)
    rlhf.close()


def test_a_resumed_run_does_not_explore_again(tmp_path, monkeypatch):
    monkeypatch.setattr("rlhf_gym.runs.lifecycle.CHECKPOINT_SECONDS", 0)
    rlhf = RLHF(config(run_dir=str(tmp_path / "run")))
    next(rlhf.rounds())
    steps = rlhf.env_steps
    rlhf.close()
    resumed = RLHF.resume(tmp_path / "run")
    resumed.collect()
    assert resumed.env_steps == steps
    assert resumed.learn()["total_timesteps"] == 100 + 400 + sum(part.steps for part in resumed.plan)
    resumed.close()
    loaded = RLHF.load(tmp_path / "run")
    learned_from = loaded.agent.steps
    loaded.collect()
    assert loaded.agent.steps == learned_from  # its policy is as it was saved
    loaded.close()


def test_with_recorded_queries_it_explores_without_a_warm_up(tmp_path):
    from rlhf_gym.envs import save_trajectories

    venv = make_vec_env(Origin("Pendulum-v1", 0), n_envs=1, memory_steps=500, rng=np.random.default_rng(0))
    venv.reset()
    for _ in range(200):
        venv.step(np.zeros((1, 1), np.float32))
    venv.close()
    save_trajectories(tmp_path / "some", venv.trajectories())
    settings = config()
    rlhf = RLHF(settings.replace(query={"trajectories": str(tmp_path / "some")}))
    rlhf.learn()
    assert rlhf.env_steps == rlhf.agent.steps == 400 + sum(part.steps for part in rlhf.plan)
    rlhf.close()


@pytest.mark.slow
def test_first_queries_show_more_of_the_states_than_after_as_many_random_steps():
    spreads = []
    for warm_up, explore_steps in ((20_480, 0), (4096, 16_384)):
        settings = {"query": {"warm_up_steps": warm_up}, "agent": {"explore_steps": explore_steps}, "seed": 100}
        rlhf = RLHF(RLHFConfig.for_env("MountainCarContinuous-v0", labels=50, total_timesteps=60_000, **settings))
        options = [option for query in rlhf.ask(50) for option in query.options]
        spreads.append(np.concatenate([option.observations[:, 0] for option in options]).std())
        assert rlhf.env_steps == 20_480
        rlhf.close()
    assert spreads[1] > 1.5 * spreads[0]  # of positions: 0.21 against 0.09


def test_too_few_steps_for_it_are_refused():
    with pytest.raises(
        ValueError, match=r"total_timesteps is 1200; use at least 1300: query.warm_up_steps and agent.expl"
    ):
        config(explore_steps=1100)
    told = "use at least 1200: 100 steps before any policy update, 1000 to explore and one portion of 100"
    with pytest.raises(ValueError, match=told):
        RLHF(config(explore_steps=951, total_timesteps=1180))  # in whole rollouts that is more


def test_an_algorithm_without_a_value_function_is_refused_before_it_explores(monkeypatch):
    monkeypatch.setattr("rlhf_gym.agents.q_networks.NAMES", ())
    rlhf = RLHF(config("sac"))
    with pytest.raises(ValueError, match="agent.explore_steps is set and SAC has no Q-network that could begin anew"):
        rlhf.collect()
    assert rlhf.agent.steps == 0
    rlhf.close()


# What is forgotten


def agent_of(algo, **settings):
    origin = Origin(ENVS[algo], 0)
    venv = VecLearnedReward(make_vec_env(origin, n_envs=2, memory_steps=100, rng=np.random.default_rng(0)))
    made = make_agent(algo, venv, seed=0, total_timesteps=400, net_arch=(16,), options=OPTIONS[algo], **settings)
    made.improve(200)
    return made


def test_ppos_value_function_begins_anew_and_its_policy_stays():
    agent = agent_of("ppo", normalize_rewards=True)
    policy = agent.sb3.policy
    critic, actor = [policy.mlp_extractor.value_net, policy.value_net], [policy.mlp_extractor.policy_net]
    old, kept = weights(critic), weights([*actor, policy.action_net])
    statistics = agent.sb3.get_vec_normalize_env()
    assert statistics.ret_rms.count > 1
    agent.reset_critic()
    assert not any(torch.equal(a, b) for a, b in zip(old, weights(critic), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(kept, weights([*actor, policy.action_net]), strict=True))
    assert statistics.ret_rms.count < 1 and not statistics.returns.any()
    agent.improve(100)


@pytest.mark.parametrize("algo", ["sac", "dqn"])
def test_q_functions_begin_anew_with_their_targets(algo):
    agent = agent_of(algo)
    policy = agent.sb3.policy
    name = {"sac": "critic", "dqn": "q_net"}[algo]
    network, target = getattr(policy, name), getattr(policy, f"{name}_target")
    old, actor = weights([network]), weights([policy.actor]) if algo == "sac" else []
    agent.reset_critic()
    new = weights([network])
    assert not any(torch.equal(a, b) for a, b in zip(old, new, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(new, weights([target]), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(actor, weights([policy.actor]) if actor else [], strict=True))
    optimizer = policy.critic.optimizer if algo == "sac" else policy.optimizer
    assert not optimizer.state
    agent.improve(100)
    assert optimizer.state
