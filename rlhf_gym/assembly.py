"""Makes the parts of a run from its settings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlhf_gym.agents import Agent, make_agent
from rlhf_gym.agents.reference import Closeness
from rlhf_gym.answers import Answers
from rlhf_gym.asking import Asking, Meanwhile
from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import Recorder, ShownSteps, VecLearnedReward, make_vec_env, tell_if_only_here
from rlhf_gym.errors import BadInput
from rlhf_gym.methods import Method, whole_portions
from rlhf_gym.parts import Parts, Streams
from rlhf_gym.preferences import Answer
from rlhf_gym.queries import Insertion, Part, Scheme, begins, plan
from rlhf_gym.queries.further import plan_further
from rlhf_gym.registry import check_called, check_is, kind_shares, make, source_entry, teacher_entry
from rlhf_gym.rewards import RewardLearner, RewardModel
from rlhf_gym.rewards.more import make_more
from rlhf_gym.runs import RunDirectory
from rlhf_gym.runs.budget import Budget, began_with, budgets_of
from rlhf_gym.runs.in_store import run_in_store, with_place_in_store
from rlhf_gym.runs.lifecycle import finished_rounds
from rlhf_gym.runs.provenance import provenance
from rlhf_gym.starting import start_agent
from rlhf_gym.store import PreferenceStore
from rlhf_gym.taught_by import check_given, labels_before, name_given, own_names, preferences_before, with_frozen_model
from rlhf_gym.teachers import (
    Goal,
    Teacher,
    Waiting,
    goal_rewards,
)
from rlhf_gym.teaching import check_kinds, kinds_asked, make_teacher, offer_learned, origin_of, recordings

STREAMS = ("envs", "agent", "queries", "model", "reward", "teacher", "evaluation", "shown", "start")


def assemble(
    config: RLHFConfig,
    *,
    teacher: Teacher | None = None,
    goal: Goal | None = None,
    waiting: Waiting | None = None,
    resume: bool = False,
    loaded: bool = False,
    trust: bool = False,
) -> Parts:
    """Make the parts of a run; nothing is left behind if one of them can't be made.

    Args:
        config: All settings.
        teacher: The teacher; None makes the one that the settings name.
        goal: The teacher's reward function; None takes the one that the settings name.
        waiting: Called repeatedly while answers of people are missing; None prints once how to give them.
        resume: Whether the run directory holds the run already.
        loaded: Whether the settings are those of a saved run.
        trust: Whether code named by the settings of an existing run may run, whoever made it.

    Raises:
        BadInput: On settings that don't fit the environment, unknown names, or objects of the wrong type.
    """
    with ExitStack() as undo:
        made = _assemble(config, undo, teacher, goal, waiting, resume=resume, loaded=loaded, trust=trust)
        undo.pop_all()
    return made


def _assemble(
    config: RLHFConfig,
    undo: ExitStack,
    teacher: Teacher | None,
    goal: Goal | None,
    waiting: Waiting | None,
    *,
    resume: bool,
    loaded: bool,
    trust: bool,
) -> Parts:
    """Make the parts of a run; how to close each that is open is put on the stack `undo`."""
    check_given(config, teacher, goal, waiting)
    if not resume:
        config = with_place_in_store(config if loaded else with_frozen_model(config))
    config, goal = name_given(config, teacher, goal, fixed=resume or loaded, trusted=trust)
    run = open_directory(config, undo, resume=True) if resume else None  # locked before its last round is read
    finished = finished_rounds(run.path) if run else 0
    store = open_store(config, undo, finished_rounds=finished) if resume else None
    base = random_streams(config.seed)
    rng = streams_from(config.seed, base, finished, store.number_asked()) if store else base
    rng = {**rng, "shows": rng["teacher"].spawn(1)[0]}
    recorder = make_recorder(config, rng["envs"])
    close_quietly(undo, recorder)
    if config.run_dir and not loaded:
        tell_if_only_here(config.env_id)
    venv = VecLearnedReward(recorder, scale=config.agent.reward_scale)
    agent = make_policy(config, venv, base["agent"])  # with the weights of the beginning, should it begin anew
    close_quietly(undo, agent)
    if finished:
        agent.seed(int(rng["agent"].integers(2**31)))
    shown = make_shown(config, agent, rng["shown"])
    if shown:
        close_quietly(undo, shown)
    budgets = budgets_of(config, finished) if resume else []
    parts = make_plan(config, agent.portion, budgets)
    explore_steps = whole_portions(config.agent.explore_steps, agent.portion)
    agent.learn_for(explore_steps + sum(part.steps for part in parts))  # it doesn't learn from shown steps
    asks = config.labels > 0 and source_entry(config.reward.source).labels  # else the reward never gets any better
    restart_round = round_of_restart(config.agent.restart_steps if asks else 0, explore_steps, parts)
    if restart_round is not None:
        agent.keep_weights()
    scheme, kinds = make_scheme(config), kinds_asked(config)
    recorded = recordings(config)
    begun = run is not None and (run / "provenance.json").exists()  # False if killed at its start
    earlier = [] if begun or loaded else preferences_before(config, venv)
    if earlier:  # else the ids of its queries would be those of another run with this seed
        rng = {**rng, "queries": random_streams(config.seed, 0, len(earlier))["queries"]}
    started: dict[str, Any] = {}
    if not (finished or loaded):  # else the agent's policy and reference are read back
        started = start_agent(config, agent, lambda: earlier or preferences_before(config, venv), rng=base["start"])
    method = make_method(config, agent, venv, goal, base)  # after the start, whose std it may set
    if config.run_dir and run is None:
        run = open_directory(config, undo, resume=False)
        config.to_yaml(run / "config.yaml")
    before = labels_before(run) if run and begun else sum(p.answer is not Answer.SKIP for p in earlier)
    store = store or open_store(config, undo)
    store.train_alone()
    store.describe(run_in_store(config, before=before))
    store.add(earlier)
    if run and not begun:  # last, because it marks the run as begun
        began = {"labels_before": before, **started, **began_with(run, config)}
        run.write_json("provenance.json", provenance(own=own_names(config)) | began)
    recorders = [recorder, *([shown.recorder] if shown else [])]
    offered = offer_learned(config, method, recorders, rng["teacher"], recorded=recorded)
    offered |= {"shows_rng": rng["shows"]}
    teacher = teacher or make_teacher(config, goal, store, waiting, rng["teacher"], **offered)
    check_kinds(config, teacher, venv.action_space)
    together = scheme.choices if isinstance(scheme, Insertion) else None
    answers = Answers(store, teacher, before=before, together=together)
    if not resume:  # a resumed run doesn't know yet where it goes on
        agent.log_to(run / "tensorboard" if run else None)
    seed = int(base["evaluation"].integers(2**31))
    made = Parts(
        config,
        goal,
        recorder,
        shown,
        venv,
        method,
        parts,
        scheme,
        kinds,
        run,
        answers,
        make_asking(config, answers, parts),
        finished,
        rng,
        seed,
        recorded=recorded,
        explore_steps=explore_steps,
        restart_round=restart_round,
        budgets=budgets,
    )
    if recorded:
        method.begin(made.lately())  # with a warm-up, this is done after it
    return made


def close_quietly(undo: ExitStack, opened: Recorder | Agent | ShownSteps) -> None:
    """Have something closed should the run not be made; if that fails, too, it isn't what to tell."""

    @undo.callback
    def close() -> None:
        with suppress(Exception):
            opened.close()


