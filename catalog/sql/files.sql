-- name: files_page
-- Rows that pass a filter, in the order of their ids.
SELECT {columns} FROM fashion_files WHERE {where} ORDER BY id LIMIT %(limit)s OFFSET %(offset)s

-- name: files_by_id
-- The rows of some ids, in the order of the ids asked for.
SELECT {columns} FROM fashion_files
JOIN unnest(%(ids)s::bigint[]) WITH ORDINALITY AS asked (asked_id, place) ON id = asked_id
ORDER BY place

-- name: clear_files
-- DELETE and not TRUNCATE: readers keep seeing the old rows until the transaction commits.
DELETE FROM fashion_files

-- name: copy_files
COPY fashion_files ({columns}) FROM STDIN

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
    ('year', year::text), ('usage', usage)
) AS facet (attribute, value)
WHERE {where} AND facet.value IS NOT NULL
GROUP BY facet.attribute, facet.value
ORDER BY facet.attribute, products DESC, facet.value

-- name: stats
SELECT split, dataset, owner, count(*) AS products FROM fashion_files GROUP BY split, dataset, owner
ORDER BY split, dataset, owner

-- name: user
SELECT username, password_hash, roles, created_at FROM users WHERE username = %(username)s

-- name: put_user
INSERT INTO users (username, password_hash, roles) VALUES (%(username)s, %(password_hash)s, %(roles)s)
ON CONFLICT (username) DO UPDATE SET password_hash = EXCLUDED.password_hash, roles = EXCLUDED.roles
