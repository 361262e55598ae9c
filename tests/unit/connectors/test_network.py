"""Which addresses may be dialled: every trick of spelling, translation and rebinding that is known."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address, ip_network

import pytest

from app.connectors.environment import NetworkPolicy
from app.connectors.network import canonical_host, is_allowed, resolve_allowed
from app.errors import NetworkForbidden, SourceDnsFailed

_PUBLIC_ONLY = NetworkPolicy()
_OFFICE = NetworkPolicy(networks=(ip_network("10.20.0.0/16"), ip_network("fd00:20::/32")))

_NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "198.18.0.1",
    "192.88.99.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::ffff:0:10.0.0.1",
    "::10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::10.0.0.1",
    "2002:a00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:a00:1::",
    "2001:db8::1",
]


@pytest.mark.parametrize("host", _NOT_PUBLIC)
async def test_hostile_43_addresses_that_reach_inside_are_refused(host: str) -> None:
    for form in (host, f"[{host}]") if ":" in host else (host,):
        with pytest.raises(NetworkForbidden) as caught:
            await resolve_allowed(form, 443, _PUBLIC_ONLY)
        assert caught.value.facts["rule"] in {"address", "spelling"}


@pytest.mark.parametrize("host", ["8.8.8.8", "103.10.66.1", "2606:4700:4700::1111", "[2001:4860:4860::8888]"])
async def test_public_addresses_are_allowed(host: str) -> None:
    assert await resolve_allowed(host, 443, _PUBLIC_ONLY) == [host.strip("[]")]


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0.0.1",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "010.0.0.1",
        "127.0.0.01",
        "1.2.3.4.5",
        "256.1.1.1",
        "127.0.0.1.",
        "localhost.",
        "example.com.",
        "example。com",
        "127。0。0。1",
        "①②⑦.⓪.⓪.①",
        "exаmple.com",
        "user@example.com",
        "a@169.254.169.254",
        "example.com:80",
        "example.com/x",
        "example.com\\@127.0.0.1",
        "example.com#",
        "ex ample.com",
        "example.com\n",
        "example..com",
        ".example.com",
        "-example.com",
        "",
        "a" * 64 + ".com",
        "a." * 127 + "aa",
        "fe80::1%eth0",
        "::1%25lo",
        "[::1",
        "1.0x",
        "example.0x7f",
        "%31%32%37.0.0.1",
    ],
)
async def test_hostile_43_spellings_that_programs_read_differently_are_refused(host: str) -> None:
    with pytest.raises(NetworkForbidden) as caught:
        canonical_host(host)
    assert caught.value.facts["rule"] == "spelling"
    with pytest.raises(NetworkForbidden):
        await resolve_allowed(host, 443, NetworkPolicy(networks=(ip_network("0.0.0.0/0"),)))


def test_names_are_read_in_lower_case() -> None:
    assert canonical_host("Data.JEPARA.go.id") == "data.jepara.go.id"
    assert canonical_host("xn--nfb.example") == "xn--nfb.example"


@pytest.mark.parametrize("port", [0, -1, 65536])
async def test_ports_outside_the_range_are_refused(port: int) -> None:
    with pytest.raises(NetworkForbidden) as caught:
        await resolve_allowed("8.8.8.8", port, _PUBLIC_ONLY)
    assert caught.value.facts["rule"] == "port"


def test_hostile_43_networks_of_the_operator_open_only_themselves() -> None:
    assert is_allowed(ip_address("10.20.3.4"), _OFFICE)
    assert is_allowed(ip_address("fd00:20::5"), _OFFICE)
    assert not is_allowed(ip_address("10.21.3.4"), _OFFICE)
    assert not is_allowed(ip_address("::ffff:10.20.3.4"), _OFFICE)
    assert not is_allowed(ip_address("64:ff9b::10.20.3.4"), _OFFICE)
    assert not is_allowed(ip_address("169.254.169.254"), _OFFICE)


def test_what_belongs_to_nobody_is_never_opened() -> None:
    everything = NetworkPolicy(networks=(ip_network("0.0.0.0/0"), ip_network("::/0")))
    assert not any(
        is_allowed(ip_address(text), everything)
        for text in ("0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255")
    )


async def test_a_list_of_hosts_closes_all_others() -> None:
    policy = NetworkPolicy(hosts=frozenset({"8.8.8.8"}))
    assert await resolve_allowed("8.8.8.8", 443, policy) == ["8.8.8.8"]
    with pytest.raises(NetworkForbidden) as caught:
        await resolve_allowed("8.8.4.4", 443, policy)
    assert caught.value.facts["rule"] == "host"


def _answers(monkeypatch, *answers: list[str] | Exception) -> list[str]:
    """A name server that gives these answers, one after the other."""
    waiting, asked = list(answers), []

    async def getaddrinfo(host: str, port: int, **_: object) -> list[tuple]:
        asked.append(host)
        found = waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    return asked


async def test_hostile_44_a_name_that_changes_its_address_is_looked_at_every_time(monkeypatch) -> None:
    if not hasattr(asyncio.get_running_loop(), "__dict__"):
        pytest.fail("the loop of the tests takes no stub")
    _answers(monkeypatch, ["8.8.8.8"], ["169.254.169.254"], ["8.8.8.8", "127.0.0.1"])
    assert await resolve_allowed("berubah.example", 443, _PUBLIC_ONLY) == ["8.8.8.8"]
    with pytest.raises(NetworkForbidden):
        await resolve_allowed("berubah.example", 443, _PUBLIC_ONLY)
    # What is dialled is the list that comes back: an address inside never stands in it.
    assert await resolve_allowed("berubah.example", 443, _PUBLIC_ONLY) == ["8.8.8.8"]


async def test_a_name_without_an_address_is_told(monkeypatch) -> None:
    _answers(monkeypatch, OSError("no such name"), UnicodeError("label too long"))
    for _ in range(2):
        with pytest.raises(SourceDnsFailed) as caught:
            await resolve_allowed("tidak-ada.example", 443, _PUBLIC_ONLY)
        assert caught.value.retryable
