"""Put the page on a port."""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from rlhf_gym.errors import BadInput


def new_token() -> str:
    """Make a secret for a page that other machines can reach."""
    return secrets.token_urlsafe(24)


def serve(app: FastAPI, *, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        app: What :func:`make_app` has made.
        host: Address to bind to.
        port: Number; 0 takes a free one.
        started: Called with the page's address, once it can be opened.

    Raises:
        BadInput: If the address can't be bound.
    """
    with _bind(host, port) as bound:
        name = socket.gethostname() if host in ("0.0.0.0", "::") else host
        shown = f"[{name}]" if ":" in name else name
        started(f"http://{shown}:{bound.getsockname()[1]}/")
        # No access log: it would hold the token of each person's first request.
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, server_header=False
        )
        _Server(config).run(sockets=[bound])


class _Server(uvicorn.Server):
    """Ends in silence: a request that still waits for a clip is dropped then, which is no fault of anybody's."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        await super().shutdown(sockets)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise BadInput(f"host {host}, port {port} can't be served on: {error}; use another --port or --host") from error
