"""What the catalogue tells of a dataset: its identifier, its manifest's words, and its schema while that is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from app.catalog.agencies import Agency
from app.catalog.datasets import DatasetDescription, _description
from app.catalog.reports import Health
from app.catalog.states import State

ISSUED, MODIFIED = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
MANIFEST = {"description": "Semua faskes", "licence": "CC-BY-4.0", "freshness": {"field": "diperbarui", "slo": "P1D"}}


def description(
    health: Health | None = None, manifest: dict[str, Any] | None = None, **changes: Any
) -> DatasetDescription:
    row = {
        "id": "faskes", "agency": "dinkes", "schema_ref": "fasilitas_kesehatan@1", "title": "Faskes", "kind": "file",
        "state": "suspended", "revision": 4, "manifest": json.dumps(MANIFEST if manifest is None else manifest),
        "issued": ISSUED, "published_at": MODIFIED, "rejected_rows": None, "counted_at": None,
    }  # fmt: skip
    return _description(
        SimpleNamespace(**row | changes), Agency("dinkes", "Dinas Kesehatan"), health or Health("faskes")
    )


def test_a_dataset_is_named_by_agency_and_connector_and_tells_its_manifests_words():
    found = description()

    assert (found.identifier, found.publisher.name, found.revision) == ("dinkes/faskes", "Dinas Kesehatan", 4)
    assert (found.description, found.licence, found.freshness) == tuple(MANIFEST.values())
    assert (found.issued, found.modified, found.state) == (ISSUED, MODIFIED, State.SUSPENDED)


def test_a_manifest_of_few_words_leaves_the_rest_unsaid():
    found = description(manifest={})

    assert (found.description, found.licence, found.freshness) == (None, None, None)


def test_a_dataset_whose_schema_this_version_does_not_know_is_still_told():
    assert description().meta is not None
    assert description(schema_ref="gone@7").meta is None
    assert description(schema_ref="gone@7").schema == "gone@7"


def test_quality_tells_what_the_last_reads_showed_and_nothing_of_one_never_read():
    never, read = (
        description().quality,
        description(Health("faskes", MODIFIED, "source_timeout", ISSUED), rejected_rows=0),
    )

    assert (never.last_success_at, never.last_error, never.rejected_rows) == (None, None, None)
    assert (read.quality.last_success_at, read.quality.last_error) == (MODIFIED, "source_timeout")
    assert read.quality.rejected_rows == 0
