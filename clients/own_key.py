"""The key by which a client signs receipts, contracts and round keys: made once, and never in place of a lost one.

Who signed with another key would leave receipts and contracts that nobody could verify together.
"""

from __future__ import annotations

from pathlib import Path

from clients.errors import ReceiptsDamaged
from security.receipt_keys import FILE, ReceiptKey

LOG, CONTRACTS = "receipts.jsonl", "contracts"
"""What lies beside the key, and is signed by it."""


def own_key(folder: Path) -> ReceiptKey:
    """The key in ``folder``, made the first time; whoever calls it holds the folder's lock.

    Raises:
        ReceiptsDamaged: it is lost, and what it has signed is there.
        ReceiptKeyUnreadable: it cannot be used.
    """
    if _has_signed(folder):
        require_key(folder)
    return ReceiptKey.open(folder)


def require_key(folder: Path) -> None:
    """Raise ReceiptsDamaged where there is no key, and none is to be made."""
    if not (folder / FILE).exists():
        raise ReceiptsDamaged(
            f"The receipts and contracts of {folder.name} have lost their key, {FILE}.",
            hint="Restore it from a backup, or move them elsewhere: new ones begin with a new key.",
        )


def _has_signed(folder: Path) -> bool:
    log = folder / LOG
    if log.exists():
        with log.open("rb") as file:
            # What a crash has left of the first receipt came to nothing.
            if file.readline().endswith(b"\n"):
                return True
    return any((folder / CONTRACTS).glob("*.json"))
