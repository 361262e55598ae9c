"""Types of numbers, times, text and areas: strict where a silent conversion would change a value."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from app.schemas import types
from app.schemas.geometry import geometry_text, geometry_value, right_handed

EDGES = [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23)]  # noqa: DTZ001 - each test gives them a zone
JEPARA = [[110.6, -6.6], [110.7, -6.6], [110.7, -6.5], [110.6, -6.6]]


def taken(semantic_type, value):
    return TypeAdapter(semantic_type).validate_python(value)


def rule_of(semantic_type, value):
    with pytest.raises(ValidationError) as caught:
        taken(semantic_type, value)
    return caught.value.errors()[0]["type"]


@pytest.mark.parametrize("value", [True, 2024.0, "2024", Decimal(2024), None])
def test_whole_numbers_are_integers_and_nothing_else(value):
    assert rule_of(types.Tahun, value) == "int_type"


@pytest.mark.parametrize(
    ("value", "exact"), [(5, 5), ("-12.50", Decimal("-12.5")), (Decimal("1E+2"), 100), ("0012", 12)]
)
def test_decimals_take_decimals_integers_and_plain_text(value, exact):
    found = taken(types.Rupiah, value)
    assert isinstance(found, Decimal)
    assert found == exact


@pytest.mark.parametrize("value", [1.5, True, "1e2", " 1", "1_000", "1,5", "\uff11", "NaN", "", b"1", None])
def test_decimals_refuse_floats_and_every_other_way_to_write_a_number(value):
    assert rule_of(types.Rupiah, value) == "is_instance_of"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (Decimal("0.001"), "decimal_max_places"),
        (10**18, "less_than_equal"),
        (-(10**400), "less_than_equal"),
        (Decimal("1E+100000"), "less_than_equal"),
        (Decimal("NaN"), "finite_number"),
        (Decimal("sNaN"), "finite_number"),
        (Decimal("Infinity"), "finite_number"),
    ],
)
def test_decimals_have_a_size_and_a_scale(value, rule):
    assert rule_of(types.Rupiah, value) == rule


def test_trailing_zeros_are_no_precision_and_a_price_is_not_negative():
    assert taken(types.Rupiah, Decimal("1.500000")) == Decimal("1.5")
    assert rule_of(types.RupiahTakNegatif, -1) == "greater_than_equal"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (float("nan"), "finite_number"),
        (float("inf"), "finite_number"),
        (90.000001, "less_than_equal"),
        (True, "float_type"),
        ("-6.5", "float_type"),
        (10**400, "float_type"),
    ],
)
def test_coordinates_are_finite_numbers_in_range(value, rule):
    assert rule_of(types.Lintang, value) == rule


def test_coordinates_take_integers_and_floats():
    assert taken(types.Lintang, -6) == -6.0
    assert taken(types.Bujur, 110.433174) == 110.433174


def test_times_are_kept_in_utc_and_need_a_zone():
    wib = dt.datetime(2022, 5, 23, 19, 32, 2, tzinfo=ZoneInfo("Asia/Jakarta"))
    found = taken(types.Waktu, wib)
    assert (found.tzinfo, found.isoformat()) == (dt.UTC, "2022-05-23T12:32:02+00:00")
    assert rule_of(types.Waktu, dt.datetime(2022, 5, 23)) == "timezone_aware"  # noqa: DTZ001 - the point


@pytest.mark.parametrize("offset_hours", [-12, 0, 14])
@pytest.mark.parametrize("edge", EDGES)
def test_times_at_the_ends_of_the_calendar_are_out_of_range_in_every_zone(edge, offset_hours):
    zone = dt.timezone(dt.timedelta(hours=offset_hours))
    assert rule_of(types.Waktu, edge.replace(tzinfo=zone)) == "out_of_range"


def test_dates_are_dates():
    assert taken(types.Tanggal, dt.date(2020, 7, 20)) == dt.date(2020, 7, 20)
    assert rule_of(types.Tanggal, dt.datetime(2020, 7, 20, tzinfo=dt.UTC)) == "date_type"
    assert rule_of(types.Tanggal, "2020-07-20") == "date_type"
    assert rule_of(types.Tanggal, dt.date(1, 1, 1)) == "greater_than_equal"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("", "string_too_short"),
        ("x" * 201, "string_too_long"),
        ("a\x00b", "control_character"),
        ("a\rb", "control_character"),
        ("a\x85b", "control_character"),
        ("cafe\u0301", "not_nfc"),
        (" \t\n", "blank"),
        ("\u3000", "blank"),
        ("a\ud800", "string_unicode"),
        (5, "string_type"),
        (b"a", "string_type"),
    ],
)
def test_names_are_clean_text(value, rule):
    assert rule_of(types.Nama, value) == rule


@pytest.mark.parametrize("value", ["Jl. Awa\ufffdi", "dua\nbaris\tdan tab", "café", "漢字", "± Rp 5.000", "x" * 200])
def test_names_take_every_script(value):
    assert taken(types.Nama, value) == value


def test_describing_text_may_be_empty_and_a_name_may_not():
    assert taken(types.Teks, "") == ""
    assert rule_of(types.Pengenal, "") == "string_too_short"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"type": "Point", "coordinates": [110.6, -6.6]}, "geometry_type"),
        ({"type": "Polygon", "coordinates": [JEPARA], "crs": {}}, "geometry_type"),
        ({"type": "Polygon"}, "geometry_type"),
        ({}, "geometry_type"),
        ({"type": "Polygon", "coordinates": []}, "geometry_structure"),
        ({"type": "Polygon", "coordinates": JEPARA}, "geometry_position"),
        ({"type": "MultiPolygon", "coordinates": [JEPARA]}, "geometry_position"),
        ({"type": "MultiPolygon", "coordinates": [[]]}, "geometry_structure"),
        ({"type": "Polygon", "coordinates": [[[*point, 0] for point in JEPARA]]}, "geometry_position"),
        ({"type": "Polygon", "coordinates": [[[lat, lng] for lng, lat in JEPARA]]}, "geometry_range"),
        ({"type": "Polygon", "coordinates": [[[float("nan"), 0]] * 4]}, "geometry_range"),
        ({"type": "Polygon", "coordinates": [[[10**400, 0]] * 4]}, "geometry_range"),
        ({"type": "Polygon", "coordinates": [[[True, 0]] * 4]}, "geometry_position"),
        ({"type": "Polygon", "coordinates": [JEPARA[:3]]}, "geometry_ring"),
        ({"type": "Polygon", "coordinates": [[*JEPARA[:3], [110.6, -6.61]]]}, "geometry_ring"),
        ({"type": "Polygon", "coordinates": [JEPARA * 25_001]}, "geometry_size"),
        ("POLYGON((0 0,0 1,1 1,0 0))", "dict_type"),
    ],
)
def test_areas_are_polygons_in_the_right_axis_order(value, rule):
    assert rule_of(types.GeometriWilayah, value) == rule


def test_areas_survive_their_way_through_text():
    east = [[111.0, -6.6], [111.4, -6.6], [111.4, -6.2], [111.0, -6.2], [111.0, -6.6]]
    hole = [[111.1, -6.5], [111.1, -6.4], [111.2, -6.4], [111.1, -6.5]]
    area = {"type": "MultiPolygon", "coordinates": [[JEPARA], [east, hole]]}
    assert taken(types.GeometriWilayah, area) == area
    assert geometry_value(geometry_text(area)) == area


BOX = [[110, -7], [111, -7], [111, -6], [110, -6], [110, -7]]
HOLE = [[110.2, -6.8], [110.2, -6.6], [110.4, -6.6], [110.2, -6.8]]


@pytest.mark.parametrize(
    "coordinates",
    [
        [[[110, -7], [111, -6], [111, -7], [110, -6], [110, -7]]],  # a bow-tie
        [BOX, [[x + 5, y] for x, y in HOLE]],  # a hole outside its shell
        [BOX, HOLE, [[110.3, -6.7], [110.3, -6.5], [110.5, -6.5], [110.3, -6.7]]],  # holes that overlap
        [[[110, -7], [111, -7], [110, -7], [110, -7]]],  # no area
    ],
)
def test_areas_that_are_no_area_are_refused(coordinates):
    assert rule_of(types.GeometriWilayah, {"type": "Polygon", "coordinates": coordinates}) == "geometry_invalid"
    twice = {"type": "MultiPolygon", "coordinates": [[BOX], [BOX]]}
    assert rule_of(types.GeometriWilayah, twice) == "geometry_invalid"


def test_rings_are_turned_to_the_right_hand_and_only_those_that_need_it():
    right = {"type": "Polygon", "coordinates": [BOX, HOLE]}
    assert right_handed(right) is None
    assert right_handed({"type": "Polygon", "coordinates": [BOX[::-1], HOLE]}) == right
    assert right_handed({"type": "Polygon", "coordinates": [BOX, HOLE[::-1]]}) == right
    many = {"type": "MultiPolygon", "coordinates": [[BOX[::-1], HOLE[::-1]]]}
    assert right_handed(many) == {"type": "MultiPolygon", "coordinates": [[BOX, HOLE]]}
    for value in (
        None,
        5,
        {},
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "Polygon", "coordinates": [["a"]]},
    ):
        assert right_handed(value) is None


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '"' + "x" * (9 * 1024 * 1024) + '"'])
def test_text_that_is_no_geometry_object_is_none(text):
    assert geometry_value(text) is None
