"""Connectors: who may know of one, which tag it has, and that a change meets only the state that its sender saw."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.catalog.connectors import ConnectorRecord, Revision, _by_agreement, _schema, unknown
from app.catalog.states import State
from app.conditions import Precondition, PreconditionRequired
from app.errors import PreconditionFailed

NOW = datetime(2026, 11, 20, tzinfo=UTC)
RECORD = ConnectorRecord("faskes", "dinkes", State.PUBLISHED, 3, 2, NOW, NOW, "fasilitas_kesehatan")


def test_everybody_knows_of_a_connector_that_is_published_and_has_joined():
    assert RECORD.known
    assert not replace(RECORD, joined=None).known
    assert not any(replace(RECORD, state=state).known for state in State if state is not State.PUBLISHED)


def test_every_revision_activation_and_act_changes_the_tag():
    changed = [
        RECORD,
        replace(RECORD, latest_revision=4),
        replace(RECORD, active_revision=3),
        replace(RECORD, active_revision=None),
        replace(RECORD, state=State.SUSPENDED),
    ]

    assert len({record.etag for record in changed}) == len(changed)
    assert RECORD.etag == '"3-2-published"'


@pytest.mark.parametrize(
    "if_match", [None, "*", " * ", '"3-2-published"', '"other", "3-2-published"', '"x","3-2-published" ']
)
def test_a_change_passes_when_its_sender_saw_the_present_state_or_does_not_care(if_match: str | None):
    Precondition(if_match).stands("connector faskes", RECORD.etag)
    if if_match is not None and "*" not in if_match:
        with pytest.raises(PreconditionFailed):
            Precondition(if_match).stands("connector faskes", replace(RECORD, latest_revision=4).etag)


@pytest.mark.parametrize("if_match", ["", '"3-1-published"', "3-2-published", 'W/"3-2-published"'])
def test_a_change_of_another_state_is_refused_with_the_present_tag(if_match: str):
    with pytest.raises(PreconditionFailed) as caught:
        Precondition(if_match).stands("connector faskes", RECORD.etag)

    assert caught.value.facts == {"etag": RECORD.etag}


def test_what_a_tag_tells_beside_its_version_and_a_coding_do_not_hinder_a_change():
    Precondition('"3-2-published;9x"').stands("connector faskes", RECORD.etag)
    Precondition('"3-2-published;9x-gzip"').stands("connector faskes", RECORD.etag)


def test_a_change_that_names_no_state_is_refused_where_one_is_wanted():
    with pytest.raises(PreconditionRequired) as caught:
        Precondition(required=True).stands("connector faskes", RECORD.etag)

    assert caught.value.facts == {"etag": RECORD.etag}


def test_personal_data_joins_without_the_walidata_and_no_other():
    def revision(schema_ref: str | None) -> Revision:
        return Revision("x", 1, schema_ref, "file", "x", "{}", "", "d", "app", NOW)

    assert _by_agreement(revision("penduduk_verifikasi@1"))
    assert not _by_agreement(revision("fasilitas_kesehatan@1"))
    assert (_schema(revision("fasilitas_kesehatan@1")), _schema(revision(None))) == ("fasilitas_kesehatan", "")


def test_an_unknown_id_is_repeated_only_as_far_as_an_id_can_be_long():
    assert "x" * 63 in unknown("x" * 500).detail
    assert "x" * 64 not in unknown("x" * 500).detail
