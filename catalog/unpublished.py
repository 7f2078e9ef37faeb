"""Products that curators keep to their client until they publish them: in a table of their own, and in no index.

Each transaction acts for one client, and PostgreSQL shows and takes nothing of any other's in it: see
docs/explanation/security.md. So whoever asks for another client's, or forgets to say for whom, finds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.database import OnDatabase
from catalog.own_rows import CHANGED, COPIED, OWN, Keep, names, owner_of, placeholders, rows_of, written_values
from catalog.store import COLUMNS, FashionFile


class UnpublishedProducts(OnDatabase):
    """Rows of ``unpublished_products``, each client's for itself. Safe to share between threads."""

    def page(self, client: str, *, after: int = 0, limit: int = 50) -> list[FashionFile]:
        """What the client has not published, with ids above ``after``, in their order."""
        values = {"owner": client, "after": after, "limit": limit}
        with self._database.acting_for(client) as connection:
            return rows_of(connection, OWN["unpublished"].format(columns=COLUMNS), values)

    def put(self, product: FashionFile, keep: Keep) -> FashionFile | None:
        """Write a product as a new one, or in place of the one with its owner and reference, which keeps its id.

        Args:
            product: its id, time and origin are not looked at.
            keep: puts the picture where ``s3_path`` says; called before the row is written.

        Returns:
            The row; None where the client has published the product already, which stays as it is.
        """
        owner, values = owner_of(product), written_values(product) | {"origin": "unpublished"}
        query = OWN["put_unpublished"].format(
            columns=COLUMNS,
            content=names(values),
            values=placeholders(values),
            changed=names(CHANGED),
            excluded=names(CHANGED, "excluded"),
        )
        with self._database.acting_for(owner) as connection:
            connection.execute(OWN["lock_reference"], values)
            known = {"owner": owner, "references": [product.reference]}
            rows = rows_of(connection, OWN["of_references"].format(columns=COLUMNS), known)
            if any(row.origin == "curator" for row in rows):
                return None
            connection.execute(OWN["lock_object"], values)
            keep()
            (row,) = rows_of(connection, query, values)
            return row

    def change(
        self, client: str, product_id: int, values: Mapping[str, Any], *, keep: Keep = lambda: None
    ) -> FashionFile | None:
        """Give a product other values, at least one; None where the client has no such product that is not published.

        Args:
            client: whose product it must be.
            product_id: its id.
            values: column → value; another picture is ``s3_path``, ``image_sha256`` and ``filename``.
            keep: puts that other picture where ``s3_path`` says.
        """
        query = OWN["change_unpublished"].format(columns=COLUMNS, changed=names(values), values=placeholders(values))
        with self._database.acting_for(client) as connection:
            if "s3_path" in values:
                connection.execute(OWN["lock_object"], {"s3_path": values["s3_path"]})
                keep()
            found = rows_of(connection, query, {**values, "owner": client, "id": product_id})
        return found[0] if found else None

    def publish(self, client: str, product_id: int) -> FashionFile | None:
        """Publish a product as it is, with its id; None where the client has no such product that is not published.

        No index has it then: whoever embeds what an index lacks finds it, see `OwnProducts.behind`.
        """
        values = {"owner": client, "id": product_id}
        with self._database.acting_for(client) as connection:
            known = rows_of(connection, OWN["of_id"].format(columns=COLUMNS), values)
            if not known:
                return None
            connection.execute(OWN["lock_reference"], {"owner": client, "reference": known[0].reference})
            query = OWN["publish"].format(columns=COLUMNS, copied=names(COPIED))
            found = rows_of(connection, query, values)
        return found[0] if found else None

    def remove(self, client: str, product_id: int) -> FashionFile | None:
        """Delete a product; None where the client has no such product that is not published."""
        query = OWN["remove_unpublished"].format(columns=COLUMNS)
        with self._database.acting_for(client) as connection:
            found = rows_of(connection, query, {"owner": client, "id": product_id})
        return found[0] if found else None
