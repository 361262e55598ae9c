"""Seventeen kinds of damage to an exported log, and which program notices each: the table in the docs comes from here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.audit.verify.checks import Finding
from tests.support.go_tools import go_program
from tests.support.log_tree import (
    DAMAGE,
    Tree,
    fsck_accepts,
    make_tree,
    pymerkle_accepts,
    scales_accepts,
    simpul_accepts,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "log-checkers.md"
COLUMNS = ("simpul", "tlog-scales", "pymerkle", "fsck")


def table() -> dict[str, dict[str, bool]]:
    """What the page says: for each damage and program, whether it is caught."""
    rows = re.findall(
        r"^\| (.+?) \| (yes|no) \| (yes|no) \| (yes|no) \| (yes|no) \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    return {name: {column: word == "yes" for column, word in zip(COLUMNS, words, strict=True)} for name, *words in rows}


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Tree:
    return make_tree(tmp_path_factory.mktemp("log"))


@pytest.fixture
def damaged(good, tmp_path, request) -> Tree:
    tree = good.copy(tmp_path / "tiles")
    DAMAGE[request.param](tree)
    return tree


def test_the_page_lists_exactly_these_kinds_and_ours_catches_all():
    assert list(table()) == list(DAMAGE)
    assert len(DAMAGE) == 17
    assert all(row["simpul"] for row in table().values())


def test_an_undamaged_log_is_accepted_by_all(good):
    assert simpul_accepts(good)
    assert scales_accepts(good)
    assert pymerkle_accepts(good)


@pytest.mark.parametrize(("damaged", "name"), [(name, name) for name in DAMAGE], indirect=["damaged"])
def test_who_catches_what(damaged, name):
    caught = {
        "simpul": not simpul_accepts(damaged),
        "tlog-scales": not scales_accepts(damaged),
        "pymerkle": not pymerkle_accepts(damaged),
    }
    assert caught == {program: table()[name][program] for program in caught}
    assert sum(caught.values()) >= 1


@pytest.mark.external
@pytest.mark.parametrize(("damaged", "name"), [(name, name) for name in DAMAGE], indirect=["damaged"])
def test_what_fsck_catches(good, damaged, name):
    program = go_program("fsck")
    assert fsck_accepts(good, program)
    assert fsck_accepts(damaged, program) is not table()[name]["fsck"]


def test_hostile_20_21_the_finding_names_the_index(good, tmp_path):
    from app.audit.verify.static_tiles import check_tiles

    places = {
        "an entry's bytes changed": None,
        "a leaf hash changed": 256,
        "an entry added to a bundle": 512,
        "a bundle missing": 256,
    }
    for name, index in places.items():
        tree = good.copy(tmp_path / name.replace(" ", "-"))
        DAMAGE[name](tree)
        with pytest.raises(Finding) as caught:
            check_tiles(tree.folder, tree.policy)
        assert caught.value.index == (0 if index is None else index), name
    tree = good.copy(tmp_path / "more")
    (tree.folder / "tile" / "0" / "003").write_bytes(bytes(8192))
    with pytest.raises(Finding, match="no tile of a log of 600"):
        check_tiles(tree.folder, tree.policy)
