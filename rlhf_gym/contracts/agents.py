"""What every agent must do."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces

from rlhf_gym.agents import Agent, OffPolicyAgent, make_agent
from rlhf_gym.agents.state import weights
from rlhf_gym.contracts.examples import must
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.segments import Array, Origin

MakeAgent = Callable[[int], Agent]
"""Makes the untrained agent of a seed, in VecLearnedReward environments that are the same each time."""

N_ENVS = 2
LEARNS_WITHIN = 200  # environment steps; SB3's off-policy algorithms collect 100 first


def check_agent(algo: str, *, normalize_rewards: bool = False, **options: Any) -> None:
    """Check an algorithm against all AGENT_RULES, on CartPole, or on Pendulum if it can't act there.

    Args:
        algo: A registered name, or `module:Class`.
        normalize_rewards: As :func:`make_agent` takes it.
        **options: Options of the algorithm.

    Raises:
        AssertionError: Saying what isn't met.
    """
    make = make_in_small_environments(algo, normalize_rewards=normalize_rewards, **options)
    for rule in AGENT_RULES:
        rule(make)


def make_in_small_environments(algo: str, *, normalize_rewards: bool = False, **options: Any) -> MakeAgent:
    """Return a function that makes agents in two environments of CartPole, or of Pendulum if they can't act there."""

    def make_in(env_id: str, seed: int) -> Agent:
        recorder = make_vec_env(Origin(env_id, 0), n_envs=N_ENVS, memory_steps=10, rng=np.random.default_rng(0))
        venv = VecLearnedReward(recorder)
        settings: dict[str, Any] = {"net_arch": (16,), "normalize_rewards": normalize_rewards, "options": options}
        return make_agent(algo, venv, seed=seed, total_timesteps=100_000, **settings)

    try:
        make_in("CartPole-v1", 0)
    except ValueError as error:
        if "can't take the actions" not in str(error):
            raise
        return lambda seed: make_in("Pendulum-v1", seed)
    return lambda seed: make_in("CartPole-v1", seed)


def moves_in_whole_portions(make: MakeAgent) -> None:
    """Check that an agent trains for exactly the steps asked for, and for multiples of its `portion` only."""
    agent, paid = make(0), _Constant(0.0)
    agent.pay(paid)
    must(agent.steps == 0, f"an agent has learned from no steps before it trains, not from {agent.steps}")
    must(agent.portion >= 1 and agent.portion % N_ENVS == 0, f"portion is whole steps of all, not {agent.portion}")
    for portions in (1, 3):
        agent.improve(portions * agent.portion)
    must(agent.steps == 4 * agent.portion, f"4 portions of {agent.portion} steps are counted as {agent.steps}")
    try:
        agent.improve(agent.portion + 1)
    except ValueError:
        return
    raise AssertionError("steps that are no multiple of portion are refused with a ValueError")


def acts_on_one_observation_and_on_many(make: MakeAgent) -> None:
    """Check `predict` for one observation, as scripts pass it, and for a batch, as evaluations do."""
    agent = make(0)
    space, many = agent.sb3.action_space, _observations(agent, 5)
    for deterministic in (True, False):
        one = agent.predict(many[0], deterministic=deterministic)[0]
        must(np.shape(one) == space.shape, f"one observation gets an action of shape {space.shape}, not {one!r}")
        batch = agent.predict(many, deterministic=deterministic)[0]
        must(np.shape(batch) == (5, *(space.shape or ())), f"5 observations get 5 actions, not {batch!r}")
        must(all(_contains(space, action) for action in batch), "actions lie in the action space")
    again = (agent.predict(many)[0], agent.predict(many)[0])
    must(np.array_equal(*again), "without exploring, the same observations get the same actions")


def explores_as_much_as_it_is_told(make: MakeAgent) -> None:
    """Check that noise factors scale exploration row by row; an algorithm that can't do so says what to set."""
    agent = make(0)
    many = _observations(agent, 50)
    space = agent.sb3.action_space

    def act(factor: float, seed: int = 0) -> Array:
        return agent.act(many, np.full(50, factor, np.float32), rng=np.random.default_rng(seed))

    try:
        calm, lively = act(0.0), act(2.0)
    except ValueError as error:
        must("set " in str(error) or "use " in str(error), f"the refusal says what to do, not {error}")
        return
    must(np.array_equal(calm, agent.predict(many)[0]), "without noise it acts as it is evaluated")
    must(np.array_equal(lively, act(2.0)) and not np.array_equal(lively, act(2.0, seed=1)), "noise is drawn from rng")
    must(all(_contains(space, action) for action in lively), "actions lie in the action space, with any noise")
    mixed = agent.act(many, np.array([0, 2] * 25, np.float32), rng=np.random.default_rng(0))
    must(np.array_equal(mixed[::2], calm[::2]), "each observation has a factor of its own")


def learns(make: MakeAgent) -> None:
    """Check that training changes the weights, and that the same seed gives the same weights."""
    one = make(0)
    before = _weights(one)
    _train(one)
    other = make(0)  # made after training, because SB3 draws from global generators
    _train(other)
    must(not _same(before, _weights(one)), "training changes the weights")
    must(_same(_weights(one), _weights(other)), "the same seed gives the same weights")


