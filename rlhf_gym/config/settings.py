"""RLHFConfig: every setting of a run, the essentials at the top, the rest grouped by room.

Precedence: default < preset of the environment < YAML file < flag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from tyro.conf import arg

from rlhf_gym.config.limits import check_limits
from rlhf_gym.config.mappings import build, check_types, merge, plain, read_yaml
from rlhf_gym.config.passwords import url_without_password
from rlhf_gym.config.presets import preset


@dataclass(frozen=True)
class EnvConfig:
    """How the environment is run."""

    fixed_horizon: int | None = None
    """Play every episode for exactly this many steps while learning: a failure ends nothing. MuJoCo's bodies lie there
    (made with `terminate_when_unhealthy` False, unless `env_kwargs` say otherwise); elsewhere the observation freezes
    and pays nothing, and a `feedback.goal` judges it like any other. None keeps the environment's own terminations.
    Which to choose: rlhf_gym/envs/HORIZON.md."""


@dataclass(frozen=True)
class QueryConfig:
    """Which pairs are asked about, and when."""

    scheme: Literal["uniform", "disagreement"] = "disagreement"
    """How queries are chosen among candidates; the first round is always uniform."""
    candidates_per_query: int = 10
    """Candidates looked at for each query asked (Lee et al. 2021)."""
    schedule: Literal["constant", "christiano"] = "christiano"
    """How the labels are spread over the rounds."""
    rounds: int = 20
    """Rounds of collect, ask, answer, fit, improve."""
    first_fraction: float = 0.25
    """Share of the labels asked before any policy update (schedule christiano)."""
    halving_steps: int = 2_000_000
    """Environment steps after which labels are asked for half as often (schedule christiano)."""
    first_steps: int = 1024
    """Environment steps of the untrained policy watched before any policy update; they count as steps of the run."""
    memory_steps: int = 16_384
    """Most recent environment steps that queries are cut from."""
    repeats: float = 0.0
    """Share of the queries that were answered before and are asked again, every second one mirrored: for people, whose
    consistency and side bias `rlhf-gym quality` then knows. They count as labels."""
    checks: float = 0.0
    """Share of the queries whose answer is obvious to the reward model, to see whether people attend; likewise."""


@dataclass(frozen=True)
class FeedbackConfig:
    """Who answers, by what goal, and where answers are kept."""

    goal: str | None = None
    """A built-in goal by name (`rlhf_gym.teachers.builtin_goals`), or `module:function` of (observations, actions, next
    observations) giving a reward per step, which the oracle sums in place of the environment's reward."""
    store: Annotated[str | None, arg(aliases=["--store"])] = None
    """Database of queries and answers, such as postgresql+psycopg://user@host/name; one of its own for each run. None
    is preferences.db in the run directory. A password in it is written to no file: other processes, and a run that is
    resumed, find it in PGPASSWORD or ~/.pgpass."""
    instructions: Annotated[str, arg(aliases=["--instructions"])] = ""
    """What people are to look for, in your words; shown above every query."""
    async_labels: Annotated[bool, arg(aliases=["--async-labels"])] = False
    """Go on learning while people think, instead of waiting for all answers of a round."""
    people_per_query: Annotated[int, arg(aliases=["--people-per-query"])] = 1
    """How many people are to answer each query, so that their agreement is known; each answer is a label. The run waits
    until so many have. For teacher web or store."""
    outstanding: int = 10
    """With async_labels, wait while more queries than this are unanswered."""
    refit_answers: int = 5
    """With async_labels, fit the reward model again when so many answers are new."""
    stale_rounds: int = 5
    """With async_labels, withdraw queries that nobody has answered after so many rounds."""


@dataclass(frozen=True)
class RewardConfig:
    """The reward model and its fit, or what is paid instead of it."""

    source: Literal["learned", "true", "true_scaled", "untrained", "constant"] = "learned"
    """What PPO is paid. `learned` is the method; the others are its controls and ask for no labels: the true reward
    (or `feedback.goal`, if set) as it is, or given unit size as a learned one is; a reward model that is never fitted;
    a constant."""
    constant: float = 1.0
    """Reward of every step for source `constant`."""
    ensemble_size: int = 3
    """Networks in the ensemble (Christiano et al. 2017)."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the hidden layers of each network (Christiano et al. 2017)."""
    inputs: Literal["observation", "observation_action", "transition"] = "observation_action"
    """What the networks see: s, (s, a), or (s, a, s')."""
    learning_rate: float = 3e-3
    """Adam's step size."""
    steps: int = 60
    """Gradient steps of each fit."""
    batch_size: int = 16
    """Preferences in each gradient step."""
    l2: float = 1e-3
    """Weight decay at the start, as the share by which weights shrink in a gradient step; it follows the held-out
    loss."""
    l2_sample: int = 128
    """Preferences, drawn anew each time, that steer the weight decay: fewer cost less and steer less surely."""
    random_share: float = 0.0
    """Share of answers the likelihood takes to be random. Christiano et al. 2017 take 0.1, for people; where the
    teacher makes no mistakes it only keeps a model that is wrong from being put right."""
    shift: Literal["auto", "never"] = "auto"
    """Subtract the mean reward: `auto` does where no episode has ever terminated, and only there."""


