"""Passwords in database URLs: kept out of every file, and passed on to our own processes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import suppress

IN_QUERY = ("password", "sslpassword")


def url_without_password(url: str) -> str:
    """Remove the password from a database URL; return text that is no URL unchanged."""
    from sqlalchemy import URL, make_url  # slow to import, and only stores need it
    from sqlalchemy.exc import ArgumentError

    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        return url
    bare = URL.create(**{**found._asdict(), "password": None}).difference_update_query(IN_QUERY)
    return url if bare == found else bare.render_as_string(hide_password=False)


def command_without_passwords(words: Sequence[str]) -> str:
    """Join the words of a command line, with the passwords in their URLs masked."""
    return shlex.join(_blotted(word) for word in words)


def _blotted(word: str) -> str:
    end = '"' if word[:1] in "{[" else ""  # in JSON, a quote ends a URL
    word = re.sub(rf"(://[^:/{end}]*):[^@{end}]*@", r"\1:***@", word)
    return re.sub(rf"([?&](?:ssl)?password=)[^&{end}]*", r"\1***", word)


def password_variable(url: str | None) -> dict[str, str]:
    """Return libpq's environment variable with a URL's password; empty if it has none."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    with suppress(ArgumentError, ValueError):  # a bad URL is refused where it is opened
        found = make_url(url or "sqlite://")
        if password := found.password or found.query.get("password"):
            return {"PGPASSWORD": str(password)}
    return {}
