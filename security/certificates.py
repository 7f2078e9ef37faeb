"""A private certificate authority and the TLS certificate of the coordinator that it signs.

The authority's certificate is what clients are given; its key stays in the coordinator's folder (0600). A server
certificate lives a year and is replaced when fewer than 30 days are left or its hosts change; the authority stays, so
that clients need not be told anything new.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.files import write_atomically, write_secret
from security.errors import CertificateUnreadable

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
# Clocks of clients may be behind.
BACKDATED = timedelta(hours=1)


@dataclass(frozen=True)
class ServerCertificate:
    """Where the three PEM files are."""

    authority: Path
    certificate: Path
    key: Path


def server_certificate(
    folder: Path, hosts: Sequence[str], *, signed_by: Path | None = None, now: datetime | None = None
) -> ServerCertificate:
    """A certificate for ``hosts`` (names or addresses), made or renewed if need be.

    Args:
        folder: where the certificate is kept, and the authority unless ``signed_by`` names another folder.
        hosts: every name and address that clients reach the server by.
        signed_by: folder of an authority that exists or is made.
        now: the present, for tests.

    Raises:
        CertificateUnreadable: a file in ``folder`` is damaged.
    """
    now = now or datetime.now(UTC)
    home = signed_by or folder
    paths = ServerCertificate(home / "ca.pem", folder / "server.pem", folder / "server.key")
    authority, authority_key = _authority(paths.authority, home / "ca.key", now)
    if not _is_current(paths, authority, hosts, now):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign_server(key.public_key(), hosts, authority, authority_key, now)
        write_secret(paths.key, _key_pem(key))
        write_atomically(paths.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    return paths


def _authority(path: Path, key_path: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if path.exists() and key_path.exists():
        return _load_certificate(path), _load_key(key_path)
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tejido federation authority")])
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )
    write_secret(key_path, _key_pem(key))
    write_atomically(path, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _sign_server(
    public: ec.EllipticCurvePublicKey,
    hosts: Sequence[str],
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    return (
        _builder(name, authority.subject, public, now, SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA384())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
    )


def _is_current(paths: ServerCertificate, authority: x509.Certificate, hosts: Sequence[str], now: datetime) -> bool:
    if not (paths.certificate.exists() and paths.key.exists()):
        return False
    certificate, key = _load_certificate(paths.certificate), _load_key(paths.key)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        certificate.issuer == authority.subject
        and certificate.public_key() == key.public_key()
        and certificate.not_valid_after_utc - now > RENEW_BEFORE
        and list(names) == [_general_name(host) for host in hosts]
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise _unreadable(path) from error


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise _unreadable(path) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _unreadable(path)
    return key


def _unreadable(path: Path) -> CertificateUnreadable:
    return CertificateUnreadable(
        f"{path} is no certificate or key that can be read.",
        hint=f"Restore it, or delete {path.parent} to make new ones; clients then need the new ca.pem.",
    )
