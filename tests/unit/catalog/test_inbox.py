"""The inbox of an agency: no name leads out of it, bytes are checked before they stand there, old versions stay."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.catalog.inbox import PATH_CHARACTERS, SEGMENTS, Inbox, Received, expected_digests, safe_path
from app.errors import AgencyUnknown, BodyTooLarge, DigestMismatch, QuotaExceeded, ValidationFailed

pytestmark = pytest.mark.anyio

WORLD = b"hello world"
SHA256 = base64.b64encode(hashlib.sha256(WORLD).digest()).decode()
SHA512 = base64.b64encode(hashlib.sha512(WORLD).digest()).decode()


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def received(inbox: Inbox, path: str, content: bytes = WORLD) -> Received:
    return await inbox.receive(path, pieces(content), limit_bytes=1000)


def files(inbox: Inbox) -> list[str]:
    """Every file in the inbox and beside it."""
    return sorted(str(path.relative_to(inbox.folder)) for path in inbox.folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "path",
    ["faskes.xlsx", "2026/Data Faskes (1).csv", "a+b,c&d-e_f.csv", "(draf).csv", "données/été.csv", "_x", "データ.csv"],
)
def test_ordinary_names_pass_as_they_are(path: str):
    assert safe_path(path) == unicodedata.normalize("NFC", path)


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/etc/passwd", "..", "../x", "a/../x", "a/./x", ".hidden", "a/.versions/x", ".incoming/x", "a//x", "a/",
        "a\\x", "a\0x", "a\nx", "a.", "a ", " a", "-a", "~/x", "a:b", "a*", "x\u202ecsv.exe", "\ud800", "inbox/", "inbox/../x",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_or_look_like_another_are_refused(path: str):
    with pytest.raises(ValidationFailed) as caught:
        safe_path(path)

    assert [(one.pointer, one.code) for one in caught.value.errors] == [("/path", "path")]


def test_one_name_has_one_spelling():
    assert safe_path("inbox/faskes.xlsx") == safe_path("faskes.xlsx") == "faskes.xlsx"
    assert safe_path("e\u0301te.csv") == safe_path("\u00e9te.csv") == "\u00e9te.csv"
    assert safe_path("inbox/inbox/x") == "inbox/x"


def test_length_and_depth_of_a_name_are_bounded_also_in_bytes():
    deepest = "/".join("a" * SEGMENTS)
    assert safe_path(deepest) == deepest
    for path in (f"{deepest}/a", "a" * 201, "é" * 101, "/".join(["a" * 150] * 3)):
        with pytest.raises(ValidationFailed):
            safe_path(path)

    assert len("/".join(["a" * 150] * 3)) > PATH_CHARACTERS


def test_digests_are_read_by_algorithm_and_unknown_ones_beside_known_ones_ignored():
    found = expected_digests(f"md5=:AAAA:, sha-256=:{SHA256}: ,sha-512=:{SHA512}:")

    assert found == {"sha256": hashlib.sha256(WORLD).digest(), "sha512": hashlib.sha512(WORLD).digest()}
    assert expected_digests(None) == {}


@pytest.mark.parametrize(
    "field",
    ["", "sha-256", f"sha-256={SHA256}", "sha-256=:a:", "md5=:AAAA:", f"sha-256=:{SHA256}:,", f"SHA-256=:{SHA256}:"],
)
def test_a_digest_that_cannot_be_checked_is_refused_and_not_passed_over(field: str):
    with pytest.raises(ValidationFailed) as caught:
        expected_digests(field)

    assert caught.value.errors[0].pointer == "Content-Digest"


@pytest.mark.parametrize("agency", ["", "..", "a", "A1", "a/b", "-ab", "a" * 64, "dinkes\n"])
def test_an_inbox_belongs_to_an_agency_with_a_sound_id(tmp_path: Path, agency: str):
    with pytest.raises(AgencyUnknown):
        Inbox(tmp_path, agency)


async def test_a_received_file_is_not_in_place_until_it_is_installed(tmp_path: Path):
    inbox = Inbox(tmp_path, "dinkes")
    found = await inbox.receive("inbox/x.csv", pieces(b"hello", b" ", b"world"), limit_bytes=11)

    assert (found.path, found.size_bytes, found.sha256) == ("x.csv", 11, hashlib.sha256(WORLD).hexdigest())
    assert not (inbox.folder / "x.csv").exists()
    await inbox.install(found)
    assert (inbox.folder / "x.csv").read_bytes() == WORLD
    assert inbox.version_file("x.csv", found.sha256).read_bytes() == WORLD
    assert files(inbox) == [f".versions/x.csv/{found.sha256}", "x.csv"]


async def test_a_new_version_replaces_the_file_and_leaves_the_bytes_of_the_old_one(tmp_path: Path):
    inbox = Inbox(tmp_path, "dinkes")
    first = await received(inbox, "x.csv", b"one")
    await inbox.install(first)
    second = await received(inbox, "x.csv", b"two")
    await inbox.install(second)

    assert (inbox.folder / "x.csv").read_bytes() == b"two"
    assert inbox.version_file("x.csv", first.sha256).read_bytes() == b"one"
    await inbox.forget("x.csv", first.sha256)
    await inbox.forget("x.csv", first.sha256)
    assert not inbox.version_file("x.csv", first.sha256).exists()


async def test_the_same_bytes_again_heal_a_file_that_was_lost(tmp_path: Path):
    inbox = Inbox(tmp_path, "dinkes")
    await inbox.install(await received(inbox, "x.csv"))
    (inbox.folder / "x.csv").unlink()
    await inbox.install(await received(inbox, "x.csv"))

    assert (inbox.folder / "x.csv").read_bytes() == WORLD


async def test_a_file_that_was_discarded_leaves_nothing(tmp_path: Path):
    inbox = Inbox(tmp_path, "dinkes")
    found = await received(inbox, "x.csv")
    await inbox.discard(found)
    await inbox.discard(found)

    assert files(inbox) == []


async def test_an_upload_above_its_limit_leaves_nothing(tmp_path: Path):
    inbox = Inbox(tmp_path, "dinkes")
    with pytest.raises(BodyTooLarge) as caught:
        await inbox.receive("x.csv", pieces(b"12345", b"6"), limit_bytes=5)

    assert caught.value.facts["limit_bytes"] == 5
    assert files(inbox) == []


async def test_an_upload_whose_bytes_are_others_than_announced_leaves_nothing(tmp_path: Path):
    inbox = Inbox(tmp_path, "dinkes")
    with pytest.raises(DigestMismatch):
        await inbox.receive("x.csv", pieces(b"hello"), limit_bytes=100, content_digest=f"sha-512=:{SHA512}:")
    assert files(inbox) == []

    assert (
        await inbox.receive("x.csv", pieces(WORLD), limit_bytes=100, content_digest=f"sha-512=:{SHA512}:")
    ).size_bytes == 11


async def test_an_upload_for_which_the_disk_has_no_room_leaves_nothing(tmp_path: Path):
    inbox, asked = Inbox(tmp_path, "dinkes"), list[int]()

    def full(more: int) -> None:
        asked.append(more)
        raise QuotaExceeded("full")

    with pytest.raises(QuotaExceeded):
        await inbox.receive("x.csv", pieces(WORLD), limit_bytes=100, check_free=full)

    assert (asked, files(inbox)) == ([11], [])


async def test_a_file_does_not_take_the_place_of_a_folder_nor_stand_below_a_file(tmp_path: Path):
    inbox = Inbox(tmp_path, "dinkes")
    await inbox.install(await received(inbox, "a/x.csv"))
    for path in ("a", "a/x.csv/y"):
        with pytest.raises(ValidationFailed, match="cannot be used"):
            await received(inbox, path)

    assert (inbox.folder / "a" / "x.csv").read_bytes() == WORLD


async def test_a_link_leads_no_upload_out_of_the_inbox(tmp_path: Path):
    inbox = Inbox(tmp_path, "dinkes")
    inbox.folder.mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.csv").write_bytes(b"theirs")
    (inbox.folder / "away").symlink_to(outside)
    (inbox.folder / "x.csv").symlink_to(outside / "x.csv")
    for path in ("away/x.csv", "x.csv"):
        with pytest.raises(ValidationFailed, match="cannot be used"):
            await received(inbox, path)

    assert (outside / "x.csv").read_bytes() == b"theirs"
