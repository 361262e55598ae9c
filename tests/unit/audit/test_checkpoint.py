"""Signed notes: the published vectors, and every malformed note or key that must be refused."""

from __future__ import annotations

import base64

import pytest

from app.audit.tlog.checkpoint import NoteError, Signer, Verifier, checkpoint_text, key_id, parse_text, split_note

NAME = "simpul.jepara.example/log"
SIGNER = Signer(NAME, bytes(range(32)))
NOTE = SIGNER.checkpoint(7, bytes(32)).note


PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example of golang.org/x/mod/sumdb/note."""


def test_the_vkey_and_signature_of_a_published_note():
    verifier = Verifier.parse(PUBLISHED_KEY)
    text, signatures = split_note(PUBLISHED_NOTE)
    assert signatures[0][1][:4] == key_id(verifier.name, verifier.public_key) == bytes.fromhex("c74f20a3")
    assert verifier.text() == PUBLISHED_KEY
    assert text.startswith("If you think")
    with pytest.raises(NoteError, match="three lines"):  # the signature verifies; a checkpoint it is not
        verifier.open(PUBLISHED_NOTE)


def test_the_signer_key_of_the_same_example():
    skey = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    signer = Signer.parse(skey)
    assert signer.text() == skey
    assert signer.verifier.text() == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_checkpoint_opens_with_its_key_and_is_the_same_each_time():
    known = Verifier.parse(SIGNER.verifier.text()).open(NOTE)
    assert (known.origin, known.size, known.root, known.note) == (NAME, 7, bytes(32), NOTE)
    assert SIGNER.checkpoint(7, bytes(32)) == known
    assert NOTE.startswith(f"{NAME}\n7\n{'A' * 43}=\n\n\u2014 {NAME} ")


def test_the_secret_stays_out_of_repr_and_errors():
    assert "AAEC" not in repr(SIGNER)
    broken = SIGNER.text().replace(NAME, "other.example/log")
    with pytest.raises(NoteError) as caught:
        Signer.parse(broken)
    assert SIGNER.text()[-20:] not in str(caught.value)


def line(name: str = NAME, raw: bytes | None = None) -> str:
    ident = key_id(NAME, SIGNER.verifier.public_key)
    return f"\u2014 {name} {base64.b64encode(raw if raw is not None else ident + bytes(64)).decode()}\n"


TEXT = checkpoint_text(NAME, 7, bytes(32))


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("", "blank line"),
        (NOTE[:-1], "blank line"),
        (NOTE.replace("\n7\n", "\n8\n"), "does not verify"),
        (NOTE.replace("\n", "\r\n"), "control characters"),
        (NOTE.replace("\n\n", "\n"), "blank line"),
        (NOTE + NOTE.rpartition("\n\n")[2], "2 signatures by the log's key"),
        (TEXT + "\n" + line("other.example"), "0 signatures"),
        (TEXT + "\n" + line(raw=key_id(NAME, SIGNER.verifier.public_key) + bytes(63)), "wrong length"),
        (TEXT + "\n" + line(), "does not verify"),
        (TEXT + "\n" + line(raw=b"1234"), "key id of four bytes"),
        (TEXT + "\n" + line() * 17, "more than 16"),
        (TEXT + "\n- no dash\n", "em dash"),
        (TEXT + "\n" + line().replace("=\n", "\n"), "base64"),
        (NOTE.replace("\u2014 ", "\u2014  "), "key name"),
    ],
)
def test_hostile_27_notes_that_are_refused(note, words):
    with pytest.raises(NoteError, match=words):
        SIGNER.verifier.open(note)


def test_other_signatures_on_the_note_do_no_harm():
    cosigned = NOTE + line("witness.example/w1", b"abcd" + bytes(72))
    assert SIGNER.verifier.open(cosigned).size == 7


def test_a_non_canonical_base64_is_refused():
    root = base64.b64encode(bytes(31) + b"\x01").decode()
    assert parse_text(f"{NAME}\n7\n{root}\n")[1] == 7
    with pytest.raises(NoteError, match="canonical"):
        parse_text(f"{NAME}\n7\n{root[:-2]}F=\n")


@pytest.mark.parametrize(
    "text",
    ["", f"{NAME}\n7\n", f"{NAME}\n07\n{'A' * 43}=\n", f"{NAME}\n-7\n{'A' * 43}=\n", f"{NAME}\n\u0667\n{'A' * 43}=\n",
     f"{NAME}\n7\nAAAA\n", f"{NAME}\n7\n{'A' * 43}=\nextension\n"],
)  # fmt: skip
def test_checkpoint_texts_that_are_refused(text):
    with pytest.raises(NoteError):
        parse_text(text)


@pytest.mark.parametrize(
    "vkey",
    ["", "a+b", f"{NAME}+00000000+{SIGNER.verifier.text().rpartition('+')[2]}", f"{NAME}+2f1ee1a0+AAAA",
     SIGNER.verifier.text().replace("+A", "+B", 1), " +c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"],
)  # fmt: skip
def test_verifier_keys_that_are_refused(vkey):
    with pytest.raises(NoteError):
        Verifier.parse(vkey)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb"])
def test_origins_that_cannot_be(name):
    with pytest.raises(NoteError):
        Signer(name, bytes(32))
