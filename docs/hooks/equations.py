"""Equations as MathML, made while the site is built: browsers draw it without any script."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FUNCTION = re.compile(r"(<mi>(?:exp|log)</mi>)(?!<mo)")
EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([([])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Replace what `pymdownx.arithmatex` marked."""
    return EQUATION.sub(_drawn, content)


def _drawn(match: re.Match[str]) -> str:
    block = match[2] == "["
    drawn = convert(html.unescape(match[3].strip()), display="block" if block else "inline")
    drawn = FUNCTION.sub(r'\1<mspace width="0.17em"/>', drawn)
    return f'<div class="equation">{drawn}</div>' if block else drawn
