"""What a search looks for, as a vector: words, a picture, both, or a product; and what it shall not be."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np

from api.errors import ArgumentInvalid, NotFound
from api.live_model import LoadedModel
from api.ports import Index, Vectors
from api.vectors import QueryVectors

AWAY = 0.5
"""How far a query is turned away from what it shall not be, as a share of that vector."""
LEAST_LENGTH = 0.1
"""Of a mixed vector: below it, its parts cancel out, and its direction says nothing."""


@dataclass(frozen=True)
class Asked:
    """One question. At least one of ``text``, ``picture`` and ``product`` is given."""

    text: str | None = None
    picture: bytes | None = None
    product: int | None = None
    without: str | None = None
    """Words for what is not wanted."""
    text_weight: float = 0.5
    """Share of the words beside a picture, 0 to 1."""

    @property
    def kind(self) -> str:
        """As metrics call it."""
        if self.product is not None:
            return "similar"
        return "text" if self.picture is None else "image" if self.text is None else "both"

    def digest(self) -> bytes:
        """The same for the same question only."""
        parts = asdict(self) | {"picture": None if self.picture is None else sha256(self.picture).hexdigest()}
        return json.dumps(parts, sort_keys=True).encode()

    def vector(self, model: LoadedModel, vectors: QueryVectors, index: Index) -> Vectors:
        """(D,) unit vector in the model's space.

        Raises:
            NotFound: the index holds no such product.
            ArgumentInvalid: what is wanted and what is not cancel out.
        """
        if self.product is not None:
            found = index.vector(self.product, version=model.index.id)
            if found is None:
                raise NotFound(f"Product {self.product} is not in the index.")
            wanted = found
        elif self.picture is None:
            wanted = vectors.of_text(model, self.text or "")
        else:
            wanted = vectors.of_image(model, self.picture)
            if self.text is not None:
                words = vectors.of_text(model, self.text)
                wanted = _unit((1 - self.text_weight) * wanted + self.text_weight * words)
        return wanted if self.without is None else _unit(wanted - AWAY * vectors.of_text(model, self.without))


def _unit(vector: Vectors) -> Vectors:
    length = float(np.linalg.norm(vector))
    if length < LEAST_LENGTH:
        raise ArgumentInvalid("What is wanted and what is not cancel out.", hint="Describe them by different words.")
    return np.asarray(vector / length, np.float32)
