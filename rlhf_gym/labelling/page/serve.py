"""Serve the page on a port."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable
from functools import partial

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from rlhf_gym.errors import BadInput

HEAD_SECONDS = 30.0  # within which a connection's first request has to come


def new_token() -> str:
    """Make a secret for a page that other machines can reach."""
    return secrets.token_urlsafe(24)


def serve(app: FastAPI, *, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        app: Made by :func:`make_app`.
        host: Address to bind to.
        port: Number; 0 takes a free one.
        started: Called with the page's address, once it can be opened.

    Raises:
        BadInput: If the address can't be bound.
    """
    with _bind(host, port) as bound:
        name = socket.gethostname() if host in ("0.0.0.0", "::") else host
        shown = f"[{name}]" if ":" in name else name
        # No access log: it would hold the token of each person's first request.
        config = uvicorn.Config(
            app,
            http=_Protocol,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
            server_header=False,
        )
        _Server(config, partial(started, f"http://{shown}:{bound.getsockname()[1]}/")).run(sockets=[bound])


class _Protocol(H11Protocol):
    """Drops a connection that brings no complete request head in time; h11 limits heads to 64 KiB."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._drop_if_silent)

    def _drop_if_silent(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.abort()


class _Server(uvicorn.Server):
    """Stops without logging errors: requests that still wait for a clip are dropped, which is nobody's fault.

    Args:
        config: What is served, and how.
        started: Called once the page can be opened and a signal stops the server.
    """

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        if self.started:
            self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        await super().shutdown(sockets)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family)
        # Connections inherit it. Without it, a response's last packet waits 40 ms for the browser's delayed ACK.
        # asyncio sets it only on sockets created with TCP as their protocol, which these aren't.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return bound
    except (OSError, OverflowError) as error:
        raise BadInput(f"host {host}, port {port} can't be served on: {error}; use another --port or --host") from error
