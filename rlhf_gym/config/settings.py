"""RLHFConfig: every setting of a run, the essentials at the top, the rest in groups.

Precedence: default < preset of the environment < its preset of the algorithm < YAML file < flag.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import arg

from rlhf_gym.config.bounds import AtLeast, Fraction, Positive, ToldApart, check_together, with_whole_numbers
from rlhf_gym.config.earlier import as_written, renamed
from rlhf_gym.config.mappings import build, check_types, keepable, merge, plain, read_yaml
from rlhf_gym.config.named import DEFAULTS, Named, without_foreign_options
from rlhf_gym.config.passwords import url_without_password
from rlhf_gym.config.places import with_home
from rlhf_gym.config.presets import preset
from rlhf_gym.config.yaml_text import dump
from rlhf_gym.files import write_text
from rlhf_gym.registry import AGENTS, KINDS, AgentEntry, is_direct, source_entry

AtLeast0, AtLeast1 = AtLeast(0), AtLeast(1)
Options = dict[str, Any]


def _one_of(setting: str) -> Any:
    """List in --help the names that a setting takes, registered or dotted."""
    return arg(metavar="|".join([*Named(setting).names, "MODULE:NAME"]))


_KINDS = [name for name in KINDS if "-" not in name]


@dataclass(frozen=True)
class EnvConfig:
    """How the environment is run."""

    fixed_horizon: Annotated[int | None, AtLeast1] = None
    """Play every episode for exactly this many steps while learning, past any failure. MuJoCo's bodies go on lying
    (made with `terminate_when_unhealthy` False, unless `env_kwargs` say otherwise); elsewhere the observation freezes,
    the environment pays 0, and a `feedback.goal` rates the frozen observation like any other. None keeps the
    environment's own terminations. Which to choose: rlhf_gym/envs/HORIZON.md."""
    step_seconds: Annotated[float | None, Positive] = None
    """Most seconds that a reset or a step of the environment may take; then the run ends, and can be resumed. None
    waits for ever. Works on POSIX systems in the main thread, as soon as the environment's code returns to Python."""


@dataclass(frozen=True)
class QueryConfig:
    """Which segments are asked about, and when."""

    scheme: Annotated[str, Named("query.scheme"), _one_of("query.scheme")] = "disagreement"
    """How queries are chosen among candidates; before the first fit the choice is uniform. With methods cpl and dpo,
    which have no ensemble, disagreement becomes uniform, and entropy and coverage are the others that work."""
    scheme_options: Options = field(default_factory=dict)
    """The scheme's own parameters; disagreement_coverage and entropy_coverage: `pool`, candidates for each query that
    are kept by their value (5); value_disagreement: `gamma` (0.99); outside_coverage: `share` of the queries from
    outside (0.5), and `border`, a quantile of how far asked options are from each other (0.95); insertion: `lists` that
    are sorted side by side (4), `comparisons` after which a list takes no new segment (25), and `weigh`, whether a list
    counts as much as its `answers` or as all its `pairs` (answers)."""
    options: Annotated[int | None, AtLeast(2)] = None
    """Segments that a query shows; None takes the fewest that the kind of feedback allows, and so does a kind in a mix
    that doesn't allow this number."""
    candidates_per_query: Annotated[int, AtLeast1] = 10
    """Candidates looked at for each query asked (Lee et al. 2021)."""
    schedule: Annotated[str, Named("query.schedule"), _one_of("query.schedule")] = "christiano"
    """How the labels are spread over the rounds."""
    schedule_options: Options = field(default_factory=dict)
    """The schedule's own parameters; christiano: `first_fraction`, the share of the labels asked before any policy
    update (0.25), and `halving_steps`, environment steps after which labels are asked for half as often (2e6);
    front_loaded: `first_fraction` (0.25), and `by`, the share of the rounds in which all are asked for (0.5)."""
    rounds: Annotated[int, AtLeast1] = 20
    """Rounds of collect, ask, answer, fit, improve."""
    warm_up_steps: Annotated[int, AtLeast1] = 1024
    """Environment steps of the untrained policy before any policy update; they count as steps of the run."""
    memory_steps: Annotated[int, AtLeast1] = 16_384
    """Most recent environment steps that queries are cut from."""
    trajectories: str | None = None
    """Cut queries from these recorded trajectories, and none from the policy's own: `minari:ID`, a Minari dataset on
    this machine, or a file of `rlhf_gym.envs.save_trajectories`. There is no warm-up then."""
    shown: Annotated[float, Fraction] = 0.0
    """Share of the run's environment steps that are only played to be shown, in separate environments and with other
    exploration noise than the policy's own; the policy doesn't learn from them. They have the same share of
    `memory_steps`, and are in all at most `rounds` times that share."""
    noise_levels: Annotated[tuple[float, ...], AtLeast0] = (0.0, 2.0)
    """Factors of the policy's exploration noise in the steps played to be shown, one environment each: 0 is the
    deterministic policy, 1 the one that learns."""
    repeats: Annotated[float, Fraction] = 0.0
    """Share of the queries that repeat an answered one, every second one mirrored, so that `rlhf-gym quality` can
    measure people's consistency and side bias. They count as labels."""
    checks: Annotated[float, Fraction] = 0.0
    """Share of the queries whose answer is obvious to the reward model, to test people's attention. They are
    comparisons, whatever the kind, and count as labels."""
    heldout: Annotated[float, Fraction] = 0.0
    """Share of the queries that are drawn uniformly, whatever the scheme, and never fitted to: an unbiased held-out
    set, whose figures are `reward_accuracy_uniform` and `reward_loss_uniform`. They count as labels.
    With ratings, switch-offs and kinds of one's own they are comparisons."""
    terminated: Annotated[float, Fraction] = 0.0
    """Least share of the queries with an option that runs into a termination, as far as there are such segments; 0 sets
    no such share."""


