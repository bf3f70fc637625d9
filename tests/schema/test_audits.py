"""GraphQL over HTTP as its working group audits it, MUST, SHOULD and MAY alike, at the whole server."""

import asyncio
import json
from pathlib import Path

from tests.clients.programs import npm_folder
from tests.security.house import ADMIN, house

AUDITS = Path(__file__).with_name("audits")


async def test_the_endpoint_passes_every_audit(dsn: str, tmp_path: Path):
    audits = npm_folder(AUDITS)
    async with house(dsn, tmp_path) as home:
        auditing = await asyncio.create_subprocess_exec(
            "node", "run.js", f"{home.url}/graphql", ADMIN, cwd=audits, stdout=-1, stderr=-1
        )
        output, errors = await auditing.communicate()

    assert auditing.returncode == 0, errors
    assert json.loads(output) == {"audits": 61, "failed": []}
