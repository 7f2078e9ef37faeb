-- name: lock_owner
-- One writer of a client's products at a time.
SELECT pg_advisory_xact_lock(hashtextextended(%(owner)s, 8270288))

-- name: shown_already
-- Pictures that are shown for this client already, by the catalogue or by its curator.
SELECT DISTINCT image_sha256 FROM fashion_files
WHERE owner = %(owner)s AND origin <> 'published' AND image_sha256 = ANY (%(hashes)s)

-- name: known
SELECT reference, product_id FROM published_products WHERE owner = %(owner)s AND reference = ANY (%(references)s)

-- name: new_ids
SELECT nextval('own_product_ids') FROM generate_series(1, %(count)s)

-- name: pictures_in
SELECT product_id, image_sha256 FROM {vectors} WHERE product_id = ANY (%(ids)s)

-- name: put_file
INSERT INTO fashion_files ({content}) VALUES ({values})
ON CONFLICT (id) DO UPDATE SET ({content}) = ROW ({excluded})
WHERE ROW ({of_file}) IS DISTINCT FROM ROW ({excluded})

-- name: put_published
INSERT INTO published_products (product_id, owner, reference) VALUES (%(product_id)s, %(owner)s, %(reference)s)
ON CONFLICT DO NOTHING

-- name: sweep
-- What its client publishes no more; vectors go with the rows.
DELETE FROM fashion_files AS file USING published_products AS published
WHERE published.product_id = file.id AND published.owner = %(owner)s AND NOT published.reference = ANY (%(keep)s)

-- name: coverage
SELECT published.owner, count(*) AS published, count(vector.product_id) AS covered
FROM published_products AS published LEFT JOIN {vectors} AS vector USING (product_id)
GROUP BY published.owner ORDER BY published.owner

-- name: searchable
-- Versions that answer queries, the live one first, then the latest.
SELECT id FROM index_versions WHERE state IN ('live', 'retired') ORDER BY state, live_at DESC, id DESC

-- name: held_by
-- Products that came with the catalogue have lower numbers.
SELECT product_id, {place} AS place FROM {vectors} WHERE product_id >= 1000000000

-- name: holders
-- The first version that holds each published product, and how many products have that one.
SELECT place, owner, count(*) AS products FROM (
    SELECT published.product_id, published.owner, min(held.place) AS place
    FROM published_products AS published JOIN ({held}) AS held USING (product_id)
    GROUP BY published.product_id, published.owner
) AS first GROUP BY place, owner ORDER BY place, owner

-- name: put_arriving
-- What is there already is replaced, with its attributes.
INSERT INTO {vectors} (product_id, {attributes}, image_sha256, embedding)
SELECT product_id, {attributes}, image_sha256, embedding FROM arriving JOIN fashion_files ON id = product_id
ON CONFLICT (product_id) DO UPDATE SET ({columns}) = ROW ({excluded})

-- name: drop_arriving
DROP TABLE arriving

-- name: recount
-- One that is still built counts what was added; what is finished counts what it holds.
UPDATE index_versions
SET products = CASE WHEN products IS NULL THEN NULL ELSE (SELECT count(*) FROM {vectors}) END,
    added = CASE WHEN products IS NULL THEN (SELECT count(*) FROM {vectors}) ELSE added END
WHERE id = %(id)s
