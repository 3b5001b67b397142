"""Blocks of code in Markdown, found and run as a reader would run them."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import yaml

from rlhf_gym.cli import main

ROOT = Path(__file__).parents[1]
SMALL = {"--query.rounds": "2", "--query.warm-up-steps": "512", "--evaluation.n-episodes": "2"}
"""What makes a run short."""
FEW_STEPS, FEW_UPDATES = "2600", "700"
"""Of a run, and of one that updates its policy after every step."""
SHORTER = ("sac.learn(500)", "sac.learn(200)")
"""What a block of Python says, and what it does here: 100 updates are as good as 400."""


@dataclass(frozen=True)
class Section:
    """A heading and the blocks under it, each with its language."""

    title: str
    blocks: list[tuple[str, str]]

    @property
    def files(self) -> dict[str, str]:
        """What is to be written to a file, by the name in its first line."""
        texts = [text for language, text in self.blocks if language in ("python", "yaml")]
        named = {re.match(r"# (\w+\.(?:py|yaml))\n", text): text for text in texts}
        return {match[1]: text for match, text in named.items() if match}

    def write_files(self) -> None:
        """Write them into the current folder."""
        for name, text in self.files.items():
            Path(name).write_text(text)


def blocks_in(markdown: str) -> list[tuple[str, str]]:
    """Find the blocks, each with its language."""
    return re.findall(r"```(\w*)\n(.*?)```", markdown, flags=re.DOTALL)


def sections(markdown: str) -> list[Section]:
    """Find the sections that have blocks."""
    parts = re.split(r"^##+ (.*)\n", markdown, flags=re.MULTILINE)[1:]
    found = [Section(title, blocks_in(text)) for title, text in zip(parts[::2], parts[1::2], strict=True)]
    return [section for section in found if section.blocks]


def words_of(block: str) -> list[list[str]]:
    """The words of each command of a block, as a shell makes them of it: loops, variables and quotes included."""
    told = "; ".join(rf'{name}() {{ printf "%s\037" {name} "$@"; echo; }}' for name in ("rlhf-gym", "python", "make"))
    run = subprocess.run(["bash", "-euc", f"{told}\n{block}"], capture_output=True, text=True, check=True)
    assert not run.stderr
    return [line.split("\037")[:-1] for line in run.stdout.splitlines()]


def small(words: list[str]) -> list[str]:
    """The same command with small settings, those that it has of its own replaced."""
    if words[:1] == ["sweep"]:
        shrink(Path(words[1]))
    if words[:1] == ["resume"] and "--total-timesteps" in words:
        words[words.index("--total-timesteps") + 1] = str(2 * int(FEW_STEPS))
    if words[:1] != ["train"]:
        return words
    for flag, value in {**SMALL, "--total-timesteps": FEW_UPDATES if "--algo" in words else FEW_STEPS}.items():
        at = words.index(flag) if flag in words else len(words)
        words = [*words[:at], flag, value, *words[at + 2 :]]
    return words


def shrink(plan: Path) -> None:
    """Make the runs of a sweep short, and few."""
    sweep = yaml.safe_load(plan.read_text())
    sweep["shared"] |= {"total_timesteps": int(FEW_STEPS), "query": {"rounds": 2, "warm_up_steps": 512}}
    sweep["shared"]["evaluation"] = {"n_episodes": 2}
    plan.write_text(yaml.safe_dump(sweep | {"seeds": sweep["seeds"][:1]}))


def run_command(words: list[str]) -> None:
    """Do what a command does, in this process."""
    program, *words = words
    words = [path for word in words for path in (sorted(glob(word)) if "*" in word else [word])]
    if program == "rlhf-gym":
        assert main(small(words)) == 0
    elif words[0] == "-c":
        exec(compile(words[1], "-c", "exec"), {})
    else:
        runpy.run_path(words[0], run_name="__main__")


def run_blocks(section: Section) -> None:
    """Run a section's blocks in the current folder, one after the other; those without a language are commands."""
    for language, block in section.blocks:
        if block in section.files.values():
            continue  # the commands below it name it
        if language == "python":
            Path("block.py").write_text(block.replace(*SHORTER))
            names = runpy.run_path("block.py", run_name="__main__")
            if "rlhf" in names:
                names["rlhf"].close()
        elif not language:
            for words in words_of(block):
                run_command(words)


def forget_modules(place: Path, known: set[str] = frozenset()) -> None:
    """Forget what was imported from a folder."""
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(place)):
            del sys.modules[name]
