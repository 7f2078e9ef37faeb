"""What a client sends to be published, as a stranger's: checked whole before any of it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from catalog.errors import OfferInvalid
from catalog.published import checked_offer
from federation.tensors import Tensors
from federation.wire import unpack
from server.wave_folder import Order, Sent

if TYPE_CHECKING:
    from server.exchange import Message

MAX_CHARS_A_PRODUCT = 6000
"""Nine texts of 500 characters, and the rest."""
UNIT_TOLERANCE = 1e-2


@dataclass(frozen=True)
class ReceivedPage:
    """One page of a client, validated, and what it says of the others."""

    sent: Sent
    published: int
    is_last: bool
    revision: str


def read_page(message: Message, order: Order, *, page: int) -> ReceivedPage:
    """A client's reply.

    Raises:
        OfferInvalid: it is not the page that was asked for, or holds anything that no honest client sends.
        UpdateRejected: its vectors are not of the announced shape and type.
    """
    told: Mapping[str, object] = message.content.config_records.get("page") or {}
    arrays = message.content.array_records.get("arrays")
    if arrays is None or told.get("model-hash") != order.model_hash or told.get("page") != page:
        raise OfferInvalid("The reply is about another model, or another page.")
    products = _products(told.get("products"), order)
    published, is_last, revision = told.get("published"), told.get("is-last"), told.get("revision")
    if type(published) is not int or published < 0 or type(is_last) is not bool or not isinstance(revision, str):
        raise OfferInvalid("The reply does not say how many products there are.")
    offers = tuple(checked_offer(product) for product in products)
    if len({offer.reference for offer in offers}) < len(offers):
        raise OfferInvalid("The reply offers one product twice.")
    like: Tensors = {"vectors": np.empty((len(offers), order.dimension), np.float32)}
    vectors = unpack(arrays, like=like, encoding="fp16").tensors["vectors"].values
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
    # Written so that NaN, which compares false to everything, is caught too.
    if not np.all(np.abs(lengths - 1) < UNIT_TOLERANCE):
        raise OfferInvalid("A vector is not finite, or not of length one.")
    return ReceivedPage(Sent(offers, vectors), published, is_last, revision[:64])


def _products(text: object, order: Order) -> list[object]:
    # Its length is known before it is read.
    if not isinstance(text, str) or len(text) > MAX_CHARS_A_PRODUCT * order.page_size:
        raise OfferInvalid("The reply holds no list of products, or an absurdly long one.")
    try:
        products = json.loads(text)
    except (ValueError, RecursionError):
        raise OfferInvalid("The reply's list of products cannot be read.") from None
    if not isinstance(products, list) or len(products) > order.page_size:
        raise OfferInvalid(f"The reply holds no list of at most {order.page_size} products.")
    return products
