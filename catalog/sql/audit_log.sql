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
SELECT entry FROM audit_log ORDER BY seq DESC LIMIT %(limit)s

-- name: last_of_kinds
-- The last of each kind, which an index has in order, and the last of these.
SELECT entry FROM (SELECT DISTINCT unnest(%(kinds)s::text[]) AS kind) AS wanted
CROSS JOIN LATERAL (
    SELECT seq, entry FROM audit_log WHERE entry::jsonb ->> 'kind' = wanted.kind ORDER BY seq DESC LIMIT %(limit)s
) AS found
ORDER BY seq DESC LIMIT %(limit)s

-- name: chain
SELECT seq, entry, previous, sha256 FROM audit_log ORDER BY seq
