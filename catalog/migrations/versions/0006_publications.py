"""What clients published of their own: whose product each is, by the client's own number."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE published_products (
    product_id bigint PRIMARY KEY REFERENCES fashion_files (id) ON DELETE CASCADE,
    owner text NOT NULL,
    reference bigint NOT NULL,
    UNIQUE (owner, reference)
);
COMMENT ON COLUMN published_products.reference IS 'the client''s own number of it: no client can name a row of another';
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(TABLES)
