"""A client vouches for its keys of one confidential round, so that others know it is no invention of who relays them.

It signs by the key of its receipts and contracts (Ed25519), whose public half clients exchange without the coordinator.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from security.receipt_keys import ROUND_KEYS, ReceiptKey, verifies

KEY_BYTES, VOUCHER_BYTES = 32, 96
"""A voucher is the signer's public key, followed by its signature."""


def statement(about: Mapping[str, object], client: str, keys: Mapping[str, bytes]) -> bytes:
    """What is signed.

    Args:
        about: ``run``, ``round`` and ``attempt``.
        client: whose keys they are.
        keys: by name.
    """
    said = {name: about.get(name) for name in ("run", "round", "attempt")}
    told = {name: value.hex() for name, value in keys.items()}
    return json.dumps([said, client, told], sort_keys=True, separators=(",", ":")).encode()


def vouch(key: ReceiptKey, said: bytes) -> bytes:
    """The voucher of a statement, 96 bytes."""
    return bytes.fromhex(key.public) + bytes.fromhex(key.sign(said, ROUND_KEYS))


def signer_of(voucher: object, said: bytes) -> str:
    """The public key, in hex, by which a statement was signed; "" where the voucher is none of it."""
    if not isinstance(voucher, bytes) or len(voucher) != VOUCHER_BYTES:
        return ""
    signer = voucher[:KEY_BYTES].hex()
    return signer if verifies(signer, said, voucher[KEY_BYTES:].hex(), ROUND_KEYS) else ""
