"""Products that are not published, and row-level security: what a client has, PostgreSQL keeps from the others."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# `make_databases` makes the role with its password; where nobody logs in as it, its name alone is needed.
ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'catalog_api') THEN
        CREATE ROLE catalog_api NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL; -- Another database of this server was faster.
    WHEN insufficient_privilege THEN
        RAISE insufficient_privilege USING MESSAGE
            = 'the role catalog_api is missing, which `tejido up` and `tejido setup stores` make as the superuser';
END
$$;
"""
TENANTS = """
CREATE FUNCTION tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    -- What a transaction has set is the empty text after it, and not NULL.
    RETURN nullif(current_setting('tejido.tenant', true), '');
COMMENT ON FUNCTION tenant IS 'the client for which this transaction acts; NULL for none, which is nobody''s equal';

CREATE TABLE unpublished_products (
    LIKE fashion_files INCLUDING DEFAULTS,
    -- With the owner in it: that a number is taken must not tell of another client's product.
    PRIMARY KEY (owner, id),
    UNIQUE (owner, reference),
    CHECK (reference IS NOT NULL AND origin = 'unpublished' AND split IS NULL)
);
ALTER TABLE unpublished_products
    ALTER COLUMN id SET DEFAULT nextval('own_product_ids'), ALTER COLUMN origin SET DEFAULT 'unpublished';
CREATE INDEX unpublished_products_s3_path ON unpublished_products (owner, s3_path);
COMMENT ON TABLE unpublished_products IS 'written by a client''s curator, not published: its tenant''s alone';
ALTER TABLE unpublished_products ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON unpublished_products USING (owner = tenant()) WITH CHECK (owner = tenant());

ALTER TABLE fashion_files ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY published ON fashion_files FOR SELECT USING (true);
CREATE POLICY of_platform ON fashion_files TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY insert_of_tenant ON fashion_files FOR INSERT TO catalog_api
    WITH CHECK (origin = 'curator' AND owner = tenant());
CREATE POLICY update_of_tenant ON fashion_files FOR UPDATE TO catalog_api
    USING (origin = 'curator' AND owner = tenant()) WITH CHECK (origin = 'curator' AND owner = tenant());
CREATE POLICY delete_of_tenant ON fashion_files FOR DELETE TO catalog_api
    USING (origin = 'curator' AND owner = tenant());

CREATE FUNCTION is_of_tenant(product_id bigint, owner text) RETURNS boolean LANGUAGE sql STABLE
    RETURN is_of_tenant.owner = tenant() AND EXISTS (
        SELECT FROM fashion_files AS file
        WHERE file.id = is_of_tenant.product_id AND file.origin = 'curator' AND file.owner = tenant()
    );
COMMENT ON FUNCTION is_of_tenant IS 'whether it is a product of the tenant that its curator has published';

CREATE FUNCTION open_vectors(vectors regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', vectors);
    EXECUTE format('CREATE POLICY published ON %s FOR SELECT USING (true)', vectors);
    EXECUTE format('CREATE POLICY of_platform ON %s TO CURRENT_USER USING (true) WITH CHECK (true)', vectors);
    EXECUTE format('CREATE POLICY insert_of_tenant ON %s FOR INSERT TO catalog_api
        WITH CHECK (is_of_tenant(product_id, owner))', vectors);
    EXECUTE format('CREATE POLICY update_of_tenant ON %s FOR UPDATE TO catalog_api
        USING (is_of_tenant(product_id, owner)) WITH CHECK (is_of_tenant(product_id, owner))', vectors);
    EXECUTE format('CREATE POLICY delete_of_tenant ON %s FOR DELETE TO catalog_api
        USING (is_of_tenant(product_id, owner))', vectors);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO catalog_api', vectors);
END
$$;
COMMENT ON FUNCTION open_vectors IS 'gives a new table of vectors its policies, and the API its rights on it';
SELECT open_vectors(format('product_vectors_%s', id)::regclass) FROM index_versions;
"""
# What the API does, and no more. Numbers and owners of unpublished products are not its to choose or change.
RIGHTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON fashion_files TO catalog_api;
GRANT SELECT, DELETE ON unpublished_products TO catalog_api;
GRANT INSERT (
    filename, s3_path, gender, master_category, sub_category, article_type, base_colour, season, year, usage,
    product_display_name, dataset, owner, split, image_sha256, brand, origin, reference
), UPDATE (
    filename, s3_path, gender, master_category, sub_category, article_type, base_colour, season, year, usage,
    product_display_name, image_sha256, brand
) ON unpublished_products TO catalog_api;
GRANT USAGE ON SEQUENCE own_product_ids TO catalog_api;
GRANT SELECT, UPDATE (products, added, state, live_at) ON index_versions TO catalog_api;
GRANT SELECT, INSERT, DELETE ON left_behind TO catalog_api;
GRANT SELECT ON published_products, score_calibrations TO catalog_api;
GRANT SELECT, UPDATE (password_hash) ON users TO catalog_api;
GRANT SELECT, INSERT, UPDATE ON session_families, refresh_tokens TO catalog_api;
GRANT SELECT, INSERT ON model_changes TO catalog_api;
GRANT SELECT, UPDATE (last_used_at) ON machines TO catalog_api;
"""


def upgrade() -> None:
    """Add the table, the policies, and the rights of the role under which the API works."""
    for step in (ROLE, TENANTS, RIGHTS):
        op.execute(step)
