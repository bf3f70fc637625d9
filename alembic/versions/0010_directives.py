"""Plans with conditions, lists, waits and answers; where arguments come from; kinds of users.

What few plans use stands in tables of its own: the rows of other steps, and the statements that move them, are as they
were. A run that has any of it is `elaborate`, and its steps are settled under its lock, in rounds.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STEP_DIRECTIVES = """
-- No foreign key to the step, as with its tool calls: the transaction that writes a row stores the step.
CREATE TABLE step_directives (
    run_id uuid NOT NULL,
    position integer NOT NULL,
    condition text,
    for_each text,
    for_each_most integer,
    tolerates boolean NOT NULL DEFAULT false,
    max_parallel integer,
    delay_seconds double precision,
    not_before timestamptz,
    after integer[] NOT NULL DEFAULT '{}',
    followers integer[] NOT NULL DEFAULT '{}',
    items json,
    open_children integer NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, position),
    CONSTRAINT step_directives_bounded CHECK (for_each_most BETWEEN 1 AND 1000 AND max_parallel > 0
        AND delay_seconds >= 0 AND open_children >= 0)
)"""

RUN_ANSWERS = """
CREATE TABLE run_answers (
    run_id uuid NOT NULL PRIMARY KEY REFERENCES runs,
    planned json NOT NULL,
    needs integer[] NOT NULL,
    trust smallint NOT NULL,
    answer json,
    error_code text,
    error_message text,
    CONSTRAINT run_answers_one_of_two CHECK (answer IS NULL OR error_code IS NULL),
    CONSTRAINT run_answers_trust_known CHECK (trust BETWEEN 0 AND 2)
)"""

STEP_ORIGINS = """
-- Of the steps whose arguments hold more than what their plan wrote. `origins`: a list of the API's ArgOrigin, with
-- positions in the place of steps.
CREATE TABLE step_origins (
    run_id uuid NOT NULL,
    position integer NOT NULL,
    trust smallint NOT NULL,
    origins json NOT NULL,
    PRIMARY KEY (run_id, position),
    CONSTRAINT step_origins_trust_known CHECK (trust BETWEEN 0 AND 2)
)"""

# The rules of steps and runs that children and their parents change; see revision 0001.
CHANGED = {
    "steps": (
        ("parent integer", "index integer", "expands boolean", "tolerated boolean"),
        {
            "(state = 'RUNNING') = (owner IS NOT NULL)": "(state = 'RUNNING' AND NOT expands) = (owner IS NOT NULL)",
            "dead_lettered = (state = 'FAILED')": "dead_lettered = (state = 'FAILED' AND NOT tolerated) AND (parent "
            "IS NULL) = (index IS NULL) AND NOT (expands AND parent IS NOT NULL)",
        },
    ),
    "runs": (
        ("expanded integer",),
        {"(blocked > 0 AND ready + running = 0)": "(blocked > 0 AND ready + running = expanded)"},
    ),
}


def upgrade() -> None:
    op.execute(
        """ALTER TABLE runs ADD COLUMN elaborate boolean NOT NULL DEFAULT false,
            ADD COLUMN expanded integer NOT NULL DEFAULT 0"""
    )
    op.execute(
        """ALTER TABLE steps ADD COLUMN parent integer, ADD COLUMN index integer,
            ADD COLUMN expands boolean NOT NULL DEFAULT false, ADD COLUMN tolerated boolean NOT NULL DEFAULT false"""
    )
    op.execute("CREATE INDEX steps_children ON steps (run_id, parent, index) WHERE parent IS NOT NULL")
    op.execute(
        """ALTER TABLE users ADD COLUMN kind text NOT NULL DEFAULT 'PERSON',
            ADD CONSTRAINT users_kind_known CHECK (kind IN ('PERSON', 'SERVICE', 'AGENT'))"""
    )
    for table in (STEP_DIRECTIVES, RUN_ANSWERS, STEP_ORIGINS):
        op.execute(table)
    for table in CHANGED:
        change_rules(table, is_back=False)


def downgrade() -> None:
    for table in CHANGED:
        change_rules(table, is_back=True)
    op.execute("DROP TABLE step_directives, run_answers, step_origins")
    op.execute("ALTER TABLE users DROP CONSTRAINT users_kind_known, DROP COLUMN kind")
    op.execute("DROP INDEX steps_children")
    op.execute("ALTER TABLE steps DROP COLUMN parent, DROP COLUMN index, DROP COLUMN expands, DROP COLUMN tolerated")
    op.execute("ALTER TABLE runs DROP COLUMN elaborate, DROP COLUMN expanded")


def change_rules(table: str, *, is_back: bool) -> None:
    """Give the function that knows the table's rules the new columns and rules, or take them away again."""
    connection = op.get_bind()
    columns, rules = CHANGED[table]
    [body, given] = connection.execute(
        text("SELECT prosrc, pg_get_function_arguments(oid) FROM pg_proc WHERE proname = :name"),
        {"name": f"{table}_sound"},
    ).one()
    names = [each.strip() for each in given.split(",")]
    for before, after in rules.items():
        old, new = (after, before) if is_back else (before, after)
        assert old in body
        body = body.replace(old, new)
    names = [each for each in names if each not in columns] if is_back else [*names, *columns]
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_sound")
    op.execute(f"DROP FUNCTION {table}_sound")
    op.execute(
        f"CREATE FUNCTION {table}_sound({', '.join(names)}) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE "
        f"AS $${body}$$"
    )
    columns_named = ", ".join(each.split()[0] for each in names)
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_sound CHECK ({table}_sound({columns_named}))")
