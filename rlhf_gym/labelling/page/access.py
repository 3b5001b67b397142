"""How the page may be reached from elsewhere: through a proxy, and in frames of other sites."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import final

from rlhf_gym.errors import BadInput

HOST = re.compile(r"([a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:\d{1,5})?")
FRAMED_BY = re.compile(r"self|https?://(\*\.)?[a-z0-9]([a-z0-9._-]*[a-z0-9])?(:\d{1,5})?")
ROOT = re.compile(r"(/[A-Za-z0-9._~@-]+)*")
OWN = ("api", "static", "dashboard")  # what the page's own paths begin with


@final
class Access:
    """Ways in which the page may be reached from outside; by default none.

    Args:
        root_path: Path under which a proxy serves the page, such as "/label"; the proxy may pass it on or leave it out.
        allowed_hosts: Further host names of the page, such as "labels.example", with a port if the address has one.
        frame_ancestors: Sites that may show the page in a frame, such as "https://worker.mturk.com", "https://*.x.org"
            or "self".

    Raises:
        BadInput: If an argument isn't of that form.
    """

    def __init__(
        self, *, root_path: str = "", allowed_hosts: Sequence[str] = (), frame_ancestors: Sequence[str] = ()
    ) -> None:
        self.root_path = root_path.rstrip("/")
        self.allowed_hosts = tuple(host.lower() for host in allowed_hosts)
        self.frame_ancestors = tuple(site.lower().strip("'").rstrip("/") for site in frame_ancestors)
        if not ROOT.fullmatch(self.root_path) or {".", ".."} & set(self.root_path.split("/")):
            raise BadInput(f"root_path is {root_path!r}; expected a path such as /label")
        if self.root_path.split("/")[:2][-1] in OWN:
            raise BadInput(
                f"root_path is {root_path!r}, and the page's own paths begin so; use another, such as /label"
            )
        for host in self.allowed_hosts:
            if not HOST.fullmatch(host):
                raise BadInput(
                    f"allowed_host is {host!r}; expected a name such as labels.example, or one with its port"
                )
        for site in self.frame_ancestors:
            if not FRAMED_BY.fullmatch(site):
                raise BadInput(
                    f"frame_ancestors has {site!r}; expected sites such as https://worker.mturk.com, or self"
                )

    @property
    def framed(self) -> str:
        """Sites that may frame the page, as a `frame-ancestors` source list."""
        return " ".join("'self'" if site == "self" else site for site in self.frame_ancestors) or "'none'"

    def names(self, host: str) -> bool:
        """Test whether a host name, without a port, is one of `allowed_hosts`."""
        return host in {re.sub(r":\d+$", "", allowed).strip("[]") for allowed in self.allowed_hosts}

    def in_root(self, path: str) -> str | None:
        """Strip the root path from a path; None if only its last slash is missing."""
        if not self.root_path or not f"{path}/".startswith(f"{self.root_path}/"):
            return path
        return path[len(self.root_path) :] or None


HERE_ALONE = Access()
