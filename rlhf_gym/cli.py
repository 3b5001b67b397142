"""The command line: verbs, and nothing but verbs.

What a verb needs (torch, Stable-Baselines3, Matplotlib) is imported when it runs: ``--help`` shouldn't wait for it.
"""

from __future__ import annotations

import difflib
import getpass
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import fmean, pstdev
from traceback import walk_tb
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from rlhf_gym.config import RLHFConfig
from rlhf_gym.flags import read_flags, settings_before_flags
from rlhf_gym.presets import preset

if TYPE_CHECKING:
    from rlhf_gym.feedback import PreferenceStore
    from rlhf_gym.labelling import Desk
    from rlhf_gym.segments import Trajectory

RunDir = Annotated[Path, Positional, arg(metavar="DIR")]


@dataclass(frozen=True)
class Train:
    """Learn a policy from a teacher's answers.

    Precedence of settings: default < preset of the environment < --config < flag. The defaults shown are what
    this --env-id and --config give.
    """

    settings: Annotated[RLHFConfig, arg(name="")]
    config: Path | None = None
    """YAML file of settings, such as config.yaml in a run directory."""

    def run(self) -> None:
        """Train, judge, leave a run directory, and say what came of it."""
        from rlhf_gym.rlhf import RLHF

        config = replace(self.settings, run_dir=self.settings.run_dir or default_run_dir(self.settings))
        with closing(RLHF(config)) as rlhf:
            if not preset(config.env_id):
                print(f"{config.env_id} has no preset: what isn't set is a general default", file=sys.stderr)
            summary = rlhf.learn(progress=True)
        print(
            f"{config.env_id}, seed {config.seed}: {summary['labels']} labels, {summary['total_timesteps']} "
            f"environment steps, {summary['wall_seconds']:.0f} s\n{_true_return(summary)}\n"
            f"files in {config.run_dir}; to see the policy: rlhf-gym watch {config.run_dir}"
        )


@dataclass(frozen=True)
class Evaluate:
    """Play a run's policy again, on the unmodified environment."""

    run_dir: RunDir
    """A run directory."""
    n_episodes: int = 20
    """Episodes to play."""
    seed: int = 0
    """The episodes' seeds are drawn from it."""
    json: bool = False
    """Print JSON."""

    def run(self) -> None:
        """Play, and print the true return, and the goal's if the run has one."""
        config, episodes = _play(self.run_dir, n_episodes=self.n_episodes, seed=self.seed)
        returns = [episode.true_return for episode in episodes]
        found = {
            "env_id": config.env_id,
            "seed": self.seed,
            "n_eval_episodes": len(returns),
            "true_return_mean": fmean(returns),
            "true_return_std": pstdev(returns),
            "goal_return_mean": _goal_return(config.feedback.goal, episodes),
            "episode_length_mean": fmean(map(len, episodes)),
        }
        print(json.dumps(found) if self.json else f"{config.env_id}: {_true_return(found)}")


@dataclass(frozen=True)
class Watch:
    """Write a video of a run's policy."""

    run_dir: RunDir
    """A run directory."""
    output: Path | None = None
    """File to write, .gif or .webp; None is policy.gif in the run directory."""
    n_episodes: int = 1
    """Episodes to show, one after the other."""
    seed: int = 0
    """The episodes' seeds are drawn from it."""

    def run(self) -> None:
        """Play, draw, write."""
        import numpy as np

        from rlhf_gym.envs import frames_per_second, replay, write_clip

        config, episodes = _play(self.run_dir, n_episodes=self.n_episodes, seed=self.seed)
        frames = np.concatenate([replay(episode) for episode in episodes])
        clip = write_clip(
            frames,
            self.output or self.run_dir / "policy.gif",
            fps=frames_per_second(config.env_id, config.env_kwargs),
        )
        print(f"true return {', '.join(f'{episode.true_return:.4g}' for episode in episodes)}\nwrote {clip}")


@dataclass(frozen=True)
class Plot:
    """Draw the learning curve of one run or many."""

    run_dirs: Annotated[tuple[Path, ...], Positional, arg(metavar="DIR...")]
    """Run directories."""
    output: Path = Path("curve.png")
    """File to write; its ending says whether png, svg or pdf."""

    def run(self) -> None:
        """Draw and write."""
        from rlhf_gym.plots import learning_curve
        from rlhf_gym.runs import read_run

        if self.output.suffix not in (".png", ".svg", ".pdf"):
            raise ValueError(f"output is {self.output}; use a name that ends in .png, .svg or .pdf")
        learning_curve([read_run(run_dir) for run_dir in self.run_dirs], self.output)
        print(f"wrote {self.output}")


