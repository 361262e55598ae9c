"""A long list is rendered, bound and refused as the list of its literals is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.connectors.sql.columns import ARROW_TYPES, Column, Family
from app.connectors.sql.postgres_render import PostgresRenderer
from app.errors import CapabilityUndeclared
from app.filters.tree import In, Listed, Literal, Property

VALUES = st.text(max_size=3) | st.sampled_from(["\x00", "a\ud800", "\udc00b", 1, Decimal("1.5"), True])


def rendered(family: Family, node: In) -> Any:
    column = Column("a", family, family, ARROW_TYPES[family], '"a"', '"a"', '"a"', nullable=True)
    renderer = PostgresRenderer({"a": column})
    try:
        return renderer.condition(node), renderer.parameters
    except CapabilityUndeclared as refusal:
        return refusal.detail


@given(values=st.lists(VALUES, min_size=1, max_size=5), family=st.sampled_from(["text", "integer", "decimal"]))
def test_a_long_list_is_rendered_as_its_literals(values: list[Any], family: Family) -> None:
    long, short = (In(Property("a"), made) for made in (Listed(tuple(values)), tuple(map(Literal, values))))
    assert rendered(family, long) == rendered(family, short)
