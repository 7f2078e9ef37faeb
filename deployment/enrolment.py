"""Makes a client of a deployment known to the platform: its bucket, its node's public key, its place in the ETL."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from catalog.objects import S3ObjectStore
from core.limits import Limit
from core.settings import ClientBucket, Settings
from security.node_keys import public_pem
from server import client_list
from server.audit import actor_of
from server.audit_notes import note_client
from server.flower import Flower
from server.membership import admit


def enrol(settings: Settings, share: Path, name: str, *, limit: Limit = None) -> None:
    """Make the bucket, register the key, and list the client. Safe to run again; no other client is touched.

    A key that was registered for this client before is retired; a limit stays where nothing is said of it.

    Raises:
        CatalogError: the client's object store did not answer.
        SuperLinkUnreachable: the SuperLink did not answer.
        EnrolmentUnreadable: nothing is said of its limit, and what stands there is damaged.
        NodeKeyRefused: it will never accept the key; the platform's lists stay without the client.
    """
    bucket = ClientBucket(**json.loads((share / "bucket.json").read_text()))
    S3ObjectStore(bucket).ensure_bucket()
    flower = Flower.of(settings)
    flower.register(share / "node.pub", name)
    flower.retire(name, keep=public_pem((share / "node.pub").read_text()))
    holds = admit(settings, name, limit=limit)
    key = hashlib.sha256((share / "node.pub").read_bytes()).hexdigest()[:16]
    note_client(settings, "client_added", name, actor=actor_of(settings), node_key=key, max_examples=holds)
    client_list.put(Path(settings.required("clients_file")), bucket)
