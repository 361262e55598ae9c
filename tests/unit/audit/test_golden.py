"""The bytes of version 1, frozen: what is written today must verify for as long as the log lives."""

from __future__ import annotations

import json
from pathlib import Path

from app.audit.entry.commitments import commit_body, commit_detail, commit_tags
from app.audit.entry.record import columns, decode
from app.audit.keys.subjects import subject_tag
from app.audit.tlog.checkpoint import Signer, Verifier
from app.audit.tlog.merkle import Frontier, leaf_hash

GOLDEN = json.loads((Path(__file__).resolve().parents[2] / "golden" / "log" / "version-1.json").read_text("utf-8"))


def test_entries_their_hashes_and_columns():
    frontier = Frontier()
    for case in GOLDEN["entries"]:
        entry = case["entry"].encode()
        assert decode(entry)
        assert leaf_hash(entry).hex() == case["leaf_hash"]
        assert columns(entry) == case["columns"]
        frontier.append(leaf_hash(entry))
    assert frontier.root().hex() == GOLDEN["root"]


def test_the_checkpoint_over_them():
    signer = Signer(GOLDEN["origin"], bytes.fromhex(GOLDEN["seed"]))
    assert signer.verifier.text() == GOLDEN["vkey"]
    assert signer.checkpoint(len(GOLDEN["entries"]), bytes.fromhex(GOLDEN["root"])).note == GOLDEN["note"]
    assert Verifier.parse(GOLDEN["vkey"]).open(GOLDEN["note"]).root.hex() == GOLDEN["root"]


def test_tags_and_commitments():
    salt = bytes.fromhex(GOLDEN["salt"])
    assert commit_detail(salt, GOLDEN["detail"].encode()) == GOLDEN["detail_c"]
    assert commit_body(salt, GOLDEN["body"].encode()) == GOLDEN["body_c"]
    tag = subject_tag(bytes.fromhex(GOLDEN["seed"]), "nik", GOLDEN["identifier"])
    assert tag.hex() == GOLDEN["tag"]
    assert commit_tags([(tag, "asked", 2026), (tag, "released", 2026)]) == GOLDEN["tags"]
