"""Sessions of people: families of refresh tokens, each of which is good for one use."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE session_families (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    username text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at timestamptz NOT NULL,
    revoked_at timestamptz,
    reason text,
    CHECK ((revoked_at IS NULL) = (reason IS NULL))
);
COMMENT ON COLUMN session_families.username IS 'no foreign key: that a session was revoked outlives its user';
COMMENT ON COLUMN session_families.ends_at IS 'no token of the family lives longer, however often it is renewed';
CREATE INDEX session_families_revoked_at ON session_families (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX session_families_username ON session_families (username) WHERE revoked_at IS NULL;
CREATE INDEX session_families_ends_at ON session_families (ends_at);

CREATE TABLE refresh_tokens (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    family_id uuid NOT NULL REFERENCES session_families (id) ON DELETE CASCADE,
    issued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
COMMENT ON COLUMN refresh_tokens.sha256 IS 'of the token, which itself is kept nowhere';
COMMENT ON COLUMN refresh_tokens.used_at IS 'whoever shows it again has stolen it, or was robbed: the family ends';
CREATE INDEX refresh_tokens_family_id ON refresh_tokens (family_id);
"""


def upgrade() -> None:
    """Add the tables."""
    op.execute(TABLES)
