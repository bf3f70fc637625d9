"""The token that a request brings, and whether it may be believed to be meant."""

from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from strawberry.http.websocket_origin import is_same_origin

__all__ = ["bearer", "is_from_here", "sign_in_response", "token_of"]

_SECURE: Final = ("https", "wss")
_LONGEST: Final = 8192
"""An issuer's tokens have many claims; no header is much longer."""


def token_of(connection: HTTPConnection, cookie_name: str) -> str | None:
    """The token in the Authorization header, else that of the sign-in cookie if our own page sends it."""
    header = connection.headers.get("authorization")
    if header is not None:
        return bearer(header)
    cookie = connection.cookies.get(cookie_name)
    return _fit(cookie) if cookie and is_from_here(connection) else None


def bearer(authorization: Any) -> str | None:
    """The token in `Bearer TOKEN`; None for anything else."""
    if not isinstance(authorization, str):
        return None
    scheme, _, token = authorization.strip().partition(" ")
    return _fit(token.strip()) if scheme.lower() == "bearer" else None


def is_from_here(connection: HTTPConnection) -> bool:
    """Whether no page of another origin sends this; what is no browser says nothing, and has no cookies to abuse.

    Where there is TLS, a page of the same host that came without it is another origin: anybody on the way may have
    written it. The other way round it is a proxy that has the TLS and does not say so.
    """
    site = connection.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = connection.headers.get("origin")
    if origin is None:
        return True
    is_downgraded = connection.scope["scheme"] in _SECURE and not origin.lower().startswith("https:")
    return not is_downgraded and is_same_origin(origin, connection.headers.get("host"))


def sign_in_response(connection: HTTPConnection, token: str, cookie_name: str) -> Response:
    """Set the cookie, and lead to the same address without the token, so that no history keeps it."""
    kept = connection.url.remove_query_params("token")
    # A path that begins with two slashes would lead to another host.
    location = "/" + kept.path.lstrip("/") + (f"?{kept.query}" if kept.query else "")
    response = RedirectResponse(location, status_code=303)
    response.set_cookie(
        cookie_name,
        token,
        path="/",
        secure=connection.scope["scheme"] in _SECURE,
        httponly=True,
        samesite="strict",
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _fit(token: str) -> str | None:
    return token if 0 < len(token) <= _LONGEST and token.isascii() and token.isprintable() else None
