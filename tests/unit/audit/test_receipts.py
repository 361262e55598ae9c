"""Receipts: what a good one proves, and every forged or malformed one that must be refused."""

from __future__ import annotations

import base64
from dataclasses import replace
from hashlib import sha256

import orjson
import pytest

from app.audit.tlog.checkpoint import Signer
from app.audit.tlog.cosignatures import Cosigner
from app.audit.tlog.merkle import Frontier, leaf_hash
from app.audit.tlog.policy import Policy, parse_policy
from app.audit.tlog.proofs import inclusion_ranges, proof_hashes
from app.audit.tlog.receipts import HEADER, Receipt, ReceiptError, check_receipt, parse_receipt, receipt_of

ORIGIN = "simpul.jepara.example/log"
SIGNER = Signer(ORIGIN, bytes(range(32)))
WITNESS = Cosigner("inspektorat.example/w1", bytes(range(1, 33)))
POLICY = Policy(logs={ORIGIN: SIGNER.verifier})
SALT = bytes(range(32))
BODY = b'{"hasil": "cocok"}'
ENTRIES = [
    orjson.dumps({"v": "simpul-log/1", "xid": str(n), "kind": "outcome", "body_c": sha256(SALT + BODY).hexdigest()})
    for n in range(300)
]


def tree(size: int) -> tuple[bytes, dict[tuple[int, int], bytes]]:
    frontier = Frontier()
    stored = {}
    for index, entry in enumerate(ENTRIES[:size]):
        leaf = leaf_hash(entry)
        stored[0, index] = leaf
        stored.update({(level, n): value for level, n, value in frontier.append(leaf)})
    return frontier.root(), stored


def receipt(index: int = 123, size: int = 300) -> Receipt:
    root, stored = tree(size)
    hashes = proof_hashes(inclusion_ranges(index, size), stored)
    return receipt_of(index, hashes, SIGNER.checkpoint(size, root).note, ENTRIES[index], {"body_salt": SALT.hex()})


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (255, 256), (256, 257), (299, 300), (123, 300)])
def test_a_receipt_goes_through_its_text_and_proves_its_entry_and_body(index, size):
    made = receipt(index, size)
    again = parse_receipt(made.text())
    assert again == made
    found = check_receipt(again, POLICY, body=BODY)
    assert (found.index, found.checkpoint.size, found.members["xid"]) == (index, size, str(index))
    assert found.body_checked


def test_a_proof_without_an_extra_line_is_checked_against_the_entry_given():
    bare = replace(receipt(), entry=None, body_salt=None)
    assert parse_receipt(bare.text()) == bare
    assert check_receipt(bare, POLICY, entry=ENTRIES[123]).members["xid"] == "123"
    for entry, words in ((None, "carries no entry"), (ENTRIES[124], "does not lead")):
        with pytest.raises(ReceiptError, match=words):
            check_receipt(bare, POLICY, entry=entry)
    with pytest.raises(ReceiptError, match="no salt"):
        check_receipt(bare, POLICY, entry=ENTRIES[123], body=BODY)


def test_another_body_or_entry_is_found_out():
    with pytest.raises(ReceiptError, match="not the one that was released"):
        check_receipt(receipt(), POLICY, body=BODY + b" ")
    with pytest.raises(ReceiptError, match="not the one that the receipt carries"):
        check_receipt(receipt(), POLICY, entry=ENTRIES[124])


GOOD = receipt()
ROOT, STORED = tree(300)
OTHER = Signer("other.example/log", bytes(range(32)))
SAME_NAME = Signer(ORIGIN, bytes(32))


@pytest.mark.parametrize(
    ("forged", "words"),
    [
        (replace(GOOD, note=OTHER.checkpoint(300, ROOT).note), "of origin other.example"),
        (replace(GOOD, note=SAME_NAME.checkpoint(300, ROOT).note), "0 signatures by the log's key"),
        (replace(GOOD, index=124), "does not lead"),
        (replace(GOOD, index=122), "does not lead"),
        (replace(GOOD, hashes=GOOD.hashes[:-1]), "does not lead"),
        (replace(GOOD, hashes=GOOD.hashes[1:]), "does not lead"),
        (replace(GOOD, hashes=(*GOOD.hashes, bytes(32))), "does not lead"),
        (replace(GOOD, entry=ENTRIES[122]), "does not lead"),
        (replace(GOOD, note=SIGNER.checkpoint(0, sha256().digest()).note), "outside a tree of 0"),
        (replace(GOOD, index=300), "outside a tree of 300"),
        (replace(GOOD, note=SIGNER.checkpoint(300, bytes(32)).note), "does not lead"),
        (replace(GOOD, note=GOOD.note + GOOD.note.splitlines()[-1] + "\n"), "2 signatures by the log's key"),
        (replace(GOOD, note=GOOD.note + "\u2014 w.example AAAAAAA=\n" * 16), "more than 16"),
    ],
)
def test_hostile_27_forged_receipts_prove_nothing(forged, words):
    with pytest.raises(ReceiptError, match=words):
        check_receipt(parse_receipt(forged.text()), POLICY)


TEXT = GOOD.text()
FIRST_HASH = base64.b64encode(GOOD.hashes[0]).decode()
LAST_HASH = FIRST_HASH[:-2] + ("B=" if FIRST_HASH[-2] != "B" else "C=")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "starts with"),
        (TEXT.replace(HEADER, "c2sp.org/tlog-proof@v2"), "starts with"),
        (TEXT.replace("\n", "\r\n"), "CR LF"),
        (TEXT.replace("index 123", "index 0123"), "decimal number"),
        (TEXT.replace("index 123", "index -1"), "decimal number"),
        (TEXT.replace("index 123", "index \u0661"), "decimal number"),
        (TEXT.replace("index 123", "index 99999999999999999999"), "decimal number"),
        (TEXT.replace("index 123\n", ""), "decimal number"),
        (TEXT.replace(FIRST_HASH, LAST_HASH), "canonical"),
        (TEXT.replace(FIRST_HASH, "AAAA"), "32 bytes"),
        (TEXT.replace(FIRST_HASH + "\n", (FIRST_HASH + "\n") * 64), "at most 63"),
        (TEXT.replace("extra ", "extra AAAA"), "extra line"),
        (TEXT.replace("extra ", "extra W10=\nextra "), "extra line"),
        (TEXT + "x" * 70_000, "at most 65536"),
    ],
)
def test_hostile_27_malformed_receipts_are_refused(text, words):
    with pytest.raises(ReceiptError, match=words):
        check_receipt(parse_receipt(text), POLICY)


def test_a_quorum_of_witnesses_may_be_asked_for():
    text = f"log {SIGNER.verifier.text()}\nwitness w1 {WITNESS.key.text()}\nquorum w1\n"
    policy = parse_policy(text)
    with pytest.raises(ReceiptError, match="cosigned by nobody: the quorum w1 is not met"):
        check_receipt(GOOD, policy)
    signed_text = GOOD.note.partition("\n\n")[0] + "\n"
    cosigned = replace(GOOD, note=GOOD.note + WITNESS.cosign(signed_text, 1_790_000_000))
    assert check_receipt(parse_receipt(cosigned.text()), policy).checkpoint.size == 300
    assert policy.cosignatures(cosigned.note)["w1"].time == 1_790_000_000
    late = cosigned.note.replace(WITNESS.cosign(signed_text, 1_790_000_000), WITNESS.cosign(signed_text + "x\n", 1))
    with pytest.raises(ReceiptError, match="quorum"):
        check_receipt(replace(GOOD, note=late), policy)
