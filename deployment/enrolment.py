"""Makes a client of a deployment known to the platform: its bucket, its node's public key, its place in the ETL."""

from __future__ import annotations

import fcntl
import hashlib
import json
from pathlib import Path

from catalog.objects import S3ObjectStore
from core.files import write_atomically
from core.settings import ClientBucket, Settings
from security.node_keys import public_pem
from server.audit import actor_of
from server.audit_notes import note_client
from server.flower import Flower
from server.membership import admit

GROUP_MAY_READ = 0o640


def enrol(settings: Settings, share: Path, name: str, *, max_examples: int | None = None) -> None:
    """Make the bucket, register the key, and list the client. Safe to run again; no other client is touched.

    A key that was registered for this client before is retired.

    Raises:
        CatalogError: the client's object store did not answer.
        SuperLinkUnreachable: the SuperLink did not answer.
    """
    bucket = ClientBucket(**json.loads((share / "bucket.json").read_text()))
    S3ObjectStore(bucket).ensure_bucket()
    flower = Flower.of(settings)
    flower.register(share / "node.pub", name)
    flower.retire(name, keep=public_pem((share / "node.pub").read_text()))
    admit(settings, name, max_examples=max_examples)
    key = hashlib.sha256((share / "node.pub").read_bytes()).hexdigest()[:16]
    note_client(settings, "client_added", name, actor=actor_of(settings), node_key=key, max_examples=max_examples)
    add_to_list(Path(settings.required("clients_file")), bucket)


def add_to_list(path: Path, bucket: ClientBucket) -> None:
    """Put a client into the file that the operator's ETL reads, in the order of names."""
    with (path.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        entries = json.loads(path.read_text()) if path.exists() else []
        others = [entry for entry in entries if entry["name"] != bucket.name]
        mine = {**bucket.model_dump(), "secret_key": bucket.secret_key.get_secret_value()}
        text = json.dumps(sorted([*others, mine], key=lambda entry: str(entry["name"])), indent=2)
        # The worker runs as Airflow's user, in the same group.
        write_atomically(path, text.encode(), mode=GROUP_MAY_READ)
