"""The served log of a running gateway, on both stores: tiles checked by tlog-scales, receipts by the command line."""

from __future__ import annotations

import time

import httpx
import pytest
from tlog_scales import tiles as scales
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey

from app.audit.tlog.checkpoint import Checkpoint, Verifier
from app.audit.tlog.receipts import parse_receipt
from app.audit.tlog.tiles import tiles_of
from tests.support.gateway import RunningGateway
from tests.support.programs import simpul

ASK = "/v1/records/fasilitas-kesehatan"


class SessionBackend:
    """How tlog-scales fetches: with a supervisor's token, and only 200 and 404 are answers."""

    def __init__(self, session: httpx.Client) -> None:
        self.session = session

    def get(self, *path: str) -> bytes | None:
        answer = self.session.get("/log/" + "/".join(path))
        assert answer.status_code in {200, 404}, answer.text
        return answer.content if answer.status_code == 200 else None


@pytest.fixture
def anyone(gateway) -> httpx.Client:
    with httpx.Client(base_url=gateway.url, trust_env=False) as session:
        yield session


@pytest.fixture(scope="module")
def supervisor(gateway) -> httpx.Client:
    return gateway.client("supervisor", "diskominfo")


@pytest.fixture(scope="module")
def auditor(gateway) -> httpx.Client:
    return gateway.client("auditor", "dinkes")


def verifier(gateway: RunningGateway) -> Verifier:
    return Verifier.parse((gateway.folder / "log.vkey").read_text("utf-8"))


def grown(gateway: RunningGateway, anyone: httpx.Client) -> Checkpoint:
    """The checkpoint after one more exchange was recorded."""
    before = anyone.get("/log/checkpoint").text
    assert gateway.admin.get(ASK).status_code == 200
    ends = time.monotonic() + 20
    while (note := anyone.get("/log/checkpoint").text) == before:
        assert time.monotonic() < ends
        time.sleep(0.02)
    return verifier(gateway).open(note)


def test_a_commit_is_signed_within_a_second(gateway, anyone):
    client = gateway.client("client", "rsud")
    before = grown(gateway, anyone).size
    assert client.get(ASK).status_code == 200
    began = time.monotonic()
    while verifier(gateway).open(anyone.get("/log/checkpoint").text).size <= before:
        assert time.monotonic() - began < 10
        time.sleep(0.01)
    waited = time.monotonic() - began
    assert waited < 5  # the promise is 1 s; a busy machine may be late


def test_tlog_scales_accepts_root_and_proofs_of_the_served_log(gateway, anyone, supervisor):
    for _ in range(140):
        assert gateway.admin.get(ASK, params={"limit": 1}).status_code == 200
    old = verifier(gateway).open(anyone.get("/log/checkpoint").text)
    signed = grown(gateway, anyone)
    reader = TilesReader(SessionBackend(supervisor))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(verifier(gateway).text()))
    assert checkpoint.size >= signed.size > 256
    assert reader.calculate_root_hash() == checkpoint.root_hash
    for index in (0, 1, 255, 256, checkpoint.size - 1):
        leaf = scales.leaf_hash(reader.get_entry(index))
        reader.get_inclusion_proof(index, checkpoint.size).check(leaf, checkpoint.root_hash)
    proof = reader.get_consistency_proof(old.size, checkpoint.size)
    proof.check(old.root, checkpoint.root_hash)


def test_every_tile_of_a_published_size_is_there_and_no_other(gateway, anyone, supervisor):
    size = grown(gateway, anyone).size
    for tile in tiles_of(size):
        session = supervisor if tile.level is None else anyone
        answer = session.get(f"/log/{tile.path()}")
        assert answer.status_code == 200, tile
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]
        if tile.level is not None:
            assert len(answer.content) == 32 * tile.width


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/00", "tile/0/x0001", "tile/0/000.p/0", "tile/0/000.p/256", "tile/64/000", "tile/0/-01", "tile/0/999",
        "tile/0/x999/x999/999", "tile/7/000", "tile/0/%30%30%30", "tile/%2e%2e/checkpoint", "tile/0/000.p/01",
        "tile/entries", "tile/0", "tile", "checkpoint/", "tile/0/000/", "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ],
)  # fmt: skip
def test_hostile_29_what_is_not_a_tile_is_404(anyone, path):
    assert anyone.get(f"/log/{path}").status_code == 404


