"""A graph of an index version may be of two values: what it is of becomes a list."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LISTS = """
UPDATE index_versions SET graphs = (
    SELECT coalesce(jsonb_agg(
        graph - 'column' - 'value' || jsonb_build_object('values', CASE
            WHEN graph ->> 'column' IS NULL THEN '[]'
            ELSE jsonb_build_array(jsonb_build_array(graph -> 'column', graph -> 'value')) END)
        ORDER BY place), '[]')
    FROM jsonb_array_elements(graphs) WITH ORDINALITY AS one (graph, place)
)
"""


def upgrade() -> None:
    """Rewrite what versions say of their graphs; the graphs themselves stay."""
    op.execute(LISTS)
