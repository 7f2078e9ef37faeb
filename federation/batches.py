"""The order in which a client meets its products, and what it sees of each: a view, and a title or a template."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from federation.config import FederationConfig
from federation.encoding import image_batch, text_batch
from federation.features import ProductFeatures
from federation.towers.stages import Hidden

Numbers = NDArray[np.int64]
MIN_BATCH = 2
"""A contrastive batch of one product has nothing to contrast with."""


@dataclass(frozen=True)
class Batch:
    """Some products of one step."""

    products: ProductFeatures
    rows: Numbers
    """(B,) which products."""
    views: Numbers
    """(B,) which view of each."""
    captions: Numbers
    """(B,) which row of ``products.texts``: a product's title, or its template."""

    def __len__(self) -> int:
        return len(self.rows)

    def images(self) -> Hidden:
        """Activations of the pictures."""
        views = self.products.images
        return image_batch([views[v].rows[r] for v, r in zip(self.views.tolist(), self.rows.tolist(), strict=True)])

    def texts(self) -> Hidden:
        """Activations of the captions."""
        return text_batch(self.products.texts.pick(self.captions))

    @property
    def positives(self) -> Tensor:
        """(B, B) bool; [i, j]: caption j is picture i's title, or its template."""
        captions = self.captions[None, :]
        fits = self.products.names[self.rows][:, None] == captions
        if self.products.templates is not None:
            fits = fits | (self.products.templates[self.rows][:, None] == captions)
        return torch.from_numpy(fits)

    def pieces(self, size: int) -> Iterator[Batch]:
        """The batch in parts of at most ``size`` products."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield Batch(self.products, self.rows[part], self.views[part], self.captions[part])


def steps_of(products: int, config: FederationConfig) -> int:
    """Steps that a client with so many products makes in a round; at least 1."""
    whole, left = divmod(products, config.batch_size)
    return max(1, config.local_epochs * (whole + (left >= MIN_BATCH)))


class Batches:
    """One pass over the products in random order; everything drawn comes from ``generator``."""

    def __init__(self, products: ProductFeatures, config: FederationConfig, generator: torch.Generator) -> None:
        self._products, self._config, self._generator = products, config, generator

    def __iter__(self) -> Iterator[Batch]:
        products = self._products
        order = torch.randperm(len(products), generator=self._generator).numpy()
        for start in range(0, len(order), self._config.batch_size):
            rows = order[start : start + self._config.batch_size]
            yield Batch(products, rows, self._views(len(rows)), self._captions(rows))

    def _views(self, count: int) -> Numbers:
        available = len(self._products.images)
        if available == 1:
            return np.zeros(count, np.int64)
        return torch.randint(available, (count,), generator=self._generator).numpy()

    def _captions(self, rows: Numbers) -> Numbers:
        titles = self._products.names[rows]
        if self._products.templates is None:
            return titles
        is_template = torch.rand(len(rows), generator=self._generator).numpy() < self._config.template_captions
        return np.where(is_template, self._products.templates[rows], titles)