def test_hostile_29_a_partial_tile_of_no_published_size_is_404(gateway, anyone, supervisor):
    size = grown(gateway, anyone).size
    tile, width = divmod(size, 256)
    beyond = width + 60
    assert beyond < 256
    for level, session in (("0", anyone), ("entries", supervisor)):
        assert session.get(f"/log/tile/{level}/{tile:03d}").status_code == 404
        assert session.get(f"/log/tile/{level}/{tile:03d}.p/{beyond}").status_code == 404
        assert session.get(f"/log/tile/{level}/{tile + 1:03d}.p/1").status_code == 404


def test_entry_bundles_need_a_supervisor_and_reading_them_is_recorded(gateway, anyone, supervisor, auditor):
    path = "/log/" + next(tile for tile in tiles_of(grown(gateway, anyone).size) if tile.level is None).path()
    assert anyone.get(path).status_code == 401
    assert gateway.client("client", "rsud").get(path).status_code == 403
    assert auditor.get(path).status_code == 403  # they hold the entries of all agencies
    answer = supervisor.get(path)
    assert answer.status_code == 200
    found = gateway.client("supervisor", "dinkes").get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()
    assert [(entry["kind"], entry["op"]) for entry in found["entries"]] == [
        ("intent", "log.entries"),
        ("audit_read", "log.entries"),
    ]


def test_the_receipt_that_an_answer_links_to_proves_it_offline(gateway, tmp_path):
    client = gateway.client("client", "rsud")
    answer = client.get(ASK)
    link, _, relation = answer.headers["link"].partition("; ")
    assert (link, relation) == (f"</v1/exchanges/{answer.headers['exchange-id']}/receipt>", 'rel="receipt"')
    got = client.get(link[1:-1])
    assert got.status_code == 200
    assert got.headers["content-disposition"].endswith('.tlog-proof"')
    receipt, body = tmp_path / "r.tlog-proof", tmp_path / "body"
    receipt.write_bytes(got.content)
    body.write_bytes(answer.content)
    keys = ["--vkey", str(gateway.folder / "log.vkey")]
    good = simpul("log", "verify-receipt", str(receipt), *keys, "--body", str(body))
    assert good.returncode == 0, good.stdout + good.stderr
    assert "proven: entry" in good.stdout
    assert "the body is the one that was released" in good.stdout
    body.write_bytes(answer.content + b" ")
    bad = simpul("log", "verify-receipt", str(receipt), *keys, "--body", str(body))
    assert (bad.returncode, "not proven" in bad.stdout) == (1, True)
    receipt.write_text(got.text.replace("index ", "index 1"), "utf-8")
    assert simpul("log", "verify-receipt", str(receipt), *keys).returncode == 1
    assert simpul("log", "verify-receipt", str(receipt), "--vkey", str(tmp_path / "none")).returncode == 2
    assert simpul("log", "verify-receipt", str(receipt)).returncode == 2


def test_a_receipt_is_for_the_consumer_and_for_auditors_who_see_it(gateway, auditor):
    answer = gateway.client("client", "rsud").get(ASK)
    path = f"/v1/exchanges/{answer.headers['exchange-id']}/receipt"
    assert parse_receipt(gateway.client("supervisor", "disdukcapil").get(path).text).body_salt is not None
    assert auditor.get(path).status_code == 200  # the provider's auditor
    for role, agency in (("client", "dinkes"), ("client", "disdukcapil"), ("auditor", "disdukcapil")):
        refused = gateway.client(role, agency).get(path)
        assert (refused.status_code, refused.json()["code"]) == (404, "exchange_unknown")
    missing = gateway.client("client", "rsud").get("/v1/exchanges/0198c2f0-0000-7000-8000-000000000000/receipt")
    assert missing.status_code == 404
