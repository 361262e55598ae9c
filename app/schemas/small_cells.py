"""Small cells: a count of one to four persons or families in a village could point to somebody, so it does not leave.

The threshold of five is the usual one of official statistics. Villages are judged, larger regions are not: a code with its
fourth part is a village, and a code of another system (`dapodik:…`) may be one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.schemas.base import RowRule

LEAST_SHOWN: Final = 5
"""The smallest count of persons or families that is shown of a village; nought says nothing of anybody."""


def small_cell_rule(field: str) -> RowRule:
    """The rule that this count of the region `kode_wilayah` is nought or at least five below the level of a kecamatan."""

    def holds(values: Mapping[str, Any]) -> bool:
        region: str = values["kode_wilayah"]
        below = ":" in region or region.count(".") == 3
        return not (below and 0 < values[field] < LEAST_SHOWN)

    return RowRule(field=field, code="small_cell", needs=("kode_wilayah", field), holds=holds)
