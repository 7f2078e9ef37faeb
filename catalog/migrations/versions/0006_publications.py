"""What clients published of their own, what of it older index versions alone have, and how their scores compare."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
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

CREATE TABLE left_behind (
    product_id bigint PRIMARY KEY REFERENCES fashion_files (id) ON DELETE CASCADE,
    version_id integer NOT NULL REFERENCES index_versions (id)
);
COMMENT ON TABLE left_behind IS 'published products that the live version lacks, and the version that still has each';
CREATE INDEX left_behind_version ON left_behind (version_id);

CREATE TABLE score_calibrations (
    live_id integer NOT NULL REFERENCES index_versions (id) ON DELETE CASCADE,
    older_id integer NOT NULL REFERENCES index_versions (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('text', 'image')),
    slope double precision NOT NULL CHECK (slope > 0),
    intercept double precision NOT NULL,
    error double precision NOT NULL,
    queries integer NOT NULL,
    PRIMARY KEY (live_id, older_id, kind)
);
COMMENT ON TABLE score_calibrations IS 'slope * score in the older version + intercept is on the scale of the live one';
"""


def upgrade() -> None:
    """Add the tables."""
    op.execute(TABLES)
