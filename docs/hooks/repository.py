"""Pages, parts of pages and pictures that lie elsewhere in the repository: each is written down once."""

from __future__ import annotations

import posixpath
import re
from functools import cache
from pathlib import Path

from markdown.extensions.toc import slugify
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "how-to/horizon.md": "rlhf_gym/envs/HORIZON.md",
}
"""Pages of the site that are files of the repository; `results/` is there whole."""
PICTURES = (".png", ".gif", ".webp")
HEADING = re.compile(r"^# (.*)$", re.MULTILINE)
SECTION = re.compile(r"^<!-- include: (\S+) # (.*) -->$", re.MULTILINE)
CODE_FILE = re.compile(r"^<!-- file: (\S+) -->$", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^]]*)\]\((?!\w+:)([^)#\s]*)(#[^)]*)?\)")
NOTEBOOK = re.compile(r"^(notebooks/\w+)\.ipynb$")
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside of docs/."""
    results = [path for path in sorted(ROOT.glob("results/**/*")) if path.suffix in (".md", *PICTURES)]
    for name, path in [*PAGES.items(), *((str(path.relative_to(ROOT)), str(path)) for path in results)]:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in what a page includes; links, written as they are in the repository, lead to pages of the site."""
    here = page.file.src_uri
    if heading := HEADING.search(markdown):
        page.meta.setdefault("title", heading[1].replace("`", ""))  # MkDocs finds none below a comment
    source = PAGES.get(here, here) if page.file.generated_by else f"docs/{here}"
    markdown = relink(markdown, source, here, files)
    markdown = SECTION.sub(lambda match: relink(section(*match.groups()), match[1], here, files), markdown)
    return CODE_FILE.sub(lambda match: code_file(match[1]), markdown)


def section(path: str, title: str) -> str:
    """Read what is under a heading of a file, without the heading, up to the next one of any level.

    Args:
        path: From the repository's root.
        title: Of the heading.
    """
    parts = re.split(r"^##+ (.*)\n", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    if title not in found:
        raise PluginError(f"{path} has no section {title!r}")
    return found[title].strip()


@cache
def included() -> dict[tuple[str, str], str]:
    """Find the page that shows a section of a file, by the file and the section's anchor there."""
    found = {}
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for path, title in SECTION.findall(page.read_text(encoding="utf-8")):
            found[path, f"#{slugify(title, '-')}"] = page.relative_to(ROOT / "docs").as_posix()
    return found


def code_file(path: str) -> str:
    """Show a script of the repository."""
    return f"`{path}`:\n\n```python\n{(ROOT / path).read_text(encoding='utf-8').strip()}\n```"


def relink(markdown: str, source: str, here: str, files: Files) -> str:
    """Rewrite relative links of a file for the page that shows it; what the site lacks is named instead.

    Args:
        markdown: Text of the file, or a part.
        source: The file, from the repository's root.
        here: The page, from the site's.
        files: Of the site.
    """
    pages = {path: name for name, path in PAGES.items()} | {"README.md": "index.md"}

    def relinked(match: re.Match[str]) -> str:
        image, text, target, anchor = match.groups()
        if not target:
            name = included().get((source, anchor), here)
            return match[0] if name == here else f"[{text}]({posixpath.relpath(name, posixpath.dirname(here) or '.')})"
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        path = NOTEBOOK.sub(r"\1.md", path)
        name = pages.get(path, path.removeprefix("docs/"))
        if not files.get_file_from_path(name):
            return text if text.startswith("`") else f"`{path}`"
        return f"{image}[{text}]({posixpath.relpath(name, posixpath.dirname(here) or '.')}{anchor or ''})"

    parts = CODE.split(markdown)
    return "".join(part if i % 2 else LINK.sub(relinked, part) for i, part in enumerate(parts))
