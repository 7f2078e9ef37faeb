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

-- name: forget_left_behind
DELETE FROM left_behind

-- name: note_left_behind
-- By the first version that holds each product; the live one is the first of all.
INSERT INTO left_behind (product_id, version_id)
SELECT product_id, (%(versions)s::integer[])[min(place) + 1] FROM ({held}) AS held
JOIN published_products USING (product_id)
GROUP BY product_id HAVING min(place) > 0

-- name: caught_up
DELETE FROM left_behind WHERE product_id = ANY (%(ids)s)
AND EXISTS (SELECT FROM index_versions WHERE id = %(version)s AND state = 'live')

-- name: stragglers
SELECT version_id, count(*) AS products FROM left_behind GROUP BY version_id ORDER BY version_id DESC

-- name: calibrations
SELECT kind, slope, intercept, error, queries FROM score_calibrations
WHERE live_id = %(live)s AND older_id = %(older)s

-- name: put_calibration
INSERT INTO score_calibrations (live_id, older_id, kind, slope, intercept, error, queries)
VALUES (%(live)s, %(older)s, %(kind)s, %(slope)s, %(intercept)s, %(error)s, %(queries)s)
ON CONFLICT (live_id, older_id, kind) DO UPDATE
SET slope = EXCLUDED.slope, intercept = EXCLUDED.intercept, error = EXCLUDED.error, queries = EXCLUDED.queries

-- name: common_vectors
-- Of some products that both versions have, spread over them; those that the platform embedded itself.
SELECT newer.embedding AS newer, older.embedding AS older
FROM {newer} AS newer JOIN {older} AS older USING (product_id)
WHERE product_id < 1000000000 AND newer.image_sha256 = older.image_sha256
ORDER BY hashint8(product_id) LIMIT %(limit)s

-- name: search_left_behind
-- All are compared, on the live version's scale.
SELECT product_id, score FROM (
    SELECT product_id, {slope} * -(embedding <#> %(query)s::halfvec({dimension})) + {intercept} AS score FROM {vectors}
    WHERE product_id IN (SELECT product_id FROM left_behind WHERE version_id = {version})
    AND NOT product_id = ANY (%(shown)s) AND {where}
) AS found
WHERE %(last_score)s::double precision IS NULL OR score < %(last_score)s
OR (score = %(last_score)s AND product_id > %(last_id)s)
ORDER BY score DESC, product_id LIMIT %(fetch)s

-- name: some_titles
-- Distinct titles, spread over the catalogue.
SELECT product_display_name FROM fashion_files GROUP BY product_display_name
ORDER BY hashtext(product_display_name), product_display_name LIMIT %(limit)s

-- name: has_more
SELECT EXISTS (
    SELECT FROM published_products JOIN {vectors} USING (product_id)
    WHERE NOT EXISTS (SELECT FROM {others} AS other WHERE other.product_id = published_products.product_id)
)
