"""Who may ask, and what browsers may do with the answers.

The server listens to this machine alone, unless it is told otherwise; then a key is demanded. Programs of this machine
may ask without one, web pages of other sites may not, though they run here: the Host header defeats names that were
pointed at 127.0.0.1 (DNS rebinding), the Origin header forms that other sites send. No other origin is ever allowed to
read an answer (there are no CORS headers).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samuel_runtime.errors import UserError
from samuel_runtime.serve.problems import answer

CLIENT = "samuel.client"
"""Key of a request's scope: who asks, see :meth:`Access.client`."""

_KEY_LEAST = 16
_PRIVATE = ("/v1/", "/metrics")
"""What needs the key; the page and the documentation hold no secrets, and /health is for machines without one."""
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer."""


def is_loopback(host: str) -> bool:
    """Whether a host to listen at is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_keys(path: Path) -> list[str]:
    """Keys from a file, one a line; lines that begin with # are comments.

    Raises:
        UserError: it cannot be read, holds none, or one that could be guessed.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a file of keys ({error}); check --api-key-file") from error
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not keys or min(map(len, keys)) < _KEY_LEAST:
        raise UserError(
            f"{path}: must hold keys of at least {_KEY_LEAST} characters, one a line; make one with "
            f"`openssl rand -hex 32 > {path}`"
        )
    return keys


@dataclass(frozen=True)
class Access:
    """Who may ask."""

    host: str
    """Where the server listens."""
    keys: tuple[str, ...] = ()
    """Any of them opens it; none are needed on loopback."""

    def __post_init__(self) -> None:
        if not self.keys and not is_loopback(self.host):
            raise UserError(
                f"--host {self.host} lets other machines in, which takes a key; give --api-key-file FILE, made with "
                "`openssl rand -hex 32 > FILE`"
            )

    def refusal(
        self, method: str, path: str, headers: Headers, address: str | None = None
    ) -> tuple[HTTPStatus, str] | None:
        """Why a request is not answered; None if it is.

        ``address`` is where it comes from, if that is known: what listens may be another's, as Ray Serve's proxies are.
        """
        if not self.keys and address is not None and not is_loopback(address):
            return HTTPStatus.FORBIDDEN, "this server answers its own machine alone, until it is given keys"
        host, origin = headers.get("host", ""), headers.get("origin")
        if is_loopback(self.host) and _without_port(host) not in _LOOPBACK_NAMES | {self.host}:
            return (
                HTTPStatus.FORBIDDEN,
                f"this server is not called {host!r}; open it as http://localhost/ with its port",
            )
        if method not in ("GET", "HEAD") and origin is not None and urlsplit(origin).netloc != host:
            return HTTPStatus.FORBIDDEN, "pages of other sites may not ask this server; use its own page"
        if self.keys and path.startswith(_PRIVATE) and not self._opens(_key(headers)):
            said = "no key was given" if _key(headers) is None else "that key is not known here"
            return HTTPStatus.UNAUTHORIZED, f"{said}; send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
        return None

    def client(self, scope: Scope) -> str:
        """Who asks, for limits: the key's fingerprint, or the address where there are no keys."""
        key = _key(Headers(scope=scope))
        if self.keys and key is not None:
            return hashlib.sha256(key.encode()).hexdigest()[:16]
        address = scope.get("client")
        return str(address[0]) if address else "unknown"

    def _opens(self, given: str | None) -> bool:
        """Compared in constant time, and with all of them."""
        if given is None:
            return False
        digest = hashlib.sha256(given.encode()).digest()
        known = [hmac.compare_digest(digest, hashlib.sha256(key.encode()).digest()) for key in self.keys]
        return any(known)


class Guard:
    """The outermost layer: refuses requests, and puts :data:`HEADERS` on every answer."""

    def __init__(self, app: ASGIApp, access: Access, count: Callable[[int], object]) -> None:
        """``count`` is called with the status of every answer."""
        self._app, self._access, self._count = app, access, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if scope["path"].startswith(_PRIVATE):
                    headers.setdefault("Cache-Control", "no-store")
                self._count(message["status"])
            await send(message)

        address = scope.get("client")
        refusal = self._access.refusal(
            scope["method"], scope["path"], Headers(scope=scope), None if address is None else address[0]
        )
        if refusal is not None:
            status, detail = refusal
            wanted = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
            await answer(status, detail, wanted)(scope, receive, guarded)
            return
        scope[CLIENT] = self._access.client(scope)
        await self._app(scope, receive, guarded)


def _key(headers: Headers) -> str | None:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()
