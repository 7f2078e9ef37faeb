"""Products, users, and the versions of the vector index."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE fashion_files (
    id bigint PRIMARY KEY,
    filename text NOT NULL,
    s3_path text NOT NULL,
    gender text,
    master_category text,
    sub_category text,
    article_type text,
    base_colour text,
    season text,
    year integer,
    usage text,
    product_display_name text NOT NULL,
    dataset text NOT NULL,
    owner text,
    split text NOT NULL CHECK (split IN ('train', 'val', 'test')),
    image_sha256 text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN fashion_files.owner IS 'client that holds the product; NULL outside the train split';
CREATE INDEX fashion_files_article_type ON fashion_files (article_type, id);
CREATE INDEX fashion_files_sub_category ON fashion_files (sub_category, id);
CREATE INDEX fashion_files_base_colour ON fashion_files (base_colour, id);
CREATE INDEX fashion_files_master_category ON fashion_files (master_category, id);
CREATE INDEX fashion_files_year ON fashion_files (year, id);

CREATE TABLE users (
    username text PRIMARY KEY,
    password_hash text NOT NULL,
    roles text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE index_versions (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL,
    model_version text NOT NULL,
    model_hash text NOT NULL,
    catalogue_version text NOT NULL,
    dimension integer NOT NULL CHECK (dimension BETWEEN 1 AND 4000),
    state text NOT NULL DEFAULT 'building' CHECK (state IN ('building', 'verified', 'live', 'retired')),
    products integer,
    recall_at_10 double precision,
    created_at timestamptz NOT NULL DEFAULT now(),
    live_at timestamptz
);
COMMENT ON COLUMN index_versions.products IS 'set when the version is finished; NULL while vectors are added';
CREATE UNIQUE INDEX index_versions_one_live ON index_versions (state) WHERE state = 'live';
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(TABLES)
