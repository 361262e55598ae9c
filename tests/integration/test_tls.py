"""Authorities of connections that the gateway opens: one file or the system's, never what the environment names."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import SettingsInvalid
from app.tls import made, unverified
from tests.integration.connectors.test_database_tls import certificate


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A TLS server and the authority of its certificate."""
    trusted, key = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    with context.wrap_socket(listening.accept()[0], server_side=True) as session:
                        session.sendall(b"x")
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], trusted
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def said(port: int, context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), 10) as dialled,
        context.wrap_socket(dialled, server_hostname="localhost") as session,
    ):
        return session.recv(1)


def test_the_file_that_is_given_is_trusted(server: tuple[int, Path]) -> None:
    port, trusted = server
    assert said(port, made(ssl.SSLContext, trusted)) == b"x"
    assert said(port, unverified()) == b"x"


def test_what_the_environment_names_is_not(server: tuple[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    port, trusted = server
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setenv("SSL_CERT_DIR", str(trusted.parent))
    with pytest.raises(ssl.SSLCertVerificationError):
        said(port, made(ssl.SSLContext))


def test_the_systems_authorities_are_known() -> None:
    paths = ssl.get_default_verify_paths()
    stands = Path(paths.openssl_cafile).is_file() or Path(paths.openssl_capath).is_dir()
    assert stands
    assert made(ssl.SSLContext).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("content", [None, "", "not a certificate\n"])
def test_a_file_without_certificates_stops_the_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content, "ascii")
    with pytest.raises(SettingsInvalid, match=r"SIMPUL_CA_FILE .*give a file of certificates in PEM"):
        made(ssl.SSLContext, path)
