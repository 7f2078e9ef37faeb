"""The root of the mutations, put together from the parts that know them."""

from __future__ import annotations

import strawberry

from api.schema.models import ModelMutations
from api.schema.products import ProductMutations


@strawberry.type(description="Everything that can be done.")
class Mutation(ModelMutations, ProductMutations):
    """The root. Each base brings the mutations of its module."""
