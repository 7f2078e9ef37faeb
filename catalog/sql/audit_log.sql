-- name: append
SELECT audit_append(%(kind)s, %(actor)s, %(details)s)

-- name: lock
-- As audit_append does: nobody else appends until the end of the transaction.
SELECT pg_advisory_xact_lock(7224817)

-- name: has
SELECT EXISTS (
    SELECT FROM audit_log
    WHERE entry::jsonb ->> 'kind' = %(kind)s AND entry::jsonb -> 'details' @> %(details)s
)

-- name: last
SELECT entry FROM audit_log
WHERE %(kinds)s::text[] IS NULL OR entry::jsonb ->> 'kind' = ANY (%(kinds)s)
ORDER BY seq DESC LIMIT %(limit)s

-- name: chain
SELECT seq, entry, previous, sha256 FROM audit_log ORDER BY seq
