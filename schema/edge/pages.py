"""The pages that a browser gets: GraphiQL, its assets, and plain pages for what went wrong.

Everything comes from this server. No page has a script in it, and no header lets one in.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

CONSOLE_PATH: Final = "/console"
"""Where the assets are; the built page refers to it relative to its own address."""

SECURITY_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        # The sign-in address has a token in it, which no other page should learn.
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)
"""For every page and asset; each adds a Content-Security-Policy of its own."""

# The editor makes <style> elements as it runs, hence 'unsafe-inline' for styles, and for styles only.
_CONSOLE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_STYLE: Final = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 40rem; margin: 15vh auto; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; }
pre { padding: .75rem 1rem; border: 1px solid #8888; border-radius: .5rem; overflow-x: auto; }
"""

_MESSAGE_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Spelled out: what the standard library guesses depends on the machine, and nosniff makes a wrong one fatal.
_CONTENT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".md": "text/plain; charset=utf-8",
        ".svg": "image/svg+xml",
        ".ttf": "font/ttf",
        ".woff2": "font/woff2",
    }
)


def graphiql_page(static: Path | None) -> Response:
    """GraphiQL, or a page that says how to get it where `static` holds no built console."""
    try:
        page = (static / "index.html").read_bytes() if static else None
    except FileNotFoundError:
        page = None
    if page is None:
        return _no_console_page()
    return HTMLResponse(page, headers=_page_headers(_CONSOLE_POLICY))


def not_signed_in_page() -> Response:
    """What a browser without a sign-in cookie gets: 401, and how to sign in."""
    return message_page(
        401,
        "You are not signed in",
        "Open the address that “lifeos serve” printed when it started. It has a token in it, which signs "
        "this browser in.\n\nWith a token of your own, open this page with the token at its end. "
        "Programs send it as a header.",
        commands=["/graphql?token=TOKEN", "Authorization: Bearer TOKEN"],
    )


def wrong_token_page() -> Response:
    """What a browser with a wrong token in its address gets: 401, and where to find the right one."""
    return message_page(
        401,
        "This token is not valid",
        "It is mistyped, or it was revoked.\n\nOpen the address that “lifeos serve” printed when it started, "
        "or ask an administrator for a new token:",
        commands=["lifeos user create NAME --role SUBMITTER"],
    )


def message_page(status: int, title: str, text: str, *, commands: Sequence[str] = ()) -> Response:
    """A plain page for a person; a blank line in `text` starts a paragraph, `commands` follow as typed."""
    paragraphs = "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in text.split("\n\n"))
    typed = f"<pre>{escape(chr(10).join(commands))}</pre>" if commands else ""
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · Life OS</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{paragraphs}
{typed}
</body>
</html>
"""
    return HTMLResponse(page, status, headers=_page_headers(_MESSAGE_POLICY))


def static_routes(static: Path | None) -> list[BaseRoute]:
    """The routes of the console's assets; what is not there is a plain 404.

    A console that is built while the server runs is found without a restart.
    """
    if static is None:
        return []
    files = StaticFiles(directory=static, check_dir=False)

    async def asset(request: Request) -> Response:
        return await _asset(files, request.path_params["path"], request.scope)

    return [Route(f"{CONSOLE_PATH}/{{path:path}}", asset, name="console")]


async def _asset(files: StaticFiles, path: str, scope: Scope) -> Response:
    content_type = _CONTENT_TYPES.get(PurePosixPath(path).suffix)
    # The page itself and the build's own notes have no type here, and so no address.
    if content_type is None:
        return _plain(404, "Not Found")
    try:
        response = await files.get_response(path, scope)
    except HTTPException as error:
        return _plain(error.status_code, error.detail)
    # Names under assets/ have a hash of their content in them.
    is_hashed = path.startswith("assets/")
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_hashed else "no-cache"
    response.headers["Content-Type"] = content_type
    # A worker lives by the policy that comes with its own script.
    response.headers["Content-Security-Policy"] = _CONSOLE_POLICY
    response.headers.update(SECURITY_HEADERS)
    return response


def _no_console_page() -> Response:
    return message_page(
        503,
        "GraphiQL was not built",
        "The API at this address works; only its page is missing, because the console could not be built, "
        "or was skipped (LIFEOS_SKIP_CONSOLE), when Life OS was installed.\n\n"
        "In a checkout, with a network connection, this builds it and tells what goes wrong. "
        "Then reload this page.",
        commands=["pip install -v -e ."],
    )


def _plain(status: int, text: str) -> Response:
    return PlainTextResponse(text, status, headers={"Cache-Control": "no-store", **SECURITY_HEADERS})


def _page_headers(policy: str) -> dict[str, str]:
    return {"Cache-Control": "no-store", "Content-Security-Policy": policy, **SECURITY_HEADERS}
