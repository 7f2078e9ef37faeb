"""A log of who came in, who may, and what became of models: each entry holds the hash of the one before."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MACHINES = """
CREATE TABLE machines (
    name text PRIMARY KEY,
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    roles text[] NOT NULL,
    client text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    CONSTRAINT machines_curators CHECK (('curator' = ANY (roles)) = (client IS NOT NULL))
);
COMMENT ON TABLE machines IS 'programs that may get access tokens; the secret itself is kept nowhere';
"""

LOG = """
CREATE TABLE audit_log (
    seq bigint PRIMARY KEY,
    entry text NOT NULL,
    previous bytea NOT NULL UNIQUE CHECK (octet_length(previous) = 32),
    sha256 bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32)
);
COMMENT ON COLUMN audit_log.entry IS 'JSON, as text: what is hashed is these bytes';
COMMENT ON COLUMN audit_log.previous IS 'sha256 of the entry before, zeros for the first; unique: no fork';
COMMENT ON COLUMN audit_log.sha256 IS 'of previous and entry';

CREATE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is a chain: what was written stays';
END
$$;
CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows();

-- Runs as its owner: who may call it needs no right to write into the table.
CREATE FUNCTION audit_append(kind text, actor text, details jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    number bigint;
    before bytea;
    line text;
BEGIN
    -- One at a time, until the end of the transaction: the next one then sees this entry, or none if it fails.
    PERFORM pg_advisory_xact_lock(7224817);
    SELECT seq + 1, sha256 INTO number, before FROM audit_log ORDER BY seq DESC LIMIT 1;
    number := coalesce(number, 1);
    before := coalesce(before, decode(repeat('00', 32), 'hex'));
    line := jsonb_build_object(
        'seq', number, 'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'kind', kind, 'actor', actor, 'details', jsonb_strip_nulls(details)
    )::text;
    INSERT INTO audit_log VALUES (number, line, before, sha256(before || convert_to(line, 'UTF8')));
    RETURN number;
END
$$;
"""

# Deferred to the end of the transaction: whoever waits for the chain then holds every lock that it will ever need.
TRIGGERS = """
CREATE FUNCTION audit_actor() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('tejido.actor', true), ''), 'database role ' || session_user)
$$;

CREATE FUNCTION audit_users() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.roles = NEW.roles AND OLD.client IS NOT DISTINCT FROM NEW.client
        AND OLD.password_hash = NEW.password_hash THEN
        RETURN NULL;
    END IF;
    PERFORM audit_append(
        CASE TG_OP WHEN 'INSERT' THEN 'user_added' WHEN 'UPDATE' THEN 'user_changed' ELSE 'user_removed' END,
        audit_actor(),
        jsonb_build_object(
            'user', coalesce(NEW.username, OLD.username),
            'roles', to_jsonb(NEW.roles), 'client', NEW.client,
            'had_roles', to_jsonb(OLD.roles), 'had_client', OLD.client,
            'password', CASE WHEN TG_OP = 'UPDATE' AND OLD.password_hash <> NEW.password_hash THEN 'changed' END
        )
    );
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER audit_users AFTER INSERT OR UPDATE OR DELETE ON users
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_users();

CREATE FUNCTION audit_machines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.last_used_at IS DISTINCT FROM NEW.last_used_at THEN
        PERFORM audit_append(
            'machine_login', NEW.name, jsonb_build_object('address', current_setting('tejido.address', true))
        );
        RETURN NULL;
    END IF;
    PERFORM audit_append(
        CASE TG_OP WHEN 'INSERT' THEN 'machine_added' WHEN 'UPDATE' THEN 'machine_changed' ELSE 'machine_removed' END,
        audit_actor(),
        jsonb_build_object(
            'machine', coalesce(NEW.name, OLD.name), 'roles', to_jsonb(NEW.roles), 'client', NEW.client,
            'expires_at', NEW.expires_at
        )
    );
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER audit_machines AFTER INSERT OR UPDATE OR DELETE ON machines
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_machines();

CREATE FUNCTION audit_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM audit_append(
            'login', NEW.username,
            jsonb_build_object('session', NEW.id, 'address', current_setting('tejido.address', true))
        );
    ELSIF OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN
        PERFORM audit_append(
            'session_revoked', NEW.username, jsonb_build_object('session', NEW.id, 'reason', NEW.reason)
        );
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER audit_sessions AFTER INSERT OR UPDATE ON session_families
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_sessions();

CREATE FUNCTION audit_model_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit_append(
        'model_' || NEW.action, NEW.actor,
        jsonb_build_object(
            'model', NEW.model_name, 'from', NEW.from_version, 'to', NEW.to_version, 'reason', NEW.reason
        )
    );
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER audit_model_changes AFTER INSERT ON model_changes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_model_changes();
"""


def upgrade() -> None:
    """Add the tables, and what writes into the log by itself."""
    op.execute(MACHINES)
    op.execute(LOG)
    op.execute(TRIGGERS)
