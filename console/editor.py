"""Values changed in a person's own editor."""

import asyncio
import json
import os
import shlex
import tempfile
from pathlib import Path
from typing import Any

from console.errors import BadInput
from console.jsonfiles import parse_json


async def edit(value: Any) -> Any:
    """The JSON value as it was when the editor closed; BadInput if it is no JSON then."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="lifeos-") as folder:
        path = Path(folder) / "arguments.json"
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        try:
            editor = await asyncio.create_subprocess_exec(*shlex.split(command), str(path))
        except (OSError, ValueError) as error:
            raise BadInput(f"the editor {command!r} can't be started ({error}); set EDITOR") from error
        if await editor.wait() != 0:
            raise BadInput(f"the editor {command!r} ended with an error; nothing was changed")
        return parse_json(path.read_text(encoding="utf-8"), what="what the editor left")
