"""A run's contract on the coordinator's side: drawn up when the run is started, kept with every client's signature.

    <run>/contracts/<sha256>.json   the contract as it is spelt, the operator's signature, and by client its key and
                                    signature; another one for each time that the run was started
    waves/<wave>/contracts/…        the same of a wave, whose own folder goes when it ends

A client's signature comes with its replies, over the connection that its node's key proves: that is what ties the key
that signed to the client.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from catalog.objects import ObjectStore
from federation.config import FederationConfig, RunConfig
from security.bundles import sign
from security.contracts import SIGNATURE, TEXT, Contract, SignedContract, Terms
from security.receipt_keys import CONTRACT, verifies
from server.wave_folder import PREFIX

FOLDER = "contracts"
WAVE = "Embed what each client publishes for the model that searches, on its own machine."
UNTIL_STEP_S = 60.0

Draft = Callable[[str, str], Contract]
"""From the bundle's SHA-256 and the commit of its sources to the contract."""


def training_contract(run: str, config: FederationConfig, *, limit_s: float) -> Draft:
    """Of a federated run that takes ``limit_s`` at most."""
    told = config.to_run_config()
    terms = Terms.model_validate({field.alias: told[str(field.alias)] for field in Terms.model_fields.values()})
    return _draft(run, config.purpose, terms, config.update_bytes, limit_s)


def publishing_contract(run: str, *, limit_s: float) -> Draft:
    """Of a wave, in which nothing is trained; what a reply may hold is said in the client's own bucket."""
    return _draft(run, WAVE, None, FederationConfig.update_bytes, limit_s)


def signed_settings(contract: Contract, key: Path | None) -> RunConfig:
    """What a run carries: the contract, and its signature by the operator's key file (None: unsigned)."""
    text = contract.text()
    return {TEXT: text, SIGNATURE: sign(key, text) if key else ""}


@dataclass
class RunContract:
    """The contract under which a coordinator works, and who has signed it."""

    signed: SignedContract
    store: ObjectStore
    run: str
    """The name of the run, or of the wave."""
    signatures: dict[str, dict[str, str]] = field(default_factory=dict)
    """Client → its ``key`` and ``signature``, both in hex."""

    @classmethod
    def of(cls, run_config: Mapping[str, Any], store: ObjectStore, run: str) -> RunContract | None:
        """The one that a run carries; None in a simulation, whose clients are nobody else's."""
        return cls(SignedContract.of(run_config), store, run) if run_config.get(TEXT) else None

    def hear(self, client: str, told: Mapping[str, object]) -> str:
        """Keep a client's signature; returns why it is none, or ""."""
        key, signature = str(told.get("key", "")), str(told.get("signature", ""))
        if not verifies(key, self.signed.of_client(client), signature, CONTRACT):
            return "it has not signed the run's contract"
        known = {"key": key, "signature": signature}
        if self.signatures.get(client) != known:
            self.signatures[client] = known
            self.store.put(f"{_folder(self.run)}{self.signed.sha256}.json", json.dumps(self.as_dict()).encode())
        return ""

    def as_dict(self) -> dict[str, Any]:
        """As it is kept, and logged to MLflow."""
        return {
            "sha256": self.signed.sha256,
            "text": self.signed.text,
            "operator": self.signed.signature,
            "clients": dict(sorted(self.signatures.items())),
        }


def kept_contracts(store: ObjectStore, run: str) -> list[dict[str, Any]]:
    """All contracts of a run or a wave, the one that ends last last.

    ``sha256``, ``contract``, ``is_signed`` by the operator, and ``clients``: name → whether its signature holds.
    """
    found = []
    for name in list(store.list(_folder(run))):
        kept = json.loads(store.get(name))
        signed = SignedContract.of({TEXT: kept["text"], SIGNATURE: kept["operator"]})
        holds = {
            client: verifies(told["key"], signed.of_client(client), told["signature"], CONTRACT)
            for client, told in kept["clients"].items()
        }
        found.append(
            {
                "sha256": signed.sha256,
                "is_signed": bool(signed.signature),
                "clients": holds,
                "contract": signed.contract.model_dump(mode="json", by_alias=True),
            }
        )
    return sorted(found, key=lambda entry: str(entry["contract"]["until"]))


def _folder(run: str) -> str:
    return f"waves/{run}/{FOLDER}/" if run.startswith(PREFIX) else f"{run}/{FOLDER}/"


def _draft(run: str, purpose: str, terms: Terms | None, update_bytes: int, limit_s: float) -> Draft:
    # Whole minutes: for people.
    until = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(seconds=limit_s + UNTIL_STEP_S)

    def draft(bundle: str, commit: str) -> Contract:
        return Contract(
            run=run, purpose=purpose, bundle=bundle, commit=commit, terms=terms, update_bytes=update_bytes, until=until
        )

    return draft
