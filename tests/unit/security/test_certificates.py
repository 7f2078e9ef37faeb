"""The coordinator's certificate: one authority for good, server certificates that are renewed in time."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from security.certificates import ServerCertificate, server_certificate
from security.errors import CertificateUnreadable

HOSTS = ["localhost", "127.0.0.1"]


def greet_over_tls(served: ServerCertificate, *, trusted: Path, host: str) -> bytes:
    """Connect to a server that shows ``served``, trusting ``trusted`` alone."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(served.certificate, served.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                with server.wrap_socket(connection, server_side=True) as secured:
                    secured.sendall(b"hello")
            except (ssl.SSLError, ConnectionError):
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            client = ssl.create_default_context(cafile=str(trusted))
            with (
                socket.create_connection(listener.getsockname(), timeout=5) as raw,
                client.wrap_socket(raw, server_hostname=host) as secured,
            ):
                return secured.recv(16)
        finally:
            thread.join()


@pytest.mark.parametrize("host", HOSTS)
def test_a_client_that_trusts_the_authority_connects_by_name_and_by_address(tmp_path: Path, host: str) -> None:
    certificate = server_certificate(tmp_path, HOSTS)
    assert greet_over_tls(certificate, trusted=certificate.authority, host=host) == b"hello"


def test_a_client_refuses_the_certificate_of_another_authority(tmp_path: Path) -> None:
    ours, theirs = server_certificate(tmp_path / "ours", HOSTS), server_certificate(tmp_path / "theirs", HOSTS)
    with pytest.raises(ssl.SSLCertVerificationError):
        greet_over_tls(theirs, trusted=ours.authority, host="localhost")


def test_a_client_refuses_a_host_that_the_certificate_does_not_name(tmp_path: Path) -> None:
    certificate = server_certificate(tmp_path, HOSTS)
    with pytest.raises(ssl.SSLCertVerificationError):
        greet_over_tls(certificate, trusted=certificate.authority, host="example.org")


def test_the_same_certificate_is_used_again(tmp_path: Path) -> None:
    first = server_certificate(tmp_path, HOSTS).certificate.read_bytes()
    assert server_certificate(tmp_path, HOSTS).certificate.read_bytes() == first


def test_an_old_certificate_is_renewed_under_the_same_authority(tmp_path: Path) -> None:
    old = datetime.now(UTC) - timedelta(days=350)
    first = server_certificate(tmp_path, HOSTS, now=old)
    authority, certificate = first.authority.read_bytes(), first.certificate.read_bytes()
    second = server_certificate(tmp_path, HOSTS)
    assert second.authority.read_bytes() == authority
    assert second.certificate.read_bytes() != certificate
    assert greet_over_tls(second, trusted=second.authority, host="localhost") == b"hello"


def test_other_hosts_get_a_new_certificate(tmp_path: Path) -> None:
    server_certificate(tmp_path, HOSTS)
    wider = server_certificate(tmp_path, [*HOSTS, "coordinator.example"])
    assert greet_over_tls(wider, trusted=wider.authority, host="coordinator.example") == b"hello"


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    server_certificate(tmp_path, HOSTS)
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_damaged_certificate_is_named(tmp_path: Path) -> None:
    server_certificate(tmp_path, HOSTS)
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(CertificateUnreadable, match=r"ca\.pem"):
        server_certificate(tmp_path, HOSTS)
