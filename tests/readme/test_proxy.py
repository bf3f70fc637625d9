"""The proxy's configuration that the page on security shows, compared with what the server needs of a proxy."""

from __future__ import annotations

import re

from server import Settings
from tests.readme.markdown import PAGES, blocks_of

(BLOCK,) = (block for block in blocks_of(PAGES["docs/security.md"]) if block.words == ("nginx",))
DIRECTIVES = [line.strip().removesuffix(";") for line in BLOCK.text.splitlines()[1:-1]]


def test_every_directive_is_complete() -> None:
    first, *inside, last = BLOCK.text.splitlines()

    assert (first, last) == ("location / {", "}")
    assert all(re.fullmatch(r"    [a-z_]+( \S+)+;|    add_header \S+ \"[^\"]+\" always;", line) for line in inside)


def test_the_proxy_lets_through_as_much_as_the_server_takes() -> None:
    (size,) = (line.split()[1] for line in DIRECTIVES if line.startswith("client_max_body_size"))

    assert int(size.removesuffix("m")) * 2**20 == Settings.model_fields["max_body_bytes"].default


def test_the_proxy_passes_on_what_the_server_reads_and_buffers_no_streams() -> None:
    headers = {line.split()[1] for line in DIRECTIVES if line.startswith("proxy_set_header")}

    assert headers == {"Host", "Upgrade", "Connection", "X-Forwarded-For", "X-Forwarded-Proto"}
    assert "proxy_http_version 1.1" in DIRECTIVES
    assert "proxy_buffering off" in DIRECTIVES