@dataclass(frozen=True)
class Quality:
    """Say how good a run's answers are: speed, side bias, consistency, agreement."""

    run_dir: RunDir
    """A run directory."""
    store: str | None = None
    """URL of the preference store; None is preferences.db in the run directory."""
    json: bool = False
    """Print JSON."""

    def run(self) -> None:
        """Read the answers, judge them, print."""
        from rlhf_gym.feedback.quality import report

        with _open_store(self.run_dir, self.store) as store:
            found = report(store.history(), [preference.query for preference in store.preferences()])
        print(json.dumps(found.as_dict()) if self.json else found.as_text())


@dataclass(frozen=True)
class Label:
    """Answer a run's queries: here in the terminal, or with --web on a page in the browser."""

    run_dir: RunDir
    """A run directory; clips are kept in it."""
    web: bool = False
    """Serve a page instead of asking in the terminal."""
    host: str = "127.0.0.1"
    """Address of the page; any but this machine's own is guarded by a token, which is printed with it."""
    port: int = 8765
    """Port of the page; 0 takes a free one."""
    token: bool = False
    """Ask for a token on this machine's own address too, as behind a proxy."""
    who: str | None = None
    """Your name in the terminal; None is the name you are logged in with. The page asks everyone for theirs."""
    instructions: str = ""
    """What to look for, shown above the clips."""
    store: str | None = None
    """URL of the preference store; None is preferences.db in the run directory."""
    draw: Literal["replay", "states"] = "replay"
    """Draw the environment, or plot its observations where it doesn't replay or can't be drawn."""
    width: int = 400
    """Of a clip, in pixels."""

    def run(self) -> None:
        """Hand out queries and take answers until interrupted."""
        from rlhf_gym.labelling import ClipCache, Desk

        file = self.run_dir / "config.yaml"
        with (
            _open_store(self.run_dir, self.store) as store,
            ClipCache(self.run_dir / "clips", width=self.width, draw=self.draw, films=not self.web) as clips,
        ):
            clips.ahead(store.pending(2))  # whoever comes first needn't wait for the drawing to begin
            labels = RLHFConfig.from_yaml(file).labels if file.is_file() else None
            desk = Desk(store, clips, labels=labels, instructions=self.instructions)
            if self.web:
                _serve(desk, self)
            else:
                from rlhf_gym.labelling.terminal import prompt

                # Whoever sits there sees new queries come; what is piped in ends with the ones there are.
                given = prompt(desk, who=self.who or getpass.getuser(), wait=sys.stdin.isatty())
                print(f"{given} answers, all in {self.store or self.run_dir / 'preferences.db'}")


@dataclass(frozen=True)
class Export:
    """Write a run's preferences as JSON Lines and Parquet, with a card: a folder that Hugging Face reads."""

    run_dir: RunDir
    """A run directory, finished or not."""
    output: Path | None = None
    """Folder to write; None is export in the run directory."""
    parquet: bool = True
    """Write Parquet too, which needs pyarrow."""

    def run(self) -> None:
        """Write."""
        from rlhf_gym.envs import make_env
        from rlhf_gym.feedback.exchange import export
        from rlhf_gym.segments import Origin

        config, output = RLHFConfig.from_yaml(self.run_dir / "config.yaml"), self.output or self.run_dir / "export"
        with closing(make_env(Origin(config.env_id, 0, config.env_kwargs, config.env.fixed_horizon))) as env:
            spaces = env.observation_space, env.action_space
        with _open_store(self.run_dir, None) as store:
            n = export(store, output, spaces=spaces, parquet=self.parquet)
        print(f"wrote {n} preferences into {output}; to read them: rlhf-gym import {output} --store URL")


@dataclass(frozen=True)
class Import:
    """Take exported preferences over into a run's store, or into any other."""

    path: Annotated[Path, Positional, arg(metavar="PATH")]
    """A folder that export wrote, or a .jsonl or .parquet file of its kind."""
    run_dir: Path | None = None
    """A run directory whose store takes them."""
    store: str | None = None
    """Database URL of a store that takes them, such as sqlite:///preferences.db; made if it isn't there."""

    def run(self) -> None:
        """Read and add."""
        from rlhf_gym.feedback.exchange import read_preferences

        if (self.run_dir is None) == (self.store is None):
            raise ValueError("import needs one place to put preferences; use either --run-dir DIR or --store URL")
        preferences = read_preferences(self.path)
        with _open_store(Path(self.run_dir or ""), self.store) as store:
            new = store.add(preferences)
        print(f"{new} preferences are new, {len(preferences) - new} were there already")


VERBS: dict[str, Any] = {
    "train": Train,
    "evaluate": Evaluate,
    "watch": Watch,
    "plot": Plot,
    "quality": Quality,
    "label": Label,
    "export": Export,
    "import": Import,
}


