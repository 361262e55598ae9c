"""Addresses that the agency's network policy does not allow: told with their pointer when the manifest is put, and again when dialled."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from app.catalog.agencies import Agency, validate_agency
from app.connectors.environment import NetworkPolicy
from app.connectors.network import resolve_allowed
from app.connectors.registry import open_connector, source_model
from app.connectors.requests import ScanRequest
from app.errors import NetworkForbidden, ValidationFailed
from tests.support.gateway import RunningGateway
from tests.support.reading import environment

KEYS = {"access_key": "${secret:A}", "secret_key": "${secret:B}", "region": "id-1"}
OAUTH = {"kind": "oauth2", "client_id": "c", "client_secret": "${secret:A}"}
HOST_KEY = "SHA256:" + "A" * 43
STATED: dict[str, tuple[dict[str, Any], str]] = {
    "rest": ({"kind": "rest", "url": "http://{}/a"}, "/source/url"),
    "token_url": (
        {"kind": "rest", "url": "https://8.8.8.8/a", "auth": {**OAUTH, "token_url": "https://{}/t"}},
        "/source/auth/token_url",
    ),
    "ckan": ({"kind": "ckan", "url": "https://{}", "resource": "r"}, "/source/url"),
    "ogc": ({"kind": "ogc", "url": "https://{}/api", "collection": "c"}, "/source/url"),
    "gateway": (
        {"kind": "gateway", "url": "https://{}", "schema": "wilayah", "client_id": "c", "client_secret": "${secret:A}"},
        "/source/url",
    ),
    "postgresql": ({"kind": "sql", "url": "postgresql://u:${secret:A}@{}/d", "table": "t"}, "/source/url"),
    "mariadb": ({"kind": "sql", "url": "mariadb://u:${secret:A}@{}/d", "table": "t"}, "/source/url"),
    "web_file": ({"kind": "file", "location": "https://{}/a.csv"}, "/source/location"),
    "object_store": (
        {"kind": "file", "location": "s3://ember/a.csv", "endpoint": "https://{}", **KEYS},
        "/source/endpoint",
    ),
    "sftp": (
        {"kind": "file", "location": "sftp://{}/a.csv", "user": "u", "password": "${secret:A}", "host_key": HOST_KEY},
        "/source/location",
    ),
}
WITHIN = ["127.0.0.1", "10.9.8.7:8443", "169.254.169.254", "100.100.100.200", "[::1]", "[fd00:ec2::254]", "localhost",
          "[::ffff:169.254.169.254]", "[64:ff9b::a09:807]", "[2002:a09:807::1]"]  # fmt: skip


MORE: dict[str, tuple[dict[str, Any], str]] = {
    "oracle": ({"kind": "sql", "url": "oracle://u:${secret:A}@{}/d", "table": "t"}, "/source/url"),
    "html": ({"kind": "file", "location": "https://{}/a.html", "format": "html"}, "/source/location"),
}


class AnySecret:
    """Every secret is there."""

    def resolve(self, text: str) -> str:
        return text.replace("${secret:A}", "rahasia").replace("${secret:B}", "rahasia")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path_factory.mktemp("registered") / "instance")
    running.init()
    running.start()
    running.agency("tertutup", network_allow=[])
    running.agency("sempit", network_allow=["10.9.0.0/16:5432", "127.0.0.1", f"127.0.0.1:{running.port}"])
    running.agency("satu", network_allow=["data.contoh.test:8443", "8.8.8.8"])
    yield running
    running.stop()


def put(gateway: RunningGateway, agency: str, source: dict[str, Any], name: str = "alamat") -> Any:
    manifest = {"connector": f"{agency}-{name}", "agency": agency, "source": source}
    return gateway.admin.put(f"/v1/connectors/{agency}-{name}", json=manifest)


def stated(kind: str, where: str) -> tuple[dict[str, Any], str]:
    source, pointer = STATED[kind]

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(part) for name, part in value.items()}
        return value.replace("{}", where) if isinstance(value, str) else value

    return filled(source), pointer


@pytest.mark.parametrize("where", WITHIN)
@pytest.mark.parametrize("kind", STATED)
def test_hostile_43_an_address_within_is_refused_when_it_is_registered(
    gateway: RunningGateway, kind: str, where: str
) -> None:
    source, pointer = stated(kind, where)
    answer = put(gateway, "tertutup", source)
    assert (answer.status_code, answer.json()["code"]) == (422, "manifest_invalid"), answer.text
    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [(pointer, "network_forbidden")]
    assert gateway.admin.get("/v1/connectors/tertutup-alamat").status_code == 404


@pytest.mark.parametrize("kind", STATED)
def test_what_is_allowed_or_not_known_yet_is_registered(gateway: RunningGateway, kind: str) -> None:
    for where in ("8.8.8.8", "tidak-ada.contoh.invalid"):
        source, _ = stated(kind, where)
        answer = put(gateway, "tertutup", source, f"boleh-{kind.replace('_', '-')}-{where[0]}")
        assert answer.status_code in {200, 201}, answer.text


def test_hostile_43_the_gateways_own_port_is_never_a_source(gateway: RunningGateway) -> None:
    source, pointer = stated("rest", f"127.0.0.1:{gateway.port}")
    fault = put(gateway, "sempit", source).json()["errors"][0]
    assert (fault["pointer"], fault["code"]) == (pointer, "network_forbidden")
    assert "own" in fault["detail"]
    other, _ = stated("rest", f"127.0.0.1:{gateway.port + 1}")
    assert put(gateway, "sempit", other).status_code in {200, 201}


def test_hostile_43_what_is_allowed_no_more_is_not_dialled(gateway: RunningGateway) -> None:
    gateway.agency("dulu", network_allow=["127.0.0.0/8"])
    assert put(gateway, "dulu", stated("ckan", "127.0.0.1:9")[0]).status_code == 201
    assert gateway.admin.patch("/v1/agencies/dulu", json={"network_allow": []}).status_code == 200
    steps = gateway.admin.post("/v1/connectors/dulu-alamat/check").json()["steps"]
    assert [step["problem"]["code"] for step in steps if not step["ok"]] == ["network_forbidden"]


@pytest.mark.parametrize(
    ("agency", "kind", "where", "fits"),
    [
        ("sempit", "postgresql", "10.9.1.1:5432", True),
        ("sempit", "postgresql", "10.9.1.1:5433", False),
        ("sempit", "rest", "10.9.1.1:5432", True),
        ("sempit", "rest", "10.9.1.1", False),
        ("satu", "rest", "lain.contoh.test", False),
    ],
)
def test_hostile_43_a_network_may_be_allowed_at_one_port(
    gateway: RunningGateway, agency: str, kind: str, where: str, *, fits: bool
) -> None:
    answer = put(gateway, agency, stated(kind, where)[0])
    assert answer.status_code in ({200, 201} if fits else {422}), answer.text


async def test_hostile_43_ports_and_hosts_are_held_against_the_policy_when_dialled() -> None:
    own = NetworkPolicy(networks=(ip_network("127.0.0.0/8"),), own_ports=frozenset({8000}))
    assert await resolve_allowed("127.0.0.1", 8001, own) == ["127.0.0.1"]
    for name in ("127.0.0.1", "127.9.9.9"):
        with pytest.raises(NetworkForbidden, match="own"):
            await resolve_allowed(name, 8000, own)
    pinned = NetworkPolicy(pinned=((ip_network("10.9.0.0/16"), 5432),))
    assert await resolve_allowed("10.9.1.1", 5432, pinned) == ["10.9.1.1"]
    for host, port in (("10.9.1.1", 80), ("10.8.1.1", 5432)):
        with pytest.raises(NetworkForbidden):
            await resolve_allowed(host, port, pinned)
    one = NetworkPolicy(pinned=(("8.8.8.8", 53),))
    assert await resolve_allowed("8.8.8.8", 53, one) == ["8.8.8.8"]
    for host, port in (("8.8.8.8", 443), ("8.8.4.4", 53)):
        with pytest.raises(NetworkForbidden) as caught:
            await resolve_allowed(host, port, one)
        assert caught.value.facts["rule"] == "host"


@pytest.mark.parametrize("kind", [*STATED, "oracle", "html"])
async def test_hostile_43_the_own_port_is_not_dialled_by_any_kind(tmp_path: Path, kind: str) -> None:
    """Also where its agency may go to the machine itself, and to this very port by name: nothing arrives there."""
    own, calls = socket.create_server(("127.0.0.1", 0)), list[object]()
    port = own.getsockname()[1]
    server = await asyncio.start_server(lambda _reader, writer: (calls.append(kind), writer.close()), sock=own)
    pinned = (("127.0.0.1", port), (ip_network("127.0.0.1/32"), port), ("127.0.0.1", port + 1))
    policy = NetworkPolicy(networks=(ip_network("127.0.0.0/8"),), pinned=pinned, own_ports=frozenset({port}))
    source = {**STATED, **MORE}[kind][0]
    text = json.dumps(source).replace("{}", f"127.0.0.1:{port}").replace("https://127", "http://127")
    if kind == "token_url":
        text = text.replace("https://8.8.8.8/a", f"http://127.0.0.1:{port + 1}/a")
    stated = json.loads(text)
    known = source_model(stated["kind"]).model_validate(stated)
    around = replace(environment(tmp_path), network=policy, secrets=AnySecret())
    connector = open_connector(known, around)
    try:
        failed = [step.error for step in await connector.check() if step.error is not None]
        assert [type(fault) for fault in failed] == [NetworkForbidden]
        assert "own" in str(failed[0].detail)
        with pytest.raises(NetworkForbidden, match="own"):
            async for _ in connector.scan(ScanRequest()):
                pass
    finally:
        await connector.close()
        server.close()
        await server.wait_closed()
    assert calls == []


@pytest.mark.parametrize(
    ("entry", "networks", "hosts", "pinned"),
    [
        ("10.1.2.0/24:5432", (), set(), ((ip_network("10.1.2.0/24"), 5432),)),
        ("[fd00::/64]:443", (), set(), ((ip_network("fd00::/64"), 443),)),
        ("Db.Contoh.test:5432", (), set(), (("db.contoh.test", 5432),)),
        ("fd00::5", (ip_network("fd00::5"),), set(), ()),
        ("db.contoh.test", (), {"db.contoh.test"}, ()),
    ],
)
def test_entries_with_a_port(entry: str, networks: Any, hosts: set[str], pinned: Any) -> None:
    policy = validate_agency(Agency("uji", "Uji", network_allow=(entry,))).network_policy()
    assert (policy.networks, policy.hosts, policy.pinned) == (networks, frozenset(hosts), pinned)


@pytest.mark.parametrize(
    "entry", ["10.1.2.0/24:0", "10.1.2.0/24:70000", "10.1.2.1/24:80", "1.2.3.999:80", "0.0.0.0/0:80", "169.254.169.254:80", "a:b", ":80"]
)  # fmt: skip
def test_entries_that_are_none(entry: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        validate_agency(Agency("uji", "Uji", network_allow=(entry,)))
    assert caught.value.errors[0].pointer == "/network_allow/0"
