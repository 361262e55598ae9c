"""How many records a mapped dataset would give, told without reading one: from its source's own estimate.

Told only where the source looks at every condition: an estimate without one of them would be a number of something else.
"""

from __future__ import annotations

from dataclasses import replace

from app.connectors.contract import Connector, CountEstimate, RowEstimate
from app.datasets.manifest import Manifest
from app.datasets.mapping import CompiledMapping
from app.datasets.pushdown import pushed_filter, scan_request
from app.datasets.records import ReadRequest
from app.filters.tree import conjuncts


async def estimate(
    manifest: Manifest, mapping: CompiledMapping, connector: Connector, request: ReadRequest
) -> RowEstimate | None:
    """Records that the filter lets through; raw records that turn out to be no valid ones are counted with them.

    Sure only of a source that is taken whole, or that counts exactly what the filter means. Raises `SourceError` leaves.
    """
    if not isinstance(connector, CountEstimate) or mapping.preparation.unpivot is not None:
        return None
    await connector.learn()
    if any(pushed_filter(mapping, connector, part, manifest.fields) is None for part in conjuncts(request.filter)):
        return None
    scan = scan_request(mapping, connector, request, request.filter, manifest.fields)
    found = await connector.estimate(scan)
    if found is None:
        return None
    more = scan.filter is not None and connector.capabilities.filter_exactness != "exact"
    return replace(found, sure=found.sure and not more and mapping.preparation.where is None)
