"""The notebooks as pages of the site: their text, their code, and the outputs that are committed with them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PICTURES = ("image/png", "image/gif", "image/webp")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = as_markdown(json.loads(path.read_text(encoding="utf-8")), path.name)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
    return files


def as_markdown(notebook: Mapping[str, Any], name: str) -> str:
    """Write a notebook as a page.

    Args:
        notebook: As its file holds it.
        name: Of the file, which the page tells.
    """
    parts = [part for cell in notebook["cells"] for part in _cell(cell)]
    parts.insert(1, f"*This is `notebooks/{name}` of the repository, which opens in any Jupyter.*")
    return "\n\n".join(parts) + "\n"


def _cell(cell: Mapping[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
    else:
        yield f"```python\n{source}\n```"
        for output in cell["outputs"]:
            yield from _output(output)


def _output(output: Mapping[str, Any]) -> Iterator[str]:
    """Show a picture, or else text; what needs a running notebook, such as buttons, is left out."""
    if "text/markdown" in output.get("data", {}):
        yield "".join(output["data"]["text/markdown"])
        return
    data = output.get("data", {})
    picture = next((kind for kind in PICTURES if kind in data), None)
    text = "".join(output["text"] if "text" in output else data.get("text/plain", ""))
    if picture:
        pixels = "".join(data[picture]).replace("\n", "")
        size = output.get("metadata", {}).get(picture, {}).get("width")
        width = f' width="{size}"' if size else ""
        yield f'<p><img alt="output of the cell above" src="data:{picture};base64,{pixels}"{width}></p>'
    elif text and "application/vnd.jupyter.widget-view+json" not in data:
        yield f'<pre class="output">{html.escape(COLOUR.sub("", text).rstrip())}</pre>'
