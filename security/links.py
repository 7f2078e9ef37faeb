"""Links that open one picture for some minutes to whoever has them, as an ``<img>`` cannot bear a token.

What is signed is the product's number and the moment at which the link ends. The key lies beside those that sign access
tokens, so every process that serves the same API makes and knows the same links.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from core.files import secret_once
from security.errors import Unauthenticated

MAX_LIFE_S = 300
KEY_FILE = "links.key"
KEY_BYTES = 32


class PictureLinks:
    """Signs links and knows its own again.

    Args:
        key: secret, at least 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes is too short")
        self._key = key

    @classmethod
    def open(cls, directory: Path) -> PictureLinks:
        """With the key of the folder; it is made when there is none."""
        return cls(secret_once(directory / KEY_FILE, length_bytes=KEY_BYTES).encode())

    def sign(self, product: int, until: int) -> str:
        """The signature of a link to the picture of ``product`` that ends ``until`` (seconds since 1970)."""
        return hmac.new(self._key, f"picture/{product}/{until}".encode(), hashlib.sha256).hexdigest()

    def check(self, product: int, until: int, signature: str, *, now: float) -> None:
        """Raise Unauthenticated unless the link is ours, for this picture, and has not ended.

        One that would end later than any link that is made is refused too, whoever signed it.
        """
        if not hmac.compare_digest(self.sign(product, until).encode(), signature.encode()):
            raise Unauthenticated("a picture's link is not ours")
        if not now <= until <= now + MAX_LIFE_S:
            raise Unauthenticated("a picture's link has ended")
