"""Views over the union: what of a filter each source may be asked, and which fields are shown."""

from __future__ import annotations

from typing import Any

from app.federation.by_key import in_key_order
from app.federation.question.query import SortKey
from app.federation.survivorship import Merged
from app.filters.tree import TRUE, And, Compare, Literal, Property, all_of
from app.gateway.views import _only, split_by_key
from app.schemas import registry
from tests.support.memory import FACILITIES

KEY = Compare("=", Property("kode_faskes"), Literal("P1"))
NAME = Compare("=", Property("nama"), Literal("Puskesmas Jepara"))
CLASS = Compare("=", Property("kelas"), Literal("B"))


def test_the_key_is_asked_of_each_source_and_the_rest_of_the_merged_record():
    ahead, behind = split_by_key(FACILITIES, all_of(KEY, NAME, CLASS))

    assert ahead == KEY
    assert behind == all_of(NAME, CLASS)


def test_a_filter_without_key_is_all_of_the_merged_record_and_one_of_the_key_alone_none():
    assert split_by_key(FACILITIES, NAME) == (TRUE, NAME)
    assert split_by_key(FACILITIES, KEY) == (KEY, TRUE)
    assert split_by_key(FACILITIES, TRUE) == (TRUE, TRUE)


def test_a_part_that_compares_the_key_with_another_field_is_of_the_merged_record():
    mixed = Compare("=", Property("kode_faskes"), Property("nama"))

    assert split_by_key(FACILITIES, And((KEY, mixed))) == (KEY, mixed)


def test_records_of_one_key_stand_together_also_where_the_key_has_parts():
    schema = registry.get("harga_komoditas")

    assert in_key_order(FACILITIES) == (SortKey("kode_faskes"),)
    assert [key.field for key in in_key_order(schema)] == list(schema.meta.key)


def test_only_the_fields_asked_for_are_shown_and_of_none_asked_all():
    def merged() -> Merged:
        values: dict[str, Any] = {"kode_faskes": "P1", "nama": "x"}
        return Merged("P1", values, dict.fromkeys(values, (None, "only")), [])  # type: ignore[arg-type]

    assert list(_only(merged(), None).values) == ["kode_faskes", "nama"]
    cut = _only(merged(), ("nama",))
    assert (list(cut.values), list(cut.provenance)) == (["nama"], ["nama"])