@dataclass(frozen=True)
class FeedbackConfig:
    """The goal by which the teacher answers, and where answers are kept."""

    goal: Annotated[str | None, Named("feedback.goal")] = None
    """The teacher's reward function in place of the environment's: a built-in one by name
    (`rlhf_gym.teachers.builtin_goals`), or `module:function` of (observations, actions, next observations) giving a
    reward per step."""
    preferences: Annotated[str | None, arg(aliases=["--preferences"])] = None
    """Begin with these preferences: a run directory, a folder or file that `rlhf-gym export` wrote, or a store's file
    or URL. `labels` are then further ones, or 0."""
    store: Annotated[str | None, arg(aliases=["--store"])] = None
    """Database of queries and answers, such as postgresql+psycopg://user@host/name; several runs may share it. None
    is preferences.db in the run directory. A password in it is written to no file: other processes, and a run that is
    resumed, find it in PGPASSWORD or ~/.pgpass."""
    run: Annotated[str | None, arg(aliases=["--run"])] = None
    """Name of this run in its store, which no other run there has; None makes one up from the run directory's name."""
    demonstrator: Annotated[str | None, arg(aliases=["--demonstrator"])] = None
    """Source of a synthetic teacher's demonstrations and corrections: a run directory or a policy's file, whose policy
    plays; or, for demonstrations alone, trajectories: `minari:ID`, or a file of `rlhf_gym.envs.save_trajectories`."""
    instructions: Annotated[str, arg(aliases=["--instructions"])] = ""
    """What people are to look for, in your words; shown above every query."""
    draw: Annotated[Literal["auto", "replay", "states"], arg(aliases=["--draw"])] = "auto"
    """What people are shown: a rendered replay of the environment (replay); plots of its observations (states); or the
    replay, and plots where the environment can't be rendered or replayed (auto)."""
    levels: Annotated[tuple[str, ...], ToldApart] = ()
    """Names of all levels of a rating, the worst first, in your words; without any, levels have numbers."""
    async_labels: Annotated[bool, arg(aliases=["--async-labels"])] = False
    """Go on learning while people think, instead of waiting for all answers of a round."""
    people_per_query: Annotated[int, AtLeast1, arg(aliases=["--people-per-query"])] = 1
    """People who answer each query, so that their agreement is known; each answer is a label. For teacher web or
    store."""
    reliability: bool = False
    """Weigh each person's answers by their reliability, which is learned with the reward: random answers count for
    nothing, and those of a person who prefers the opposite are reversed."""
    outstanding: Annotated[int, AtLeast0] = 10
    """With async_labels, wait while more queries than this are unanswered."""
    refit_answers: Annotated[int, AtLeast1] = 5
    """With async_labels, fit the reward model again after this many new answers."""
    stale_rounds: Annotated[int, AtLeast1] = 5
    """With async_labels, withdraw queries that nobody has answered after this many rounds."""


