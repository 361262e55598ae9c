"""Every operation of the OpenAPI document, asked by every role with fitting and unfitting input made from the document.

No answer is a 5xx, and for every answer that carries an Exchange-Id the log holds its intent and what closed it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests.integration.api.conftest import furnish
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

DOCUMENT = json.loads((Path(__file__).parents[3] / "openapi" / "simpul.json").read_text("utf-8"))
schemathesis.serializer.alias("application/partial-upload", "application/octet-stream")
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
METHODS = ("get", "post", "put", "patch", "delete")
OPERATIONS = sorted(
    (path, method.upper()) for path, found in DOCUMENT["paths"].items() for method in METHODS if method in found
)
ROLES = ("client", "steward", "auditor", "supervisor", "admin")
KNOWN = {
    "agency": "dinkes",
    "agreement": "pks-1",
    "connector": "dinkes-faskes",
    "schema": "fasilitas-kesehatan",
    "key": "P1",
    "dataset": "dinkes-faskes",
    "system": "kemendagri",
    "code": "33.20",
    "revision": "1",
    "name": "kata-sandi",
    "path": "inbox/faskes.csv",
}
CHANGING = ("publish", "suspend", "retire", "rollback")
EXAMPLES = 6


class Asker:
    """A gateway with a session a role, and the log's view of what was answered."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.url = gateway.url
        self.roles = {role: gateway.client(role, "dinkes") for role in ROLES}
        self.supervisor = self.roles["supervisor"]

    def ask(self, case: schemathesis.Case, role: str) -> httpx.Response:
        """The request of a case, sent as it is."""
        sent = case.as_transport_kwargs(base_url=self.url)
        session = self.roles[role]
        headers = {name: value for name, value in sent["headers"].items() if _sendable(name, value)}
        body = sent.get("data")
        if "json" in sent:
            body, headers["content-type"] = json.dumps(sent["json"]).encode(), "application/json"
        elif isinstance(body, dict):
            return session.request(sent["method"], sent["url"], params=sent.get("params"), headers=headers, data=body)
        return session.request(
            sent["method"],
            sent["url"],
            params=sent.get("params"),
            headers={**headers, "authorization": session.headers["authorization"]},
            content=body.encode() if isinstance(body, str) else body,
        )


def _sendable(name: str, value: Any) -> bool:
    """Headers that an HTTP client can put on the wire at all."""
    text = f"{name}{value}"
    mine = {"host", "user-agent", "authorization", "content-length", "transfer-encoding"}
    return name.lower() not in mine and text.isascii() and text.isprintable() and value == value.strip()


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    folder = tmp_path_factory.mktemp("operations")
    running = RunningGateway(
        folder / "instance", {"SIMPUL_RATE_PER_MINUTE": "1000000", "SIMPUL_SUBJECT_USAGE_PER_MINUTE": "1000000"}
    )
    running.init()
    services = SourceServer()
    try:
        running.start()
        furnish(running, folder, services)
        draft = {"connector": "dinkes-coba", "agency": "dinkes", "source": {"kind": "file", "location": "inbox/x.csv"}}
        assert running.admin.put("/v1/connectors/dinkes-coba", json=draft).status_code == 201
        yield Asker(running)
    finally:
        code = running.stop()
        services.close()
    assert code == 0


