"""Sentences made of a product's attributes: extra captions for training, never queries of the title task."""

from __future__ import annotations

from catalog.product import Product


def template_caption(product: Product) -> str:
    """What the attributes say, as a person might type it; empty when they say nothing.

    Attributes only, never the name: products of the same attributes share the sentence, and are each other's positives.
    """
    what = " ".join(word for word in (product.base_colour, product.usage, product.article_type) if word)
    if not what:
        return ""
    return f"{what} for {product.gender}" if product.gender else what
