"""Matching keys: masked values are never compared, and who was silent could hold what was not found."""

from __future__ import annotations

import pytest

from app.errors import FieldForbidden
from app.federation.question.query import DatasetRef, Grant, SourceStatus
from app.gateway.matching import _refuse_masked, _silent
from tests.support.memory import MemoryDataset, ref_of


def masking(agency: str, *names: str) -> DatasetRef:
    return ref_of(agency, MemoryDataset(), masks=dict.fromkeys(names, "hash"))


def test_a_comparison_with_a_value_that_everybody_masks_is_refused_by_name():
    with pytest.raises(FieldForbidden) as caught:
        _refuse_masked([masking("dinkes", "alamat", "telepon"), masking("rsud", "alamat")], ["nama", "alamat"])

    assert caught.value.facts == {"rule": "field_masked", "fields": ["alamat"]}


def test_where_one_provider_shows_the_value_the_comparison_goes_to_that_one():
    refs = [masking("dinkes", "alamat"), masking("rsud")]
    _refuse_masked(refs, ["alamat"])
    with pytest.raises(FieldForbidden):
        _refuse_masked(refs[:1], ["alamat"])


def test_a_masked_field_that_is_not_compared_is_no_matter_and_a_refused_provider_does_not_count():
    refused = DatasetRef("bps", "bps-set", 1, MemoryDataset(), None)
    _refuse_masked([masking("dinkes", "telepon")], ["alamat"])
    with pytest.raises(FieldForbidden):
        _refuse_masked([masking("dinkes", "alamat"), refused], ["alamat"])

    assert isinstance(masking("dinkes").grant, Grant)


def test_silent_agencies_are_those_that_did_not_answer_each_once():
    statuses = ["ok", "stale", "denied", "timeout", "unavailable", "open_circuit", "skipped"]
    legs = [SourceStatus(f"a{place}", "x", status) for place, status in enumerate(statuses)]  # type: ignore[arg-type]
    legs.append(SourceStatus("a3", "another", "rejected"))

    assert _silent(legs) == ["a3", "a4", "a5", "a6"]
