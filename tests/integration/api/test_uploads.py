"""Uploads in parts, on both stores: exact offsets, one entry in the log, nothing of anybody else, bounded, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway

CONTENT = b"kode,nama\n" + b"".join(f"P{number:06},Puskesmas {number}\n".encode() for number in range(40_000))
FILES, UPLOADS = "/v1/agencies/dinkes/files", "/v1/agencies/dinkes/uploads"
PARTIAL = {"content-type": "application/partial-upload"}


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


@pytest.fixture
def steward(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("steward", "dinkes")


@pytest.fixture
def supervisor(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("supervisor", "dinkes")


def begin(client: httpx.Client, name: str, content: bytes | None = CONTENT, **more: str) -> str:
    known = {} if content is None else {"Upload-Length": str(len(content)), "Repr-Digest": digest(content)}
    answer = client.post(f"{FILES}/{name}", headers={"Upload-Complete": "?0", **known, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["upload-offset"] == "0"
    assert "exchange-id" not in answer.headers
    return str(answer.headers["location"])


def send(
    client: httpx.Client, place: str, offset: int, content: bytes = b"", *, last: bool = False, **more: str
) -> httpx.Response:
    headers = {**PARTIAL, "Upload-Offset": str(offset), "Upload-Complete": "?1" if last else "?0", **more}
    return client.patch(place, content=content, headers=headers)


def offset_of(client: httpx.Client, place: str) -> int:
    answer = client.head(place)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def entries(supervisor: httpx.Client, op: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = supervisor.get("/v1/exchanges", params={"op": op, "limit": "1000"}).json()["items"]
    return found


def in_place(gateway: RunningGateway, name: str) -> bytes:
    return (gateway.folder / "agencies" / "dinkes" / "inbox" / name).read_bytes()


def test_parts_become_one_file_and_one_entry(
    gateway: RunningGateway, steward: httpx.Client, supervisor: httpx.Client
) -> None:
    before = len(entries(supervisor, "file.upload"))
    place = begin(steward, "bagian/faskes.csv")
    third = len(CONTENT) // 3
    first = send(steward, place, 0, CONTENT[:third])
    second = send(steward, place, third, CONTENT[third:], **{"Content-Digest": digest(CONTENT[third:])})
    assert (first.status_code, first.headers["upload-offset"], first.headers["upload-complete"]) == (
        204,
        str(third),
        "?0",
    )
    assert (second.status_code, second.headers["upload-offset"]) == (204, str(len(CONTENT)))
    assert "exchange-id" not in second.headers
    assert len(entries(supervisor, "file.upload")) == before
    done = send(steward, place, len(CONTENT), last=True)
    assert (done.status_code, done.headers["upload-complete"]) == (201, "?1"), done.text
    assert done.json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert in_place(gateway, "bagian/faskes.csv") == CONTENT
    kept = supervisor.get(f"/v1/exchanges/{done.headers['exchange-id']}").json()["entries"]
    assert [(entry["kind"], entry["op"], entry.get("status")) for entry in kept] == [
        ("intent", "file.upload", None), ("admin", "file.upload", 201),
    ]  # fmt: skip
    assert steward.get(f"/v1/exchanges/{done.headers['exchange-id']}/receipt").status_code in {200, 403}
    told = steward.get(place).json()
    assert (told["complete"], told["offset"], told["exchange"]) == (True, len(CONTENT), done.headers["exchange-id"])
    assert told["file"]["version"] == done.json()["version"]
    assert steward.head(place).headers["upload-complete"] == "?1"


def test_the_last_part_may_bring_bytes_and_the_digest(gateway: RunningGateway, steward: httpx.Client) -> None:
    place = begin(steward, "akhir.csv", None)
    assert send(steward, place, 0, CONTENT[:1000]).status_code == 204
    missing = send(steward, place, 1000, CONTENT[1000:], last=True)
    assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, "/Repr-Digest")
    assert offset_of(steward, place) == len(CONTENT)
    done = send(steward, place, len(CONTENT), last=True, **{"Repr-Digest": digest(CONTENT)})
    assert done.status_code == 201
    assert in_place(gateway, "akhir.csv") == CONTENT
    again = begin(steward, "akhir.csv")
    assert send(steward, again, 0, CONTENT, last=True).json()["new_version"] is False
    assert in_place(gateway, "akhir.csv") == CONTENT


def test_offsets_are_exact(steward: httpx.Client) -> None:
    place = begin(steward, "tepat.csv")
    assert send(steward, place, 0, CONTENT[:500]).status_code == 204
    for wrong in (0, 499, 501, len(CONTENT)):
        refused = send(steward, place, wrong, CONTENT[wrong : wrong + 10])
        assert (refused.status_code, refused.json()["code"]) == (409, "upload_offset_mismatch")
        assert refused.headers["upload-offset"] == "500"
        assert (refused.json()["expected_offset"], refused.json()["provided_offset"]) == (500, wrong)
    early = send(steward, place, 500, last=True)
    assert (early.status_code, early.json()["code"]) == (400, "upload_length_inconsistent")
    broken = send(steward, place, 500, CONTENT[500:600], **{"Content-Digest": digest(b"other")})
    assert (broken.status_code, broken.json()["code"]) == (400, "digest_mismatch")
    assert offset_of(steward, place) == 500
    other = send(steward, place, 500, CONTENT[500:], **{"Upload-Length": "7"})
    assert (other.status_code, other.json()["code"]) == (400, "upload_length_inconsistent")
    assert offset_of(steward, place) == 500
    beyond = send(steward, place, 500, CONTENT[500:] + b"x")
    assert (beyond.status_code, beyond.json()["code"]) == (400, "upload_length_inconsistent")
    assert steward.head(place).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status", "pointer"),
    [
        ({"Upload-Offset": "-1", "Upload-Complete": "?0"}, 422, "/Upload-Offset"),
        ({"Upload-Offset": "0.0", "Upload-Complete": "?0"}, 422, "/Upload-Offset"),
        ({"Upload-Offset": "0"}, 422, "/Upload-Complete"),
        ({"Upload-Offset": "0", "Upload-Complete": "true"}, 422, "/Upload-Complete"),
        ({"Upload-Offset": "0", "Upload-Complete": "?0", "Content-Digest": "sha-256=x"}, 422, "/Content-Digest"),
        ({"Upload-Offset": "0", "Upload-Complete": "?0", "content-type": "text/csv"}, 415, None),
    ],
)
def test_headers_that_say_nothing_are_told(
    steward: httpx.Client, headers: dict[str, str], status: int, pointer: str | None
) -> None:
    place = begin(steward, "kepala.csv")
    answer = steward.patch(place, content=b"x", headers={**PARTIAL, **headers})
    assert answer.status_code == status, answer.text
    assert pointer is None or answer.json()["errors"][0]["pointer"] == pointer
    assert offset_of(steward, place) == 0
    assert steward.delete(place).status_code == 204


def test_bytes_that_are_not_those_announced_are_never_stored(
    gateway: RunningGateway, steward: httpx.Client, supervisor: httpx.Client
) -> None:
    place = begin(steward, "salah.csv")
    other = bytes(reversed(CONTENT))
    refused = send(steward, place, 0, other, last=True)
    assert (refused.status_code, refused.json()["code"]) == (400, "digest_mismatch")
    assert refused.headers["upload-complete"] == "?1"
    kept = supervisor.get(f"/v1/exchanges/{refused.headers['exchange-id']}").json()["entries"]
    assert kept[1]["status"] == 400
    assert steward.head(place).status_code == 404
    assert not (gateway.folder / "agencies" / "dinkes" / "inbox" / "salah.csv").exists()
    unread = begin(steward, "surat.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    refused = send(steward, unread, 0, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", last=True)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "content")


def test_an_upload_is_its_clients_alone(gateway: RunningGateway, steward: httpx.Client) -> None:
    place = begin(steward, "milik.csv")
    others = [gateway.client("steward", "dinkes"), gateway.admin]
    for other in others:
        assert other.head(place).status_code == 404
        assert send(other, place, 0, b"x").json()["code"] == "upload_unknown"
        assert send(other, place, 0, b"x", last=True).status_code == 404
    assert others[0].delete(place).status_code == 404
    stranger = gateway.client("steward", "rsud")
    reader = gateway.client("client", "dinkes")
    for refused, code in ((stranger, "agency_forbidden"), (reader, "role_forbidden")):
        for last in (False, True):
            assert send(refused, place, 0, b"x", last=last).json()["code"] == code
        assert refused.get(place).json()["code"] == code
        assert refused.get(UPLOADS).json()["code"] == code
        assert refused.delete(place).json()["code"] == code
        assert refused.post(f"{FILES}/x.csv", headers={"Upload-Complete": "?0"}).json()["code"] == code
    mine = {item["id"] for item in steward.get(UPLOADS).json()["items"]}
    assert place.rsplit("/", 1)[1] in mine
    assert mine <= {item["id"] for item in gateway.admin.get(UPLOADS).json()["items"]}
    assert not mine & {item["id"] for item in others[0].get(UPLOADS).json()["items"]}
    assert gateway.admin.delete(place).status_code == 204
    assert steward.head(place).status_code == 404


def test_giving_up_is_recorded(steward: httpx.Client, supervisor: httpx.Client) -> None:
    place = begin(steward, "batal.csv")
    assert send(steward, place, 0, CONTENT[:100]).status_code == 204
    ended = steward.delete(place)
    kept = supervisor.get(f"/v1/exchanges/{ended.headers['exchange-id']}").json()["entries"]
    assert [(entry["kind"], entry["op"]) for entry in kept] == [("intent", "file.give_up"), ("admin", "file.give_up")]
    assert kept[1]["detail"]["upload"]["bytes"] == 100
    assert send(steward, place, 100, b"x").status_code == 404


def test_what_arrived_before_a_break_stays(gateway: RunningGateway, steward: httpx.Client) -> None:
    place = begin(steward, "putus.csv")
    head = (
        f"PATCH {place} HTTP/1.1\r\nhost: x\r\nauthorization: {steward.headers['authorization']}\r\n"
        f"content-type: application/partial-upload\r\nupload-offset: 0\r\nupload-complete: ?0\r\ncontent-length: {len(CONTENT)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as broken:
        broken.sendall(head.encode() + CONTENT[:300_000])
        time.sleep(0.3)
    assert offset_of(steward, place) == 300_000
    silent = socket.create_connection(("127.0.0.1", gateway.port), 10)
    silent.sendall(head.replace("upload-offset: 0", "upload-offset: 300000").encode() + CONTENT[300_000:400_000])
    time.sleep(0.3)
    began = time.monotonic()
    assert offset_of(steward, place) == 400_000  # the one that still listens is ended
    assert time.monotonic() - began < 3
    silent.close()
    assert send(steward, place, 400_000, CONTENT[400_000:], last=True).status_code == 201
    assert in_place(gateway, "putus.csv") == CONTENT


def test_parts_that_come_at_once_are_never_mixed(gateway: RunningGateway) -> None:
    body = {"agency": "dinkes", "role": "steward", "name": "Agen", "id": f"serentak-{os.urandom(3).hex()}"}
    made = gateway.admin.post("/v1/clients", json=body).json()
    sessions = [gateway.session(made["client_id"], made["client_secret"]) for _ in range(6)]
    place = begin(sessions[0], "serentak.csv")
    there = 0
    while there < len(CONTENT):
        end = min(there + 200_000, len(CONTENT))
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda one: send(one, place, there, CONTENT[there:end]), sessions))  # noqa: B023 - within the turn
        assert {answer.status_code for answer in answers} <= {204, 409}
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
            "upload_offset_mismatch", "upload_in_use",
        }  # fmt: skip
        reached = offset_of(sessions[0], place)
        assert there <= reached <= end
        there = reached
    assert send(sessions[0], place, there, last=True).status_code == 201
    assert in_place(gateway, "serentak.csv") == CONTENT


def test_a_gateway_that_is_killed_goes_on_from_its_offset(gateway: RunningGateway) -> None:
    body = {"agency": "dinkes", "role": "steward", "name": "Agen", "id": f"agen-{os.urandom(3).hex()}"}
    made = gateway.admin.post("/v1/clients", json=body).json()
    client = gateway.session(made["client_id"], made["client_secret"])
    place = begin(client, "mati.csv")
    assert send(client, place, 0, CONTENT[:250_000]).status_code == 204
    gateway.kill()
    gateway.start()
    client = gateway.session(made["client_id"], made["client_secret"])
    assert offset_of(client, place) == 250_000
    assert send(client, place, 250_000, CONTENT[250_000:], last=True).status_code == 201
    assert in_place(gateway, "mati.csv") == CONTENT


def test_a_part_is_never_taken_for_a_whole_file(gateway: RunningGateway) -> None:
    steward = gateway.client("steward", "dinkes")
    part = steward.put(f"{FILES}/utuh.csv", content=b"kode\n", headers={"Upload-Complete": "?0"})
    whole = steward.post(f"{FILES}/utuh.csv", content=b"kode\n", headers={"Upload-Complete": "?1"})
    assert (part.status_code, whole.status_code) == (422, 422)
    assert not (gateway.folder / "agencies" / "dinkes" / "inbox" / "utuh.csv").exists()


def test_the_first_part_may_come_with_the_beginning(gateway: RunningGateway) -> None:
    steward = gateway.client("steward", "dinkes")
    headers = {"Upload-Complete": "?0", "Repr-Digest": digest(CONTENT)}
    begun = steward.post(f"{FILES}/pertama.csv", content=CONTENT[:777], headers=headers)
    assert (begun.status_code, begun.headers["upload-offset"]) == (201, "777")
    assert send(steward, begun.headers["location"], 777, CONTENT[777:], last=True).status_code == 201
    assert in_place(gateway, "pertama.csv") == CONTENT


def test_options_tell_that_parts_are_taken(gateway: RunningGateway) -> None:
    steward = gateway.client("steward", "dinkes")
    answer = steward.options(f"{FILES}/a.csv")
    assert answer.headers["accept-patch"] == "application/partial-upload"
    assert answer.headers["upload-limit"].startswith("max-size=")
    assert "accept-patch" not in steward.options("/v1/agencies").headers
