"""The commands that run something: how each is called. What they do stands in `serving.processes`.

That module knows the console, and not the other way round; it is named here, and imported when one of them runs.
"""

from typing import Annotated, Final

import typer

from console.commands import app
from console.later import Later

__all__ = ["app"]

_processes: Final = Later("serving.processes")

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)]


@app.command()
def serve(
    *,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    engine: Annotated[bool, typer.Option("--engine/--no-engine", help="Run steps too, or only answer the API.")] = True,
) -> None:
    """Serve the API, and run steps, in one process."""
    _processes.serve(host=host, port=port, engine=engine)


@app.command()
def worker() -> None:
    """Run steps alone; any number of workers share one database."""
    _processes.worker()


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    _processes.migrate()


@app.command()
def schema() -> None:
    """Print the GraphQL schema in its own language."""
    _processes.schema()


@app.command()
def demo(*, yes: Annotated[bool, typer.Option("--yes", help="Approve everything without asking.")] = False) -> None:
    """Run the demo against a server of its own. One sentence, a plan, two approvals, and what was made."""
    _processes.demo(yes=yes)