def cases(path: str, method: str) -> st.SearchStrategy[schemathesis.Case]:
    """Cases of an operation: as its schema says and as it does not; of things that exist and of things that do not."""
    operation = SCHEMA[path][method]
    named = {part.strip("{}") for part in path.split("/") if part.startswith("{")}
    known = {name: KNOWN[name] for name in named & KNOWN.keys()}
    if method == "PUT" or path.endswith(CHANGING):
        harmless = {"connector": "dinkes-coba", "path": "inbox/coba.csv"}
        known.update({name: value for name, value in harmless.items() if name in named})
    made = [operation.as_strategy(generation_mode=GenerationMode.POSITIVE)]
    made.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    if known and known.keys() == named:
        made.append(operation.as_strategy(generation_mode=GenerationMode.POSITIVE, path_parameters=known))
    return st.one_of(made)


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=[f"{method} {path}" for path, method in OPERATIONS])
def test_no_fault_and_no_exchange_left_open(asker: Asker, path: str, method: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(path, method), role=st.sampled_from(ROLES))
    def ask(case: schemathesis.Case, role: str) -> None:
        try:
            answer = asker.ask(case, role)
        except httpx.InvalidURL:  # httpx sends no address of more than 65,536 characters
            reject()
        closed(asker, answer)

    ask()


TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["", "dinkes", "nama", "-nama", "kode_faskes,nama", "merged", "id", "csv", "9" * 40, "1e999", "null"]
    ),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
PARAMETERS = (
    "filter",
    "filter-lang",
    "fields",
    "sort",
    "limit",
    "cursor",
    "agencies",
    "f",
    "csv",
    "view",
    "count",
    "nama",
    "since",
)
MEMBERS = (
    "filter", "fields", "sort", "limit", "cursor", "agencies", "view", "count", "purpose", "aggregates", "group_by", "having", "overlap",
    "keys", "schema", "sql", "nik", "nama", "tanggal_lahir",
)  # fmt: skip
FACILITIES = "/v1/records/fasilitas-kesehatan"
ASKED = settings(
    max_examples=100, phases=[Phase.generate], deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@ASKED
@given(
    path=st.sampled_from(["", "/P1", "/changes", "/conflicts", "/A~B"]),
    params=st.dictionaries(st.sampled_from(PARAMETERS), TEXTS, max_size=4),
    prefer=st.sampled_from(["", "respond-async", "partial=never"]),
)
def test_parameters_of_any_text(asker: Asker, path: str, params: dict[str, str], prefer: str) -> None:
    session = asker.roles["client"]
    closed(asker, session.get(f"{FACILITIES}{path}", params=params, headers={"prefer": prefer}))


@ASKED
@given(
    path=st.sampled_from(
        [
            f"{FACILITIES}/search",
            f"{FACILITIES}/aggregate",
            f"{FACILITIES}/match",
            "/v1/explain",
            "/v1/queries",
            "/v1/records/penduduk-verifikasi/verify",
            "/v1/records/penduduk-verifikasi/match",
        ]
    ),
    body=st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=4) | VALUES,
)
def test_bodies_of_any_shape(asker: Asker, path: str, body: Any) -> None:
    content = json.dumps(body, ensure_ascii=True).encode()
    closed(asker, asker.roles["client"].post(path, content=content, headers={"content-type": "application/json"}))


@ASKED
@given(
    lines=st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=4), max_size=5),
    head=st.sampled_from(["key", "key,nama", "kode_faskes;nama", ""]),
)
def test_uploads_of_any_text(asker: Asker, lines: list[list[str]], head: str) -> None:
    content = "\r\n".join([head, *(",".join(line) for line in lines)]).encode()
    answer = asker.roles["client"].post(f"{FACILITIES}/match", content=content, headers={"content-type": "text/csv"})
    closed(asker, answer)


def closed(asker: Asker, answer: httpx.Response) -> None:
    """The answer is no fault, and the log holds its intent and what closed it."""
    assert answer.status_code < 500, f"{answer.request.method} {answer.request.url}: {answer.text[:2000]}"
    number = answer.headers.get("exchange-id")
    if number is None:
        return
    found = asker.supervisor.get(f"/v1/exchanges/{number}")
    assert found.status_code == 200, found.text
    kinds = [entry["kind"] for entry in found.json()["entries"]]
    assert kinds[0] == "intent"
    assert len(kinds) == 2
    assert kinds[1] in {"outcome", "admin", "audit_read"}
    assert found.json()["entries"][1]["status"] == answer.status_code
