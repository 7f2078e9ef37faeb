-- name: begin
INSERT INTO index_versions (model_name, model_version, model_hash, catalogue_version, dimension, expected)
VALUES (%(model_name)s, %(model_version)s, %(model_hash)s, %(catalogue_version)s, %(dimension)s, %(expected)s) RETURNING id

-- name: create_vectors
-- What a filter asks for lies beside the vector: looking it up in `fashion_files` would cost five times the comparison.
-- A product that leaves the catalogue leaves every version.
CREATE TABLE {vectors} (
    product_id bigint PRIMARY KEY REFERENCES fashion_files (id) ON DELETE CASCADE,
    gender text, master_category text, sub_category text, article_type text, base_colour text, season text, year integer,
    usage text, brand text, owner text,
    image_sha256 text NOT NULL,
    embedding halfvec({dimension}) NOT NULL
)

-- name: open_vectors
SELECT open_vectors(%(vectors)s::regclass)

-- name: create_arriving
CREATE TEMPORARY TABLE arriving (product_id bigint PRIMARY KEY, embedding halfvec({dimension}) NOT NULL) ON COMMIT DROP

-- name: copy_arriving
COPY arriving (product_id, embedding) FROM STDIN (FORMAT BINARY)

-- name: add_arriving
-- A product that was unpublished meanwhile is left out.
INSERT INTO {vectors} (product_id, {attributes}, image_sha256, embedding)
SELECT product_id, {attributes}, image_sha256, embedding FROM arriving JOIN fashion_files ON id = product_id

-- name: added
UPDATE index_versions SET added = added + %(added)s WHERE id = %(id)s

-- name: follow_files
-- The attributes as the catalogue has them now, where they differ.
UPDATE {vectors} AS vector SET ({attributes}) = (SELECT {of_file})
FROM fashion_files AS file
WHERE file.id = vector.product_id AND ROW ({of_file}) IS DISTINCT FROM ROW ({of_vector})

-- name: ids
SELECT id FROM index_versions ORDER BY id

-- name: index_attribute
CREATE INDEX ON {vectors} ({column})

-- name: shuffle
-- A graph whose vectors arrive kind by kind falls into parts that hardly know of each other: 90 % found instead of 99 %.
CREATE INDEX {order} ON {vectors} (hashint8(product_id))

-- name: cluster
CLUSTER {vectors} USING {order}

-- name: drop_index
DROP INDEX {order}

-- name: build_graph
-- Vectors have length one, so the inner product is the cosine.
CREATE INDEX ON {vectors} USING hnsw (embedding halfvec_ip_ops) WITH (m = {m}, ef_construction = {ef_construction})

-- name: build_partial_graph
CREATE INDEX ON {vectors} USING hnsw (embedding halfvec_ip_ops) WITH (m = {m}, ef_construction = {ef_construction})
WHERE {where}

-- name: values
-- How many products have each value of an attribute.
SELECT {column} AS value, count(*) AS products FROM {vectors} WHERE {column} IS NOT NULL GROUP BY {column}
ORDER BY products DESC, value

-- name: pairs
-- How many products have each two values of two attributes.
SELECT {one}, {other}, count(*) FROM {vectors} WHERE {one} IS NOT NULL AND {other} IS NOT NULL
GROUP BY 1, 2 HAVING count(*) > %(more_than)s ORDER BY 3 DESC, 1, 2

-- name: sample
-- Some products' attributes, spread over the table.
SELECT {attributes} FROM {vectors} ORDER BY hashint8(product_id) LIMIT %(rows)s

-- name: analyze
ANALYZE {vectors}

-- name: finish
UPDATE index_versions SET products = (SELECT count(*) FROM {vectors}), graphs = %(graphs)s WHERE id = %(id)s
RETURNING products

-- name: verified
UPDATE index_versions
SET state = CASE state WHEN 'building' THEN 'verified' ELSE state END,
    recall_at_10 = %(recall_at_10)s, recall = %(recall)s, graphs = %(graphs)s
WHERE id = %(id)s

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
-- The filter is applied first, then every product that passes is compared; `OFFSET 0` keeps the planner off the HNSW
-- graphs, whose scan would end before the filter has let enough through, and has each product compared only once.
SELECT product_id, -distance AS score FROM (
    SELECT product_id, embedding <#> %(query)s::halfvec({dimension}) AS distance FROM {vectors} WHERE {where} OFFSET 0
) AS compared
WHERE (distance, product_id) > (%(distance)s::float8, %(last)s) AND product_id <> ALL(%(shown)s)
ORDER BY distance, product_id
LIMIT %(fetch)s

-- name: search_graph
-- The graph yields in relaxed order, and goes on until enough products are found that pass.
WITH nearest AS MATERIALIZED (
    SELECT product_id, embedding <#> %(query)s::halfvec({dimension}) AS distance FROM {vectors}
    WHERE {where}
    ORDER BY embedding <#> %(query)s::halfvec({dimension})
    LIMIT %(look_at)s
)
SELECT product_id, -distance AS score FROM nearest WHERE product_id <> ALL(%(shown)s)
ORDER BY distance + 0, product_id
LIMIT %(fetch)s

-- name: looks
-- What products are like, for those who want different ones.
SELECT product_id, article_type, brand, image_sha256, embedding FROM {vectors} WHERE product_id = ANY(%(ids)s)

-- name: vector
SELECT embedding FROM {vectors} WHERE product_id = %(product_id)s
