"""Who made which model version the champion, and why: a trail that can only grow."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE model_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL CHECK (action IN ('promoted', 'overridden', 'refused', 'rolled_back', 'failed')),
    model_name text NOT NULL,
    from_version text,
    to_version text NOT NULL,
    reason text NOT NULL CHECK (reason <> '')
);
COMMENT ON COLUMN model_changes.from_version IS 'champion until then; NULL when there was none';
COMMENT ON COLUMN model_changes.action IS 'failed: what was written down just before was not done';

CREATE FUNCTION model_changes_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'model_changes is a trail: what was written stays';
END
$$;
CREATE TRIGGER model_changes_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON model_changes
    FOR EACH STATEMENT EXECUTE FUNCTION model_changes_only_grow();
"""


def upgrade() -> None:
    """Create the table, and what keeps its rows as they are."""
    op.execute(TABLES)