def leaves_a_policy_that_sb3_loads(make: MakeAgent) -> None:
    """Check that policy.zip loads with the SB3 class alone, without the reward function."""
    agent = make(0)
    agent.pay(_Unpicklable())
    _train(agent)
    with TemporaryDirectory() as folder:
        agent.save(Path(folder) / "policy.zip")
        loaded = type(agent.sb3).load(Path(folder) / "policy.zip", device="cpu")
    many = _observations(agent, 20)
    must(
        np.array_equal(loaded.predict(many, deterministic=True)[0], agent.predict(many)[0]),
        "policy.zip, loaded by the SB3 class, acts as the agent does",
    )


def goes_on_from_its_state_in_place(make: MakeAgent) -> None:
    """Check that an agent restored from a saved state trains on exactly as the saved one does."""
    agent, other = make(0), make(1)
    sb3 = other.sb3
    agent.pay(_Constant(1.0))
    _train(agent)
    with TemporaryDirectory() as folder:
        agent.save_state(Path(folder))
        other.restore(Path(folder))
    must(other.sb3 is sb3, "no second algorithm is made")
    must(other.steps == agent.steps, f"it goes on after {agent.steps} steps, not after {other.steps}")
    must(_same(_weights(agent), _weights(other)), "it has the weights that were saved")
    saved = _weights(agent)
    _payer(agent).venv = _payer(make(2)).venv  # new episodes, as the restored one has
    agent.sb3._last_obs = None
    for each in (agent, other):
        each.pay(_Constant(1.0))
        _seed(each, 5)
        each.improve(4 * each.portion)
    must(not _same(saved, _weights(agent)), "it learns on")
    must(_same(_weights(agent), _weights(other)), "it learns on as the one does that was saved, so the state is whole")


def learns_from_a_new_reward_at_once(make: MakeAgent) -> None:
    """Check that after `pay` every step gets the new reward, replayed steps too."""
    agent, old, new = make(0), _Constant(-1.0), _Constant(7.0)
    agent.pay(old)
    _train(agent)
    before = old.calls
    must(before > 0, "a reward function is called")
    agent.pay(new)
    agent.improve(2 * agent.portion)
    must(old.calls == before, "the old reward function is asked no more")
    must(new.rewards >= 2 * agent.portion, "the new one pays every step")
    if isinstance(agent, OffPolicyAgent):
        sampled = sorted(set(agent.replay.sample(64).rewards.flatten().tolist()))
        must(sampled == [7.0], f"replayed steps are paid 7 too, not {sampled}")


def begins_anew_when_told(make: MakeAgent) -> None:
    """Check that a restarted agent has the weights that it kept, and learns on; or that it says what to use."""
    agent = make(0)
    untrained = _weights(agent)
    try:
        agent.keep_weights()
    except ValueError as error:
        must("use " in str(error), f"the refusal says what to do, not {error}")
        return
    _train(agent)
    steps = agent.steps
    agent.restart()
    must(_same(untrained, _weights(agent)), "it has the weights of before training")
    must(agent.steps == steps, f"its steps are counted on from {steps}, not {agent.steps}")
    agent.improve(4 * agent.portion)
    must(not _same(untrained, _weights(agent)), "it learns on")


AGENT_RULES = (
    moves_in_whole_portions,
    acts_on_one_observation_and_on_many,
    explores_as_much_as_it_is_told,
    learns,
    leaves_a_policy_that_sb3_loads,
    goes_on_from_its_state_in_place,
    learns_from_a_new_reward_at_once,
    begins_anew_when_told,
)


class _Constant:
    """Pays a constant, and counts its calls and rewards."""

    def __init__(self, reward: float) -> None:
        self.reward, self.calls, self.rewards = reward, 0, 0

    def __call__(self, observations: Array, *_: Array) -> Array:
        self.calls += 1
        self.rewards += len(observations)
        return np.full(len(observations), self.reward, np.float32)


class _Unpicklable(_Constant):
    """Can't be pickled, like some reward models."""

    def __init__(self) -> None:
        super().__init__(0.0)

    def __reduce__(self) -> str:
        raise AssertionError("policy.zip holds the policy, not the reward function")


def _payer(agent: Agent) -> VecLearnedReward:
    env: Any = agent.sb3.env
    while not isinstance(env, VecLearnedReward):
        env = env.venv
    return env


def _train(agent: Agent) -> None:
    agent.improve(max(2, -(-LEARNS_WITHIN // agent.portion)) * agent.portion)


def _observations(agent: Agent, n: int) -> Array:
    return np.random.default_rng(0).normal(size=(n, *(agent.sb3.observation_space.shape or ()))).astype(np.float32)


def _contains(space: Space[Any], action: Array) -> bool:
    return bool(space.contains(int(action) if isinstance(space, spaces.Discrete) else action))


def _weights(agent: Agent) -> list[Array]:
    found = list(weights(agent.sb3).values())
    must(bool(found), "an agent has weights")
    return found


def _same(one: list[Array], other: list[Array]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _seed(agent: Agent, seed: int) -> None:
    """Seed all generators that SB3 draws from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  SB3 draws from it
    torch.manual_seed(seed)
    agent.sb3.action_space.seed(seed)
