"""`python -m console`: a person's commands alone, without the server's modules."""

from console.commands import app

app(prog_name="lifeos")
