"""How services of known makes page, by name: what stands in their answers, and what has to be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PagingKind = Literal["none", "page", "offset", "cursor", "next_link"]
DEFAULT_SIZE = 100


@dataclass(frozen=True, slots=True)
class Paging:
    """How a service is read to its end. Of several paths the first counts at which something stands."""

    kind: PagingKind = "none"
    param: str = "page"
    size_param: str | None = None
    size: int = DEFAULT_SIZE
    first: int = 1
    marks: tuple[str, ...] = ()
    """Paths to the mark of a cursor or to the address of the next page."""
    header: str | None = None
    """The header that holds the mark instead."""
    totals: tuple[str, ...] = ()
    """Paths to the number of all records."""
    strict: bool = True
    """Whether a page that does not tell its total or its last page is a fault."""
    more: tuple[str, ...] = ()
    """Paths to what says whether there are more pages."""
    last: tuple[str, ...] = ()
    """Paths to the number of the last page."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of one make of services."""

    record_path: str
    paging: Paging
    params: Mapping[str, str] = field(default_factory=dict)
    """Parameters that are sent where the manifest states none of their names."""
    parts: tuple[str, ...] = ()
    """Members of a record that hold its columns; what else it has stands beside them."""


PRESETS: Mapping[str, Preset] = {
    # Pages by number: the links of Laravel's paginators leave out the other parameters of the question.
    # https://laravel.com/docs/12.x/eloquent-resources#pagination
    "laravel": Preset(
        "$.data[*]",
        Paging(
            kind="page",
            totals=("$.meta.total", "$.total"),
            strict=False,
            more=("$.links.next", "$.next_page_url"),
            last=("$.meta.last_page", "$.last_page"),
        ),
    ),
    # https://www.django-rest-framework.org/api-guide/pagination/
    "drf": Preset("$.results[*]", Paging(kind="next_link", marks=("$.next",), totals=("$.count",), strict=False)),
    # OData JSON Format 4.01, 4.5.2 and 4.5.5; the names without `@` are those of version 3.
    "odata": Preset(
        "$.value[*]",
        Paging(
            kind="next_link",
            marks=("$['@odata.nextLink']", "$['@nextLink']", "$['odata.nextLink']"),
            totals=("$['@odata.count']", "$['@count']", "$['odata.count']"),
            strict=False,
        ),
        {"$count": "true"},
    ),
    # https://developers.arcgis.com/rest/services-reference/enterprise/query-feature-service-layer/
    "arcgis": Preset(
        "$.features[*]",
        Paging(
            kind="offset",
            param="resultOffset",
            size_param="resultRecordCount",
            size=1000,
            more=("$.exceededTransferLimit", "$.properties.exceededTransferLimit"),
        ),
        {"where": "1=1", "outFields": "*", "outSR": "4326", "f": "json"},
        ("attributes", "properties"),
    ),
}