def open_directory(config: RLHFConfig, undo: ExitStack, *, resume: bool) -> RunDirectory:
    """Open the run directory, which is locked."""
    run = RunDirectory(config.run_dir or "", resume=resume)
    undo.callback(run.discard)
    return run


def round_of_restart(steps: int, explore_steps: int, parts: Sequence[Part]) -> int | None:
    """Find the first round that begins after at least so many steps of learning; None if `steps` is 0.

    Raises:
        BadInput: If there is none.
    """
    if not steps:
        return None
    if steps > (at := begins(parts, explore_steps))[-1]:
        raise BadInput(
            f"agent.restart_steps is {steps}, and the last of {len(parts)} rounds begins after {at[-1]} steps; use at "
            "most as many, more query.rounds, or 0, which is never"
        )
    return parts[int(np.searchsorted(at, steps))].round


def random_streams(*seed: int) -> Streams:
    """Make one generator per part from one seed, so that a part's draws don't change the others'."""
    children = np.random.SeedSequence(seed).spawn(len(STREAMS))
    return {name: np.random.default_rng(child) for name, child in zip(STREAMS, children, strict=True)}


def streams_from(seed: int, base: Streams, finished: int, asked: int) -> Streams:
    """Make the generators of a resumed run, before their saved states are restored.

    Query ids are drawn from the queries' stream, so it is keyed by the number of queries asked. So are the streams that
    a checkpoint of an earlier version lacks, or the same episodes would be played again. Without a checkpoint they are.

    Args:
        seed: Seed of the run.
        base: The run's generators at its start, the method's included.
        finished: Rounds before the last checkpoint.
        asked: Number of queries in the store.
    """
    keyed = random_streams(seed, finished, asked)
    names = ("envs", "agent", "queries", "teacher", "shown") if finished else ("queries",)
    return base | {name: keyed[name] for name in names}


def pick(group: object, names: str) -> dict[str, Any]:
    """Pick some settings of a group, as keyword arguments."""
    return {name: getattr(group, name) for name in names.split()}


