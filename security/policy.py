"""A client's policy: what it takes part in. Its own installed program checks it, never what a coordinator sent.

A file that is missing, damaged or expired allows nothing. Every rule but the hours and the peers must be written out:
what a client did not think of shall not be allowed by a default that it never saw.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from security.bundles import checked_signer
from security.contracts import SignedContract, Terms
from security.errors import PolicyInvalid, PolicyRefused

MAX_BYTES = 65_536
SPAN = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)")
TEMPLATE = """\
# What {name} takes part in. Nobody but {name} writes this file; its own programs check it before anything is trained,
# and again before anything leaves. `tejido client policy check FILE` says whether it can be read.
version = 1
# Nothing is allowed from this day on.
expires = {expires}
# Ed25519 keys; a bundle of programs that no contract names that one of them signed is never loaded.
signers = ["{signer}"]
# SHA-256 of further bundles that may be loaded under a contract without a signature.
bundles = []
# What may be trained and leave: "heads", "lora", "full".
trainable = ["heads", "lora", "full"]
# Who may see an update: in a "robust" run the coordinator, in a "confidential" one nobody, as it is masked.
modes = ["robust", "confidential"]
# 0: runs without noise are accepted, too.
min_noise_multiplier = 0.0
max_rounds = 1000
max_update_bytes = 1_000_000_000
# Keys of the clients that it masks with in confidential rounds, as `tejido client key` shows them there; left out:
# whoever the coordinator names, who could then be nobody but the coordinator.
# peers = ["…"]
# When it trains; left out: at any time. One that ends before it begins runs over midnight.
# hours = ["20:00-06:00"]
# timezone = "Europe/Madrid"
"""


def _checked_span(text: str) -> str:
    found = SPAN.fullmatch(text)
    if not found or len({time.fromisoformat(moment) for moment in found.groups()}) < 2:
        raise ValueError("not as in 20:00-06:00")
    return text


def _checked_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError("no time zone of that name") from None
    return name


Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Whole = Annotated[int, Field(strict=True, ge=1)]


class Policy(BaseModel):
    """What a client allows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    expires: date
    """In UTC; the first day on which nothing is allowed."""
    signers: tuple[Annotated[str, AfterValidator(checked_signer)], ...]
    """Ed25519 keys as OpenSSH writes them."""
    bundles: tuple[Hex64, ...]
    trainable: tuple[Literal["heads", "lora", "full"], ...]
    modes: tuple[Literal["robust", "confidential"], ...]
    min_noise_multiplier: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
    max_rounds: Whole
    """Of one run."""
    max_update_bytes: Whole
    """Of everything in one reply together."""
    peers: tuple[Hex64, ...] | None = None
    """Public keys (64 hex digits) of the clients with which it masks in confidential rounds, without its own; None:
    whoever the coordinator names."""
    hours: tuple[Annotated[str, AfterValidator(_checked_span)], ...] = ()
    timezone: Annotated[str, AfterValidator(_checked_zone)] = "UTC"

    @model_validator(mode="after")
    def _names_a_bundle(self) -> Self:
        if not self.signers and not self.bundles:
            raise ValueError("neither signers nor bundles: no program could be loaded")
        return self


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a coordinator asks for in one message."""

    bundle: str
    """SHA-256 of the programs that would run, as computed from their bytes."""
    contract: SignedContract
    """Of the run."""
    values: Mapping[str, object] = field(default_factory=dict)
    """Settings in the message."""
    is_training: bool = True
    """Whether an update is asked for: then none of the settings that the contract names may be left out."""
    is_publishing: bool = False


def template(name: str, *, signer: str, today: date | None = None) -> str:
    """A policy to begin with: everything that this operator signed, for a year."""
    today = today or datetime.now(UTC).date()
    expires = today.replace(year=today.year + 1, day=min(today.day, 28))
    return TEMPLATE.format(name=name, signer=signer, expires=expires.isoformat())


def read_policy(path: Path) -> Policy:
    """Read a policy: JSON where the file is called so, else TOML.

    Raises:
        PolicyInvalid: it cannot be read or understood to the last word; nothing is allowed then.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
        told: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return Policy.model_validate(told)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors())
        raise PolicyInvalid(path, why=wrong) from None
    except OSError as error:
        # Its text names the folder, which is told to nobody.
        raise PolicyInvalid(path, why=error.strerror or type(error).__name__) from None
    except (ValueError, RecursionError) as error:
        raise PolicyInvalid(path, why=str(error)) from None


