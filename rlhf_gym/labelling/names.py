"""People's names, in the form in which they are kept with the answers."""

from __future__ import annotations

import re
import unicodedata

MOST = 60  # characters
_VISIBLE = r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+"
# A terminal may show a name, and PostgreSQL refuses NUL.
PATTERN = f"^{_VISIBLE}( {_VISIBLE})*$"
EXPECTED = f"use 1 to {MOST} visible characters, with single spaces between words"


def as_kept(name: str) -> str | None:
    """Return a person's name as it is kept; None if it can't be one.

    A letter with its accent is one character (Unicode's NFC), however it was typed, or one person would be two.
    """
    kept = unicodedata.normalize("NFC", name)
    return kept if len(kept) <= MOST and re.fullmatch(PATTERN[1:-1], kept) else None
