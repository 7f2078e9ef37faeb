"""A run's contract: the programs, what for, what is trained, how it is protected, how much leaves, until when.

The operator signs it (Ed25519, by the key that clients' policies name) for each start of a run, and it travels with the
run. A client holds it against its policy, and every message of the run against it; what takes part has signed it, too,
and both sides keep it with both signatures. As it names the bundle of programs by its hash, nothing else is signed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from core.terms import Mode, Privacy, Trainable
from security.bundles import is_signed
from security.errors import ContractUnreadable

MAX_TEXT = 8192
"""Characters of a contract."""
TEXT, SIGNATURE = "contract", "contract-signature"
"""Settings of a run."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class Terms(BaseModel):
    """What a training run may do; each stands under the same name, with dashes, in every message of the run."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=lambda name: name.replace("_", "-"), populate_by_name=True
    )

    trainable: Trainable
    mode: Mode
    rounds: Annotated[int, Field(strict=True, ge=1)]
    privacy: Privacy
    clip_norm: Positive
    noise_multiplier: Positive
    delta: Positive
    epsilon_budget: Positive
    """All four count where ``privacy`` is not ``none``; the clip norm also where the mode is ``confidential``."""

    @property
    def noise(self) -> float:
        """Standard deviation of the noise that is promised, in clip norms; 0 where none is."""
        return self.noise_multiplier if self.privacy == "client-level" else 0.0

    def named(self) -> dict[str, str | int | float]:
        """By the names that they have in messages."""
        return self.model_dump(by_alias=True)


class Contract(BaseModel):
    """What one start of a run is about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    run: Annotated[str, Field(min_length=1, max_length=200)]
    """Its key."""
    purpose: Annotated[str, Field(min_length=1, max_length=500)]
    """For people."""
    bundle: Sha256
    """Of the programs that clients are sent."""
    commit: Annotated[str, Field(max_length=100)]
    """Of their sources; "" where they are in no repository."""
    terms: Terms | None
    """Of the training; None: nothing is trained, clients are asked for what they publish."""
    update_bytes: Annotated[int, Field(strict=True, ge=1)]
    """At most so much is in one reply of a round."""
    until: AwareDatetime
    """Nothing is done for the run from then on."""

    def text(self) -> str:
        """As it is signed."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class SignedContract:
    """A contract, as it is spelt, and the operator's signature."""

    text: str
    signature: str
    """"" where the operator has no key."""
    contract: Contract

    @classmethod
    def of(cls, run_config: Mapping[str, Any]) -> Self:
        """The one that a run carries.

        Raises:
            ContractUnreadable: there is none, or it is not to be understood to the last word.
        """
        text, signature = run_config.get(TEXT), run_config.get(SIGNATURE)
        if not isinstance(text, str) or not isinstance(signature, str) or not text:
            raise ContractUnreadable("the run carries none")
        if len(text) > MAX_TEXT:
            raise ContractUnreadable(f"it has more than {MAX_TEXT:,} characters")
        try:
            return cls(text, signature, Contract.model_validate_json(text))
        except ValidationError as error:
            wrong = (f"{'.'.join(map(str, told['loc'])) or 'it'}: {told['msg']}" for told in error.errors())
            raise ContractUnreadable("; ".join(wrong)[:300]) from None

    def of_client(self, name: str) -> bytes:
        """What a client signs: the contract with its own name, so that no other can send its signature as its own."""
        return json.dumps([name, self.text]).encode()

    @property
    def sha256(self) -> str:
        """Names it."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def is_signed_by(self, signers: Iterable[str]) -> bool:
        """Whether one of them (OpenSSH lines) signed it."""
        return is_signed(self.text, self.signature, signers)

    def is_over(self, now: datetime | None = None) -> bool:
        """Whether nothing may be done for the run any more."""
        return (now or datetime.now(UTC)) >= self.contract.until
