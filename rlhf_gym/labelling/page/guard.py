"""Access to the page: a token where one is set, and no requests from other web sites."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # Nothing is loaded from elsewhere, nothing is framed, nothing inline runs.
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
# A browser keeps a SameSite=Strict cookie back when a link elsewhere led here; asking again from here brings it.
ASK_AGAIN = '<!doctype html><meta http-equiv="refresh" content="0"><title>rlhf_gym</title>'
READING = ("GET", "HEAD")


class Guard:
    """Check every request before the app serves it.

    Without a token only requests that name this machine's own address are let in: a page elsewhere whose name was
    pointed at 127.0.0.1 names another. With one, each needs it, as a cookie or as ``Authorization: Bearer``; the cookie
    is given for ``/?token=...``. Requests that change something must not come from another site's page.

    Args:
        app: What is guarded.
        token: Secret; None where only this machine can reach the page.
    """

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app, self._token = app, token
        # A browser doesn't tell the ports of a machine apart: each token's cookie has a name of its own.
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
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that isn't let in, or that brings a token to be kept; None lets it in."""
        headers = Headers(scope=scope)
        if self._token is None:
            if not is_loopback(_name(headers.get("host", ""))):
                return _told(403, "this page answers on the machine it runs on only; open it as http://127.0.0.1")
        elif brought := self._brought(scope):
            return brought
        elif not self._known(headers):
            if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "navigate":
                return HTMLResponse(ASK_AGAIN, 401)
            return _told(401, "a token is needed: open the address with the token that rlhf-gym label has printed")
        origin = headers.get("origin")
        if scope["method"] not in READING and origin is not None and _place(origin) != headers.get("host", "").lower():
            return _told(403, "another web site may not ask for this")
        return None

    def _brought(self, scope: Scope) -> Response | None:
        """For ``/?token=...`` with the right one: the cookie, and the way to the address without it."""
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        if scope["path"] not in ("/", "/dashboard") or scope["method"] not in READING:
            return None
        if not any(name == "token" and self._right(value) for name, value in query):
            return None
        rest = urlencode([pair for pair in query if pair[0] != "token"])
        clean = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), 303, {"cache-control": "no-store"})
        clean.set_cookie(self._cookie, str(self._token), max_age=365 * 86_400, httponly=True, samesite="strict")
        return clean

    def _known(self, headers: Headers) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._right(bearer.strip()):
            return True
        try:
            kept = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return kept is not None and self._right(kept.value)

    def _right(self, offered: str) -> bool:
        return hmac.compare_digest(offered.encode(errors="replace"), str(self._token).encode())


def is_loopback(host: str) -> bool:
    """Test whether a name or address is this machine's own, which no other machine reaches."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _told(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status, {"www-authenticate": "Bearer"} if status == 401 else None)


def _name(host: str) -> str:
    """Extract the name of ``name:port``, or ``[address]:port``."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _place(origin: str) -> str:
    """Of ``scheme://name:port`` what a Host header would say."""
    return origin.partition("://")[2].lower()
