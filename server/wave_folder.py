"""A wave's folder in ``s3://checkpoints``: what publishing clients are asked, and what they sent, page by page.

    <wave>/order.json                  which model, how many products at a time, how long
    <wave>/trained.safetensors         the model's trained tensors
    <wave>/manifest.json               where there are keys: both are sealed (see sealing.py), and this is signed
                                       (manifest.json.resigned: by a later key, after a rotation of keys)
    <wave>/pages/<client>/0000.f16     vectors: half floats, row by row
    <wave>/pages/<client>/0000.json    what is told of each product, and how many vectors there are; written last
    <wave>/status.json, result.json    as of a federated run

The coordinator has no way to the database: whoever has started the wave brings the pages into the index, and removes
the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.objects import ObjectStore, delete_all
from catalog.published import Offer, checked_offer
from federation.tensors import Tensors, from_safetensors, to_safetensors
from security.errors import ArtifactNotSealed
from security.manifests import Subject
from server.sealing import Seals

ORDER, TRAINED, MANIFEST = "order.json", "trained.safetensors", "manifest.json"
PREFIX = "wave-"
"""How the names of all such folders begin."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a wave is about."""

    spec: str
    """The model's description; see federation.spec."""
    model_version: str
    model_hash: str
    base_hash: str
    dimension: int
    expected: tuple[str, ...] = ()
    """Clients that have products in the index: the wave waits some time for them to come online."""
    page_size: int = 1000
    page_s: float = 600.0
    """How long one page may take; the first one includes encoding on the client."""
    wait_s: float = 20.0
    """How long to wait for a client that is not online."""
    deadline_s: float = 3600.0
    """Of the whole wave."""
    attempts: int = 3
    """How often in a row a client is asked for the same page."""


@dataclass(frozen=True)
class Sent:
    """One page of one client, validated."""

    offers: tuple[Offer, ...]
    vectors: NDArray[np.float16]
    """(N, D)"""


class WaveFolder:
    """Reads and writes what is a wave's own; status and result are `server.checkpoints.RunFolder`'s."""

    def __init__(self, store: ObjectStore, name: str, seals: Seals | None = None) -> None:
        self._store, self.name, self._seals = store, name, seals

    def begin(self, order: Order, state: Tensors) -> None:
        """Write down what is asked."""
        files = {TRAINED: to_safetensors(state), ORDER: json.dumps(asdict(order)).encode()}
        if self._seals is None:
            for name, data in files.items():
                self._store.put(f"{self.name}/{name}", data)
            return
        seals, prefix = self._seals, f"{self.name}/"
        entries = [seals.put(self._store, prefix, self._subject, name, data) for name, data in files.items()]
        self._store.put(f"{prefix}{MANIFEST}", seals.sign(self._subject, entries))

    def order(self) -> Order:
        """What is asked; raises ArtifactRefused unless it is what whoever began the wave has sealed."""
        values: dict[str, Any] = json.loads(self._read(ORDER))
        return Order(**{**values, "expected": tuple(values["expected"])})

    def state(self) -> Tensors:
        """The model's trained tensors; raises ArtifactRefused likewise."""
        return from_safetensors(self._read(TRAINED))

    def put_page(self, client: str, number: int, sent: Sent) -> None:
        """Keep one page."""
        told = {"shape": sent.vectors.shape, "products": [asdict(offer) for offer in sent.offers]}
        self._store.put(f"{self._page(client, number)}.f16", np.ascontiguousarray(sent.vectors, np.float16).tobytes())
        self._store.put(f"{self._page(client, number)}.json", json.dumps(told).encode())

    def pages(self, client: str, count: int) -> Iterator[Sent]:
        """The first ``count`` pages of a client, in order.

        Raises:
            ObjectMissing: one is not there.
            OfferInvalid: somebody has changed it.
        """
        for number in range(count):
            told = json.loads(self._store.get(f"{self._page(client, number)}.json"))
            data = self._store.get(f"{self._page(client, number)}.f16")
            vectors = np.frombuffer(data, np.float16).reshape(told["shape"])
            yield Sent(tuple(checked_offer(product) for product in told["products"]), vectors)

    def remove(self) -> None:
        """Forget all of it."""
        delete_all(self._store, f"{self.name}/")

    @property
    def _subject(self) -> Subject:
        return Subject("wave", self.name)

    def _read(self, name: str) -> bytes:
        if self._seals is None:
            return self._store.get(f"{self.name}/{name}")
        manifest = self._seals.manifest(self._store, f"{self.name}/{MANIFEST}", self._subject)
        if manifest is None:
            raise ArtifactNotSealed(f"{self.name} is not sealed.", hint="Begin another wave.")
        return self._seals.get(self._store, f"{self.name}/", self._subject, manifest.entry(name))

    def _page(self, client: str, number: int) -> str:
        return f"{self.name}/pages/{client}/{number:04d}"


def pages_of(store: ObjectStore, client: str) -> list[str]:
    """Keys of all that one client sent in any wave whose folder is there: of one that goes on, or that died."""
    return [key for key in store.list(PREFIX) if key.split("/")[1:3] == ["pages", client]]
