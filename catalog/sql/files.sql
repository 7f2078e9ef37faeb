-- name: files_page
-- Rows that pass a filter, in the order of their ids.
SELECT {columns} FROM fashion_files WHERE {where} ORDER BY id LIMIT %(limit)s OFFSET %(offset)s

-- name: files_after
-- The same from an id on, which costs as much for the last page as for the first.
SELECT {columns} FROM fashion_files WHERE {where} AND id > %(after)s ORDER BY id LIMIT %(limit)s

-- name: files_by_id
-- The rows of some ids, in the order of the ids asked for.
SELECT {columns} FROM fashion_files
JOIN unnest(%(ids)s::bigint[]) WITH ORDINALITY AS asked (asked_id, place) ON id = asked_id
ORDER BY place

-- name: create_incoming
CREATE TEMPORARY TABLE incoming (LIKE fashion_files INCLUDING DEFAULTS, PRIMARY KEY (id)) ON COMMIT DROP

-- name: copy_incoming
COPY incoming ({columns}) FROM STDIN

-- name: delete_absent
-- Rows that stay as they are are not touched: their vectors in the index, and readers, have nothing to follow.
DELETE FROM fashion_files AS file
WHERE file.origin = 'catalogue' AND NOT EXISTS (SELECT FROM incoming WHERE incoming.id = file.id)

-- name: update_changed
UPDATE fashion_files AS file SET ({content}) = (SELECT {of_incoming})
FROM incoming WHERE incoming.id = file.id AND ROW ({of_incoming}) IS DISTINCT FROM ROW ({of_file})

-- name: insert_new
INSERT INTO fashion_files ({columns}) SELECT {columns} FROM incoming
WHERE NOT EXISTS (SELECT FROM fashion_files AS file WHERE file.id = incoming.id)

-- name: analyze_files
-- The planner should know the new rows at once, not when autovacuum comes by.
ANALYZE fashion_files

-- name: facets
-- How many products have each value of each attribute, over all that pass the filter.
SELECT facet.attribute, facet.value, count(*) AS products
FROM fashion_files
CROSS JOIN LATERAL (VALUES
    ('gender', gender), ('master_category', master_category), ('sub_category', sub_category),
    ('article_type', article_type), ('base_colour', base_colour), ('season', season),
    ('year', year::text), ('usage', usage), ('brand', brand)
) AS facet (attribute, value)
WHERE {where} AND facet.value IS NOT NULL
GROUP BY facet.attribute, facet.value
ORDER BY facet.attribute, products DESC, facet.value

-- name: count
SELECT count(*) FROM fashion_files WHERE {where}

-- name: stats
SELECT split, dataset, owner, count(*) AS products FROM fashion_files GROUP BY split, dataset, owner
ORDER BY split, dataset, owner

-- name: user
SELECT username, password_hash, roles, created_at, client FROM users WHERE username = %(username)s

-- name: users
SELECT username, password_hash, roles, created_at, client FROM users ORDER BY username

-- name: rehash
-- Only a hash that is still there: a password that was changed meanwhile stays.
UPDATE users SET password_hash = %(new)s WHERE username = %(username)s AND password_hash = %(old)s

-- name: put_user
INSERT INTO users (username, password_hash, roles, client)
VALUES (%(username)s, %(password_hash)s, %(roles)s, %(client)s)
ON CONFLICT (username) DO UPDATE
SET password_hash = EXCLUDED.password_hash, roles = EXCLUDED.roles, client = EXCLUDED.client
