"""One broken source among good ones: it says what is wrong, the others answer."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.connectors.suite import SECRET, opened
from app.errors import SourceAuthFailed
from app.federation.question.query import DatasetRef, Grant, Query
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from app.schemas import registry
from app.settings import Settings
from tests.fixtures.postgres import Cluster
from tests.integration.connectors.test_ordered_reads import dataset

_FIELDS = {"npsn": "npsn", "nama": "nama", "jumlah_siswa": "siswa"}


async def test_a_column_that_went_away_stops_its_source_alone(postgres_url: str, tmp_path: Path) -> None:
    session = await asyncpg.connect(postgres_url)
    for name in ("baik", "geser"):
        await session.execute(
            f"CREATE TABLE {name} (npsn text PRIMARY KEY, nama text, siswa int);"
            f" INSERT INTO {name} VALUES ('20000001', '{name}', 1)"
        )
    place = urlsplit(postgres_url)
    url = f"postgresql://simpul@127.0.0.1:{place.port}{place.path}"
    schema = registry.get("satuan_pendidikan")
    refs = [
        DatasetRef(name, name, 1, dataset(tmp_path, {"kind": "sql", "url": url, "table": name}, **_FIELDS), grant)
        for name, grant in (("baik", Grant(frozenset(_FIELDS))), ("geser", Grant(frozenset(_FIELDS))))
    ]
    runtime = Runtime.from_settings(Settings()).until(time.monotonic() + 10, "uji")
    try:
        whole = await read_page(Query(schema=schema), refs, runtime)
        await session.execute("ALTER TABLE geser RENAME COLUMN siswa TO jumlah")
        partial = await read_page(Query(schema=schema), refs, runtime)
        await session.execute("ALTER TABLE geser RENAME COLUMN jumlah TO siswa")
        again = await read_page(Query(schema=schema), refs, runtime)
    finally:
        for ref in refs:
            await ref.source.close()
        await session.close()

    assert [status.status for status in whole.sources] == ["ok", "ok"]
    assert {status.dataset: status.status for status in partial.sources} == {"baik": "ok", "geser": "schema_mismatch"}
    assert partial.complete is False
    assert [found.agency for found in partial.records] == ["baik"]
    assert [status.status for status in again.sources] == ["ok", "ok"]


async def test_a_wrong_password_is_told_as_such_and_never_shown(tmp_path: Path, postgres_cluster: Cluster) -> None:
    hba = Path(postgres_cluster.folder) / "cluster" / "pg_hba.conf"
    session = await asyncpg.connect(postgres_cluster.url())
    await session.execute("DROP ROLE IF EXISTS tamu; CREATE ROLE tamu LOGIN PASSWORD 'benar'")
    kept = hba.read_text("utf-8")
    hba.write_text("host all tamu 127.0.0.1/32 scram-sha-256\n" + kept, "utf-8")
    await session.execute("SELECT pg_reload_conf()")
    url = f"postgresql://tamu:${{secret:PW}}@127.0.0.1:{postgres_cluster.port}/postgres"
    connector = opened(tmp_path, {"kind": "sql", "url": url, "table": "pg_catalog.pg_class"})
    try:
        steps = await connector.check()
        with pytest.raises(SourceAuthFailed) as caught:
            await connector.discover()
    finally:
        await connector.close()
        hba.write_text(kept, "utf-8")
        await session.execute("SELECT pg_reload_conf(); DROP ROLE tamu")
        await session.close()

    assert [(step.name, step.error.code if step.error else None) for step in steps] == [
        ("dns", None),
        ("auth", "source_auth_failed"),
    ]
    assert steps[-1].field == "/source/url"
    assert SECRET not in repr(steps) + caught.value.detail
