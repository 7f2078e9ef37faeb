"""What a filter asks for lies beside each vector, and each index version says which graphs it has."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE index_versions
    ADD COLUMN added integer NOT NULL DEFAULT 0,
    ADD COLUMN expected integer,
    ADD COLUMN graphs jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN recall jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN index_versions.added IS 'vectors so far, while it is built';
COMMENT ON COLUMN index_versions.expected IS 'vectors that it will have, as its builder said';
COMMENT ON COLUMN index_versions.graphs IS 'HNSW graphs: of which products, how many, the ef_search that suits';
COMMENT ON COLUMN index_versions.recall IS 'recall@10 by the share of products that pass a filter';
UPDATE index_versions SET added = coalesce(products, 0);
"""
# Versions of before: they keep their graph over all, and get the attributes.
OLD_VERSIONS = """
DO $$
DECLARE version record; vectors text;
BEGIN
    FOR version IN SELECT id, products FROM index_versions LOOP
        vectors := format('product_vectors_%s', version.id);
        EXECUTE format('ALTER TABLE %I
            ADD COLUMN gender text, ADD COLUMN master_category text, ADD COLUMN sub_category text,
            ADD COLUMN article_type text, ADD COLUMN base_colour text, ADD COLUMN season text, ADD COLUMN year integer,
            ADD COLUMN usage text, ADD COLUMN owner text, ADD COLUMN image_sha256 text NOT NULL DEFAULT ''''',
            vectors);
        EXECUTE format('DELETE FROM %I AS v
            WHERE NOT EXISTS (SELECT FROM fashion_files AS f WHERE f.id = v.product_id)', vectors);
        EXECUTE format('UPDATE %I AS v SET gender = f.gender, master_category = f.master_category,
            sub_category = f.sub_category, article_type = f.article_type, base_colour = f.base_colour,
            season = f.season, year = f.year, usage = f.usage, owner = f.owner, image_sha256 = f.image_sha256
            FROM fashion_files AS f WHERE f.id = v.product_id', vectors);
        EXECUTE format('ALTER TABLE %I
            ADD FOREIGN KEY (product_id) REFERENCES fashion_files (id) ON DELETE CASCADE', vectors);
        UPDATE index_versions SET graphs = jsonb_build_array(jsonb_build_object(
            'column', NULL, 'value', NULL, 'products', version.products, 'ef', 200))
            WHERE id = version.id AND products IS NOT NULL;
    END LOOP;
END
$$;
"""


def upgrade() -> None:
    """Extend the table, and the vectors of every version."""
    op.execute(TABLES)
    op.execute(OLD_VERSIONS)
