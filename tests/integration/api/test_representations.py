"""ETags, conditional requests, content codings and ranges over real HTTP (RFC 9110)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx
import pytest

from app.audit.entry.commitments import commit_body
from app.audit.tlog.receipts import parse_receipt
from tests.integration.api.conftest import facility_manifest
from tests.support.documented import parameters_of
from tests.support.gateway import RunningGateway

LIST = "/v1/records/fasilitas-kesehatan"


@pytest.fixture
def admin(gateway: RunningGateway) -> Any:
    """A session without the test client's habits: it sends what is asked for and nothing else."""
    token = gateway.admin.headers["authorization"]
    with httpx.Client(base_url=gateway.url, trust_env=False, headers={"authorization": token}) as session:
        session.headers["accept-encoding"] = "identity"
        yield session


def digest(body: bytes) -> str:
    return "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"


def raw(session: httpx.Client, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """The answer and the bytes as they came over the wire."""
    with session.stream("GET", path, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("path", ["/v1/agencies/dinkes", "/v1/schemas", "/openapi.json", "/docs"])
def test_a_read_has_a_tag_and_is_not_sent_twice(admin: httpx.Client, path: str) -> None:
    first = admin.get(path)
    again = admin.get(path, headers={"If-None-Match": first.headers["etag"]})
    weak = admin.get(path, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    other = admin.get(path, headers={"If-None-Match": '"other"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-type" not in again.headers
    assert weak.status_code == 304
    assert (other.status_code, other.content) == (200, first.content)


def test_a_change_says_which_state_it_means(admin: httpx.Client) -> None:
    path = "/v1/agencies/dinkes"
    first = admin.get(path)
    bare = admin.patch(path, json={"contact": "satu@jepara.example"})
    done = admin.patch(path, json={"contact": "satu@jepara.example"}, headers={"If-Match": first.headers["etag"]})
    late = admin.patch(path, json={"contact": "dua@jepara.example"}, headers={"If-Match": first.headers["etag"]})
    now = admin.get(path)

    assert (bare.status_code, bare.json()["code"]) == (428, "precondition_required")
    assert bare.json()["etag"] == first.headers["etag"]
    assert done.status_code == 200
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert now.json()["contact"] == "satu@jepara.example"
    assert done.headers["etag"] == now.headers["etag"] == late.json()["etag"] != first.headers["etag"]


def test_clients_are_changed_as_seen(gateway: RunningGateway, admin: httpx.Client) -> None:
    made = admin.post("/v1/clients", json={"agency": "rsud", "role": "client", "name": "x", "id": "seen-one"}).json()
    path = f"/v1/clients/{made['client_id']}"
    tag = admin.get(path).headers["etag"]

    assert admin.patch(path, json={"disabled": True}).status_code == 428
    assert admin.patch(path, json={"disabled": True}, headers={"If-Match": '"other"'}).status_code == 412
    assert admin.post(f"{path}/rotate", headers={"If-Match": '"other"'}).status_code == 412
    assert admin.patch(path, json={"disabled": True}, headers={"If-Match": tag}).json()["disabled"] is True


def test_a_manifest_is_changed_as_seen_and_created_once(admin: httpx.Client) -> None:
    path, manifest = "/v1/connectors/berubah", facility_manifest("berubah", "dinkes")
    early = admin.put(path, json=manifest, headers={"If-Match": "*"})
    made = admin.put(path, json=manifest, headers={"If-None-Match": "*"})
    twice = admin.put(path, json=manifest, headers={"If-None-Match": "*"})
    same = admin.put(path, json=manifest)
    bare = admin.put(path, json=manifest | {"title": "Lain"})
    seen = admin.get(path).headers["etag"]
    changed = admin.put(path, json=manifest | {"title": "Lain"}, headers={"If-Match": seen})
    late = admin.put(path, json=manifest | {"title": "Lagi"}, headers={"If-Match": seen})

    assert [early.status_code, made.status_code, twice.status_code] == [412, 201, 412]
    assert (same.status_code, same.json()["created"]) == (200, False)
    assert [bare.status_code, changed.status_code, late.status_code] == [428, 201, 412]


def test_a_file_is_stored_once_where_that_is_asked(admin: httpx.Client) -> None:
    path = "/v1/agencies/dinkes/files/sekali.csv"
    made = admin.put(path, content=b"a\n1\n", headers={"If-None-Match": "*"})
    twice = admin.put(path, content=b"a\n2\n", headers={"If-None-Match": "*"})
    late = admin.put(path, content=b"a\n2\n", headers={"If-Match": '"other"'})
    done = admin.put(path, content=b"a\n2\n", headers={"If-Match": made.headers["etag"]})

    assert [made.status_code, twice.status_code, late.status_code, done.status_code] == [201, 412, 412, 201]


@pytest.mark.parametrize("coding", ["gzip", "br"])
@pytest.mark.parametrize("path", ["/openapi.json", "/v1/schemas", LIST])
def test_texts_are_coded_on_request(admin: httpx.Client, path: str, coding: str) -> None:
    plain, _ = raw(admin, path)
    answer, body = raw(admin, path, **{"accept-encoding": f"deflate, {coding};q=0.8, identity;q=0.1"})
    unpack = gzip.decompress if coding == "gzip" else brotli.decompress

    assert answer.headers["content-encoding"] == coding
    assert int(answer.headers["content-length"]) == len(body)
    assert len(unpack(body)) > len(body)
    assert answer.headers["etag"].endswith(f'-{coding}"')
    assert "Accept-Encoding" in answer.headers["vary"]
    assert "Accept-Encoding" in plain.headers["vary"]
    if path == LIST:
        assert answer.headers["content-digest"] == digest(body)
    else:
        again = admin.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


def test_refused_codings_are_not_used(admin: httpx.Client) -> None:
    answer, _ = raw(admin, "/openapi.json", **{"accept-encoding": "gzip;q=0, br;q=0, *;q=0"})
    small, _ = raw(admin, "/health/live", **{"accept-encoding": "gzip"})

    assert "content-encoding" not in answer.headers
    assert "content-encoding" not in small.headers


def test_the_receipt_of_a_coded_answer_is_for_what_it_unpacks_to(gateway: RunningGateway) -> None:
    reader = gateway.client("client", "rsud")
    answer = reader.get(LIST, headers={"accept-encoding": "br"})
    receipt = parse_receipt(reader.get(f"/v1/exchanges/{answer.headers['exchange-id']}/receipt").text)
    salt, entry = receipt.body_salt, json.loads(receipt.entry)

    assert salt is not None
    assert answer.headers["content-encoding"] == "br"
    assert (entry["bytes"], entry["body_c"]) == (len(answer.content), commit_body(salt, answer.content))


def test_parts_of_a_result(admin: httpx.Client) -> None:
    made = admin.get(LIST, params={"f": "ndjson"}, headers={"Prefer": "respond-async"})
    assert made.status_code == 202, made.text
    place = f"/v1/jobs/{made.json()['id']}"
    for _ in range(100):
        if admin.get(place).json()["state"] == "done":
            break
        time.sleep(0.1)
    whole = admin.get(f"{place}/result")
    size, tag = len(whole.content), whole.headers["etag"]

    def part(wanted: str, **more: str) -> httpx.Response:
        return admin.get(f"{place}/result", headers={"Range": wanted, **more})

    first, rest, last = part("bytes=0-9"), part("bytes=10-"), part("bytes=-5")
    assert whole.headers["accept-ranges"] == "bytes"
    assert [first.status_code, rest.status_code, last.status_code] == [206, 206, 206]
    assert first.content + rest.content == whole.content
    assert last.content == whole.content[-5:]
    assert first.headers["content-range"] == f"bytes 0-9/{size}"
    assert first.headers["content-digest"] == digest(first.content)
    assert part("bytes=0-9", **{"If-Range": tag}).status_code == 206
    assert part("bytes=0-9", **{"If-Range": '"other"'}).status_code == 200
    assert part("bytes=0-1,4-5").content == whole.content
    behind = part(f"bytes={size}-")
    assert (behind.status_code, behind.json()["code"]) == (416, "range_not_satisfiable")
    assert behind.headers["content-range"] == f"bytes */{size}"


ANSWERED_BY_REDIRECTION = {"/sign-in/oidc", "/sign-in/oidc/callback"}
"""Each answer is another one: nothing of it is kept."""


def test_conditions_and_parts_are_documented_where_they_are_answered(admin: httpx.Client) -> None:
    document = admin.get("/openapi.json").json()
    paths = document["paths"]

    def told(path: str, method: str) -> tuple[set[str], set[str]]:
        operation = paths[path][method]
        names = {one["name"] for one in parameters_of(document, operation) if one["in"] == "header"}
        return names, set(operation["responses"])

    names, statuses = told("/v1/agencies/{agency}", "patch")
    assert ("If-Match" in names, {"412", "428"} <= statuses) == (True, True)
    names, statuses = told("/v1/connectors/{connector}", "put")
    assert ({"If-Match", "If-None-Match"} <= names, {"412", "428"} <= statuses) == (True, True)
    names, statuses = told("/v1/jobs/{job}/result", "get")
    assert ({"Range", "If-Range", "If-None-Match"} <= names, {"206", "304", "416"} <= statuses) == (True, True)
    for path, item in paths.items():
        if "get" in item and path not in ANSWERED_BY_REDIRECTION:
            assert "304" in item["get"]["responses"], path
