"""The root of the GraphQL mutations: a part for each role that may change something."""

from __future__ import annotations

import strawberry

from api.schema.products import ProductMutations


@strawberry.type(description="Everything that can be changed.")
class Mutation(ProductMutations):
    """The root."""
