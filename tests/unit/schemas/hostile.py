"""Rows for the proof that bulk checks and Pydantic agree: mostly valid, a few fields replaced by hostile values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from hypothesis import strategies as st

from app.schemas.constraints import DecimalRule, IntegerRule, ItemsRule, NumberRule, TextRule
from app.schemas.geometry import geometry_text

DATES = [
    dt.date.min,
    dt.date(1799, 12, 31),
    dt.date(1800, 1, 1),
    dt.date(2199, 12, 31),
    dt.date(2200, 1, 1),
    dt.date.max,
]
FULLWIDTH_DIGITS = "\uff11\uff12\uff13\uff14"
NASTY_TEXT = [
    "",
    " ",
    "\n",
    "\t\n",
    "a\x00",
    "\x7f",
    "a\x85",
    "\r\n",
    "\u00e9",
    "e\u0301",
    "\u3000",
    "\ufeff",
    "\u202e",
    FULLWIDTH_DIGITS,
    "\U0001f3e5",
    "agregat",
    "33.20",
    "33.70",
    "3320100101900001",
    "3320107201900001",
    "3320102902010001",
    "pihps:12",
    "P3320120101",
    "x@y",
    "bps",
    "desa",
    "kelurahan",
    "NEGERI",
    "-",
]
RING = [[110.6, -6.6], [110.7, -6.6], [110.7, -6.5], [110.6, -6.6]]
AREAS = [
    {"type": "Polygon", "coordinates": [RING]},
    {"type": "MultiPolygon", "coordinates": [[RING], [RING, RING]]},
    {"type": "MultiPolygon", "coordinates": [RING]},
    {"type": "Polygon", "coordinates": [[[lat, lng] for lng, lat in RING]]},
    {"type": "Polygon", "coordinates": [RING[:3]]},
    {"type": "Polygon", "coordinates": [[[float("nan"), 0]] * 4]},
    {"type": "Polygon", "coordinates": [[None]]},
    {"type": "Point", "coordinates": [1, 2]},
    {"type": ["Polygon"], "coordinates": {}},
    {},
]


def example_of(spec):
    """The documented example of a field as the Python value that a mapping would make."""
    if spec.example is None:
        return None
    if spec.item is not None:
        return [example_of(spec.item)] if not spec.item.parts else spec.example
    match spec.kind:
        case "decimal":
            return Decimal(spec.example)
        case "date":
            return dt.date.fromisoformat(spec.example)
        case "datetime":
            return dt.datetime.fromisoformat(spec.example)
    return spec.example


def example_row(schema):
    return {name: example_of(spec) for name, spec in schema.fields.items()}


def values_of(spec):
    """Values of a field's Arrow type: null, the example, the edges of its rule and beyond."""
    return st.one_of(st.none(), st.just(example_of(spec)), _hostile(spec))


def _hostile(spec):
    rule = spec.rule
    match rule:
        case TextRule():
            return _texts(spec, rule)
        case IntegerRule():
            edges = [rule.minimum - 1, rule.minimum, rule.maximum, rule.maximum + 1, -(2**63), 2**63 - 1]
            return st.sampled_from(edges) | st.integers(-(2**63), 2**63 - 1)
        case DecimalRule():
            step = Decimal(1).scaleb(-rule.scale)
            edges = [
                rule.minimum,
                rule.minimum - step,
                rule.maximum,
                rule.maximum + step,
                Decimal("-0"),
                Decimal("1E+20"),
            ]
            return st.sampled_from(edges) | st.decimals(-(10**20), 10**20, places=rule.scale)
        case NumberRule():
            edges = [rule.minimum, rule.maximum, float("nan"), float("inf"), float("-inf"), -0.0]
            return st.sampled_from(edges) | st.floats()
        case ItemsRule():
            items = values_of(spec.item)
            crowd = st.integers(rule.max_items, rule.max_items + 1).map(lambda count: [example_of(spec.item)] * count)
            return st.lists(items, max_size=4) | crowd
    match spec.kind:
        case "boolean":
            return st.booleans()
        case "date":
            return st.sampled_from(DATES) | st.dates()
        case "datetime":
            noon = dt.time(12, tzinfo=dt.UTC)
            return st.sampled_from([dt.datetime.combine(date, noon) for date in DATES]) | st.datetimes(
                timezones=st.just(dt.UTC)
            )
        case "object":
            return st.fixed_dictionaries({name: values_of(part) for name, part in spec.parts.items()})
    return st.sampled_from(AREAS).filter(lambda area: geometry_text(area) is not None)


def _texts(spec, rule):
    long = st.sampled_from("x\u00e91").flatmap(
        lambda char: st.integers(rule.max_length, rule.max_length + 1).map(lambda count: char * count)
    )
    near = st.sampled_from(["{}\n", " {}", "{}1", "{}\x00", "{}e\u0301", "{}é"]).map(
        lambda form: form.format(example_of(spec))
    )
    known = [st.sampled_from(rule.enum)] if rule.enum else []
    formed = [st.from_regex(rule.pattern[:-1] + r"\Z")] if rule.pattern else []
    return st.one_of(st.sampled_from(NASTY_TEXT), long, near, st.text(max_size=8), *known, *formed)


def rows_of_schema(schema):
    """Lists of rows: each is the example row with none to three fields replaced."""
    plain = example_row(schema)
    changes = st.lists(
        st.sampled_from(sorted(plain)).flatmap(lambda name: st.tuples(st.just(name), values_of(schema.fields[name]))),
        max_size=3,
    )
    return st.lists(changes.map(lambda found: plain | dict(found)), min_size=1, max_size=12)
