"""What can go wrong in the parts that an auditor reads.

SecurityError
├── Unauthenticated          no valid access token; never says why, the log does
├── Forbidden                a valid token whose roles do not suffice
├── SigningKeyMissing        no key to sign access tokens with
├── SigningKeyUnreadable     a key file is damaged or open to others
├── TokenRequestInvalid      a token was asked for that may not exist (lifetime, subject, roles)
├── PasswordRejected         a password that may not be set (too short, too long)
├── CertificateUnreadable    a TLS certificate or its key is damaged
└── NodeKeyUnreadable        a client's node key is damaged or of another kind
"""

from __future__ import annotations

from core.errors import TejidoError


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


class Forbidden(SecurityError):
    """The access token is valid, and its roles do not let it do this."""

    code = "security.forbidden"


class SigningKeyMissing(SecurityError):
    """There is no key to sign access tokens with."""

    code = "security.signing_key_missing"


class SigningKeyUnreadable(SecurityError):
    """A signing key file is damaged, is no P-256 key, or may be read by other users."""

    code = "security.signing_key_unreadable"


class TokenRequestInvalid(SecurityError):
    """An access token was asked for that the rules forbid: too long a life, no subject, unknown roles."""

    code = "security.token_request_invalid"


class PasswordRejected(SecurityError):
    """A password that may not be set."""

    code = "security.password_rejected"


class CertificateUnreadable(SecurityError):
    """A TLS certificate, or the key that belongs to it, is damaged."""

    code = "security.certificate_unreadable"


class NodeKeyUnreadable(SecurityError):
    """A client's node key is damaged, or is no P-384 key in OpenSSH format."""

    code = "security.node_key_unreadable"
