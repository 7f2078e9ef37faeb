-- name: begin
-- clock_timestamp() throughout: a transaction that waited for a lock must not reckon from before it.
WITH family AS (
    INSERT INTO session_families (username, ends_at)
    VALUES (%(username)s, clock_timestamp() + %(lifetime_s)s * interval '1 second')
    RETURNING id, ends_at
)
INSERT INTO refresh_tokens (sha256, family_id, expires_at)
SELECT %(sha256)s, id, least(ends_at, clock_timestamp() + %(idle_s)s * interval '1 second') FROM family
RETURNING family_id::text, floor(extract(epoch FROM expires_at - clock_timestamp()))::integer

-- name: lock_family
-- Alone, before anything is read: the next statement then sees what whoever held the lock has written.
SELECT FROM session_families AS family JOIN refresh_tokens AS token ON token.family_id = family.id
WHERE token.sha256 = %(sha256)s FOR UPDATE OF family

-- name: presented
-- A token, its family, and the user of now. One of that name who came after the session began is somebody else.
SELECT
    family.id::text AS family,
    family.username,
    family.revoked_at IS NOT NULL AS is_revoked,
    token.used_at IS NOT NULL AS is_used,
    token.expires_at <= clock_timestamp() AS is_expired,
    users.roles,
    users.client
FROM refresh_tokens AS token
JOIN session_families AS family ON family.id = token.family_id
LEFT JOIN users ON users.username = family.username AND users.created_at <= family.started_at
WHERE token.sha256 = %(sha256)s

-- name: renew
WITH used AS (
    UPDATE refresh_tokens SET used_at = clock_timestamp() WHERE sha256 = %(old_sha256)s RETURNING family_id
)
INSERT INTO refresh_tokens (sha256, family_id, expires_at)
SELECT %(new_sha256)s, family.id, least(family.ends_at, clock_timestamp() + %(idle_s)s * interval '1 second')
FROM used JOIN session_families AS family ON family.id = used.family_id
RETURNING floor(extract(epoch FROM expires_at - clock_timestamp()))::integer

-- name: revoke
UPDATE session_families SET revoked_at = clock_timestamp(), reason = %(reason)s
WHERE id = %(family)s::uuid AND revoked_at IS NULL

-- name: revoke_by_token
UPDATE session_families AS family SET revoked_at = clock_timestamp(), reason = %(reason)s
FROM refresh_tokens AS token
WHERE token.sha256 = %(sha256)s AND family.id = token.family_id AND family.revoked_at IS NULL
RETURNING family.id::text

-- name: revoke_of_user
UPDATE session_families SET revoked_at = clock_timestamp(), reason = %(reason)s
WHERE username = %(username)s AND revoked_at IS NULL AND ends_at > clock_timestamp()

-- name: revoked
-- And every client that was removed, for tokens of programs, which have no family: see `all_of`.
SELECT id::text FROM session_families WHERE revoked_at > clock_timestamp() - %(within_s)s * interval '1 second'
UNION ALL SELECT 'client ' || name FROM removed_clients

-- name: forget
DELETE FROM session_families WHERE ends_at < %(before)s

-- name: revoke_all
UPDATE session_families SET revoked_at = clock_timestamp(), reason = %(reason)s
WHERE revoked_at IS NULL AND ends_at > clock_timestamp()

-- name: alive
SELECT family.id::text AS family, family.username, family.started_at, token.issued_at AS renewed_at, token.expires_at,
    family.ends_at
FROM session_families AS family JOIN refresh_tokens AS token ON token.family_id = family.id
WHERE family.revoked_at IS NULL AND token.used_at IS NULL AND token.expires_at > clock_timestamp()
    AND (%(username)s::text IS NULL OR family.username = %(username)s)
ORDER BY family.started_at DESC

-- name: about_request
SELECT set_config('tejido.actor', %(actor)s, true), set_config('tejido.address', %(address)s, true)
