"""Alembic's entry: runs over the connection that `persistence.migrate` hands in."""

from __future__ import annotations

from alembic import context

from persistence.models import metadata

connection = context.config.attributes["connection"]
if connection is None:
    raise SystemExit("run `lifeos migrate`: it finds the database and takes the migrations' lock")

context.configure(
    connection=connection,
    target_metadata=metadata,
    compare_type=True,
    # Each migration commits by itself, so that a long one holds its locks no longer than it must.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
