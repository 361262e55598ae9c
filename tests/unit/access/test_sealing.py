"""Sealed values: bound to their row, opened by the right key alone, never shown."""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from app.access.sealing import KEY_FILE, Seal, create_seal_key, load_seal
from app.errors import Conflict, InstanceMissing, SettingsInvalid

PLAIN = b"kata-sandi-sumber"


@pytest.fixture
def seal() -> Seal:
    return Seal([os.urandom(32)])


def test_what_is_sealed_opens_in_its_row(seal: Seal):
    sealed = seal.seal(PLAIN, "dinkes", "DB", "row-1")
    assert seal.open(sealed, "dinkes", "DB", "row-1") == PLAIN
    assert PLAIN not in sealed.sealed
    assert "kata" not in repr(sealed)
    assert seal.seal(PLAIN, "dinkes", "DB", "row-1").sealed != sealed.sealed


@pytest.mark.parametrize(
    "row",
    [("rsud", "DB", "row-1"), ("dinkes", "DB2", "row-1"), ("dinkes", "DB", "row-2"), ("dinkesDB", "", "row-1"), ()],
)
def test_a_blob_moved_to_another_row_does_not_open(seal: Seal, row: tuple[str, ...]):
    sealed = seal.seal(PLAIN, "dinkes", "DB", "row-1")
    with pytest.raises(SettingsInvalid) as caught:
        seal.open(sealed, *row)
    assert "kata" not in caught.value.detail


def test_a_changed_blob_does_not_open(seal: Seal):
    sealed = seal.seal(PLAIN, "a")
    changed = replace(sealed, sealed=bytes([sealed.sealed[0] ^ 1]) + sealed.sealed[1:])
    with pytest.raises(SettingsInvalid):
        seal.open(changed, "a")


def test_another_key_is_named_as_missing(seal: Seal):
    sealed = seal.seal(PLAIN, "a")
    with pytest.raises(SettingsInvalid, match=seal.key_id):
        Seal([os.urandom(32)]).open(sealed, "a")


def test_an_older_key_still_opens_while_the_first_seals():
    old, new = os.urandom(32), os.urandom(32)
    sealed = Seal([old]).seal(PLAIN, "a")
    both = Seal([new, old])
    assert both.open(sealed, "a") == PLAIN
    assert both.seal(PLAIN, "a").key_id == Seal([new]).key_id


def test_init_makes_a_private_file_once(tmp_path: Path):
    file = create_seal_key(tmp_path)
    assert file == tmp_path / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o400
    with pytest.raises(Conflict):
        create_seal_key(tmp_path)
    first, second = load_seal(tmp_path), load_seal(tmp_path)
    assert second.open(first.seal(PLAIN, "a"), "a") == PLAIN
    assert file.read_text().strip() not in repr(first)


def test_the_environment_wins_over_the_file(tmp_path: Path):
    create_seal_key(tmp_path)
    text = base64.urlsafe_b64encode(os.urandom(32)).decode()
    assert load_seal(tmp_path, text).key_id != load_seal(tmp_path).key_id
    assert load_seal(tmp_path, text.rstrip("=")).key_id == load_seal(tmp_path, text).key_id


def test_clear_faults_of_the_key(tmp_path: Path):
    with pytest.raises(InstanceMissing, match="simpul init"):
        load_seal(tmp_path)
    for text in ("short", "!" * 43, base64.urlsafe_b64encode(os.urandom(31)).decode(), "é", " "):
        with pytest.raises(SettingsInvalid) as caught:
            load_seal(tmp_path, text)
        assert text.strip() == "" or text not in caught.value.detail
    file = create_seal_key(tmp_path)
    file.chmod(0o440)
    with pytest.raises(SettingsInvalid, match="chmod 400"):
        load_seal(tmp_path)
