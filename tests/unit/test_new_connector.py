"""`simpul connector new`: which source an address means."""

from __future__ import annotations

import pytest

from app.cli.new_connector import source_at

PORTAL, GEO = "https://data.example/portal", "https://geo.example/ogc"


@pytest.mark.parametrize(
    ("address", "source"),
    [
        (f"{PORTAL}/dataset", {"kind": "ckan", "url": PORTAL, "mode": "packages"}),
        (f"{PORTAL}/dataset/", {"kind": "ckan", "url": PORTAL, "mode": "packages"}),
        (f"{PORTAL}/dataset/harga%20beras", {"kind": "ckan", "url": PORTAL, "package": "harga beras"}),
        (f"{PORTAL}/dataset/harga/resource/5a1c", {"kind": "ckan", "url": PORTAL, "resource": "5a1c"}),
        (f"{PORTAL}/dataset/harga/activity", {"kind": "rest", "url": f"{PORTAL}/dataset/harga/activity"}),
        (f"{GEO}/collections/batas%20desa", {"kind": "ogc", "url": GEO, "collection": "batas desa"}),
        (f"{GEO}/collections/desa/items?f=json", {"kind": "ogc", "url": GEO, "collection": "desa"}),
        (f"{GEO}/wfs?SERVICE=WFS&map=%2Fpeta&version=2.0.0", {"kind": "ogc", "url": f"{GEO}/wfs?map=%2Fpeta", "service": "wfs"}),
        ("https://api.example/v1/harga", {"kind": "rest", "url": "https://api.example/v1/harga"}),
        ("postgresql://h/d", {"kind": "sql", "url": "postgresql://h/d"}),
    ],
)  # fmt: skip
def test_an_address_becomes_the_source_that_it_means(address: str, source: dict[str, str]) -> None:
    assert source_at(address) == source
