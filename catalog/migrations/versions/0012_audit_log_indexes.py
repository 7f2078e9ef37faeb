"""Whether an entry stands in the audit log, and the last of some kinds, without reading all of it."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# An index adds nothing to the chain and takes nothing from it: entries are written and kept as before.
INDEXES = """
CREATE INDEX audit_log_kind ON audit_log ((entry::jsonb ->> 'kind'), seq);
-- Not put off: who appends once looks while nobody else may append, and would read all that was.
CREATE INDEX audit_log_details ON audit_log USING gin ((entry::jsonb -> 'details') jsonb_path_ops)
    WITH (fastupdate = off);
"""


def upgrade() -> None:
    """Add the indexes."""
    op.execute(INDEXES)
