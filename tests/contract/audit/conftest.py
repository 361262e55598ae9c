"""Instances of the log on both stores. The same tests run on each: what holds on SQLite holds on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.audit.entry.record import Caller, DatasetUse, Entry, Record, SourceLeg, Subject, Verdict, uuid7
from tests.support.log_instance import GATEWAY, Instance, prepare_database

HOSPITAL = "ID-JEPARA/GOV/rsud-kartini"
REGISTRY = "ID-JEPARA/GOV/disdukcapil"
HEALTH = "ID-JEPARA/GOV/dinkes"


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Instance:
    if request.param == "sqlite":
        return Instance(tmp_path, None)
    url = request.getfixturevalue("postgres_url")
    prepare_database(url)
    return Instance(tmp_path, url)


@pytest.fixture
def postgres(postgres_url: str, tmp_path: Path) -> Instance:
    prepare_database(postgres_url)
    return Instance(tmp_path, postgres_url)


@pytest.fixture
def embedded(tmp_path: Path) -> Instance:
    return Instance(tmp_path, None)


@pytest.fixture
def exchange() -> Callable[..., list[Record]]:
    """Makes the two records of one exchange: the hospital verifies a person at the registry (or what `facts` say)."""

    def make(*, nik: str = "3320010101900001", **facts: Any) -> list[Record]:
        common: dict[str, Any] = {
            "xid": uuid7(),
            "gw": GATEWAY,
            "op": "verify",
            "client": Caller(HOSPITAL, "pendaftaran", "3bO8ZV0mXcQ"),
            "schemas": ("penduduk_verifikasi",),
            "providers": (REGISTRY,),
            "datasets": (DatasetUse("disdukcapil-penduduk", 3),),
            "agreement": "PKS-2026-014",
            "purpose": "pelayanan-kesehatan",
            "dec": Verdict("allow", "agreement"),
            "q": "nik = ?",
        }
        closing: dict[str, Any] = {
            "status": 200,
            "rows": 1,
            "fields": ("hasil", "status_dasar"),
            "sources": (SourceLeg(REGISTRY, "ok", 1),),
            "body_c": "ab" * 32,
        }
        for name, value in facts.items():
            (closing if name in closing else common)[name] = value
        detail = {"user": "198503122010012001", "case": "RM-1", "query": {"nik": nik}}
        asked, released = Subject("nik", nik, "asked"), Subject("nik", nik, "released")
        return [
            Record(Entry(kind="intent", **common), detail, (asked,)),
            Record(Entry(kind="outcome", **common, **closing), detail, (asked, released)),
        ]

    return make
