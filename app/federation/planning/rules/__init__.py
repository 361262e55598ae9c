"""The planner's rules in the order in which they are applied. Each looks at a question's structure and one scan.

What a source then does itself (filter, columns, order, position, limit) is decided where its capabilities are known:
`datasets/pushdown.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from app.federation.planning.plan import QueryStructure, Scan
from app.federation.planning.rules.columns import choose_columns
from app.federation.planning.rules.grants import leave_out_denied
from app.federation.planning.rules.keys import read_by_key
from app.federation.planning.rules.masks import take_masks
from app.federation.planning.rules.ordering import order_all
from app.federation.planning.rules.predicates import leave_out_hidden
from app.federation.planning.rules.row_filter import put_row_filter

Rule = Callable[[QueryStructure, Scan], Scan]

RULES: tuple[Rule, ...] = (
    leave_out_denied,
    take_masks,
    put_row_filter,
    leave_out_hidden,
    choose_columns,
    order_all,
    read_by_key,
)