@dataclass(frozen=True)
class RewardConfig:
    """The reward model and its fit, or what is paid instead of it."""

    source: Annotated[str, Named("reward.source"), _one_of("reward.source")] = "learned"
    """What the agent is paid. `learned` is the method; the others are its controls and ask for no labels: the true
    reward (or `feedback.goal`, if set) as it is, or normalised to the size of a learned one; a reward model that is
    never fitted; a constant; one that was learned before (`frozen`), as `rlhf-gym relearn` pays it."""
    source_options: Options = field(default_factory=dict)
    """The source's own parameters; constant: `value` (1); frozen: `path`, a run directory."""
    linear: Literal["linear", "quadratic", "absolute"] | None = None
    """A Bayesian part, linear in features, whose errors the networks then correct: `linear` in the inputs, `quadratic`
    also in the state's squares and the action's effort, `absolute` also in the state's magnitudes. Few answers suffice
    if the reward has this form, as MuJoCo's have."""
    ensemble_size: Annotated[int, AtLeast0] = 3
    """Networks in the ensemble (Christiano et al. 2017); 0 leaves them out, where there is a linear part. One
    by itself can't disagree, so queries are then drawn at random."""
    network: Annotated[str, Named("reward.network"), _one_of("reward.network")] = "mlp"
    """Each network: a function of the number of inputs that returns a torch module."""
    network_options: Options = field(default_factory=dict)
    """The network's own parameters; mlp: `hidden`, units of its hidden layers ([64, 64], Christiano et al. 2017)."""
    images: Literal["cnn", "flat"] | None = None
    """How observations that are images (uint8 from 0 to 255, three axes) are seen: `cnn`, by three convolutional layers
    before the mlp, divided by 255; `flat`, as any numbers. None is `cnn` for images of at least 36 pixels a side."""
    inputs: Literal["observation", "observation_action", "transition"] = "observation_action"
    """Inputs of the reward model: s, (s, a), or (s, a, s')."""
    observe: str | None = None
    """Coordinates of the observation in the inputs, counted from 0, such as "0:27" or "0,3,5:9"; None is all."""
    clip: Annotated[float | None, Positive] = None
    """Clip standardised inputs to this many standard deviations; None doesn't clip."""
    learning_rate: Annotated[float, AtLeast0] = 3e-3
    """Adam's step size."""
    adam_epsilon: Annotated[float, AtLeast0] = 1e-8
    """Adam's epsilon: at 0.01 an input whose gradient is small gets a small weight, too."""
    steps: Annotated[int, AtLeast1] = 60
    """Gradient steps of each fit."""
    batch_size: Annotated[int, AtLeast1] = 16
    """Choices in each gradient step; a comparison is one."""
    l2: Annotated[float, Fraction] = 1e-3
    """Weight decay at the start, as the share by which weights shrink in a gradient step; it follows the held-out
    loss."""
    l2_sample: Annotated[int, AtLeast1] = 128
    """Choices, drawn each time, by whose held-out loss the weight decay is adapted; fewer are faster but noisier."""
    label_noise: Annotated[float, Fraction] = 0.0
    """Share of answers the likelihood takes to be random. Christiano et al. 2017 take 0.1, for people; with an
    errorless teacher it only slows learning from the answers the model gets wrong."""
    label_smoothing: Annotated[float, Fraction] = 0.0
    """Share of each answer that is spread over all options, so that no fit grows surer than that; the preference margin
    of STAR (2025) is half of it, 0.05."""
    bootstrap: Literal["poisson", "folds"] = "poisson"
    """Which answers each network is fitted to: random weights, a third of which are 0, or all but one fold of three."""
    calibrate: bool = False
    """Weigh the linear part and the networks by how well they predict answers that they weren't fitted to; for networks
    alone, this finds their temperature."""
    pessimism: Annotated[float, AtLeast0] = 0.0
    """Pay the members' mean minus this many of their standard deviations."""
    more: Annotated[Options, Named("reward.more")] = field(default_factory=dict)
    """More from the same labels, each by its name with its parameters, such as '{"crops": {}}'; one by one, as
    --reward.more.pseudo-labels.threshold 0.99. crops: in each gradient step other parts of the segments; pseudo_labels:
    the model's own answers where it is sure; self_supervised: hidden layers learn what happens next, too;
    disagreement_bonus: what members disagree about is paid on top (rlhf_gym/rewards/more)."""
    shift: Literal["living", "auto", "never"] = "auto"
    """Subtract the mean reward: `auto` only as long as no episode has ever terminated. `living` does so, too, and after
    that sets the mean reward to the worth of living a step, estimated from answers to queries whose options lived for
    different times; with a linear part, which has living as a feature, it equals `auto`."""


