"""The verbs that learn: train and resume.

What a verb needs (torch, Stable-Baselines3, Matplotlib) is imported when it runs: ``--help`` shouldn't wait for it.
"""

from __future__ import annotations

import math
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.passwords import password_variable, url_without_password
from rlhf_gym.config.presets import has_preset, preset
from rlhf_gym.errors import BadInput
from rlhf_gym.registry import source_entry, teacher_entry
from rlhf_gym.verbs.arguments import RunDir
from rlhf_gym.verbs.how_shown import can_be_drawn, say_how_shown
from rlhf_gym.verbs.interrupts import Interrupted, interrupted_by_signals
from rlhf_gym.verbs.labelling import Label
from rlhf_gym.verbs.looking import true_return

if TYPE_CHECKING:
    from rlhf_gym.labelling import Desk
    from rlhf_gym.rlhf import RLHF
    from rlhf_gym.teachers import Waiting

UNSCALED = ("ppo", "a2c")  # algorithms that begin with actions around 0 of size 1, whatever the space
PAGE_ENDS_WITHIN = 10.0  # seconds for its last requests and the clip that is being drawn


@dataclass(frozen=True)
class Train:
    """Learn a policy from a teacher's answers.

    Precedence of settings: default < preset of the environment, and of the algorithm in it < --config < flag. The
    defaults shown are what this --env-id, --algo and --config give.
    """

    settings: Annotated[RLHFConfig, arg(name="")]
    config: Path | None = None
    """YAML file of settings, such as config.yaml in a run directory."""
    trust: bool = False
    """Run somebody else's code that the run directory of --config names, or that a policy to start from holds."""

    def run(self) -> None:
        """Train, evaluate, write the run directory, and print the result."""
        from rlhf_gym.envs.allowed import is_far_from_unit
        from rlhf_gym.rlhf import RLHF

        if self.config:
            check_config(self.config, self.settings)
        config = self.settings.replace(run_dir=self.settings.run_dir or default_run_dir(self.settings))
        with (
            interrupted_by_signals(),
            _teaching(config) as waiting,
            closing(RLHF(config, waiting=waiting)) as rlhf,
        ):
            if not preset(config.env_id):
                print(f"{config.env_id} has no preset: what isn't set is a general default", file=sys.stderr)
            elif not has_preset(config.env_id, config.algo):
                print(f"{config.env_id} has no preset of {config.algo}: what isn't set is its default", file=sys.stderr)
            if config.algo in UNSCALED and is_far_from_unit(space := rlhf.agent.sb3.action_space):
                print(
                    f"{config.env_id} takes actions of {space}, and {config.algo} explores around 0 by about 1: wrap "
                    "the environment by gymnasium.wrappers.RescaleAction(env, -1, 1)",
                    file=sys.stderr,
                )
            _learn(rlhf)


@dataclass(frozen=True)
class Resume:
    """Continue an interrupted run as if it had never stopped, or give a finished one a larger budget.

    Every answer given so far counts; nobody is asked twice.
    """

    run_dir: RunDir
    """Its run directory."""
    labels: int | None = None
    """New budget of labels, including those given so far; finished rounds stay, and further rounds of about the same
    length spend the rest. None keeps the budget."""
    total_timesteps: int | None = None
    """New budget of environment steps, likewise; a linear schedule then falls to 0 at the new end."""
    trust: bool = False
    """Run somebody else's modules that this run's settings name; needed once for each."""

    def run(self) -> None:
        """Continue training, evaluate, write the files of a finished run, and print the result."""
        from rlhf_gym.rlhf import RLHF
        from rlhf_gym.runs import run_to_resume

        budget = {"labels": self.labels, "total_timesteps": self.total_timesteps}
        config = run_to_resume(self.run_dir, **budget)
        with (
            interrupted_by_signals(),
            _teaching(config) as waiting,
            closing(RLHF.resume(self.run_dir, **budget, waiting=waiting)) as rlhf,
        ):
            _learn(rlhf)


def check_config(file: Path, settings: RLHFConfig) -> None:
    """Refuse untrusted code that settings take from a run directory's file; the user's own files are trusted.

    Args:
        file: The file of --config.
        settings: All settings, flags included.
    """
    if not (file.parent / "provenance.json").exists():
        return
    from rlhf_gym.config.code import code_named
    from rlhf_gym.trust import check_trusted

    theirs = code_named(RLHFConfig.from_yaml(file))
    check_trusted(dict(code_named(settings).items() & theirs.items()), str(file))


def default_run_dir(config: RLHFConfig) -> str:
    """Name the directory of a run that names none, by the settings that people vary most."""
    reward = config.reward
    source = source_entry(reward.source)
    options = {**source.options, **reward.source_options}
    paid = "_".join([reward.source, *(f"{v:g}" if type(v) in (int, float) else str(v) for v in options.values())])
    if source.labels:
        paid = f"{config.teacher}_{config.labels}"
    return f"runs/{_as_file(config.env_id)}_{_as_file(paid)}_seed{config.seed}"


