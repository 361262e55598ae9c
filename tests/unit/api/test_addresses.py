"""X-Forwarded-For counts from proxies that the operator names, from the right, and from nobody else."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.api.layer.addresses import caller_address, from_behind

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("peer", "header", "found"),
    [
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("127.0.0.1", "198.51.100.1", "127.0.0.1"),
        ("10.0.0.2", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "1.2.3.4, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.2", "10.1.1.1, 10.9.9.9", "10.1.1.1"),
        ("10.0.0.2", "198.51.100.1:5512", "198.51.100.1"),
        ("2001:db8::1", '"[2001:db9::7]:443"', "2001:db9::7"),
        ("2001:db8::1", "2001:db9::7", "2001:db9::7"),
        ("::ffff:10.0.0.2", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "unknown", "10.0.0.2"),
        ("10.0.0.2", "198.51.100.1, unknown, 10.9.9.9", "10.9.9.9"),
        ("10.0.0.2", "", "10.0.0.2"),
    ],
)
def test_the_last_address_that_no_trusted_proxy_has(peer: str, header: str, found: str):
    assert caller_address(peer, header.split(","), TRUSTED) == found


def test_lines_are_one_list_and_without_trust_the_header_is_nothing():
    headers = [(b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-for", b"198.51.100.2")]
    scope = {"client": ("10.0.0.2", 4000), "headers": headers}
    assert from_behind(scope, TRUSTED)["client"] == ("198.51.100.2", 0)
    assert from_behind(scope, ()) is scope
    assert from_behind({**scope, "client": None}, TRUSTED)["client"] is None
