"""A brand is what stands in a title before the word for whom the product is."""

from __future__ import annotations

import pytest

from catalog.product import brand_of


@pytest.mark.parametrize(
    ("title", "brand"),
    [
        ("Nike Men Blue T20 Indian Cricket Jersey", "Nike"),
        ("  United Colors of Benetton Women Check Shirt", "United Colors of Benetton"),
        ("Gini and Jony Girls Pink Top", "Gini and Jony"),
        ("ARROW WOMAN Printed Purple Dress", "ARROW"),
        ("Jealous 21 Women's Jeans", "Jealous 21"),
        ("FNF Printed Black Sari", None),
        ("Men Blue Shirt", None),
        ("Mentor Menswear Shirt", None),
        ("", None),
    ],
)
def test_the_brand_of_a_title(title: str, brand: str | None) -> None:
    assert brand_of(title) == brand
