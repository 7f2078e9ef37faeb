"""What can go wrong in the parts that an auditor reads.

SecurityError
├── Unauthenticated          no valid access token; never says why, the log does
│   └── SessionEnded         a refresh token that gives no other; never says why either
├── Forbidden                a valid token whose roles do not suffice
├── SigningKeyMissing        no key to sign access tokens with
├── SigningKeyUnreadable     a key file is damaged or open to others
├── RotationTooEarly         the next step of a key rotation would harm somebody now
├── TokenRequestInvalid      a token was asked for that may not exist (lifetime, subject, roles)
├── PasswordRejected         a password that may not be set (too short, too long)
├── ArtifactRefused          a model or checkpoint is not what was sealed; nothing of it is loaded
│   └── ArtifactNotSealed    it is not sealed at all, and this process takes nothing unsealed
├── ArtifactKeyMissing       this process lacks a key that sealing, or opening, needs
├── ArtifactKeyUnreadable    a file of such keys is damaged or open to others
├── RotationUnfinished       a rotation of such keys has begun, and is not over: no other begins
├── CertificateUnreadable    a TLS certificate or its key is damaged
├── ReceiptKeyUnreadable     the key that signs a client's receipts is damaged
├── NodeKeyUnreadable        a client's node key is damaged or of another kind
├── BundleKeyUnreadable      the key that signs contracts is missing, damaged or of another kind
├── ContractUnreadable       a run carries no contract that can be understood
├── PolicyInvalid            a client's policy cannot be read, so it allows nothing
└── PolicyRefused            a client's policy does not allow what is asked for; names the rule
"""

from __future__ import annotations

import math
from pathlib import Path

from core.errors import EX_TEMPFAIL, TejidoError


class SecurityError(TejidoError):
    """Something about keys, tokens, passwords or certificates is not as it must be."""

    code = "security.error"


class Unauthenticated(SecurityError):
    """The request bears no valid access token.

    The message is always the same: a caller learns nothing about why a token was refused. ``reason`` is for logs.
    """

    code = "security.unauthenticated"

    def __init__(self, reason: str = "") -> None:
        super().__init__("No valid access token.", hint="Get one from POST /auth/token and send it as a bearer token.")
        self.reason = reason


class SessionEnded(Unauthenticated):
    """The refresh token gives no other: unknown, expired, used before, or of a session that was revoked."""

    code = "security.session_ended"

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.message, self.hint = "The session is over.", "Log in again: POST /auth/token."


class Forbidden(SecurityError):
    """The access token is valid, and its roles do not let it do this."""

    code = "security.forbidden"


class SigningKeyMissing(SecurityError):
    """There is no key to sign access tokens with."""

    code = "security.signing_key_missing"


class SigningKeyUnreadable(SecurityError):
    """A signing key file is damaged, is no P-256 key, or may be read by other users."""

    code = "security.signing_key_unreadable"


class RotationTooEarly(SecurityError):
    """The next step of a key rotation would harm somebody now."""

    code = "security.rotation_too_early"
    exit_status = EX_TEMPFAIL

    def __init__(self, kid: str, action: str, due_in_s: float) -> None:
        why = {"activate": "caches of the JWKS may lack it", "retire": "tokens that it signed are still in use"}[action]
        super().__init__(
            f"It is too early to {action} the signing key {kid}: {why}.",
            hint=f"In {math.ceil(due_in_s)} s: `tejido keys rotate` waits for it.",
        )
        self.due_in_s = due_in_s


class TokenRequestInvalid(SecurityError):
    """An access token was asked for that the rules forbid: too long a life, no subject, unknown roles."""

    code = "security.token_request_invalid"


class PasswordRejected(SecurityError):
    """A password that may not be set."""

    code = "security.password_rejected"


class ArtifactRefused(SecurityError):
    """A model, checkpoint or manifest is not what was sealed and signed; nothing of it is loaded."""

    code = "security.artifact_refused"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint or "Somebody has changed what is stored: train again, or go back.")


class ArtifactNotSealed(ArtifactRefused):
    """A model or checkpoint is not sealed, and this process takes none that is not."""

    code = "security.artifact_not_sealed"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(
            message,
            hint=hint or "A model of an older release: `tejido model seal VERSION`. A run: start it under another id.",
        )


class ArtifactKeyMissing(SecurityError):
    """This process lacks a key that sealing a model or checkpoint, or opening it, needs."""

    code = "security.artifact_key_missing"


class ArtifactKeyUnreadable(SecurityError):
    """A file of the keys that seal models and checkpoints is damaged, or open to other users."""

    code = "security.artifact_key_unreadable"


class RotationUnfinished(SecurityError):
    """A rotation of the keys that seal models and checkpoints has begun, and is not over: no other begins."""

    code = "security.rotation_unfinished"


class CertificateUnreadable(SecurityError):
    """A TLS certificate, or the key that belongs to it, is damaged."""

    code = "security.certificate_unreadable"


class NodeKeyUnreadable(SecurityError):
    """A client's node key is damaged, or is no P-384 key in OpenSSH format."""

    code = "security.node_key_unreadable"


class ReceiptKeyUnreadable(SecurityError):
    """The key that signs a client's receipts is damaged, or is no Ed25519 key in PEM."""

    code = "security.receipt_key_unreadable"


class BundleKeyUnreadable(SecurityError):
    """The key that signs contracts is missing, damaged, or no Ed25519 key in OpenSSH format."""

    code = "security.bundle_key_unreadable"


class ContractUnreadable(SecurityError):
    """A run carries no contract, or one that cannot be understood, so a client does nothing for it."""

    code = "security.contract_unreadable"

    def __init__(self, why: str) -> None:
        super().__init__(f"The run's contract cannot be read: {why}.", hint="Start it by this release of the platform.")


class PolicyInvalid(SecurityError):
    """A client's policy cannot be read, so it allows nothing."""

    code = "security.policy_invalid"

    def __init__(self, path: Path, *, why: str) -> None:
        # Also told to the coordinator, whom the client's folders are no concern of.
        super().__init__(
            f"The policy {path.name} cannot be read, so nothing is allowed: {why}.",
            hint="`tejido client policy check FILE` says the same on the client's side.",
        )


class PolicyRefused(SecurityError):
    """A client's policy does not allow what is asked for."""

    code = "security.policy_refused"

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(f'The client\'s policy refuses, rule "{rule}": {why}.')
        self.rule = rule
