"""Links of services to their next page, in a document: which it is, and whether it may be followed."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from app.connectors.http import joined
from app.connectors.json_paths import JsonPath, NothingThere
from app.connectors.network import HttpAddress
from app.errors import SourceFormatError


def next_address(source: str, page: str, reference: str) -> str:
    """The address of the next page, which must lead to the scheme, host and port of the source's own. `page`: where the link stands.

    One to the same host by http, as services behind a proxy write it, is followed by the https of the address. Raises `SourceFormatError`.
    """
    target, here = joined(page, reference), HttpAddress.of(source)
    if here == HttpAddress("https", here.host, 443) and HttpAddress.of(target) == HttpAddress("http", here.host, 80):
        target = urlsplit(target)._replace(scheme="https", netloc=urlsplit(source).netloc).geturl()
    if HttpAddress.of(target) != here:
        raise SourceFormatError("the link to the next page leads to another host", field="/source/paging")
    return target


def linked(links: Any) -> str | None:
    """The `href` with `rel` next among links (OGC API, HAL lists); where none has a `rel`, the only one."""
    known = [link for link in links if isinstance(link, dict) and isinstance(link.get("href"), str)]
    if any("rel" in link for link in known):
        known = [link for link in known if link.get("rel") == "next"]
    return known[0]["href"] if known else None


def links_at(document: Any, path: str) -> list[Any]:
    """The links at a path; none where there is nothing."""
    try:
        return JsonPath.parse(path).items(document)
    except NothingThere:
        return []