@dataclass(frozen=True)
class AgentConfig:
    """The Stable-Baselines3 algorithm that learns the policy."""

    n_envs: Annotated[int, AtLeast1] = 8
    """Environments side by side."""
    net_arch: Annotated[tuple[int, ...] | None, AtLeast1] = None
    """Hidden units of policy and value networks; None is the algorithm's own choice (PPO: 64, 64)."""
    images: Literal["cnn", "flat"] | None = None
    """How the policy sees observations that are images: `cnn` is Stable-Baselines3's CnnPolicy, `flat` its MlpPolicy.
    None is `cnn` for images of at least 36 pixels a side that aren't normalised by running statistics."""
    normalize_observations: bool | None = None
    """Give an on-policy algorithm's policy observations of mean 0 and standard deviation 1, by running statistics that
    are saved with it; None does, but for images, which Stable-Baselines3 divides by 255. The reward model always gets
    them raw."""
    normalize_rewards: bool = False
    """Divide what an on-policy algorithm is paid by the running standard deviation of its discounted return, whatever
    the reward: Stable-Baselines3's VecNormalize."""
    reward_scale: Annotated[float, Positive] = 1.0
    """Factor on every reward that the algorithm is paid. A Q-network learns best if Q is about 1 to 10, not in the
    hundreds as with 1 per step; in SAC the factor weighs reward against entropy (Haarnoja et al. 2018)."""
    return_statistics: Literal["keep", "restart"] = "keep"
    """What happens to the standard deviation of `normalize_rewards` after a new fit of the reward: `restart` computes
    it from what the new reward pays for the latest steps."""
    critic_after_fit: Literal["keep", "rescale", "reset", "warm_up"] = "keep"
    """What happens to the value function of PPO or A2C after a new fit of the reward: `rescale` fits a V + b to the new
    reward's returns (after PopArt, van Hasselt et al. 2016), `reset` initialises it anew, `warm_up` rescales it and
    then regresses it on the new reward's lambda-returns; each on the latest steps, the policy left as it is."""
    schedule: Literal["constant", "linear"] = "constant"
    """`linear` takes learning rate and clip range to 0 over the whole run."""
    start: str | None = None
    """Where the policy starts: a run directory or a policy's file, whose weights are copied where class, spaces and
    layers are the same, and whose play is cloned otherwise; trajectories, which are cloned (`minari:ID`, or a file of
    `rlhf_gym.envs.save_trajectories`); or `best`: the better segments of `feedback.preferences`, cloned. None is
    untrained."""
    start_options: Options = field(default_factory=dict)
    """How `start` and `reference` are taken over: `episodes` and `steps` to clone, at most; `copy` (True), whether
    weights may be copied; `deterministic` (False), whether a policy plays without exploring; for the fit: `epochs`
    (100), `batch_size` (64), `learning_rate` (1e-3), `heldout` (0.1), `patience` (10), and `least_std` (0.1) of
    continuous actions."""
    reference: str | None = None
    """The policy to stay close to: `start`, or another one, named in the same ways."""
    kl: Annotated[float, AtLeast0] = 0.0
    """Cost of straying from the reference: beta, subtracted from the reward for each nat by which the policy diverges
    from it in a step, KL(pi || reference); with `normalize_rewards`, from the normalised reward. PPO and A2C alone."""
    kl_target: Annotated[float | None, AtLeast0] = None
    """Mean divergence of a step, in nats, towards which beta is adapted after every rollout (Ziegler et al. 2019);
    `kl` is then beta at the start, or 0.1."""
    kl_gain: Annotated[float, AtLeast0] = 1.0
    """How fast beta is adapted: 1 is up to 20 % per rollout. Ziegler et al. use 0.1, for thousands of rollouts."""
    explore_steps: Annotated[int, AtLeast0] = 0
    """Environment steps between warm-up and first query, in whole portions, in which the agent learns to reach states
    unlike those of before (unsupervised pre-training of PEBBLE, Lee et al. 2021); they count as steps of the run, and
    its value function is reset after them."""
    restart_steps: Annotated[int, AtLeast0] = 0
    """Environment steps after which the policy begins anew, at the next round and once, with the weights of before any
    training (Nikishin et al. 2022): what it learned from the first, wrong rewards is gone, the answers and the reward
    stay. 0 is never; where nobody is asked, as in controls on the true reward, it isn't done."""
    torch_threads: Annotated[int, AtLeast1] = 1
    """Threads of torch; one is fastest for networks this small."""
    options: Options = field(default_factory=dict)
    """The algorithm's own parameters, by Stable-Baselines3's names: learning_rate, gamma, n_steps, ..."""


