"""The documentation site: it builds, asks no other host for anything, leaves no figure out, and its commands run."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from rlhf_gym import RLHFConfig, Round, reporting
from rlhf_gym.cli import main, parse
from rlhf_gym.registry import TABLES
from rlhf_gym.runs import Stopwatch
from tests.blocks import ROOT, Section, blocks_in, forget_modules, run_blocks, small, words_of

DOCS = ROOT / "docs"
PAGES = {str(page.relative_to(DOCS)): page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("**/*.md"))}
BLOCKS = {name: Section(name, blocks_in(text)) for name, text in PAGES.items()}
RUN = [name for name, page in BLOCKS.items() if any(not language for language, _ in page.blocks)]
LOADS = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|data)=[\"']?(?:https?:)?//\S+"
)
LINKS = re.compile(r"<link\b(?![^>]*rel=[\"']?canonical)[^>]*?\bhref=[\"']?(?:https?:)?//\S+")
STYLES = re.compile(r"(?:url\(\s*[\"']?|@import\s+[\"'])(?:https?:)?//\S+")
ON_DEMAND = {"mermaid": "unpkg.com/mermaid", 'data-md-component="source"': "api.github.com"}
"""What a page has in it where the theme's script asks another host: diagrams, and a link to a repository."""


def commands_of(page: Section) -> list[list[str]]:
    """Find a page's commands of rlhf-gym, in blocks and in text."""
    blocks = "\n".join(text.replace("\\\n", " ") for language, text in page.blocks if language in ("", "sh"))
    inline = re.findall(r"`(rlhf-gym [a-z]+ [^`]*)`", PAGES[page.title].replace("\n", " "))
    lines = [line for line in blocks.splitlines() if line.startswith("rlhf-gym")] + inline
    return [shlex.split(line, comments=True) for line in lines]


def setting_names() -> Iterator[str]:
    """Name every setting, a group's as `group.name`."""
    for field in fields(RLHFConfig):
        if is_dataclass(field.default_factory):
            yield from (f"{field.name}.{inner.name}" for inner in fields(field.default_factory))
        else:
            yield field.name


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = set(sys.modules)
    yield tmp_path
    forget_modules(tmp_path, modules)


def first_run() -> None:
    """Make the run that other pages' commands look at."""
    assert main(small(["train", "--env-id", "CartPole-v1", "--labels", "20", "--run-dir", "runs/first"])) == 0


@pytest.mark.skipif(find_spec("mkdocstrings_handlers") is None, reason="pip install 'rlhf-gym[docs]'")
def test_the_site_builds_without_a_warning_and_asks_no_other_host_for_anything(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    run = subprocess.run(
        build, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    pages = {str(page.relative_to(tmp_path)): page.read_text(encoding="utf-8") for page in tmp_path.glob("**/*.html")}
    assert len(pages) > 45
    elsewhere = [found for text in pages.values() for found in LOADS.findall(text) + LINKS.findall(text)]
    styles = [*pages.values(), *(file.read_text(encoding="utf-8") for file in tmp_path.glob("**/*.css"))]
    assert not elsewhere + [found for text in styles for found in STYLES.findall(text)]
    assert not [(name, mark) for name, text in pages.items() for mark in ON_DEMAND if mark in text]
    assert not [name for name, text in pages.items() if 'class="arithmatex"' in text or "<!-- include" in text]
    assert pages["reference/method.html"].count("<math") > 60
    notebooks = {page.stem: pages[f"notebooks/{page.stem}.html"] for page in ROOT.glob("notebooks/*.ipynb")}
    assert [name for name, text in notebooks.items() if "data:image/" not in text] == []
    assert "EPIC distance" in notebooks["04_is_the_reward_any_good"].split('<pre class="output">', 1)[1]
    assert [name for name in setting_names() if f"<code>{name}</code>" not in pages["reference/settings.html"]] == []
    names = [name for table in TABLES.values() for name in table]
    assert [name for name in names if f"<code>{name}</code>" not in pages["reference/names.html"]] == []


def test_every_column_and_every_key_of_the_summary_has_its_line(monkeypatch):
    monkeypatch.setattr(reporting, "evaluate", lambda *args, **options: [SimpleNamespace(true_return=1.0)])
    answers = SimpleNamespace(teacher=SimpleNamespace(name="oracle"), labels=0, answered=0)
    method = SimpleNamespace(agent=SimpleNamespace(predict=None))
    parts = SimpleNamespace(
        config=RLHFConfig(), answers=answers, method=method, env_steps=1, goal=None, evaluation_seed=0, recorders=[]
    )
    summary = reporting.summary(parts, None, Stopwatch())
    page = PAGES["reference/metrics.md"]
    rows = page[page.index("## A row of") : page.index("## summary.json")]
    keys = page[page.index("## summary.json") : page.index("## Figures of a learned")]
    assert [f.name for f in fields(Round) if f"\n| `{f.name}` |" not in rows] == []
    assert [key for key in summary if f"`{key}`" not in keys.replace(", ", " | ")] == []
    assert [name for name in TABLES["metric"] if f"`{name}`" not in page] == []


def test_the_pages_have_commands_to_run():
    assert len(RUN) >= 5 and all(commands_of(BLOCKS[name]) for name in RUN)


@pytest.mark.parametrize("name", [name for name, page in BLOCKS.items() if commands_of(page)])
def test_the_verbs_and_flags_of_a_page_exist(name):
    for words in commands_of(BLOCKS[name]):
        if "--help" not in words and not {"ID", "NAME"} & set(words):
            parse(words[1:])


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_a_page_s_first_command_runs(name, folder, capsys):
    page = BLOCKS[name]
    page.write_files()
    first = next(words for language, block in page.blocks if not language for words in words_of(block))
    assert main([*small(first[1:]), "--query.rounds", "1"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_a_page_runs_from_top_to_bottom(name, folder, capsys):
    BLOCKS[name].write_files()
    if "runs/first" in PAGES[name]:
        first_run()
    run_blocks(BLOCKS[name])
    assert "Traceback" not in capsys.readouterr().err