def check(policy: Policy, asked: Asked, *, now: datetime | None = None) -> None:
    """Insist that the policy allows the run's contract, and the contract what is asked for.

    Raises:
        PolicyRefused: names the first rule that does not.
    """
    now = now or datetime.now(UTC)
    if now.astimezone(UTC).date() >= policy.expires:
        raise PolicyRefused("expires", f"it expired on {policy.expires.isoformat()}")
    if not _is_within(policy, now):
        raise PolicyRefused("hours", f"it is {now.astimezone(ZoneInfo(policy.timezone)):%H:%M} in {policy.timezone}")
    _check_bundle(policy, asked)
    if asked.contract.is_over(now):
        raise PolicyRefused("contract", f"it ended at {asked.contract.contract.until.isoformat()}")
    terms = asked.contract.contract.terms
    if terms is not None:
        _check_terms(policy, terms)
    _check_message(asked, terms)


def check_size(policy: Policy, contract: SignedContract, sent_bytes: int) -> None:
    """Insist that as much may leave.

    Raises:
        PolicyRefused: it is more than the policy's ``max_update_bytes``, or than the contract says.
    """
    if sent_bytes > policy.max_update_bytes:
        raise PolicyRefused("max_update_bytes", f"{sent_bytes:,} bytes would leave")
    if sent_bytes > (signed := contract.contract.update_bytes):
        raise PolicyRefused("contract", f"{sent_bytes:,} bytes would leave, it says {signed:,}")


def _check_bundle(policy: Policy, asked: Asked) -> None:
    names_it = asked.contract.contract.bundle == asked.bundle
    if asked.bundle not in policy.bundles and not (names_it and asked.contract.is_signed_by(policy.signers)):
        if not names_it:
            why = "the run's contract names another"
        else:
            signed = asked.contract.signature
            why = "the contract's signature is by nobody who is trusted" if signed else "the contract is not signed"
        raise PolicyRefused("bundle", f"{asked.bundle[:12]}… is not listed, and {why}")
    if not names_it:
        raise PolicyRefused("contract", f"it is about the bundle {asked.contract.contract.bundle[:12]}…")


def _check_terms(policy: Policy, terms: Terms) -> None:
    if terms.trainable not in policy.trainable:
        raise PolicyRefused("trainable", f"{terms.trainable!r} would be trained")
    if terms.mode not in policy.modes:
        raise PolicyRefused("modes", f"the run is {terms.mode!r}")
    if terms.rounds > policy.max_rounds:
        raise PolicyRefused("max_rounds", f"the run has {terms.rounds}")
    if terms.noise < policy.min_noise_multiplier:
        raise PolicyRefused("min_noise_multiplier", f"the run's is {terms.noise:g}")


def _check_message(asked: Asked, terms: Terms | None) -> None:
    """Hold a message against the contract of its run."""
    values = asked.values
    if asked.is_publishing != (terms is None):
        raise PolicyRefused("contract", f"the run is about {'what is published' if terms is None else 'training'}")
    if terms is None:
        return
    signed: dict[str, object] = {**terms.named(), "run": asked.contract.contract.run}
    for name, agreed in signed.items():
        if name not in values and not asked.is_training:
            continue
        told = values.get(name)
        # As equal as can be: True is 1 otherwise, and 3.0 is 3.
        if type(told) is not type(agreed) or told != agreed:
            raise PolicyRefused("contract", f"{name} is {_short(told)}, it says {agreed!r}")
    number = values.get("round")
    if asked.is_training and (type(number) is not int or not 1 <= number <= terms.rounds):
        raise PolicyRefused("contract", f"it is asked for round {_short(number)} of {terms.rounds}")


def _is_within(policy: Policy, now: datetime) -> bool:
    moment = now.astimezone(ZoneInfo(policy.timezone)).time()
    return not policy.hours or any(_covers(span, moment) for span in policy.hours)


def _covers(span: str, moment: time) -> bool:
    begins, ends = (time.fromisoformat(text) for text in span.split("-"))
    return begins <= moment < ends if begins < ends else moment >= begins or moment < ends


def _short(value: object) -> str:
    return repr(value)[:60]