def _as_file(name: str) -> str:
    return name.replace("/", "-").replace(":", "-")


def _learn(rlhf: RLHF) -> None:
    """Run the remaining rounds, and print the result."""
    from rlhf_gym.runs import metrics_so_far

    config = rlhf.config
    place = shlex.quote(str(config.run_dir))
    if config.feedback.store:
        print(f"run {config.feedback.run} of {url_without_password(config.feedback.store)}", file=sys.stderr)
    if teacher_entry(config.teacher).people:
        say_how_shown(config)
    try:
        summary = rlhf.learn(progress=not teacher_entry(config.teacher).waits and sys.stderr.isatty())
    except (KeyboardInterrupt, SystemExit) as stop:  # the terminal prompt exits on SIGTERM
        status = getattr(stop, "status", getattr(stop, "code", 130))
        raise Interrupted(f"interrupted; to go on: rlhf-gym resume {place}", status) from None
    except Exception:
        if rlhf.run and (rlhf.run / "config.yaml").exists():
            print(f"the run is kept; to go on: rlhf-gym resume {place}", file=sys.stderr)
        raise
    wanted = rlhf.answers.before + config.labels
    of = f" of {wanted}" if summary["labels"] < wanted else ""
    first = metrics_so_far(str(config.run_dir))[0]
    by_goal = summary["goal_return_mean"] is not None
    began = first["goal_return" if by_goal else "true_return"]
    print(
        f"{config.env_id}, seed {config.seed}: {summary['labels']}{of} labels, {summary['total_timesteps']} "
        f"environment steps, {summary['wall_seconds']:.0f} s\n{true_return(summary)}"
        + ("" if math.isnan(began) or first["round"] else f"; it began with {began:{'.4g' if by_goal else '.1f'}}")
        + f"\nfiles in {config.run_dir}"
        + (f"; to see the policy: rlhf-gym watch {place}" if can_be_drawn(config) else "")
        + (f"; answers were taken back: rlhf-gym resume {place}" if of and rlhf.answers.people else "")
    )


@contextmanager
def _teaching(config: RLHFConfig) -> Iterator[Waiting]:
    """Offer people a way to answer while the run is on: this terminal, a page, or none."""
    from rlhf_gym.teachers import pause

    teacher = teacher_entry(config.teacher)
    if teacher.waits:
        with _prompt_here(Label(Path(str(config.run_dir)).absolute(), store=config.feedback.store)) as waiting:
            yield waiting
    elif teacher.face == "page":
        with _page_beside(Path(str(config.run_dir)).absolute(), password_variable(config.feedback.store)) as waiting:
            yield waiting
    else:
        if teacher.people:
            print(f"answers are waited for: rlhf-gym label {shlex.quote(str(config.run_dir))}", file=sys.stderr)
        yield pause


@contextmanager
def _prompt_here(label: Label) -> Iterator[Waiting]:
    """Ask the person at this terminal the open queries; quitting the prompt interrupts the run."""
    from rlhf_gym.labelling.terminal import prompt
    from rlhf_gym.teachers import pause

    with ExitStack() as stack:
        desks: list[Desk] = []

        def waiting() -> None:
            if not desks:  # there is no store before the run begins
                desks.append(stack.enter_context(label.desk()))
            prompt(desks[0], who=label.name, on_quit=interrupt, page=label.page)
            pause()  # another person may hold the queries still open

        def interrupt() -> None:
            raise KeyboardInterrupt

        yield waiting


@contextmanager
def _page_beside(run_dir: Path, password: dict[str, str]) -> Iterator[Waiting]:
    """Serve the page in a process of its own, from the first wait for answers until the run ends."""
    pages: list[subprocess.Popen[bytes]] = []
    port = _free_port()
    label = ["label", str(run_dir), "--web", "--port", str(port), "--until-input-ends"]

    def waiting() -> None:
        if not pages:
            command, env = [sys.executable, "-m", "rlhf_gym.cli", *label], os.environ | password
            pages.append(subprocess.Popen(command, stdin=subprocess.PIPE, env=env))
        try:
            status = pages[0].wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            return
        pages.pop().communicate()
        if status >= 0:  # it has printed why; below 0 it was killed, and is started again
            raise BadInput("the labelling page can't be served; see above")

    try:
        yield waiting
    finally:
        for page in pages:
            _end(page)


def _end(page: subprocess.Popen[bytes]) -> None:
    """Let a page close its drawing process and files; terminate it if that takes too long."""
    try:
        page.communicate(timeout=PAGE_ENDS_WITHIN)  # which closes its input
    except subprocess.TimeoutExpired:
        page.terminate()
        page.communicate()


def _free_port() -> int:
    """Find a free port, the page's usual one if possible."""
    for port in (Label.port, 0):
        try:
            # Bound as the page will bind it: a port that only old connections hold, as after a kill, counts as free.
            with socket.create_server(("127.0.0.1", port)) as one:
                return int(one.getsockname()[1])
        except OSError:
            continue
    raise BadInput("no port is free for the labelling page")