def main(args: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        args: Words of the command line; None takes this process's.

    Returns:
        Exit status: 0, 2 on bad input (one line on stderr says which), 130 when interrupted.

    Raises:
        ValueError: From a library or a goal's own code: that is no bad input, and its traceback is needed.
    """
    try:
        parse(sys.argv[1:] if args is None else args).run()
    except SystemExit as stop:  # help or version were shown
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return _complain("interrupted; the files written so far stay", 130)
    except (OSError, ImportError) as error:
        return _complain(str(error), 2)
    except ValueError as error:
        *_, (frame, _line) = walk_tb(error.__traceback__)
        if frame.f_globals["__name__"].partition(".")[0] != "rlhf_gym":
            raise
        return _complain(str(error), 2)
    return 0


def default_run_dir(config: RLHFConfig) -> str:
    """Where a run goes that names no directory: told apart by what people vary most."""
    reward = config.reward
    paid = {"learned": f"{config.teacher}_{config.labels}", "constant": f"constant_{reward.constant:g}"}
    return f"runs/{config.env_id.replace('/', '-')}_{paid.get(reward.source, reward.source)}_seed{config.seed}"


def parse(args: Sequence[str]) -> Any:
    """The verb that `args` ask for, ready to run.

    Raises:
        ValueError: On an unknown verb or flag, or a value that doesn't fit.
        SystemExit: After showing help or the version.
    """
    verb, *rest = args or [""]
    if verb in ("-h", "--help", "--version"):
        print(_usage() if verb != "--version" else f"rlhf-gym {metadata.version('rlhf-gym')}")
        raise SystemExit(0)
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(VERBS)};"
        raise ValueError(f"verb is {verb!r}; {hint} see rlhf-gym --help")
    prog = f"rlhf-gym {verb}"
    default = {"default": Train(*settings_before_flags(rest, prog=prog))} if verb == "train" else {}
    return read_flags(VERBS[verb], rest, prog=prog, **default)


def _serve(desk: Desk, asked: Label) -> None:
    """The labelling page, until interrupted."""
    from rlhf_gym.labelling.page import is_loopback, make_app, new_token, serve
    from rlhf_gym.runs import metrics_so_far

    token = new_token() if asked.token or not is_loopback(asked.host) else None
    app = make_app(desk, token=token, curve=partial(metrics_so_far, asked.run_dir))

    def started(address: str) -> None:
        opened = f"{address}?token={token}" if token else address
        print(f"open {opened} to label; Ctrl-C ends", flush=True)

    serve(app, host=asked.host, port=asked.port, started=started)


def _open_store(run_dir: Path, url: str | None) -> PreferenceStore:
    """The store of a run, which has to be there already."""
    from rlhf_gym.feedback import PreferenceStore

    file = run_dir / "preferences.db"
    if url is None and not file.is_file():
        raise ValueError(f"{run_dir} holds no preferences.db; use the directory of a run, or name its --store")
    return PreferenceStore(url or file)


def _play(run_dir: Path, *, n_episodes: int, seed: int) -> tuple[RLHFConfig, list[Trajectory]]:
    """A run's settings, and episodes of its policy on the unmodified environment."""
    for name, value, least in (("n_episodes", n_episodes, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{name} is {value}; use at least {least}")
    from stable_baselines3 import PPO

    from rlhf_gym.evaluation import play
    from rlhf_gym.runs import read_run

    config, file = read_run(run_dir).config, run_dir / "policy.zip"
    try:
        policy = PPO.load(file, device="cpu")
    except ValueError as error:
        raise ValueError(f"{file} can't be read: {error}; use the directory of a whole run") from error
    predict = partial(policy.predict, deterministic=True)
    return config, play(predict, config.env_id, env_kwargs=config.env_kwargs, n_episodes=n_episodes, seed=seed)


def _goal_return(goal: str | None, episodes: Sequence[Trajectory]) -> float | None:
    """What the episodes are worth by the run's goal, None if it has none."""
    from rlhf_gym.evaluation import goal_return
    from rlhf_gym.feedback import load_goal

    return goal_return(load_goal(goal), episodes) if goal else None


def _true_return(found: Mapping[str, Any]) -> str:
    mean, std, n = (found[name] for name in ("true_return_mean", "true_return_std", "n_eval_episodes"))
    goal = found["goal_return_mean"]
    return f"true return {mean:.1f} ± {std:.1f} (mean and standard deviation of {n} episodes)" + (
        "" if goal is None else f"; goal return {goal:.4g} (mean)"
    )


def _usage() -> str:
    verbs = "\n".join(f"  {verb:<10}{kind.__doc__.splitlines()[0]}" for verb, kind in VERBS.items())
    return (
        "usage: rlhf-gym VERB [OPTIONS]\n\nReinforcement learning from human feedback on Gymnasium control tasks.\n\n"
        f"verbs:\n{verbs}\n\nrlhf-gym VERB --help lists a verb's options; rlhf-gym --version says which this is."
    )


def _complain(message: str, status: int) -> int:
    print(f"rlhf-gym: {' '.join(message.split())}", file=sys.stderr)
    return status
