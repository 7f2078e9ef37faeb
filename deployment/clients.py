"""What the services of one client are told: its object store, its SuperNode, its ClientApps, and its gate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from core.environment import write_environment
from core.names import client_bucket_name
from core.settings import ClientBucket
from deployment import addresses
from deployment.handover import POLICY
from deployment.keys import Keys
from deployment.platform import DATA, MOUNT
from deployment.shares import Share
from security.bundles import verifying_key
from security.certificates import server_certificate
from security.node_keys import node_key
from security.policy import template

GATE = Path(__file__).with_name("gate.conf")


@dataclass(frozen=True)
class Client:
    """One client of a deployment."""

    keys: Keys
    name: str

    def write(self, root: Path, owner: int) -> None:
        """Write its shares below ``root``, one a service, and ``enrolment`` for the operator."""
        names = ("store", "node", "apps", "gate", "enrolment")
        store, node, apps, gate, enrolment = shares = [Share(root / name, owner) for name in names]
        store.write("access-key", self._access_key)
        store.write("secret-key", self._secret_key)
        key = node_key(self.keys.nodes, self.name)
        secret = self.keys.secret(f"superexec-{self.name}")
        authority = (self.keys.tls / "ca.pem").read_text()
        node.write("node.key", key.private.read_text())
        node.write("superexec", secret)
        node.write("ca.pem", authority)
        apps.write("superexec", secret)
        write_environment(apps.folder / "settings.env", self._settings())
        # From then on it is the client's own word.
        if not (apps.folder / POLICY).exists():
            apps.write(POLICY, template(self.name, signer=verifying_key(self.keys.bundle_key)))
        enrolment.write("node.pub", key.public_text)
        enrolment.write("bucket.json", json.dumps(self._bucket_of_the_platform()))
        self._gate(gate)
        for share in shares:
            share.close()

    def _gate(self, share: Share) -> None:
        folder = self.keys.folder / "gates" / self.name
        paths = server_certificate(folder, [addresses.gate(self.name)], signed_by=self.keys.tls)
        for path in (paths.certificate, paths.key, paths.authority):
            share.write(path.name, path.read_text())
        share.write("nginx.conf", GATE.read_text().replace("@STORE@", f"store-{self.name}"))

    def _settings(self) -> dict[str, object]:
        return {
            "client_name": self.name,
            "client_bucket": client_bucket_name(self.name),
            "s3_endpoint": addresses.own_store(self.name),
            "s3_access_key": self._access_key,
            "s3_secret_key": self._secret_key,
            "state_dir": DATA / "state",
            "cache_dir": DATA / "cache",
            "policy_file": MOUNT / POLICY,
        }

    def _bucket_of_the_platform(self) -> dict[str, str]:
        """The client's bucket as the operator's ETL writes to it."""
        bucket = ClientBucket(
            name=self.name,
            endpoint=addresses.store_through_gate(self.name),
            access_key=self._access_key,
            secret_key=self._secret_key,
            bucket=client_bucket_name(self.name),
        )
        return {**bucket.model_dump(), "secret_key": self._secret_key}

    def forget_keys(self) -> None:
        """Forget every secret of this client, so that new ones are made; the gate's certificate says nothing of it."""
        names = (f"store-{self.name}-access", f"store-{self.name}-secret", f"superexec-{self.name}")
        keys = [self.keys.nodes / f"{self.name}.{suffix}" for suffix in ("key", "pub")]
        for path in [*(self.keys.folder / name for name in names), *keys]:
            path.unlink(missing_ok=True)

    @property
    def _access_key(self) -> str:
        return self.keys.secret(f"store-{self.name}-access", length_bytes=15)

    @property
    def _secret_key(self) -> str:
        return self.keys.secret(f"store-{self.name}-secret")
