-- name: add
INSERT INTO machines (name, secret_sha256, roles, client, expires_at)
VALUES (%(name)s, %(sha256)s, %(roles)s, %(client)s, clock_timestamp() + %(lifetime_s)s * interval '1 second')
ON CONFLICT (name) DO NOTHING
RETURNING expires_at

-- name: use
-- Comparing hashes of 256 random bits tells nobody anything by the time it takes.
UPDATE machines SET last_used_at = clock_timestamp()
WHERE name = %(name)s AND secret_sha256 = %(sha256)s AND expires_at > clock_timestamp()
RETURNING name, roles, client

-- name: remove
DELETE FROM machines WHERE name = %(name)s

-- name: all
SELECT name, roles, client, created_at, expires_at, last_used_at FROM machines ORDER BY name
