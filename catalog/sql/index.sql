-- name: begin
INSERT INTO index_versions (model_name, model_version, model_hash, catalogue_version, dimension)
VALUES (%(model_name)s, %(model_version)s, %(model_hash)s, %(catalogue_version)s, %(dimension)s) RETURNING id

-- name: create_vectors
CREATE TABLE {vectors} (product_id bigint PRIMARY KEY, embedding halfvec({dimension}) NOT NULL)

-- name: copy_vectors
COPY {vectors} (product_id, embedding) FROM STDIN (FORMAT BINARY)

-- name: build_graph
-- Vectors have length one, so the inner product is the cosine.
CREATE INDEX ON {vectors} USING hnsw (embedding halfvec_ip_ops)

-- name: analyze
ANALYZE {vectors}

-- name: finish
UPDATE index_versions SET products = (SELECT count(*) FROM {vectors}) WHERE id = %(id)s RETURNING products

-- name: verified
UPDATE index_versions SET state = 'verified', recall_at_10 = %(recall)s WHERE id = %(id)s

-- name: retire_live
UPDATE index_versions SET state = 'retired' WHERE state = 'live'

-- name: make_live
UPDATE index_versions SET state = 'live', live_at = now() WHERE id = %(id)s

-- name: version_for_update
SELECT * FROM index_versions WHERE id = %(id)s FOR UPDATE

-- name: version
SELECT * FROM index_versions WHERE id = %(id)s

-- name: live
SELECT * FROM index_versions WHERE state = 'live'

-- name: versions
SELECT * FROM index_versions ORDER BY id DESC

-- name: unfinished
SELECT id FROM index_versions WHERE state IN ('building', 'verified') FOR UPDATE

-- name: superfluous
-- Retired versions but the last few that were live.
SELECT id FROM index_versions WHERE state = 'retired' ORDER BY live_at DESC, id DESC OFFSET %(keep)s

-- name: outdated
-- Retired versions that went live before a moment, and what a build that died before it has left.
SELECT id FROM index_versions
WHERE (state = 'retired' AND live_at < %(before)s) OR (state IN ('building', 'verified') AND created_at < %(before)s)
ORDER BY id FOR UPDATE

-- name: drop_vectors
DROP TABLE IF EXISTS {vectors}

-- name: drop_version
DELETE FROM index_versions WHERE id = %(id)s

-- name: search_exact
-- The filter is applied first, then every product that passes is compared; `+ 0` keeps the planner off the HNSW index,
-- whose scan would end before the filter has let enough through.
WITH passing AS MATERIALIZED (SELECT id FROM fashion_files WHERE {where})
SELECT vector.product_id, -(vector.embedding <#> %(query)s::halfvec) AS score
FROM passing JOIN {vectors} AS vector ON vector.product_id = passing.id
ORDER BY (vector.embedding <#> %(query)s::halfvec) + 0, vector.product_id
LIMIT %(fetch)s OFFSET %(offset)s

-- name: search_graph
-- The HNSW index yields in relaxed order and goes on until enough products are found that are still published.
WITH nearest AS MATERIALIZED (
    SELECT vector.product_id, vector.embedding <#> %(query)s::halfvec({dimension}) AS distance
    FROM {vectors} AS vector
    WHERE EXISTS (SELECT FROM fashion_files WHERE fashion_files.id = vector.product_id)
    ORDER BY vector.embedding <#> %(query)s::halfvec({dimension})
    LIMIT %(fetch)s
)
SELECT product_id, -distance AS score FROM nearest
ORDER BY distance + 0, product_id
OFFSET %(offset)s

-- name: nearest_exact
-- The scores of the nearest vectors, by comparing all: what `nearest_graph` is measured against.
SELECT -(embedding <#> %(query)s::halfvec) AS score FROM {vectors}
ORDER BY (embedding <#> %(query)s::halfvec) + 0 LIMIT %(fetch)s

-- name: nearest_graph
SELECT -(embedding <#> %(query)s::halfvec({dimension})) AS score FROM {vectors}
ORDER BY embedding <#> %(query)s::halfvec({dimension}) LIMIT %(fetch)s
