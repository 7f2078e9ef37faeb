"""What has left this client's machine: one signed line a reply, written before the reply leaves.

The file is append-only, each line holds the SHA-256 of the one before, and all of it stays with the client: the
coordinator gets none of it. A reply that cannot be noted is not sent. Virtual clients of a simulation have no machine
of their own, so nothing leaves one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from clients.errors import ReceiptsDamaged, ReceiptUnwritable
from clients.own_key import LOG, own_key, require_key
from core.files import SECRET_MODE
from core.settings import Settings
from security.receipt_keys import ReceiptKey
from security.signing_keys import locked

NOTHING_BEFORE = "0" * 64
FOLDER = "receipts"
TAIL = 1 << 16


class Receipts:
    """The receipts of one client.

    Args:
        folder: made at the first receipt; the key that signs lies in it, too.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / LOG

    def append(self, receipt: Mapping[str, Any]) -> None:
        """Note one; on the disk when this returns.

        Raises:
            ReceiptUnwritable: it cannot be written.
            ReceiptsDamaged: what was written before cannot be read, or has lost its key.
            ReceiptKeyUnreadable: the key cannot be used.
        """
        try:
            with locked(self._folder), _opened(self._path) as file:
                key, last = own_key(self._folder), _last_line(file)
                number, previous = (_number(last) + 1, _sha256(last)) if last else (1, NOTHING_BEFORE)
                signed = {"number": number, "previous": previous, "key": key.key_id, "receipt": dict(receipt)}
                file.write(_canonical({**signed, "signature": key.sign(_canonical(signed))}) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ReceiptUnwritable(
                f"The receipt cannot be written to {self._path}: {error.strerror}.",
                hint="Nothing leaves this machine that is not noted: make room, or set TEJIDO_RECEIPTS_DIR.",
            ) from None

    def read(self) -> Iterator[dict[str, Any]]:
        """All of them, the oldest first, each with its number; every signature and the whole chain is verified.

        Raises:
            ReceiptsDamaged: a line was changed, removed or moved, or the key is lost. Lines that were cut off at the
                end leave no trace.
            ReceiptKeyUnreadable: the key cannot be used.
        """
        if not self._path.exists():
            return
        require_key(self._folder)
        key, previous = ReceiptKey.open(self._folder), NOTHING_BEFORE
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield _verified(line, number, previous, key, self._path)
                previous = _sha256(line)


def receipts_of(settings: Settings) -> Receipts:
    """Those of the client whose settings these are."""
    return Receipts(receipts_folder(settings))


def signing_key(settings: Settings) -> ReceiptKey:
    """The key of the client whose settings these are, made the first time.

    Raises:
        ReceiptUnwritable: it cannot be made.
        ReceiptsDamaged: it is lost, and what it has signed is there.
        ReceiptKeyUnreadable: it cannot be used.
    """
    folder = receipts_folder(settings)
    try:
        with locked(folder):
            return own_key(folder)
    except OSError as error:
        raise ReceiptUnwritable(
            f"The key in {folder} cannot be made or read: {error.strerror}.", hint="Set TEJIDO_RECEIPTS_DIR."
        ) from None


def receipts_folder(settings: Settings) -> Path:
    """Where a client keeps them: where it was told, or in its state folder.

    An older release kept them in the cache folder. Those that lie there are gone on with there, until they are moved:
    nobody has two chains, and nothing that was promised is forgotten.
    """
    name = settings.required("client_name")
    if settings.receipts_dir is not None:
        return settings.receipts_dir / name
    kept, cached = settings.state_dir / FOLDER / name, settings.features_dir / FOLDER / name
    # Who names a cache folder alone has a state folder wherever the process was started.
    names_cache_alone = settings.cache_dir is not None and "state_dir" not in settings.model_fields_set
    return cached if names_cache_alone or (cached.exists() and not kept.exists()) else kept


def note_what_leaves(
    settings: Settings,
    asked: Mapping[str, Any],
    arrays: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, Mapping[str, Any]],
    configs: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write the receipt of a reply with tensors in it; its SHA-256 is of everything in the reply.

    Args:
        settings: of this process.
        asked: the coordinator's question.
        arrays: what the reply holds: record → name → array as it is sent.
        metrics: the same of numbers.
        configs: the same of what else is told: which round the update is about, or the products of a page.

    Raises:
        ReceiptUnwritable, ReceiptsDamaged, ReceiptKeyUnreadable: it cannot be; then nothing must leave.
        FederationConfigError: the question is about a mode that is none; nor then.
    """
    # Not above: what stands between a message and the bundle imports this module, and must leave that to the bundle.
    from federation.config import FederationConfig

    if settings.client_name is None or not arrays:
        return
    tensors: list[dict[str, Any]] = []
    digest = hashlib.sha256()
    for record, named in sorted(arrays.items()):
        for name, array in named.items():
            shape = [int(size) for size in array.shape]
            tensors.append({"name": name, "dtype": array.dtype, "shape": shape, "bytes": len(array.data)})
            digest.update(_canonical([record, tensors[-1]]))
            digest.update(array.data)
    for kind, records in (("metrics", metrics), ("configs", configs)):
        for record, values in sorted(records.items()):
            digest.update(_canonical([kind, record, dict(values)]))
    about = ("mode", "privacy", "clip-norm")
    config = FederationConfig.from_run_config({name: asked[name] for name in about if name in asked})
    receipts_of(settings).append(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "client": settings.client_name,
            "what": "update" if "round" in asked else "page",
            **{name: asked.get(name) for name in ("run", "round", "attempt", "page", "encoding")},
            "mode": config.mode,
            "privacy": config.privacy,
            "clip_norm": config.clip_norm if config.counts_alike else None,
            "told": {name: value for record in metrics.values() for name, value in record.items()},
            "bytes": sum(tensor["bytes"] for tensor in tensors),
            "sha256": digest.hexdigest(),
            "records": sorted([*arrays, *metrics, *configs]),
            "tensors": tensors,
        }
    )


def _opened(path: Path) -> BinaryIO:
    # Appending, whatever else has happened: no write can fall on an earlier line.
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, SECRET_MODE)
    return os.fdopen(descriptor, "a+b")


def _last_line(file: BinaryIO) -> bytes:
    """The last whole line; what a crash left after it never came to be sent, and goes."""
    end = file.seek(0, os.SEEK_END)
    size = 0
    while size < end:
        size = min(end, size + TAIL)
        file.seek(end - size)
        whole, newline, torn = file.read(size).rpartition(b"\n")
        start = whole.rfind(b"\n")
        if newline and (start >= 0 or size == end):
            if torn:
                file.truncate(end - len(torn))
            return whole[start + 1 :] + newline
    if end:
        file.truncate(0)
    return b""


def _number(line: bytes) -> int:
    try:
        return int(json.loads(line)["number"])
    except (ValueError, KeyError, TypeError):
        raise ReceiptsDamaged("The last receipt cannot be read.", hint="`tejido client receipts` looks.") from None


def _verified(line: bytes, number: int, previous: str, key: ReceiptKey, path: Path) -> dict[str, Any]:
    damaged = ReceiptsDamaged(
        f"Receipt {number} in {path} is not what was written.", hint="Restore the file; those before it hold."
    )
    try:
        found = json.loads(line)
        signed = {name: found[name] for name in ("number", "previous", "key", "receipt")}
        # Another spelling of the same values is a change, too.
        holds = line == _canonical({**signed, "signature": found["signature"]}) + b"\n"
        place = (found["number"], found["previous"])
        holds = holds and place == (number, previous) and key.has_signed(_canonical(signed), found["signature"])
    except (ValueError, KeyError, TypeError):
        raise damaged from None
    if not holds:
        raise damaged
    return {"number": number, **found["receipt"]}


def _sha256(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _canonical(value: object) -> bytes:
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=True, default=_bytes_in_hex
    )
    return text.encode()


def _bytes_in_hex(value: object) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} cannot be noted")
    return {"bytes": value.hex()}