@dataclass(frozen=True)
class AgentConfig:
    """Stable-Baselines3's PPO; names and meanings are its own."""

    n_envs: int = 8
    n_steps: int = 256
    batch_size: int = 256
    n_epochs: int = 10
    learning_rate: float = 3e-4
    clip_range: float = 0.2
    schedule: Literal["constant", "linear"] = "constant"
    """`linear` takes learning rate and clip range to 0 over the whole run."""
    gamma: float = 0.99
    gae_lambda: float = 0.95
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    net_arch: tuple[int, ...] = (64, 64)
    log_std_init: float = 0.0
    normalize_observations: bool = True
    """Give the policy observations of mean 0 and standard deviation 1, by running statistics that are saved with it;
    the reward model always gets them raw."""
    torch_threads: int = 1
    """Threads of torch; networks this small want one."""


@dataclass(frozen=True)
class EvaluationConfig:
    """How the learned policy is judged."""

    n_episodes: int = 20
    """Episodes of the deterministic policy on the unmodified environment."""


@dataclass(frozen=True)
class RLHFConfig:
    """All settings of a run.

    Raises:
        ValueError: On a value out of its range; the message names the setting.
    """

    env_id: str = "CartPole-v1"
    """Gymnasium id of the environment."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of `gymnasium.make`."""
    labels: int = 50
    """Budget: answers that the teacher gives, skips not counted; 0 only where no reward is learned."""
    total_timesteps: int = 60_000
    """Environment steps of the run, at most, in whole rollouts; the watched ones are included."""
    segment_length: int = 50
    """Steps of a segment."""
    seed: int = 0
    """The one seed that everything random descends from."""
    run_dir: str | None = None
    """Directory of the run's files; None keeps everything in memory, except on the command line, where it takes a
    directory under runs/ that is named after the settings."""
    teacher: Literal["oracle", "random", "terminal", "web", "store"] = "oracle"
    """Who answers; `random` is a control. People answer at this terminal, on a page in the browser, or (`store`)
    wherever somebody runs `rlhf-gym label` on the run directory or the store."""
    algo: Literal["ppo"] = "ppo"
    """Who learns the policy."""
    env: EnvConfig = field(default_factory=EnvConfig)
    query: QueryConfig = field(default_factory=QueryConfig)
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        check_types(self)
        check_limits(self)

    @property
    def rollout_steps(self) -> int:
        """Environment steps of one PPO rollout, over all environments."""
        return self.agent.n_envs * self.agent.n_steps

    @property
    def watched_steps(self) -> int:
        """Environment steps before any policy update, in whole steps of all environments; 0 where none are needed."""
        if self.reward.source in ("true", "constant"):
            return 0
        return -(-self.query.first_steps // self.agent.n_envs) * self.agent.n_envs

    @classmethod
    def for_env(cls, env_id: str, **settings: Any) -> RLHFConfig:
        """The preset of an environment (or plain defaults), with some settings replaced.

        Args:
            env_id: Gymnasium id.
            **settings: Top-level settings, or a mapping for a group: ``query={"rounds": 5}``.
        """
        return cls.over_preset({"env_id": env_id, **settings})

    @classmethod
    def over_preset(cls, settings: Mapping[str, Any]) -> RLHFConfig:
        """Settings laid over the preset of the environment that they name."""
        return cls.from_dict(merge(preset(settings.get("env_id", cls.env_id)), settings))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> RLHFConfig:
        """Build from nested mappings.

        Raises:
            ValueError: On an unknown name (with a suggestion) or a value of the wrong type.
        """
        config: RLHFConfig = build(cls, settings)
        return config

    def replace(self, **settings: Any) -> RLHFConfig:
        """A copy with some settings replaced; a group takes a mapping of what to replace in it."""
        return type(self).from_dict(merge(asdict(self), settings))

    @classmethod
    def from_yaml(cls, path: str | Path) -> RLHFConfig:
        """Read a file as :meth:`to_yaml` writes it; what it leaves out keeps the preset of its environment."""
        return cls.over_preset(read_yaml(path))

    def to_yaml(self, path: str | Path) -> None:
        """Write every setting, but no password: `feedback.store` is written without the one it has."""
        settings = asdict(self)
        if self.feedback.store:
            settings["feedback"]["store"] = url_without_password(self.feedback.store)
        Path(path).write_text(yaml.safe_dump(plain(settings), sort_keys=False))
