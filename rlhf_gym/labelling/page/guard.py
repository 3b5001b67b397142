"""Access to the page: a token where one is set, no requests from other web sites, and none larger than a message."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rlhf_gym.labelling.page.access import HERE_ALONE, Access

HEADERS = {
    # Nothing is loaded from elsewhere, nothing inline runs.
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors {framed}",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
# A browser withholds a SameSite=Strict cookie after a link from another site; reloading from here sends it.
REFUSED = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Labelling</title><h1>This page can't be opened so</h1><p>{told}.</p>
"""
ASK_AGAIN = '<!doctype html><meta http-equiv="refresh" content="0"><title>rlhf_gym</title>'
READING = ("GET", "HEAD")
MOST_BYTES = 64 * 1024  # of a body; the page sends none that long
BODY_SECONDS = 30.0  # within which a body has to come


class Guard:
    """Check every request before the app serves it.

    Without a token, only requests for a loopback address or an allowed host are let in, which keeps out other sites
    whose name was pointed at 127.0.0.1. With a token, each request needs it, as a cookie or as
    ``Authorization: Bearer``; opening ``/?token=...`` sets the cookie. Requests that change something must not come
    from another site's page. Behind a proxy, the root path is stripped before the app sees a request.

    Args:
        app: The app to guard.
        token: Secret; None where only this machine can reach the page.
        access: How the page is reached from elsewhere.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, access: Access = HERE_ALONE) -> None:
        self._app, self._token, self._access = app, token, access
        self._headers = {name: value.format(framed=access.framed) for name, value in HEADERS.items()}
        # Browsers share cookies between the ports of a machine, so each token's cookie has its own name.
        self._cookie = f"rlhf_gym_{hashlib.sha256((token or '').encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":  # start and end of the server; there are no websockets
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        path = self._access.in_root(scope["path"])
        scope = dict(scope) | {"path": path or "/", "root_path": self._access.root_path}
        answer = _slash(scope) if path is None else self._refusal(scope)
        if answer is None and scope["method"] not in READING:
            answer, receive = await _taken_in(Headers(scope=scope), receive)
        await (answer or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the response to a request that isn't let in, or that brings the token to store; None lets it in."""
        headers = Headers(scope=scope)
        if self._token is None:
            host = _name(headers.get("host", ""))
            if not (is_loopback(host) or self._access.names(host)):
                return _told(
                    403, "this page answers on the machine it runs on only; open it as http://127.0.0.1", headers
                )
        elif brought := self._brought(scope):
            return brought
        elif not self._known(headers):
            if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "navigate":
                return HTMLResponse(ASK_AGAIN, 401)
            return _told(
                401, "a token is needed: open the address with the token that rlhf-gym label has printed", headers
            )
        origin = headers.get("origin")
        own = {headers.get("host", "").lower(), *self._access.allowed_hosts}
        if scope["method"] not in READING and origin is not None and _place(origin) not in own:
            return _told(403, "another web site may not ask for this; behind a proxy, name its host: --allowed-host")
        return None

    def _brought(self, scope: Scope) -> Response | None:
        """Set the cookie and redirect to the address without the token, if a request brings the right ``?token=``."""
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        if scope["path"] not in ("/", "/dashboard") or scope["method"] not in READING:
            return None
        if not any(name == "token" and self._right(value) for name, value in query):
            return None
        rest = urlencode([pair for pair in query if pair[0] != "token"])
        # Relative, because the path that a proxy puts before it isn't known here.
        there = scope["path"].removeprefix("/") or "./"
        clean = RedirectResponse(there + (f"?{rest}" if rest else ""), 303, {"cache-control": "no-store"})
        kept: dict[str, Any] = {"max_age": 365 * 86_400, "httponly": True, "path": self._access.root_path or "/"}
        if not self._access.frame_ancestors:
            clean.set_cookie(self._cookie, str(self._token), samesite="strict", **kept)
            return clean
        # In another site's frame a browser sends no other cookies, and keeps these apart for each framing site.
        clean.set_cookie(self._cookie, str(self._token), samesite="none", secure=True, **kept)
        clean.headers["set-cookie"] += "; Partitioned"
        return clean

    def _known(self, headers: Headers) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._right(bearer.strip()):
            return True
        # Not SimpleCookie, which drops all cookies if one is malformed, such as another application's on this host.
        kept = cookie_parser(headers.get("cookie", "")).get(self._cookie)
        return kept is not None and self._right(kept)

    def _right(self, offered: str) -> bool:
        return hmac.compare_digest(offered.encode(errors="replace"), str(self._token).encode())


def _slash(scope: Scope) -> Response:
    """Redirect to the root path with its slash, to which the page's relative addresses refer."""
    query = scope["query_string"].decode("latin-1")
    return RedirectResponse(f"{scope['root_path']}/" + (f"?{query}" if query else ""), 308)


async def _taken_in(headers: Headers, receive: Receive) -> tuple[Response | None, Receive]:
    """Read the body of a request; return a refusal if it is too large or slow, else None, and a replay of the body."""
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MOST_BYTES:
        return _too_large(), receive
    try:
        messages = await asyncio.wait_for(_messages(receive), BODY_SECONDS)
    except (asyncio.TimeoutError, TimeoutError):
        refusal = _told(408, f"the body didn't come within {BODY_SECONDS:g} s; send it again")
        return refusal, receive
    if messages is None:
        return _too_large(), receive

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return None, again


async def _messages(receive: Receive) -> list[Message] | None:
    """Read a whole body, in pieces; None if it is larger than any message."""
    messages, size, more = [], 0, True
    while more:
        messages.append(message := await receive())
        size += len(message.get("body", b""))
        if size > MOST_BYTES:
            return None
        more = message.get("more_body", False)
    return messages


def _too_large() -> Response:
    return _told(413, f"the body has more than {MOST_BYTES} bytes, and no message has so many")


def is_loopback(host: str) -> bool:
    """Test whether a name or address is a loopback address, which no other machine reaches."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _told(status: int, detail: str, asked: Headers | None = None) -> Response:
    """Say why a request is refused: as a page if its headers `asked` for one, as a browser's do, else as JSON."""
    # The connection is closed, since the rest of an unread body would be read as the next request.
    closed = {"connection": "close"}
    headers = {401: {"www-authenticate": "Bearer"}, 408: closed, 413: closed}.get(status)
    if asked is not None and "text/html" in asked.get("accept", ""):
        return HTMLResponse(REFUSED.format(told=detail[0].upper() + detail[1:]), status, headers)
    return JSONResponse({"detail": detail}, status, headers)


def _name(host: str) -> str:
    """Extract the name of ``name:port``, or ``[address]:port``."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _place(origin: str) -> str:
    """Extract the Host header's form, ``name:port``, from ``scheme://name:port``."""
    return origin.partition("://")[2].lower()
