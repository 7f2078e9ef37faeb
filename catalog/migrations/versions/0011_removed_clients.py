"""Clients that were removed: whatever is under way for one, a wave or a program's request, writes nothing more."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

REMOVED = """
CREATE TABLE removed_clients (
    name text PRIMARY KEY,
    removed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE removed_clients IS 'no product of theirs is written until they are added again';
GRANT SELECT ON removed_clients TO catalog_api;

CREATE FUNCTION refuse_removed_client() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Shared, until the end of the transaction: whoever removes the client waits for it, and then finds the row.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(NEW.owner, 8270289));
    IF EXISTS (SELECT FROM public.removed_clients WHERE name = NEW.owner) THEN
        RAISE EXCEPTION 'client % was removed', NEW.owner USING ERRCODE = 'TJ001';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION refuse_removed_client IS 'the catalogue that the operator loads is the operator''s, and passes';
CREATE TRIGGER refuse_removed_client BEFORE INSERT ON fashion_files FOR EACH ROW
    WHEN (NEW.owner IS NOT NULL AND NEW.origin <> 'catalogue') EXECUTE FUNCTION refuse_removed_client();
CREATE TRIGGER refuse_removed_client BEFORE INSERT ON unpublished_products FOR EACH ROW
    WHEN (NEW.owner IS NOT NULL) EXECUTE FUNCTION refuse_removed_client();
"""


def upgrade() -> None:
    """Add the table, and what looks into it before a client's product is written."""
    op.execute(REMOVED)
