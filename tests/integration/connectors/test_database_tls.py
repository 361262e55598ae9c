"""TLS to databases: the certificate must be of the name in the manifest, though a literal address is dialled."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.connectors.requests import ScanRequest
from app.connectors.sql.postgres import PostgresConnector
from app.connectors.sql.source import SqlSource
from app.connectors.suite import environment, held, opened, read
from app.errors import SourceTlsFailed
from app.tls import authorities
from tests.fixtures.postgres import Cluster


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for one name that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


async def reload(cluster: Cluster, ssl: str) -> None:
    """The server reads its settings again when it comes to it: only a new session tells that it has."""
    session = await asyncpg.connect(cluster.url())
    await session.execute("SELECT pg_reload_conf()")
    await session.close()
    async with asyncio.timeout(20):
        while True:
            session = await asyncpg.connect(cluster.url())
            found = await session.fetchval("SHOW ssl")
            await session.close()
            if found == ssl:
                return
            await asyncio.sleep(0.01)


@pytest.fixture
async def cluster(postgres_cluster: Cluster, tmp_path: Path) -> AsyncIterator[Cluster]:
    """The cluster with TLS, its certificate for `localhost` in `tmp_path`."""
    place = Path(postgres_cluster.folder) / "cluster"
    trusted, key = certificate(tmp_path, "localhost")
    for source, target in ((trusted, place / "uji.crt"), (key, place / "uji.key")):
        shutil.copy(source, target)
        target.chmod(0o600)
        shutil.chown(target, place.owner(), place.group())
    session = await asyncpg.connect(postgres_cluster.url())
    for statement in ("ssl_cert_file = 'uji.crt'", "ssl_key_file = 'uji.key'", "ssl = on"):
        await session.execute(f"ALTER SYSTEM SET {statement}")
    await session.close()
    await reload(postgres_cluster, "on")
    yield postgres_cluster
    session = await asyncpg.connect(postgres_cluster.url())
    for name in ("ssl", "ssl_cert_file", "ssl_key_file"):
        await session.execute(f"ALTER SYSTEM RESET {name}")
    await session.close()
    await reload(postgres_cluster, "off")


@pytest.mark.parametrize(("host", "trusted"), [("localhost", True), ("127.0.0.1", False)])
async def test_the_name_of_the_manifest_is_what_the_certificate_must_hold(cluster, tmp_path, host, trusted) -> None:
    url = f"postgresql://simpul@{host}:{cluster.port}/postgres?sslmode=verify-full"
    query = "SELECT (SELECT ssl::text FROM pg_catalog.pg_stat_ssl ORDER BY ssl DESC LIMIT 1) AS aman"
    connector = opened(tmp_path, {"kind": "sql", "url": url, "query": query}, ca_file=tmp_path / "localhost.crt")
    try:
        if trusted:
            assert await read(connector, ScanRequest()) == [("true",)]
            return
        with pytest.raises(SourceTlsFailed):
            await read(connector, ScanRequest())
        steps = await connector.check()
        assert (steps[-1].name, steps[-1].field) == ("tls", "/source/url")
    finally:
        await connector.close()


@pytest.mark.parametrize("given", ["another", "none, but the environment names it"])
async def test_an_authority_that_is_not_trusted_is_refused(cluster, tmp_path, monkeypatch, given) -> None:
    other, _ = certificate(tmp_path, "lain.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "localhost.crt"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    ca_file = other if given == "another" else None
    url = f"postgresql://simpul@localhost:{cluster.port}/postgres?sslmode=require"
    connector = opened(tmp_path, {"kind": "sql", "url": url, "table": "pg_catalog.pg_class"}, ca_file=ca_file)
    try:
        with pytest.raises(SourceTlsFailed) as caught:
            await read(connector, ScanRequest())
    finally:
        await connector.close()
    assert not caught.value.retryable


@pytest.mark.parametrize("mode", ["verify-full", "require", "prefer"])
async def test_bulk_reads_go_as_the_pool_goes(cluster, tmp_path, mode) -> None:
    """Encrypted, to the name of the manifest, under the same authorities; where those have changed, not at all."""
    ca_file = tmp_path / "ca.crt"
    shutil.copy(tmp_path / "localhost.crt", ca_file)
    session = await asyncpg.connect(cluster.url())
    await session.execute("CREATE VIEW aman AS SELECT ssl::text AS aman FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    url = f"postgresql://simpul@localhost:{cluster.port}/postgres?sslmode={mode}"
    source = SqlSource.model_validate({"kind": "sql", "url": url, "table": "aman"})
    connector = PostgresConnector(source, environment(tmp_path, ca_file), 0)
    try:
        for trusted in (True, False):
            (batch,) = [batch async for batch in connector.scan(ScanRequest(columnar=True))]
            assert held(batch) == [("true",)]
            assert (batch.arrow is not None) is (trusted or mode == "prefer")
            shutil.copy(certificate(tmp_path, "lain.example")[0], ca_file)
    finally:
        await connector.close()
        await session.execute("DROP VIEW aman")
        await session.close()


def test_the_authorities_of_a_file_and_of_the_system(tmp_path) -> None:
    file, _ = certificate(tmp_path, "localhost")
    assert authorities(file) == file.read_bytes()
    known = ssl.create_default_context()
    mine = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if found := authorities().decode():
        mine.load_verify_locations(cadata=found)
    assert {part["serialNumber"] for part in known.get_ca_certs()} <= {
        part["serialNumber"] for part in mine.get_ca_certs()
    }
