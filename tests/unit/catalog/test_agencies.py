"""Agencies: every wrong member is named at once, and what the operator allows becomes networks and hosts."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from app.catalog.agencies import Agency, validate_agency
from app.errors import ValidationFailed

SOUND = Agency("dinkes", "Dinas Kesehatan", "Health Office", "GOV", "0291-591427", ("10.1.2.0/24",), ("DINKES_DSN",))


def faults(**changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationFailed) as caught:
        validate_agency(replace(SOUND, **changes))
    return [(one.pointer, one.code) for one in caught.value.errors]


def test_a_sound_agency_passes_with_its_hosts_in_lower_case():
    found = validate_agency(replace(SOUND, network_allow=(" DB.Dinkes.GO.id ", "192.0.2.7", "2001:db8:1::/48")))

    assert found.network_allow == ("db.dinkes.go.id", "192.0.2.7", "2001:db8:1::/48")


def test_every_wrong_member_is_named_at_once():
    found = faults(id="D", name=" ", member_class="ORG", contact="a\nb", env_allow=("OK", "1X", "a-b"))

    assert found == [
        ("/name", "length"),
        ("/contact", "control_character"),
        ("/id", "slug"),
        ("/member_class", "enum"),
        ("/env_allow/1", "variable_name"),
        ("/env_allow/2", "variable_name"),
    ]


@pytest.mark.parametrize("agency", ["", "d", "-dinkes", "Dinkes", "dinas kesehatan", "d" * 64, "dinkes\n"])
def test_an_id_is_a_slug(agency: str):
    assert faults(id=agency) == [("/id", "slug")]


@pytest.mark.parametrize(
    "entry",
    [
        "10.1.2.3/24",
        "10.1.2",
        "256.1.1.1",
        "host/24",
        "-host",
        "a..b",
        "",
        "*.go.id",
        "http://host",
        "host:80:90",
        "1.2.3.4.5",
    ],
)
def test_what_is_neither_address_range_nor_host_is_named_by_its_pointer(entry: str):
    assert faults(network_allow=("10.1.2.0/24", entry)) == [("/network_allow/1", "network")]


@pytest.mark.parametrize("entry", ["169.254.169.254", "0.0.0.0/0"])
def test_addresses_that_nobody_may_be_allowed_are_refused(entry: str):
    assert faults(network_allow=(entry,)) == [("/network_allow/0", "network_refused")]


def test_lists_are_bounded():
    assert faults(env_allow=tuple(f"V{number}" for number in range(101))) == [("/env_allow", "too_many")]


@pytest.mark.parametrize("text", ["", "x" * 201, "\ud800", "a\0b", "a\tb"])
def test_names_are_one_printable_line(text: str):
    ((pointer, _),) = faults(name_en=text)

    assert pointer == "/name_en"


def test_addresses_become_networks_and_names_hosts():
    policy = replace(SOUND, network_allow=("10.1.2.0/24", "192.0.2.7", "db.dinkes.go.id")).network_policy()

    assert set(policy.networks) == {ip_network("10.1.2.0/24"), ip_network("192.0.2.7/32")}
    assert policy.hosts == {"db.dinkes.go.id"}
