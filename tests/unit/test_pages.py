import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette
from starlette.responses import Response as Page

from schema.edge.pages import (
    SECURITY_HEADERS,
    graphiql_page,
    message_page,
    not_signed_in_page,
    static_routes,
    wrong_token_page,
)

BUILT_PAGE = '<!doctype html><title>Life OS</title><script type="module" src="console/assets/index-Ab1.js"></script>'


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(BUILT_PAGE)
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "licenses.md").write_text("# Licenses")
    (folder / "sources.sha256").write_text("0" * 64)
    (folder / "assets" / "index-Ab1.js").write_text("export {}")
    (folder / "assets" / "index-Cd2.css").write_text("body {}")
    (folder / "assets" / "codicon-Ef3.ttf").write_bytes(b"font")
    (tmp_path / "outside.css").write_text("secret")
    return folder


async def fetch(static: Path | None, path: str, method: str = "GET", **headers: str) -> Response:
    app = Starlette(routes=static_routes(static))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://console") as client:
        return await client.request(method, path, headers=headers)


def policy(response: Page | Response) -> dict[str, str]:
    """The directives of a response's Content-Security-Policy."""
    directives = response.headers["Content-Security-Policy"].split("; ")
    return dict(directive.split(" ", 1) for directive in directives)


def every_page(static: Path) -> dict[str, Page]:
    return {
        "console": graphiql_page(static),
        "no console": graphiql_page(None),
        "not signed in": not_signed_in_page(),
        "wrong token": wrong_token_page(),
        "message": message_page(400, "Oh", "No"),
    }


def test_the_built_page_is_served_as_it_was_built(static: Path):
    page = graphiql_page(static)

    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert bytes(page.body).decode() == BUILT_PAGE


def test_no_page_is_kept_by_a_cache(static: Path):
    assert {page.headers["Cache-Control"] for page in every_page(static).values()} == {"no-store"}


def test_every_page_has_the_security_headers(static: Path):
    for name, page in every_page(static).items():
        assert {header: page.headers.get(header) for header in SECURITY_HEADERS} == dict(SECURITY_HEADERS), name


def test_no_page_may_be_framed_or_load_anything_that_is_not_named(static: Path):
    for name, page in every_page(static).items():
        directives = policy(page)
        assert directives["default-src"] == "'none'", name
        assert directives["frame-ancestors"] == "'none'", name
        assert directives["base-uri"] == "'none'", name
        assert directives["form-action"] == "'none'", name


def test_no_page_lets_in_another_host_an_inline_script_or_eval(static: Path):
    for name, page in every_page(static).items():
        directives = policy(page)
        sources = {source for value in directives.values() for source in value.split()}
        assert directives.get("script-src", "'none'") in {"'self'", "'none'"}, name
        assert not {source for source in sources if re.search(r"[.*]|https?:|unsafe-eval|blob:", source)}, name


def test_a_plain_page_needs_no_script_and_allows_none(static: Path):
    pages = every_page(static)
    del pages["console"]

    for name, page in pages.items():
        assert "script-src" not in policy(page), name
        assert "<script" not in bytes(page.body).decode(), name


def test_a_plain_pages_policy_names_the_hash_of_its_one_style():
    page = message_page(400, "Oh", "No")

    styles = re.findall(r"<style>(.*?)</style>", bytes(page.body).decode(), re.DOTALL)

    digests = [b64encode(sha256(style.encode()).digest()).decode() for style in styles]
    assert policy(page)["style-src"] == f"'sha256-{digests[0]}'"
    assert len(styles) == 1
    assert " style=" not in bytes(page.body).decode()


@pytest.mark.parametrize("built", [None, "nowhere"])
def test_without_a_built_console_the_page_says_how_to_build_it(tmp_path: Path, built: str | None):
    page = graphiql_page(tmp_path / built if built else None)

    assert page.status_code == 503
    assert "pip install -v -e ." in bytes(page.body).decode()


@pytest.mark.parametrize("page", [not_signed_in_page(), wrong_token_page()], ids=["not signed in", "wrong token"])
def test_who_is_not_signed_in_gets_a_401_that_says_how_to(page: Page):
    assert page.status_code == 401
    assert "lifeos serve" in bytes(page.body).decode()


def test_a_message_is_text_and_no_markup():
    page = message_page(400, "<b>title", "one <script>alert(1)</script>\n\ntwo & more", commands=["a <x>", 'b "y"'])

    body = bytes(page.body).decode()
    assert page.status_code == 400
    assert "<b>" not in body
    assert "<script" not in body
    assert "<p>one &lt;script&gt;alert(1)&lt;/script&gt;</p>\n<p>two &amp; more</p>" in body
    assert "<pre>a &lt;x&gt;\nb &quot;y&quot;</pre>" in body


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("assets/index-Ab1.js", "text/javascript; charset=utf-8"),
        ("assets/index-Cd2.css", "text/css; charset=utf-8"),
        ("assets/codicon-Ef3.ttf", "font/ttf"),
    ],
)
async def test_a_hashed_asset_is_kept_for_ever(static: Path, name: str, content_type: str):
    response = await fetch(static, f"/console/{name}")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.content == (static / name).read_bytes()


async def test_an_asset_without_a_hash_is_asked_for_again_each_time(static: Path):
    first = await fetch(static, "/console/favicon.svg")
    again = await fetch(static, "/console/favicon.svg", **{"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "no-cache"
    assert first.headers["Content-Type"] == "image/svg+xml"
    assert again.status_code == 304
    assert again.content == b""


async def test_a_workers_script_brings_the_pages_policy_with_it(static: Path):
    response = await fetch(static, "/console/assets/index-Ab1.js")

    assert policy(response) == policy(graphiql_page(static))
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "assets",
        "assets/",
        "assets/gone.js",
        "index.html",
        "sources.sha256",
        "%2e%2e/outside.css",
        "..%2foutside.css",
        "assets/%2e%2e/%2e%2e/outside.css",
        "%00.css",
        "a" * 5000 + ".css",
    ],
)
async def test_what_is_no_asset_is_a_plain_404(static: Path, path: str):
    response = await fetch(static, f"/console/{path}")

    assert response.status_code == 404
    assert response.text == "Not Found"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_an_asset_can_only_be_read(static: Path):
    head = await fetch(static, "/console/assets/index-Ab1.js", "HEAD")
    post = await fetch(static, "/console/assets/index-Ab1.js", "POST")

    assert (head.status_code, head.content, post.status_code) == (200, b"", 405)


async def test_a_console_built_while_the_server_runs_is_found(tmp_path: Path):
    static = tmp_path / "static"
    app = Starlette(routes=static_routes(static))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://console") as client:
        before = await client.get("/console/favicon.svg")
        static.mkdir()
        (static / "favicon.svg").write_text("<svg/>")
        after = await client.get("/console/favicon.svg")

    assert (before.status_code, after.status_code) == (404, 200)


def test_without_a_static_folder_there_are_no_routes():
    assert static_routes(None) == []
