-- name: wait_for_writers
-- As refuse_removed_client takes it, which every transaction that writes a product of the client has held since.
SELECT pg_advisory_xact_lock(hashtextextended(%(owner)s, 8270289))

-- name: bar
INSERT INTO removed_clients (name) VALUES (%(owner)s) ON CONFLICT DO NOTHING

-- name: admit
DELETE FROM removed_clients WHERE name = %(owner)s

-- name: curators
SELECT username FROM users WHERE client = %(owner)s ORDER BY username

-- name: remove_curators
DELETE FROM users WHERE client = %(owner)s

-- name: remove_products
-- Whoever wrote them; vectors, publications and what is left behind go with the rows.
DELETE FROM fashion_files WHERE owner = %(owner)s

-- name: remove_unpublished
-- PostgreSQL shows them to a transaction that acts for the client, and to no other.
DELETE FROM unpublished_products WHERE owner = %(owner)s

-- name: unpublished
SELECT count(*) FROM unpublished_products WHERE owner = %(owner)s

-- name: products
SELECT count(*) FROM fashion_files WHERE owner = %(owner)s

-- name: published
SELECT count(*) FROM published_products WHERE owner = %(owner)s

-- name: vectors
-- By the owner that is written beside the vector, and by the row that it should belong to.
SELECT count(*) FROM {vectors} AS vector LEFT JOIN fashion_files AS file ON file.id = vector.product_id
WHERE vector.owner = %(owner)s OR file.owner = %(owner)s OR file.id IS NULL

-- name: living_sessions
SELECT count(*) FROM session_families
WHERE username = ANY (%(usernames)s) AND revoked_at IS NULL AND ends_at > clock_timestamp()

-- name: machines
SELECT name FROM machines WHERE client = %(owner)s ORDER BY name

-- name: remove_machines
DELETE FROM machines WHERE client = %(owner)s
