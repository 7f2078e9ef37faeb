-- name: lock_object
-- Whoever writes or removes an object that products of a client may share does so alone.
SELECT pg_advisory_xact_lock(hashtextextended(%(s3_path)s, 0))

-- name: lock_reference
-- A product is published or not: whoever decides about one does so alone.
SELECT pg_advisory_xact_lock(hashtextextended(%(owner)s || '/' || %(reference)s, 9127734))

-- name: alone
SELECT pg_try_advisory_xact_lock(%(key)s)

-- name: of_references
SELECT {columns} FROM fashion_files
WHERE origin = 'curator' AND owner = %(owner)s AND reference = ANY (%(references)s)
UNION ALL
SELECT {columns} FROM unpublished_products WHERE owner = %(owner)s AND reference = ANY (%(references)s) ORDER BY id

-- name: of_id
SELECT {columns} FROM fashion_files WHERE origin = 'curator' AND owner = %(owner)s AND id = %(id)s
UNION ALL
SELECT {columns} FROM unpublished_products WHERE owner = %(owner)s AND id = %(id)s

-- name: unpublished
SELECT {columns} FROM unpublished_products WHERE owner = %(owner)s AND id > %(after)s ORDER BY id LIMIT %(limit)s

-- name: put_unpublished
INSERT INTO unpublished_products ({content}) VALUES ({values})
ON CONFLICT (owner, reference) DO UPDATE SET ({changed}) = ROW ({excluded})
RETURNING {columns}

-- name: change_unpublished
UPDATE unpublished_products SET ({changed}) = ROW ({values}) WHERE owner = %(owner)s AND id = %(id)s RETURNING {columns}

-- name: remove_unpublished
DELETE FROM unpublished_products WHERE owner = %(owner)s AND id = %(id)s RETURNING {columns}

-- name: take_unpublished
DELETE FROM unpublished_products WHERE owner = %(owner)s AND reference = %(reference)s RETURNING id

-- name: publish
-- With the number that it has.
WITH taken AS (DELETE FROM unpublished_products WHERE owner = %(owner)s AND id = %(id)s RETURNING *)
INSERT INTO fashion_files (id, origin, {copied}) SELECT id, 'curator', {copied} FROM taken RETURNING {columns}

-- name: put
INSERT INTO fashion_files (id, {content}) VALUES (coalesce(%(taken)s, nextval('own_product_ids')), {values})
ON CONFLICT (owner, reference) WHERE origin = 'curator' DO UPDATE SET ({content}) = ROW ({excluded})
RETURNING {columns}

-- name: change
UPDATE fashion_files SET ({changed}) = ROW ({values})
WHERE origin = 'curator' AND owner = %(owner)s AND id = %(id)s RETURNING {columns}

-- name: remove
DELETE FROM fashion_files WHERE origin = 'curator' AND owner = %(owner)s AND id = %(id)s RETURNING {columns}

-- name: is_named
SELECT EXISTS (SELECT FROM fashion_files WHERE origin = 'curator' AND s3_path = %(s3_path)s)
OR EXISTS (SELECT FROM unpublished_products WHERE owner = %(owner)s AND s3_path = %(s3_path)s)

-- name: count
SELECT count(*) FROM fashion_files WHERE origin = 'curator' AND id >= 1000000000

-- name: owners
SELECT DISTINCT owner FROM fashion_files WHERE id >= 1000000000 AND owner IS NOT NULL ORDER BY owner

-- name: behind
-- Products of curators that a version of the index lacks, or knows by another picture, from an id on.
SELECT {columns} FROM fashion_files AS file
WHERE origin = 'curator' AND id > %(after)s AND NOT EXISTS (
    SELECT FROM {vectors} AS vector WHERE vector.product_id = file.id AND vector.image_sha256 = file.image_sha256
)
ORDER BY id LIMIT %(limit)s

-- name: write_vector
-- Nothing is written when the product is gone, or has another picture by now.
INSERT INTO {vectors} (product_id, {attributes}, image_sha256, embedding)
SELECT id, {attributes}, image_sha256, %(embedding)s::halfvec({dimension}) FROM fashion_files
WHERE id = %(id)s AND image_sha256 = %(image_sha256)s
ON CONFLICT (product_id) DO UPDATE SET ({attributes}, image_sha256, embedding)
    = ROW ({excluded}, EXCLUDED.image_sha256, EXCLUDED.embedding)
RETURNING xmax = 0 AS is_new

-- name: remove_vector
DELETE FROM {vectors} WHERE product_id = %(id)s

-- name: count_more
UPDATE index_versions SET products = products + %(more)s WHERE id = %(id)s

-- name: follow
-- The attributes of clients' own products as their rows have them now, where they differ.
UPDATE {vectors} AS vector SET ({attributes}) = (SELECT {of_file}) FROM fashion_files AS file
WHERE file.id = vector.product_id AND file.id BETWEEN %(first)s AND %(last)s AND file.owner = %(owner)s
    AND ROW ({of_file}) IS DISTINCT FROM ROW ({of_vector})

-- name: recount
UPDATE index_versions SET products = counted.products FROM (SELECT count(*) AS products FROM {vectors}) AS counted
WHERE id = %(id)s AND index_versions.products <> counted.products
