"""A client publishes some of its products: embedded here, by the model that it is sent; the photos stay in its bucket.

What is published is the client's own decision (publication.py). Nothing in a request can widen it: a request says by
which model and which page, and no more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog
from numpy.typing import NDArray

from catalog.product import Product
from catalog.published import PICTURES, Offer
from clients.dataset import Dataset
from clients.errors import BaseMismatch, ClientMisconfigured
from clients.publication import Publication, publication_in_force
from federation.encoder import Encoder
from federation.encoding import LazyTowers
from federation.features import FeatureSource
from federation.model import build_model
from federation.presets import load_preset
from federation.spec import ModelSpec
from federation.wire import from_record

if TYPE_CHECKING:
    from federation.wire import ArrayRecord

MAX_PAGE = 2000
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Request:
    """What the coordinator asks for."""

    spec: str
    """The model's description, as stored beside its tensors."""
    model_hash: str
    base_hash: str
    page: int
    """From 0 on."""
    page_size: int

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Request:
        """Read a message.

        Raises:
            ClientMisconfigured: a number is none, or out of its range.
        """
        page, size = values["page"], values["page-size"]
        if type(page) is not int or type(size) is not int or page < 0 or not 0 < size <= MAX_PAGE:
            raise ClientMisconfigured(f"The coordinator asks for page {page!r} of {size!r} products.")
        return cls(str(values["spec"]), str(values["model-hash"]), str(values["base-hash"]), page, size)


@dataclass(frozen=True)
class Page:
    """Some of what a client publishes, and how to know that it is all."""

    offers: tuple[dict[str, object], ...]
    vectors: NDArray[np.float32]
    """(N, D) unit; row i is offer i."""
    published: int
    """How many products may be published in all."""
    is_last: bool
    revision: str


def publish_page(dataset: Dataset, request: Request, arrays: ArrayRecord, *, cache: Path, now: datetime) -> Page:
    """The page that is asked for; its pictures are put where their owner's read-only user finds them.

    A product whose picture cannot be read is left out.

    Args:
        dataset: this client's own.
        request: which page, by which model.
        arrays: the model's trained tensors.
        cache: where features are kept.
        now: decides whether a publication has begun.

    Raises:
        NotPublishing, PublicationWithdrawn, PublicationUnreadable: the client's own decision.
        BaseMismatch: the coordinator's towers are not ours.
        UpdateRejected, HeadsError: the tensors are not those of the model.
    """
    publication = publication_in_force(dataset.store, now=now)
    spec = _own_spec(request)
    first = request.page * request.page_size
    covered = [replace(product, image=b"") for product in dataset.products() if publication.covers(product)]
    references = sorted(product.id for product in covered)
    wanted = set(islice(references, first, first + request.page_size))
    is_last = first + request.page_size >= len(references)
    encoder, kept, vectors = _embedded(dataset, publication, wanted, spec, arrays, cache)
    for product in kept:
        _show(dataset, product)
    if is_last:
        shown = {Offer.of(product).picture_key for product in covered}
        for key in [key for key in dataset.store.list(PICTURES) if key not in shown]:
            dataset.store.delete(key)
    log.info("published a page", page=request.page, products=len(kept), of=len(references))
    return Page(
        tuple(asdict(Offer.of(product)) for product in kept),
        vectors if kept else np.empty((0, encoder.dimension), np.float32),
        len(references),
        is_last,
        publication.revision(dataset.manifest.version),
    )


def _own_spec(request: Request) -> ModelSpec:
    """The model that is asked for, on this client's own towers."""
    told = ModelSpec.from_json(request.spec)
    # Files of weights are this installation's, never those that a request names.
    installed = load_preset(told.preset.name)
    if installed.base_hash != request.base_hash:
        raise BaseMismatch(
            f"The coordinator's base is {request.base_hash[:12]}…, this client's {installed.name} is "
            f"{installed.base_hash[:12]}….",
            hint="Bring both to the same version of Tejido and its locked packages.",
        )
    installed.verify_weights()
    return replace(told, preset=installed)


def _embedded(
    dataset: Dataset, publication: Publication, wanted: set[int], spec: ModelSpec, arrays: ArrayRecord, cache: Path
) -> tuple[Encoder, list[Product], NDArray[np.float32]]:
    towers = LazyTowers(spec.preset)
    model = build_model(spec, towers)
    model.load(from_record(arrays, like=model.state()))
    encoder = Encoder(model, towers=towers)
    source = FeatureSource(
        spec, root=cache, owner=dataset.client, towers=towers, workers=max(1, (os.cpu_count() or 1) // 2)
    )
    chosen = [p for p in dataset.products() if p.id in wanted and publication.covers(p)] if wanted else []
    if not chosen:
        return encoder, [], np.empty((0, encoder.dimension), np.float32)
    features = source.of(chosen, total=len(chosen))
    by_id = {product.id: product for product in chosen}
    return encoder, [by_id[number] for number in features.ids.tolist()], encoder.embed_images(features.images[0])


def _show(dataset: Dataset, product: Product) -> None:
    key = Offer.of(product).picture_key
    if not dataset.store.exists(key):
        dataset.store.put(key, product.image)
