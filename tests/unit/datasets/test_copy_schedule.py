"""When a snapshot is due, fresh, stale, too old."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from app.datasets.copies.schedule import Schedule
from app.datasets.manifest import SnapshotBlock, canonical_manifest, parse_manifest
from app.errors import ManifestInvalid

AS_OF = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
"""10:00 in Jakarta."""
MANIFEST: dict[str, Any] = {
    "connector": "dinkes-faskes",
    "agency": "dinkes",
    "schema": "fasilitas_kesehatan@1",
    "source": {"kind": "file", "location": "inbox/a.csv"},
    "fields": {"kode_faskes": "kode", "nama": "nama"},
}


def schedule(**block: Any) -> Schedule:
    return Schedule.of(SnapshotBlock.model_validate(block), "Asia/Jakarta")


@pytest.mark.parametrize(
    ("block", "minutes", "age"),
    [
        ({"every": "1h"}, 0, "fresh"),
        ({"every": "1h"}, 60, "fresh"),
        ({"every": "1h"}, 61, "stale"),
        ({"every": "1h"}, 120, "stale"),
        ({"every": "1h"}, 121, "over"),
        ({"every": "1h", "max_stale": "1d"}, 1440, "stale"),
        ({"every": "1h", "max_stale": "1d"}, 1441, "over"),
        ({"every": "1h", "on_error": "fail"}, 60, "fresh"),
        ({"every": "1h", "on_error": "fail"}, 61, "over"),
        ({"every": "11:00"}, 60, "fresh"),
        ({"every": "11:00"}, 75, "fresh"),
        ({"every": "11:00"}, 76, "stale"),
        ({"every": "10:00"}, 24 * 60 + 15, "fresh"),
        ({"every": "10:00"}, 24 * 60 + 16, "stale"),
        ({"every": "10:00"}, 48 * 60 + 1, "over"),
    ],
)
def test_the_age_of_a_snapshot(block: dict[str, str], minutes: int, age: str) -> None:
    assert schedule(**block).age(AS_OF, AS_OF + timedelta(minutes=minutes)) == age


def test_the_next_one_is_begun_before_the_last_is_over() -> None:
    hourly, daily, quick = schedule(every="1h"), schedule(every="02:00"), schedule(every="2s")

    assert hourly.begin(AS_OF) == AS_OF + timedelta(minutes=55)
    assert hourly.begin(AS_OF, took_seconds=600) == AS_OF + timedelta(minutes=35)
    assert hourly.begin(AS_OF, took_seconds=6000) == AS_OF + timedelta(minutes=30)
    assert quick.begin(AS_OF) == AS_OF + timedelta(seconds=1.8)
    assert daily.begin(AS_OF) == datetime(2026, 11, 29, 19, 0, tzinfo=UTC)


def test_tries_come_later_and_later() -> None:
    waits = [schedule(every="1h").retry(failures).total_seconds() for failures in (1, 2, 3, 20)]

    assert waits == [5, 10, 20, 300]
    assert schedule(every="2s").retry(9) == timedelta(seconds=2)


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"snapshot": {"every": "1h", "max_stale": "59m"}}, "/snapshot"),
        ({"snapshot": {"every": "1h", "max_stale": "2h", "on_error": "fail"}}, "/snapshot"),
        ({"snapshot": {"every": "500ms"}}, "/snapshot/every"),
        ({"snapshot": {"every": 0}}, "/snapshot/every"),
        ({"snapshot": {"every": "24:00"}}, "/snapshot/every"),
        ({"snapshot": {"every": "2 jam"}}, "/snapshot/every"),
        ({"snapshot": {"every": "1h", "on_error": "guess"}}, "/snapshot/on_error"),
        ({"snapshot": {"every": "1h", "often": 1}}, "/snapshot/often"),
        ({"snapshot": {}}, "/snapshot/every"),
        ({"snapshot": {"every": "1h"}, "source": {**MANIFEST["source"], "refresh": "1h"}}, "/source/refresh"),
        ({"snapshot": {"every": "1h"}, "fields": {**MANIFEST["fields"], "email_kontak": "email"}}, "/snapshot"),
        ({"health": {"every": "10ms"}}, "/health/every"),
        ({"source": {**MANIFEST["source"], "rate": "5 a second"}}, "/source/rate"),
    ],
)
def test_what_means_nothing_is_refused_by_its_name(more: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ManifestInvalid) as refused:
        parse_manifest({**MANIFEST, **more})

    assert [fault.pointer for fault in refused.value.errors] == [pointer]


def test_persons_and_other_gateways_are_not_copied() -> None:
    persons = {
        **MANIFEST,
        "schema": "penduduk_verifikasi@1",
        "fields": {"nik": "nik", "nama": "nama"},
        "snapshot": {"every": "1h"},
    }
    gateway = {
        **MANIFEST,
        "source": {
            "kind": "gateway", "url": "https://simpul.example", "client_id": "a", "client_secret": "${secret:S}",
        },
        "fields": {},
        "snapshot": {"every": "1h"},
    }  # fmt: skip
    for document, rule in ((persons, "personal"), (gateway, "gateway")):
        with pytest.raises(ManifestInvalid) as refused:
            parse_manifest(document)
        assert ("/snapshot", rule) in [(fault.pointer, fault.code) for fault in refused.value.errors]


def test_the_stored_text_means_the_same() -> None:
    for every, stored in (("90m", timedelta(minutes=90)), ("02:30", time(2, 30))):
        manifest = parse_manifest({**MANIFEST, "snapshot": {"every": every}, "health": {"every": "1m"}})
        again = parse_manifest(canonical_manifest(manifest))

        assert manifest.snapshot is not None
        assert manifest.snapshot.every == stored
        assert again == manifest
