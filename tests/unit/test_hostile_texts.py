"""Texts of a manifest that are programs or other addresses: expressions and addresses of databases."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.connectors.sql.address import parse_url
from app.datasets.manifest import parse_manifest
from app.errors import ExpressionForbidden, ManifestInvalid, MappingInvalid
from tests.unit.test_mapping_steps import value


@pytest.mark.parametrize(
    "mapping",
    [
        {"expr": "x.__class__.__mro__"},
        {"expr": "{{7*7}}"},
        {"expr": "x -- komentar"},
        {"expr": "x /* a */ ; DROP TABLE t"},
        {"expr": '"x"; DROP TABLE wilayah'},
        {"expr": "regexp_matches(x, '(a+)+$')"},
        {"expr": "x" * 1_000_000},
        {"expr": "(" * 200_000},
        {"expr": "x + " * 100_000 + "x"},
        {"expr": "${env:HOME}"},
    ],
    ids=lambda mapping: mapping["expr"][:24],
)
def test_hostile_51_an_expression_is_no_program(mapping: dict[str, Any]) -> None:
    started = time.monotonic()
    with pytest.raises((ExpressionForbidden, MappingInvalid)):
        value("wilayah", "nama", mapping, x="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!")
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@db.example/d?options=-c%20statement_timeout%3D0",
        "postgresql://u:p@db.example/d?host=/var/run/postgresql",
        "postgresql://u:p@db.example/d?host=169.254.169.254",
        "postgresql://u:p@db.example/d?service=utama",
        "postgresql://u:p@db.example/d?sslrootcert=/etc/passwd",
        "postgresql://u:p@a.example,b.example/d",
        "postgresql://u:p@%2Fvar%2Frun%2Fpostgresql/d",
        "postgresql:///d",
        "postgresql://u:p@/d",
        "postgresql://u:p@${secret:HOST}/d",
        "mysql://u:p@db.example/d?unix_socket=/run/mysqld.sock",
        "mysql://u:p@db.example/d?local_infile=1",
        "mysql://u:p@db.example/d?read_default_file=/etc/my.cnf",
        "sqlite:////etc/passwd",
        "sqlite:/etc/passwd",
        "sqlite:../lain/inbox/a.db",
        "sqlite:inbox/../../a.db",
        "sqlite:inbox/a.db?mode=rwc",
        "sqlite:file:inbox/a.db?vfs=x",
        "sqlite::memory:",
        "duckdb:inbox/a.db",
        "oracle://u:p@db.example/d",
    ],
)
def test_hostile_52_an_address_of_a_database_is_host_port_and_name_alone(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_url(url)
    assert "p@" not in str(caught.value)
    source = {"kind": "sql", "url": url, "table": "t"}
    with pytest.raises(ManifestInvalid) as refused:
        parse_manifest({"connector": "uji-a", "agency": "uji", "source": source}, draft=True)
    assert "/source/url" in {fault.pointer for fault in refused.value.errors}
