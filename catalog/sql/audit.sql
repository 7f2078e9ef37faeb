-- name: record
INSERT INTO model_changes (actor, action, model_name, from_version, to_version, reason)
VALUES (%(actor)s, %(action)s, %(model_name)s, %(from_version)s, %(to_version)s, %(reason)s)

-- name: changes
SELECT * FROM model_changes WHERE model_name = %(model_name)s ORDER BY id DESC LIMIT %(limit)s

-- name: was_champion
SELECT EXISTS (
    SELECT FROM model_changes
    WHERE model_name = %(model_name)s
    AND ((to_version = %(version)s AND action IN ('promoted', 'overridden', 'rolled_back')) OR from_version = %(version)s)
)
