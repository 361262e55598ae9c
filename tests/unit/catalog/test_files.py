"""What the versions of an agency's uploads take: the same bytes under one path stand there once."""

from __future__ import annotations

from datetime import UTC, datetime

from app.catalog.files import AgencyFile, _taken

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def version(number: int, sha256: str, size_bytes: int, path: str = "x.csv") -> AgencyFile:
    return AgencyFile("dinkes", path, number, size_bytes, sha256, "app", NOW)


def test_bytes_of_all_kept_versions_add_up():
    assert _taken([version(1, "a", 10), version(2, "b", 20), version(1, "a", 10, "y.csv")], []) == 40


def test_a_version_that_repeats_an_older_one_takes_nothing_more():
    kept = [version(1, "a", 10), version(2, "b", 20), version(3, "a", 10)]

    assert _taken(kept, []) == 30
    assert _taken(kept, kept[:1]) == 30
    assert _taken(kept, [kept[0], kept[2]]) == 20
    assert _taken([], []) == 0