def make_recorder(config: RLHFConfig, rng: np.random.Generator) -> Recorder:
    """Make the environments and their recorder.

    Raises:
        BadInput: If episodes have no limit, or none is as long as a segment.
    """
    memory = config.query.memory_steps - _shown_memory(config)
    n_envs, seconds = config.agent.n_envs, config.env.step_seconds
    recorder = make_vec_env(origin_of(config), n_envs=n_envs, memory_steps=memory, rng=rng, step_seconds=seconds)
    spec = recorder.get_attr("spec", 0)[0]
    if wrong := _wrong_length(config, spec.max_episode_steps if spec else None):
        recorder.close()
        raise BadInput(wrong)
    return recorder


def _wrong_length(config: RLHFConfig, limit: int | None) -> str:
    """Say what is wrong with the length of episodes, if anything is."""
    if limit is None:
        return (
            f"env_id is {config.env_id}, which sets no limit to its episodes, so that an evaluation may never end; "
            'set one: env_kwargs {"max_episode_steps": 1000}'
        )
    longest = config.env.fixed_horizon or limit
    if config.segment_length > longest:
        return (
            f"segment_length is {config.segment_length} but an episode of {config.env_id} has at most {longest} steps; "
            f"use segment_length <= {longest}"
        )
    return ""


def make_shown(config: RLHFConfig, agent: Agent, rng: np.random.Generator) -> ShownSteps | None:
    """Make the environments whose steps are only played to be shown; None without such steps.

    Raises:
        BadInput: If the agent's exploration noise can't be scaled.
    """
    levels, memory = config.query.noise_levels, _shown_memory(config)
    if not memory:
        return None
    nothing = np.zeros((len(levels), *(agent.sb3.observation_space.shape or ())), np.float32)
    agent.act(nothing, np.array(levels, np.float32), rng=rng)  # refuses the agent now, not after the warm-up
    n_envs, seconds = len(levels), config.env.step_seconds
    recorder = make_vec_env(origin_of(config), n_envs=n_envs, memory_steps=memory, rng=rng, step_seconds=seconds)
    return ShownSteps(recorder, levels)


def _shown_memory(config: RLHFConfig) -> int:
    """Count the remembered steps that are only played to be shown; 0 if nothing is asked."""
    asks = config.labels and source_entry(config.reward.source).labels
    return round(config.query.shown * config.query.memory_steps) if asks else 0


def make_policy(config: RLHFConfig, venv: VecLearnedReward, rng: np.random.Generator) -> Agent:
    """Make the agent; nothing is logged yet."""
    torch.set_num_threads(config.agent.torch_threads)
    return make_agent(
        config.algo,
        venv,
        seed=int(rng.integers(2**31)),
        total_timesteps=config.total_timesteps - config.warm_up_steps,
        **pick(config.agent, "schedule net_arch images normalize_observations normalize_rewards options"),
        **pick(config.agent, "return_statistics critic_after_fit"),
        closeness=closeness_of(config),
    )


def closeness_of(config: RLHFConfig) -> Closeness | None:
    """Read from the settings how close the policy stays to a reference; None without one."""
    settings = config.agent
    return None if settings.reference is None else Closeness(settings.kl, settings.kl_target, settings.kl_gain)


def make_plan(config: RLHFConfig, portion: int, budgets: Sequence[Budget] = ()) -> list[Part]:
    """Plan every round of a run.

    Args:
        config: All settings.
        portion: Steps that its agent trains for at a time.
        budgets: Successive budgets of a run that went on with a larger one; if empty, that of the settings.
    """
    schedule = make("query.schedule", config.query.schedule, config.query.schedule_options)
    check_called("query.schedule", config.query.schedule, schedule, ("labels", "steps"))
    envs, memory = len(config.query.noise_levels), _shown_memory(config)
    explore = whole_portions(config.agent.explore_steps, portion)
    parts: list[Part] = []
    for budget in budgets or [Budget(config.labels, config.total_timesteps)]:
        labels = budget.labels if source_entry(config.reward.source).labels else 0
        how: dict[str, Any] = {"portion": portion, "schedule": schedule, "shown_envs": envs}
        if done := parts[: budget.round]:
            before = config.warm_up_steps + explore
            left = budget.total_timesteps - before - sum(part.steps for part in done) - done[-1].shown
            shown = min(max(0, int(config.query.shown * left)), memory * config.query.rounds) // envs * envs
            how |= {"total_timesteps": budget.total_timesteps, "before": before, "shown_steps": shown}
            parts = plan_further(done, labels, **how)
            continue
        shown = min(int(config.query.shown * budget.total_timesteps), memory * config.query.rounds) // envs * envs
        parts = plan(
            labels,
            total_timesteps=budget.total_timesteps,
            warm_up_steps=config.warm_up_steps,
            rounds=config.query.rounds,
            shown_steps=shown,
            explore_steps=explore,
            **how,
        )
    return parts


