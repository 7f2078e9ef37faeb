"""The contracts of the runs that a client took part in, signed by it too, kept on its machine beside its receipts.

Its own installed program signs, before anything of a run is loaded, with the key of its receipts. The signature goes
back with each reply, over the connection that the client's node key proves, so the coordinator knows whose key it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clients.errors import ContractUnwritable, ReceiptsDamaged
from clients.own_key import CONTRACTS, own_key, require_key
from clients.receipts import receipts_folder
from core.files import write_secret
from core.settings import Settings
from security.contracts import SIGNATURE, TEXT, SignedContract
from security.errors import ContractUnreadable
from security.receipt_keys import CONTRACT, ReceiptKey
from security.signing_keys import locked


class Contracts:
    """Those of one client.

    Args:
        folder: of its receipts, whose key signs.
        name: of the client.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._root, self._folder, self._name = folder, folder / CONTRACTS, name

    @classmethod
    def of(cls, settings: Settings) -> Contracts:
        """Those of the client whose settings these are."""
        return cls(receipts_folder(settings), settings.required("client_name"))

    @property
    def key(self) -> str:
        """The public key by which this client signs, in hex.

        Raises:
            ContractUnwritable: it cannot be made.
            ReceiptsDamaged: it is lost, and what it has signed is there.
            ReceiptKeyUnreadable: it cannot be used.
        """
        with self._locked() as key:
            return key.public

    def sign(self, signed: SignedContract) -> dict[str, str]:
        """Sign a contract and keep it, once; returns what the coordinator is told: sha256, key and signature.

        Raises:
            ContractUnwritable: it cannot be kept.
            ReceiptsDamaged: the key is lost, and what it has signed is there.
            ReceiptKeyUnreadable: the key cannot be used.
        """
        path = self._folder / f"{signed.sha256}.json"
        with self._locked() as key:
            signature = key.sign(signed.of_client(self._name), CONTRACT)
            told = {"sha256": signed.sha256, "key": key.public, "signature": signature}
            if not path.exists():
                at = datetime.now(UTC).isoformat(timespec="seconds")
                kept = {"at": at, "contract": signed.text, "operator": signed.signature, **told}
                write_secret(path, json.dumps(kept, indent=1).encode())
        return told

    def read(self) -> Iterator[dict[str, Any]]:
        """All that are kept, the oldest first.

        ``at``, ``sha256``, ``is_signed`` (whether it carries an operator's signature; the policy said if it counts),
        ``contract``, and ``text``: the same as it is spelt.

        Raises:
            ReceiptsDamaged: one is not what was written, or its key is lost.
            ReceiptKeyUnreadable: the key cannot be used.
        """
        paths = sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []
        if not paths:
            return
        require_key(self._root)
        key = ReceiptKey.open(self._root)
        found = [_verified(path, key, self._name) for path in paths]
        yield from sorted(found, key=lambda entry: str(entry["at"]))

    @contextmanager
    def _locked(self) -> Iterator[ReceiptKey]:
        """The key, while no other process of this client makes one, or writes."""
        try:
            with locked(self._root):
                yield own_key(self._root)
        except OSError as error:
            raise ContractUnwritable(
                f"The folder of contracts cannot be written: {error.strerror}.",
                hint="A client takes part in nothing whose contract it cannot keep: make room.",
            ) from None


def _verified(path: Path, key: ReceiptKey, name: str) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text())
        signed = SignedContract.of({TEXT: kept["contract"], SIGNATURE: kept["operator"]})
        if signed.sha256 != path.stem or not key.has_signed(signed.of_client(name), kept["signature"], CONTRACT):
            raise ValueError
        return {
            "at": kept["at"],
            "sha256": signed.sha256,
            "is_signed": bool(signed.signature),
            "contract": signed.contract.model_dump(mode="json", by_alias=True),
            "text": signed.text,
        }
    except (ContractUnreadable, ValueError, KeyError, TypeError):
        raise ReceiptsDamaged(
            f"The contract {path.name} is not what was written.", hint="Restore it; the others hold."
        ) from None