@dataclass(frozen=True)
class EvaluationConfig:
    """How the learned policy is evaluated."""

    n_episodes: Annotated[int, AtLeast1] = 20
    """Episodes of the deterministic policy on the unmodified environment."""
    n_envs: Annotated[int | None, AtLeast1] = None
    """Environments open at a time, besides those of training, for a simulator with few licences or much memory. None
    opens one for each episode, or as many as can be made."""


@dataclass(frozen=True)
class RLHFConfig:
    """All settings of a run.

    Raises:
        BadInput: On a value out of its range, or an unknown name; the message names the setting.
    """

    env_id: str = "CartPole-v1"
    """Gymnasium id of the environment. One of your own is `module:Id`, such as my_envs:Mine-v0, where my_envs.py in
    this folder calls gymnasium.register: it is imported wherever the environment is made."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of `gymnasium.make`: numbers, texts, lists and mappings of them."""
    labels: int = 50
    """Budget: answers that the teacher gives, skips not counted; 0 only where no reward is learned, or from
    `feedback.preferences` alone."""
    total_timesteps: Annotated[int, AtLeast1] = 60_000
    """Environment steps of the run, at most, in whole rollouts; the warm-up's are included."""
    segment_length: Annotated[int, AtLeast1] = 50
    """Steps of a segment."""
    seed: Annotated[int, AtLeast0] = 0
    """Seed of all random numbers of the run."""
    run_dir: str | None = None
    """Directory of the run's files; None keeps everything in memory, except on the command line, where it takes a
    directory under runs/ that is named after the settings."""
    keep_checkpoints: Annotated[int, AtLeast1] = 2
    """Number of latest checkpoints kept in the run directory; `resume` skips one that is damaged."""
    teacher: Annotated[str, Named("teacher"), _one_of("teacher")] = "oracle"
    """The teacher; `random` is a control. People answer at this terminal, on a page in the browser, or (`store`)
    wherever a person runs `rlhf-gym label` on the run directory or the store."""
    teacher_options: Options = field(default_factory=dict)
    """The teacher's own parameters."""
    kind: Annotated[str, Named("kind"), arg(metavar=f"{'|'.join(_KINDS)}|MODULE:NAME|NAME=SHARE,...")] = "comparison"
    """What the teacher is asked for; or several kinds, each with its share of the queries, such as
    comparison=0.7,ranking=0.3. A rating has five levels, or as many as rating-3 says."""
    method: Annotated[str, Named("method"), _one_of("method")] = "learned_reward"
    """How answers become a better policy: by a reward model, or (`objectives`) by one for each teacher's answers; or
    directly, with no reward and, but for `agent.explore_steps`, no updates by `algo`, which has to be ppo or a2c: by
    contrastive preference learning (`cpl`) or direct preference optimisation (`dpo`)."""
    method_options: Options = field(default_factory=dict)
    """The method's own parameters; objectives: `weights`, by the names of the teachers. cpl: `alpha` (0.1) and `bias`
    (0.5); dpo: `beta` (0.1); both: gradient `steps` of each fit (400; 0 is cloning alone) after `clone_steps` (200),
    `batch_size` (32), `learning_rate` (1e-3), and `std` of continuous actions: a number, or learned."""
    algo: Annotated[str, Named("algo"), _one_of("algo")] = "ppo"
    """The algorithm that learns the policy: any Stable-Baselines3 algorithm."""
    env: EnvConfig = field(default_factory=EnvConfig)
    query: QueryConfig = field(default_factory=QueryConfig)
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        check_types(self)
        # Complete, so that config.yaml says what was run.
        options = with_whole_numbers({**AGENTS.get(self.algo, AgentEntry("")).defaults, **self.agent.options})
        object.__setattr__(self, "agent", replace(self.agent, options=options))
        if self.direct and self.query.scheme == DEFAULTS["query.scheme"]:  # one policy can't disagree
            object.__setattr__(self, "query", replace(self.query, scheme="uniform"))
        check_together(self)

    @property
    def direct(self) -> bool:
        """Whether the method learns no reward."""
        return is_direct(self.method)

    @property
    def warm_up_steps(self) -> int:
        """Environment steps before any policy update, in whole steps of all environments; 0 where none are needed."""
        if self.query.trajectories or not source_entry(self.reward.source).warm_up:
            return 0
        return math.ceil(self.query.warm_up_steps / self.agent.n_envs) * self.agent.n_envs

    @classmethod
    def for_env(cls, env_id: str, **settings: Any) -> RLHFConfig:
        """Take the preset of an environment (or plain defaults), with some settings replaced.

        Args:
            env_id: Gymnasium id; with an algorithm other than PPO, such as ``algo="sac"``, its preset for that one.
            **settings: Top-level settings, or a mapping for a group: ``query={"rounds": 5}``. With more
                ``total_timesteps`` than the preset has, some presets ask in more rounds and earlier.
        """
        return cls.over_preset({"env_id": env_id, **settings})

    @classmethod
    def over_preset(
        cls, settings: Mapping[str, Any], *, algo: str | None = None, total_timesteps: int | None = None
    ) -> RLHFConfig:
        """Lay settings over the preset of the environment, the algorithm and the steps that they name.

        Args:
            settings: Nested.
            algo: The algorithm, if not the settings' own; options that they have for another one are dropped.
            total_timesteps: Steps to take the preset for, if not the settings' own.
        """
        settings = settings if algo is None else laid_over(settings, {"algo": algo})
        steps = total_timesteps or settings.get("total_timesteps")
        below = preset(settings.get("env_id", cls.env_id), settings.get("algo"), steps)
        return cls.from_dict(laid_over(below, settings))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> RLHFConfig:
        """Build from nested mappings; names that earlier versions used are read, too.

        Raises:
            BadInput: On an unknown name (with a suggestion) or a value of the wrong type.
        """
        config: RLHFConfig = build(cls, with_home(renamed(settings)))
        return config

    def replace(self, **settings: Any) -> RLHFConfig:
        """Copy with some settings replaced; a group takes a mapping of its settings to replace."""
        return type(self).from_dict(laid_over(asdict(self), settings))

    @classmethod
    def from_yaml(cls, path: str | Path) -> RLHFConfig:
        """Read a file as :meth:`to_yaml` writes it; settings that it leaves out come from its environment's preset."""
        return cls.over_preset(read_yaml(path))

    @classmethod
    def from_run(cls, path: str | Path) -> RLHFConfig:
        """Read the complete `config.yaml` of a run directory; settings that its version lacked have their defaults.

        No preset is laid under it, because a run begun in Python may have had none.
        """
        return cls.from_dict(as_written(read_yaml(path)))

    def to_yaml(self, path: str | Path) -> None:
        """Write every setting, but no password: database URLs are written without theirs.

        Raises:
            BadInput: On an option that can't be written, such as a Python object.
        """
        settings = asdict(self)
        if self.feedback.store:
            settings["feedback"]["store"] = url_without_password(self.feedback.store)
        if self.feedback.preferences:
            settings["feedback"]["preferences"] = url_without_password(self.feedback.preferences)
        write_text(path, dump(keepable(plain(settings), "")))


def laid_over(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `changes` over `settings`, both nested; the options of replaced parts are dropped."""
    settings = renamed(settings)
    changes = renamed(changes, settings)
    return merge(without_foreign_options(settings, changes), changes)