def make_method(config: RLHFConfig, agent: Agent, venv: VecLearnedReward, goal: Goal | None, rng: Streams) -> Method:
    """Make the method that turns answers into a better policy, with the reward models that it fits."""
    learner = make_learner(config, venv, rng)
    spaces = {"observation_space": venv.observation_space, "action_space": venv.action_space}
    source = make("reward.source", config.reward.source, config.reward.source_options, **spaces)
    check_called("reward.source", config.reward.source, source, ("situation",))
    method: Method = make(
        "method",
        config.method,
        config.method_options,
        agent=agent,
        learner=learner,
        new_learner=partial(make_learner, config, venv, rng),
        source=source,
        goal=partial(goal_rewards, goal) if goal else None,
        rng=rng["reward"],
        **pick(config.reward, "label_noise label_smoothing"),
    )
    check_is("method", config.method, method, Method, "a Method with fit, improve and step_scores")
    return method


def make_learner(config: RLHFConfig, venv: VecLearnedReward, rng: Streams) -> RewardLearner:
    """Make a reward model and its learner."""
    model = RewardModel(
        venv.observation_space,
        venv.action_space,
        seed=int(rng["model"].integers(2**31)),
        **pick(config.reward, "ensemble_size network images inputs observe clip linear pessimism"),
        **config.reward.network_options,
    )
    settings = pick(
        config.reward,
        "steps batch_size learning_rate adam_epsilon l2 l2_sample label_noise label_smoothing calibrate",
    )
    return RewardLearner(
        model,
        more=make_more(config.reward.more, model),
        rng=rng["reward"],
        folds=config.reward.bootstrap == "folds",
        living=config.reward.shift == "living",
        reliability=config.feedback.reliability,
        **settings,
    )


def make_scheme(config: RLHFConfig) -> Scheme | Insertion | None:
    """Make the query scheme; None is uniform, which needs no candidates.

    Raises:
        BadInput: If it doesn't fit the kind of feedback.
    """
    if config.query.scheme == "uniform":
        return None
    scheme: Scheme | Insertion = make("query.scheme", config.query.scheme, config.query.scheme_options)
    if isinstance(scheme, Insertion):
        if set(kind_shares(config.kind)) != {"comparison"}:
            raise BadInput(
                f"query.scheme is {config.query.scheme} and kind is {config.kind}; lists are put in order by "
                "comparisons alone: use kind comparison, or another scheme"
            )
        return scheme
    check_called("query.scheme", config.query.scheme, scheme, ("candidates", "n", "rng"))
    return scheme


def make_asking(config: RLHFConfig, answers: Answers, parts: list[Part]) -> Asking:
    """Make the part that asks for answers, as the settings say."""
    feedback = config.feedback
    per_round = sum(part.steps for part in parts) / len(parts)
    meanwhile = Meanwhile(feedback.outstanding, feedback.refit_answers, feedback.stale_rounds * per_round)
    return Asking(
        answers,
        budget=config.labels,
        people_per_query=feedback.people_per_query,
        meanwhile=meanwhile if feedback.async_labels else None,
    )


def open_store(config: RLHFConfig, undo: ExitStack, *, finished_rounds: int | None = None) -> PreferenceStore:
    """Open the store where queries are posted and answered.

    Args:
        config: All settings.
        undo: Gets how to close it.
        finished_rounds: Rounds that a resumed run has finished; None for a new run, of which nothing may be there.

    Raises:
        BadInput: If a new run's store holds queries of a run of its name, or a resumed run's holds none.
    """
    if config.feedback.store is None and config.run_dir is None:
        store = PreferenceStore()
        undo.callback(store.close)
        return store
    place = config.feedback.store or Path(config.run_dir or "").absolute() / "preferences.db"
    store = PreferenceStore(place, lasting=teacher_entry(config.teacher).people, run=run_in_store(config))
    undo.callback(store.close)
    if finished_rounds is None:
        store.train_alone()  # before counting, so that only one of two runs begun at once finds it empty
    asked = store.counts().asked
    wrong = ""
    if finished_rounds is None and asked:
        wrong = (
            f"feedback.run is {config.feedback.run}, and its store holds {asked} queries of a run of that name already"
        )
        wrong += "; use another name, or go on with that run: rlhf-gym resume DIR"
    elif finished_rounds and not asked and source_entry(config.reward.source).labels:
        wrong = f"the run has finished {finished_rounds} rounds, but its store is empty; bring back {store.place}"
    if wrong:
        raise BadInput(wrong)
    return store
