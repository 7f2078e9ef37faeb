"""Each product says whose brand it is and how it came; those that clients write have numbers of their own."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = r"""
ALTER TABLE fashion_files
    ADD COLUMN brand text,
    ADD COLUMN origin text NOT NULL DEFAULT 'catalogue' CHECK (origin IN ('catalogue', 'curator', 'published'));
COMMENT ON COLUMN fashion_files.brand IS 'what the title says before the word for whom it is; NULL without one';
COMMENT ON COLUMN fashion_files.origin IS 'only rows of the catalogue are replaced by its next version';
-- The first group is what is taken.
UPDATE fashion_files SET brand = substring(btrim(product_display_name) FROM
    '(?i)^(.+?)\s+(men|man|women|woman|unisex|boys?|girls?|kids?|mens|womens|ladies|infant|baby)\M');
ALTER TABLE fashion_files ADD CONSTRAINT fashion_files_numbers CHECK ((origin = 'catalogue') = (id < 1000000000));
CREATE SEQUENCE own_product_ids AS integer MINVALUE 1000000000;
CREATE INDEX fashion_files_brand ON fashion_files (brand, id);
CREATE INDEX fashion_files_owner ON fashion_files (owner, id);
"""
INDEXES = """
DO $$
DECLARE version record; vectors text;
BEGIN
    FOR version IN SELECT id FROM index_versions LOOP
        vectors := format('product_vectors_%s', version.id);
        EXECUTE format('ALTER TABLE %I ADD COLUMN brand text', vectors);
        EXECUTE format('UPDATE %I AS v SET brand = f.brand FROM fashion_files AS f WHERE f.id = v.product_id', vectors);
        EXECUTE format('CREATE INDEX ON %I (brand)', vectors);
    END LOOP;
END
$$;
"""


def upgrade() -> None:
    """Extend the table, and the vectors of every version."""
    op.execute(TABLES)
    op.execute(INDEXES)
