"""A curator writes the products of one client: whose, under which reference, and in no split of the catalogue."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE users
    ADD COLUMN client text,
    ADD CONSTRAINT users_curators CHECK (('curator' = ANY (roles)) = (client IS NOT NULL));
COMMENT ON COLUMN users.client IS 'whose products a curator writes; NULL for everybody else';
ALTER TABLE fashion_files
    ADD COLUMN reference text,
    ALTER COLUMN split DROP NOT NULL,
    ADD CONSTRAINT fashion_files_splits CHECK (origin <> 'catalogue' OR split IS NOT NULL),
    ADD CONSTRAINT fashion_files_curated
        CHECK (origin <> 'curator' OR (owner IS NOT NULL AND reference IS NOT NULL AND split IS NULL));
COMMENT ON COLUMN fashion_files.reference IS 'the key by which the client itself knows the product';
COMMENT ON COLUMN fashion_files.split IS 'NULL for what is neither learned from nor evaluated with';
CREATE UNIQUE INDEX fashion_files_reference ON fashion_files (owner, reference) WHERE origin = 'curator';
CREATE INDEX fashion_files_s3_path ON fashion_files (s3_path) WHERE origin = 'curator';
"""


def upgrade() -> None:
    """Extend the tables."""
    op.execute(TABLES)
